//! Data of the skyloom control plane: what every other crate speaks.
//!
//! Units and money, ids, time, topology, offers and the price catalogue, service specifications and the manifest,
//! inventory snapshots, placements, plans, time series, error classes and secrets by reference. Nothing here decides,
//! waits, reads a clock, draws a random number or touches the outside: a caller passes text and bytes in.
//!
//! ```
//! use skyloom_core::{Bytes, Millicores, Resources};
//!
//! let demand = Resources::new("500m".parse()?, "512MiB".parse()?);
//! let machine = Resources::new(Millicores::from_cores(2), Bytes::from_gib(4));
//! assert!(demand.fits_in(&machine));
//! # Ok::<(), skyloom_core::QuantityError>(())
//! ```

pub mod catalogue;
mod class;
mod digest;
mod drift;
mod ids;
#[cfg(feature = "manifest")]
pub mod manifest;
mod money;
mod nearest;
mod placement;
mod places;
mod plan;
mod plan_diff;
mod plan_text;
mod quantity;
mod resources;
mod retry;
mod rollout;
mod secret;
mod series;
mod service;
mod snapshot;
mod succession;
mod template;
mod time;
mod topology;
mod units;

pub use catalogue::{Catalogue, Offer, OfferKey, Purchase};
pub use class::Class;
pub use digest::{Digest, DigestParseError};
pub use drift::{Attributes, DriftField, DriftPolicy};
pub use ids::{
    CloudId, DataName, IdError, InstanceType, MachineId, OperationId, OwnerTag, PortName, RegionName, ReplicaId,
    ResourceId, ServiceName, Token, ZoneName,
};
#[cfg(feature = "manifest")]
pub use manifest::{ManifestError, ManifestErrorKind};
pub use money::{HOURS_PER_MONTH, MicroUsd, MicroUsdPerHour};
pub use placement::{
    Assignment, Candidate, CostSummary, Explanation, Filter, Machine, Placement, Rejection, RunnerUp, SnapshotRef,
    Unplaced, share_price,
};
pub use places::{PlaceKind, PlaceUser, UnknownPlace, check_places};
pub use plan::{
    Action, After, Barrier, BarrierId, Compensation, Gate, PLAN_VERSION, Plan, Precondition, ReplicaSpec, Step, StepId,
    Targets, Until,
};
pub use plan_diff::{ChangedStep, PlanDiff};
pub use quantity::QuantityError;
pub use resources::{Dimension, Resources};
pub use retry::{RetryDecision, RetryPolicy};
pub use rollout::{Analysis, CanaryStep, Limit, Millionths, PERCENT_MAX, Rollout, RolloutStrategy, Share, judge};
pub use secret::{Secret, SecretRef};
pub use series::{Sample, Series, SeriesError};
pub use service::{
    Affinity, BackupSpec, Budget, Condition, DataClass, DataNeed, DataReplica, DataSpec, Dependency, EgressNeed,
    EnvValue, HealthCheck, HealthProbe, LatencyLimit, Link, Location, Manifest, PortSpec, Protocol, PurchasePreference,
    Residency, Revenue, RunSpec, ServiceSpec, SpreadOver, SpreadRule, StopSpec, SyncMode, SyncSpec, Taint, Toleration,
};
pub use snapshot::{Node, ObservedReplica, ReplicaState, Snapshot};
pub use succession::{Import, Moved, ReplicaRange};
pub use template::{TemplateError, TemplatePart, parse_template};
pub use time::{Date, Timestamp, TimestampError};
pub use topology::{GeoPoint, Jurisdiction, RegionInfo, RegionKey, Site};
pub use units::{Bytes, Millicores, Milligpus, Ratio, RatioError};
