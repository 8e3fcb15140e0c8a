//! The analytics engine through its public API only.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod bad_input;
mod collect;
mod detect;
mod forecast;
mod intervals;
mod prepare;
mod sim;
mod warn;
