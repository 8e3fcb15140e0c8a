//! What a call of the control plane can fail with. Each cause keeps the error of the part that it came from.

use skyloom_core::{Class, RegionKey, ReplicaId, ServiceName, StepId};
use skyloom_orchestrator::drill::Loss;
use skyloom_orchestrator::{
    ClaimError, Failure, GraphError, MalformedPlan, Place, PlanError, ReplayError, SagaStatus, StalePlan, Standing,
    TargetError,
};
use skyloom_provider::DriverError;
use skyloom_scheduler::{PlaceError, RebalanceError, Unsatisfied, Violation};
use skyloom_security::access::{Action, Decision};
use skyloom_security::audit::AuditVerifyError;
use std::collections::BTreeMap;
use thiserror::Error;

use crate::control::Reverted;
use crate::data::DataError;
use crate::insight::InsightError;
use crate::store::StoreError;

/// Why a call of the control plane failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// What keeps the state of the control plane, or a file of it.
    #[error(transparent)]
    Store(StoreError),
    /// The lease is not this controller's any more, or was not renewed in time: it begins nothing. What was begun is in
    /// the journal, and whoever holds the lease goes on with it.
    #[error("go on without the lease")]
    LeaseLost(#[source] StoreError),
    /// The store answers later, and [`crate::ControlPlaneBuilder::build`] does not wait.
    #[error("build a control plane on a store of its own without waiting; open it")]
    NeedsOpen,
    /// A provider.
    #[error(transparent)]
    Driver(Box<DriverError>),
    /// No driver was registered.
    #[error("build a control plane without a driver")]
    NoDriver,
    /// A name given to the builder has another form.
    #[error("build a control plane")]
    Name(#[from] skyloom_core::IdError),
    /// The manifest names a place that the catalogue does not have.
    #[error(transparent)]
    UnknownPlace(#[from] skyloom_core::UnknownPlace),
    /// The services do not form an order.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// No placement can be made at all.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Some replicas have no place.
    #[error("place every replica: {}", all(.0))]
    Unsatisfied(Vec<Unsatisfied>),
    /// No plan can be made of the placement.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What the manifest takes over or renames cannot be had.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A plan for some services only cannot be made.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The plan is not one that could be carried out; it was not made by [`crate::ControlPlane::plan`].
    #[error(transparent)]
    Malformed(#[from] MalformedPlan),
    /// The placement of a proposal breaks a rule of its manifest.
    #[error("carry out a placement in which {}", broken(.0))]
    BrokenPlacement(Vec<Violation>),
    /// A step of a proposal puts something elsewhere than its placement says.
    #[error("carry out step {step}, which its placement does not have")]
    StepElsewhere {
        /// Which step.
        step: StepId,
    },
    /// The world has moved since the plan was made.
    #[error(transparent)]
    Stale(#[from] StalePlan),
    /// The caller may not.
    #[error("{action} as `{principal}`: {decision}")]
    Denied {
        /// Who asked.
        principal: String,
        /// For what.
        action: Action,
        /// The answer with its reason.
        decision: Box<Decision>,
    },
    /// The audit record could not be written, so nothing was done.
    #[error("record the call in the audit log; nothing was done")]
    AuditUnavailable(#[source] StoreError),
    /// The call was carried out, and its outcome could not be written into the audit log: the trail has a gap.
    #[error("record the outcome of a call that was carried out")]
    OutcomeUnrecorded(#[source] StoreError),
    /// Another deployment runs here: one control plane has one.
    #[error("apply `{asked}` where `{running}` is deployed")]
    OtherDeployment {
        /// What is there.
        running: ServiceName,
        /// What was to be applied.
        asked: ServiceName,
    },
    /// The audit trail is not what was signed.
    #[error(transparent)]
    Audit(#[from] AuditVerifyError),
    /// A plan of before a crash is unfinished; `recover` goes on with it.
    #[error("begin while plan `{plan}` of before a crash is unfinished")]
    Interrupted {
        /// Short digest of that plan.
        plan: String,
    },
    /// The journal does not belong to its plan.
    #[error(transparent)]
    Replay(ReplayError),
    /// The plan was begun and did not succeed.
    #[error("carry out the plan: it {}", describe(.0))]
    PlanFailed(Box<SagaStatus>),
    /// The plan did not succeed, and the generation before is in force again.
    #[error("carry out the plan: {0}")]
    Reverted(Box<Reverted>),
    /// The plan did not succeed, and neither did the way back: the deployment is between two generations, and nothing is
    /// done by itself until the next plan.
    #[error("go back after step {} failed ({})", .cause.step, .cause.detail)]
    RevertFailed {
        /// Why the plan failed.
        cause: Failure,
        /// Why the way back failed.
        source: Box<Self>,
    },
    /// Some regions cannot be asked, and what was wanted concerns them.
    #[error("reach {}", regions(.0))]
    Unreachable(BTreeMap<RegionKey, String>),
    /// A drill supposes the loss of something that neither the catalogue nor the inventory has.
    #[error("lose {0}: nobody knows it")]
    UnknownLoss(Loss),
    /// A place is not back, so there is nothing to decide about it.
    #[error("fail back to `{place}`: it is {}", standing_text(*.standing))]
    NotBack {
        /// Which place.
        place: Place,
        /// How it stands.
        standing: Standing,
    },
    /// Nothing is deployed.
    #[error("find a deployment: nothing has been applied")]
    NothingDeployed,
    /// There is no such replica.
    #[error("find replica `{replica}`")]
    NoReplica {
        /// Which.
        replica: ReplicaId,
    },
    /// A data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A forecast or a detection.
    #[error(transparent)]
    Insight(#[from] InsightError),
    /// A recovery of the embedder's own.
    #[error("recover: {detail}")]
    Remedy {
        /// What it said.
        detail: String,
    },
    /// No rebalancing can be thought about.
    #[error(transparent)]
    Rebalance(#[from] RebalanceError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        if error.is_lease_lost() {
            Self::LeaseLost(error)
        } else {
            Self::Store(error)
        }
    }
}

impl From<DriverError> for Error {
    fn from(error: DriverError) -> Self {
        Self::Driver(Box::new(error))
    }
}

/// Services that an error names before it only counts them.
const NAMED_MAX: usize = 5;

fn all(left_out: &[Unsatisfied]) -> String {
    let named: Vec<String> = left_out.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = left_out.len().saturating_sub(NAMED_MAX);
    let rest = if more > 0 {
        format!("; and {more} more services")
    } else {
        String::new()
    };
    format!("{}{rest}", named.join("; "))
}

fn regions(unreachable: &BTreeMap<RegionKey, String>) -> String {
    let named = unreachable.iter().take(NAMED_MAX);
    let mut parts: Vec<String> = named.map(|(region, said)| format!("`{region}`: {said}")).collect();
    if unreachable.len() > NAMED_MAX {
        parts.push(format!("{} more", unreachable.len() - NAMED_MAX));
    }
    parts.join("; ")
}

const fn standing_text(standing: Standing) -> &'static str {
    match standing {
        Standing::Present => "present",
        Standing::Suspected => "suspected",
        Standing::Lost => "lost",
        Standing::Returning => "returning",
        Standing::Back => "back",
    }
}

fn broken(violations: &[Violation]) -> String {
    let first = violations.first().map_or_else(String::new, ToString::to_string);
    match violations.len().saturating_sub(1) {
        0 => first,
        more => format!("{first}; and {more} more rules are broken"),
    }
}

fn describe(status: &SagaStatus) -> String {
    match status {
        SagaStatus::RolledBack { cause, .. } => {
            format!("was rolled back because step {} failed: {}", cause.step, cause.detail)
        }
        SagaStatus::Cancelled { kept } => format!("was cancelled; {} steps stay done", kept.len()),
        SagaStatus::Incomplete { left } | SagaStatus::Stuck { left, .. } => match left.first() {
            Some(first) => format!("left {} steps, the first: {}", left.len(), first.detail),
            None => "did not finish".to_owned(),
        },
        SagaStatus::Halted { detail, .. } => format!("was halted: {detail}"),
        SagaStatus::Running | SagaStatus::Stopping { .. } | SagaStatus::Compensating { .. } | SagaStatus::Succeeded => {
            "did not finish".to_owned()
        }
    }
}

impl Error {
    /// Refuses when some regions could not be asked.
    pub(crate) fn refuse_unreachable(unreachable: &BTreeMap<RegionKey, String>) -> Result<(), Self> {
        if unreachable.is_empty() {
            Ok(())
        } else {
            Err(Self::Unreachable(unreachable.clone()))
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Store(error)
            | Self::LeaseLost(error)
            | Self::AuditUnavailable(error)
            | Self::OutcomeUnrecorded(error) => error.class(),
            Self::Driver(error) => error.class(),
            Self::NoDriver | Self::NeedsOpen | Self::Name(_) => Class::Invalid,
            Self::UnknownPlace(error) => error.class(),
            Self::Graph(error) => error.class(),
            Self::Place(error) => error.class(),
            Self::Unsatisfied(_) => Class::Exhausted,
            Self::BrokenPlacement(_) | Self::StepElsewhere { .. } => Class::Invalid,
            Self::Plan(error) => error.class(),
            Self::Claim(error) => error.class(),
            Self::Target(error) => error.class(),
            Self::Malformed(error) => error.class(),
            Self::Stale(_) | Self::Interrupted { .. } | Self::OtherDeployment { .. } | Self::NotBack { .. } => {
                Class::Conflict
            }
            Self::Unreachable(_) => Class::Transient,
            Self::Denied { .. } => Class::Denied,
            Self::Audit(error) => error.class(),
            Self::Replay(error) => error.class(),
            Self::PlanFailed(status) => failed_class(status),
            Self::Reverted(reverted) => reverted.cause.class,
            Self::RevertFailed { source, .. } => source.class(),
            Self::NothingDeployed | Self::NoReplica { .. } | Self::UnknownLoss(_) => Class::NotFound,
            Self::Data(error) => error.class(),
            Self::Insight(error) => error.class(),
            Self::Rebalance(error) => error.class(),
            Self::Remedy { .. } => Class::Transient,
        }
    }
}

fn failed_class(status: &SagaStatus) -> Class {
    match status {
        SagaStatus::RolledBack { cause, .. } => cause.class,
        SagaStatus::Halted { class, .. } => *class,
        SagaStatus::Incomplete { left } | SagaStatus::Stuck { left, .. } => {
            left.first().map_or(Class::Conflict, |failure| failure.class)
        }
        _ => Class::Conflict,
    }
}
