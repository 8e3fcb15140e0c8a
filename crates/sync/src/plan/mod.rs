//! The planner: three trees in, operations with preconditions out. Pure.

mod assemble;
mod config;
mod conflict_name;
mod decide;
mod display;
mod model;

pub use assemble::plan;
pub use config::{ConflictRule, MaxDelete, SyncConfig, SyncMode, TransferPrice};
pub use conflict_name::conflict_key;
pub use model::{
    Action, Adopted, Conflict, ConflictKind, Held, HeldReason, Operation, OperationId, Phase, PlanError,
    SYNC_PLAN_VERSION, Side, SyncPlan, TreeRef,
};
