//! Public behaviour of the runtime.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod alerting;
mod big;
mod calling;
mod cancelling;
mod observing;
mod plane;
mod pushed;
mod recorder;
mod services;
mod sources;
mod store;
mod telemetry;
mod world;
