//! The public face of `skyloom-core`.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

#[cfg(feature = "manifest")]
mod manifest;
mod places;
