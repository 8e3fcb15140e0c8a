//! Public behaviour of the runtime.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod alerting;
mod big;
mod calling;
mod cancelling;
mod claiming;
mod drill;
mod failover;
mod formats;
mod hostile;
mod observing;
mod partial;
mod plane;
mod pushed;
mod recorder;
mod rollouts;
mod services;
mod sources;
mod store;
mod stores;
mod telemetry;
mod under_way;
mod world;
