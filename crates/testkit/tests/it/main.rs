//! Checks over the whole workspace, and over the engines one after the other.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

#[cfg(feature = "crash")]
mod crash;
mod pipeline;
mod tidy;
