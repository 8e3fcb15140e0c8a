//! Public behaviour of the runtime.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod big;
mod calling;
mod cancelling;
mod observing;
mod plane;
mod recorder;
mod services;
mod store;
mod telemetry;
mod world;
