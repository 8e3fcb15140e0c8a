//! Why there is no plan.

use skyloom_core::{Class, DataName, MachineId, ReplicaId, ServiceName, SnapshotRef, Unplaced};
use thiserror::Error;

use super::TargetError;
use crate::GraphError;

/// Unplaced replicas that an error prints; it carries all of them.
const PRINTED_MAX: usize = 3;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The services have no order.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Some replicas have no place: half a deployment is not planned.
    #[error("plan a placement with {} unplaced: {}", count(.unplaced), reasons(.unplaced))]
    Incomplete {
        /// All of them, with their reasons.
        unplaced: Vec<Unplaced>,
    },
    /// The placement was decided from another snapshot.
    #[error(
        "plan from generation {} (`{}`): the placement was decided from generation {} (`{}`)",
        snapshot.generation, snapshot.digest.short(), placement.generation, placement.digest.short()
    )]
    OtherSnapshot {
        /// What the placement names.
        placement: SnapshotRef,
        /// The snapshot that was given.
        snapshot: SnapshotRef,
    },
    /// The placement has a replica that the manifest does not ask for.
    #[error("plan `{replica}`: the manifest does not ask for it")]
    UnknownReplica {
        /// Which.
        replica: ReplicaId,
    },
    /// The manifest asks for a replica that the placement neither places nor calls unplaced.
    #[error("plan `{replica}`: the placement does not mention it")]
    MissingReplica {
        /// Which.
        replica: ReplicaId,
    },
    /// The placement has a replica twice.
    #[error("plan `{replica}`: the placement has it twice")]
    PlacedTwice {
        /// Which.
        replica: ReplicaId,
    },
    /// A replica's machine is neither in the placement nor, for one that runs, in the snapshot.
    #[error("plan `{replica}`: its machine `{machine}` is not there")]
    UnknownMachine {
        /// The replica.
        replica: ReplicaId,
        /// The machine it names.
        machine: MachineId,
    },
    /// Two machines have one id, or one machine is different in placement and snapshot.
    #[error("plan machine `{machine}`: the placement's and the snapshot's are not the same")]
    OtherMachine {
        /// Which.
        machine: MachineId,
    },
    /// What the plan is confined to cannot be planned alone.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A service waits for a data set that the manifest does not have.
    #[error("plan `{service}`: it waits for data set `{data}`, which the manifest does not have")]
    UnknownData {
        /// The service.
        service: ServiceName,
        /// What it names.
        data: DataName,
    },
    /// The sum of prices cannot be held.
    #[error("plan: the sum of all prices is beyond the largest price")]
    PriceOverflow,
    /// More steps than ids.
    #[error("plan: more than {} steps", u32::MAX)]
    TooManySteps,
}

impl PlanError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Graph(error) => error.class(),
            Self::Target(error) => error.class(),
            Self::Incomplete { .. } => Class::Exhausted,
            Self::OtherSnapshot { .. } => Class::Conflict,
            Self::UnknownReplica { .. } | Self::UnknownData { .. } | Self::PriceOverflow | Self::TooManySteps => {
                Class::Invalid
            }
            Self::MissingReplica { .. }
            | Self::PlacedTwice { .. }
            | Self::UnknownMachine { .. }
            | Self::OtherMachine { .. } => Class::Bug,
        }
    }
}

fn count(unplaced: &[Unplaced]) -> String {
    match unplaced.len() {
        1 => String::from("1 replica"),
        n => format!("{n} replicas"),
    }
}

fn reasons(unplaced: &[Unplaced]) -> String {
    let shown = unplaced.iter().take(PRINTED_MAX);
    let mut parts: Vec<String> = shown
        .map(|u| format!("`{}` ({}: {})", u.replica, u.filter, u.reason))
        .collect();
    if unplaced.len() > PRINTED_MAX {
        parts.push(format!("{} more", unplaced.len() - PRINTED_MAX));
    }
    parts.join(", ")
}
