//! The executor: carries a plan out over two stores, checks every precondition, verifies what arrived, keeps the base.

mod event;
mod operate;
mod report;
mod run;

pub use event::{Observer, Silent, SyncEvent};
pub use report::{ConflictCause, Failure, Outcome, SyncConflict, SyncReport};
pub use run::execute;
