//! The public API, with nothing but the public API.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests play the programs that write plain files beside the store"
)]

mod base;
mod conformance;
mod crash;
mod disk;
mod executor;
mod history;
mod planner;
mod support;
