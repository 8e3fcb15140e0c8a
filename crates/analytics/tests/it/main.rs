//! The analytics engine through its public API only.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod alert;
mod bad_input;
mod collect;
mod detect;
mod diagnose;
mod ensemble;
mod forecast;
mod groups_and_logs;
mod intervals;
mod prepare;
mod risk;
mod scale;
mod sim;
mod warn;
