//! Checks over the whole workspace.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod tidy;
