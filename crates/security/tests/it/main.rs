//! Public behaviour of the security crate.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod access;
mod audit;
