//! The control plane as an embedder holds it: one value, a handful of calls.

mod builder;
mod carry;
mod claim;
mod heal;
mod plane;
mod proposal;
mod react;
mod rebalance;
mod revert;
mod status;

pub use builder::ControlPlaneBuilder;
pub use heal::{HealReport, Healed};
pub use plane::{AuditState, ControlPlane, Outcome};
pub use proposal::Proposal;
pub use rebalance::Rebalanced;
pub use revert::Reverted;
pub use status::{MachineStatus, ReplicaStatus, Status};
