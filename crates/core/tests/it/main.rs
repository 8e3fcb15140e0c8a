//! The public face of `skyloom-core`.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod builtin;
mod catalogue;
mod egress;
mod price_lists;
mod published_lists;
