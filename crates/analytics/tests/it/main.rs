//! The analytics engine through its public API only.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod bad_input;
mod collect;
mod detect;
mod forecast;
mod general;
mod intervals;
mod m4;
mod online;
mod prepare;
mod sim;
mod sketch;
mod warn;
