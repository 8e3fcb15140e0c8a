//! From the observed world and a placement to the steps between them.

mod destroy;
mod diff;
mod entry;
mod error;
mod room;
mod steps;
mod trial;
mod write;

pub use destroy::destroy;
pub use diff::jobs;
pub use error::PlanError;
pub use write::plan;
