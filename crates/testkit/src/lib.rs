//! What tests over several engines share: random manifests, a small catalogue, and an oracle for the order of a plan.
//!
//! With feature `crash`: the crash matrix, which needs the orchestrator, the simulated cloud and the runtime's stores.
//!
//! All else knows core only, so that every crate's tests may use it. Tests of one engine keep their own, sharper worlds beside
//! them (`tests/it/world.rs`): a generator that serves everybody covers nobody's corner. Nothing here is for production.

mod catalogue;
#[cfg(feature = "crash")]
pub mod crash;
mod manifests;
mod order;

pub use catalogue::catalogue;
pub use manifests::{REPLICAS_MAX, SERVICES_MAX, manifests};
pub use order::order_violations;
