//! Public behaviour of the runtime.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed, and so has one that sees what cannot be"
)]

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
