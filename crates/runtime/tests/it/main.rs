//! Public behaviour of the runtime.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod calling;
mod cancelling;
mod claiming;
mod formats;
mod observing;
mod partial;
mod plane;
mod services;
mod store;
mod world;
