//! What will be done: immutable, serialisable, complete enough that executing it leaves no choice.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::placement::SnapshotRef;
use crate::{
    Digest, HealthCheck, Machine, MachineId, MicroUsdPerHour, ReplicaId, ResourceId, Resources, RunSpec, ServiceName,
    Site, StopSpec,
};

/// Version of the persisted form.
pub const PLAN_VERSION: u32 = 1;

/// Steps in an order that respects their dependencies (every `after` names an earlier step).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the form, [`PLAN_VERSION`].
    pub version: u32,
    /// Deployment that it belongs to.
    pub deployment: ServiceName,
    /// What it was made from; refused when the world has moved on.
    pub snapshot: SnapshotRef,
    /// What to do.
    pub steps: Vec<Step>,
    /// Price of all machines before.
    pub price_before: MicroUsdPerHour,
    /// Price of all machines after.
    pub price_after: MicroUsdPerHour,
}

impl Plan {
    /// Name of the plan: the digest of all of it.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(self)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Position of a step in its plan, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One mutation of the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its position.
    pub id: StepId,
    /// What is done.
    pub action: Action,
    /// Why.
    pub why: String,
    /// What must have come first.
    pub after: Vec<After>,
    /// What must hold when it begins.
    pub precondition: Precondition,
    /// How it is undone when the plan fails.
    pub compensation: Compensation,
    /// Price of the machine concerned before.
    pub price_before: MicroUsdPerHour,
    /// Price of the machine concerned after.
    pub price_after: MicroUsdPerHour,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Action {
    /// Buys a machine.
    CreateMachine {
        /// Which.
        machine: Machine,
    },
    /// Starts a replica.
    CreateReplica {
        /// All that a driver needs.
        spec: ReplicaSpec,
    },
    /// Stops a replica gracefully and removes it.
    DeleteReplica {
        /// Which.
        replica: ReplicaId,
        /// What the provider calls it.
        resource: ResourceId,
        /// Where it runs.
        machine: MachineId,
        /// Which driver knows it.
        site: Site,
        /// How it is stopped.
        stop: StopSpec,
    },
    /// Gives a machine back.
    DeleteMachine {
        /// Which.
        machine: MachineId,
        /// What the provider calls it.
        resource: ResourceId,
        /// Which driver knows it.
        site: Site,
    },
}

impl Action {
    /// Where it happens; the cloud tells which driver.
    #[must_use]
    pub const fn site(&self) -> &Site {
        match self {
            Self::CreateMachine { machine } => &machine.site,
            Self::CreateReplica { spec } => &spec.site,
            Self::DeleteReplica { site, .. } | Self::DeleteMachine { site, .. } => site,
        }
    }

    /// The replica it is about, if it is about one.
    #[must_use]
    pub const fn replica(&self) -> Option<&ReplicaId> {
        match self {
            Self::CreateReplica { spec } => Some(&spec.replica),
            Self::DeleteReplica { replica, .. } => Some(replica),
            Self::CreateMachine { .. } | Self::DeleteMachine { .. } => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateMachine { machine } => {
                write!(
                    f,
                    "+ machine {} ({} {} {})",
                    machine.id, machine.site, machine.instance, machine.price
                )
            }
            Self::CreateReplica { spec } => write!(f, "+ {} on {}", spec.replica, spec.machine),
            Self::DeleteReplica { replica, machine, .. } => write!(f, "- {replica} on {machine}"),
            Self::DeleteMachine { machine, .. } => write!(f, "- machine {machine}"),
        }
    }
}

/// All that a driver needs to start a replica. Its digest tells whether a running one is out of date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaSpec {
    /// Which replica.
    pub replica: ReplicaId,
    /// On which machine.
    pub machine: MachineId,
    /// Where that machine is.
    pub site: Site,
    /// What it is given.
    pub request: Resources,
    /// What is started.
    pub run: RunSpec,
    /// How its health is known.
    pub health: Option<HealthCheck>,
    /// How it is stopped.
    pub stop: StopSpec,
}

impl ReplicaSpec {
    /// Digest of everything but the place: equal when a restart would change nothing.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&(&self.replica, &self.request, &self.run, &self.health, &self.stop))
    }
}

/// An edge between steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct After {
    /// The earlier step.
    pub step: StepId,
    /// What it must have reached.
    pub until: Until,
}

/// What an earlier step must have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The call returned and was recorded (a machine exists, a replica is started, a thing is gone).
    Done,
    /// The replica is healthy.
    Healthy,
    /// The replica ended with success.
    Completed,
}

/// What must hold when a step begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precondition {
    /// No live thing of this name with our owner tag.
    Absent,
    /// This very thing is there, or already gone.
    PresentOrGone {
        /// What the provider calls it.
        resource: ResourceId,
    },
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compensation {
    /// What was created is deleted.
    Delete,
    /// Cannot be undone; the text says why that is acceptable.
    Nothing {
        /// Reason.
        because: String,
    },
}
