//! The public face of `skyloom-core`.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod builtin;
mod catalogue;
mod egress;
#[cfg(feature = "manifest")]
mod manifest;
mod places;
mod price_lists;
mod published_lists;
