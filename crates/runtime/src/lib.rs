//! The control loop: observe, decide, plan, act, record. Everything that waits, spawns or stores lives here.
//!
//! [`ControlPlane`] is what an embedder holds. It asks the engines and carries out what they say; it contains no policy
//! and no formula. See `docs/architecture.md` for the files it keeps and the invariants it holds.

pub mod alerting;
mod analysis;
mod apply;
mod call;
mod checked;
mod clock;
mod config;
mod control;
mod data;
mod discovery;
mod drivers;
mod endpoints;
mod env;
mod error;
mod event;
mod gate;
mod guard;
mod health;
mod hold;
mod http;
mod insight;
mod listing;
mod look;
mod observe;
mod pace;
mod probe;
mod reach;
mod recall;
mod shared;
pub mod sources;
mod steady;
pub mod store;
mod sync_records;
pub mod telemetry;

pub use analysis::{AnalysisSource, METRIC_MEMORY, METRIC_UNHEALTHY, Measure, MeasureError, MeasuredReplica};
pub use clock::{Clock, SystemClock};
pub use config::RuntimeConfig;
pub use control::{
    AuditState, ControlPlane, ControlPlaneBuilder, DrillConfig, FailedBack, FailedOver, FailoverReport, HealReport,
    Healed, MachineStatus, Outcome, PlaceStatus, Proposal, Rebalanced, ReplicaStatus, Reverted, Status,
};
pub use data::{CopyOutcome, DataError, DataPlace, SyncOutcome};
pub use endpoints::{ENDPOINTS_VERSION, Endpoint, Endpoints, EndpointsFile};
pub use env::{ENDPOINTS_VARIABLE, EnvError, EnvSecrets, SecretResolver};
pub use error::Error;
pub use event::{EVENTS_BEHIND_MAX, Event};
pub use health::HealthTracker;
pub use hold::LeaseConfig;
pub use http::{HttpError, HttpUrl};
pub use insight::{InsightError, Metric, Taken};
pub use pace::{Adaptive, AdaptiveError};
pub use probe::{ProbeResult, probe};
