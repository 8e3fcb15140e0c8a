//! The control loop: observe, decide, plan, act, record. Everything that waits, spawns or stores lives here.
//!
//! [`ControlPlane`] is what an embedder holds. It asks the engines and carries out what they say; it contains no policy
//! and no formula. See `docs/architecture.md` for the files it keeps and the invariants it holds.

mod apply;
mod call;
mod checked;
mod clock;
mod config;
mod control;
mod data;
mod drivers;
mod endpoints;
mod env;
mod error;
mod event;
mod guard;
mod health;
mod insight;
mod observe;
mod probe;
mod reach;
mod recall;
mod shared;
mod steady;
pub mod store;
mod sync_records;

pub use clock::{Clock, SystemClock};
pub use config::RuntimeConfig;
pub use control::{
    AuditState, ControlPlane, ControlPlaneBuilder, DrillConfig, FailedBack, FailedOver, FailoverReport, HealReport,
    Healed, MachineStatus, Outcome, PlaceStatus, Proposal, Rebalanced, ReplicaStatus, Status,
};
pub use data::{CopyOutcome, DataError, DataPlace, SyncOutcome};
pub use endpoints::{ENDPOINTS_VERSION, Endpoint, Endpoints, EndpointsFile};
pub use env::{ENDPOINTS_VARIABLE, EnvError, EnvSecrets, SecretResolver};
pub use error::Error;
pub use event::{EVENTS_BEHIND_MAX, Event};
pub use health::HealthTracker;
pub use insight::{InsightError, Metric, Taken};
pub use probe::{ProbeResult, probe};
