//! The analytics engine through its public API only.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod alert;
mod bad_input;
mod collect;
mod detect;
mod diagnose;
mod ensemble;
mod forecast;
mod general;
mod groups_and_logs;
mod intervals;
mod m4;
mod online;
mod prepare;
mod risk;
mod scale;
mod sim;
mod sketch;
mod warn;
