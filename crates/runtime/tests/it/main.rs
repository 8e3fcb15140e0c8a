//! Public behaviour of the runtime.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod calling;
mod cancelling;
mod drill;
mod failover;
mod hostile;
mod observing;
mod plane;
mod services;
mod store;
mod under_way;
mod world;
