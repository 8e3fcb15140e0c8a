//! Public behaviour of the runtime.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod calling;
mod cancelling;
mod observing;
mod plane;
mod rollouts;
mod services;
mod store;
mod world;
