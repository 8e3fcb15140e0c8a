//! The control plane as an embedder holds it: one value, a handful of calls.

mod around;
mod builder;
mod carry;
mod claim;
mod drill;
mod failover;
mod heal;
mod histories;
mod plane;
mod proposal;
mod react;
mod rebalance;
mod rehearsal;
mod revert;
mod status;

pub use builder::ControlPlaneBuilder;
pub use drill::DrillConfig;
pub use failover::{FailedBack, FailedOver, FailoverReport, PlaceStatus};
pub use heal::{HealReport, Healed};
pub use plane::{AuditState, ControlPlane, Outcome};
pub use proposal::Proposal;
pub use rebalance::Rebalanced;
pub use revert::Reverted;
pub use status::{MachineStatus, ReplicaStatus, Status};
