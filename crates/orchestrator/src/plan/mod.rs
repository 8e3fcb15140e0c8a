//! From the observed world and a placement to the steps between them.

mod claim;
mod claiming;
mod destroy;
mod diff;
mod entry;
mod error;
mod request;
mod room;
mod steps;
mod target;
mod trial;
mod write;

pub use claim::{ClaimError, Claimed, Claims, Found, FoundMachine, claim};
pub use destroy::destroy;
pub use diff::jobs;
pub use error::PlanError;
pub use request::PlanRequest;
pub use target::{TargetError, Targeted, confine};
pub use write::{plan, plan_for};
