//! What will be done: immutable, serialisable, complete enough that executing it leaves no choice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::placement::SnapshotRef;
use crate::{
    Analysis, DataName, Digest, HealthCheck, Machine, MachineId, MicroUsdPerHour, OwnerTag, RegionKey, ReplicaId,
    ResourceId, Resources, RunSpec, ServiceName, ServiceSpec, Site, StopSpec, Timestamp,
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
    /// Sets of edges that many steps share, so that `n` replicas which wait for `m` others cost `n + m` edges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barriers: Vec<Barrier>,
    /// What the provider calls the machines that are there already and that steps use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub machines: BTreeMap<MachineId, ResourceId>,
    /// Price of all machines before.
    pub price_before: MicroUsdPerHour,
    /// Price of all machines after.
    pub price_after: MicroUsdPerHour,
    /// What it is confined to; `None`: it is about the whole deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Targets>,
}

/// What a partial plan is confined to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// The services that were asked for.
    pub services: BTreeSet<ServiceName>,
    /// What they need, of which only what is missing is brought about.
    pub needs: BTreeSet<ServiceName>,
    /// Services that are not as the manifest has them and that the plan leaves so.
    pub left_out: BTreeSet<ServiceName>,
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

    /// The step of that id.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(usize::try_from(id.0).ok()?)
    }

    /// The barrier of that id.
    #[must_use]
    pub fn barrier(&self, id: BarrierId) -> Option<&Barrier> {
        self.barriers.get(usize::try_from(id.0).ok()?)
    }

    /// Every edge that `step` waits for, those of its barriers (and of theirs) included, sorted, each once. For checks
    /// and views: asked of every step in turn it costs what barriers avoid, the product of the two sides.
    #[must_use]
    pub fn all_after(&self, step: &Step) -> Vec<After> {
        let mut edges: Vec<After> = step.after.clone();
        let mut open: Vec<BarrierId> = step.after_all.clone();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            let Some(barrier) = self.barrier(id).filter(|_| seen.insert(id)) else {
                continue;
            };
            edges.extend(&barrier.after);
            open.extend(&barrier.after_all);
        }
        edges.sort_unstable();
        edges.dedup();
        edges
    }
}

/// Position of a barrier in its plan, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BarrierId(pub u32);

/// A named set of edges: whoever waits for it waits for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// What has been reached, for people: `database healthy`.
    pub name: String,
    /// Steps, each earlier than every step that waits for this barrier.
    pub after: Vec<After>,
    /// Earlier barriers that are part of this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_all: Vec<BarrierId>,
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

/// One mutation of the outside, or a wait for what is there already.
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
    /// Sets of steps that must have come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_all: Vec<BarrierId>,
    /// What must hold when it begins.
    pub precondition: Precondition,
    /// How it is undone when the plan fails.
    pub compensation: Compensation,
    /// Price of the machine concerned before.
    pub price_before: MicroUsdPerHour,
    /// Price of the machine concerned after.
    pub price_after: MicroUsdPerHour,
    /// Longest time that a replica which the step creates may take to become healthy; `None`: what its health check and
    /// the saga allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// Whether the replica that the step creates is kept out of the endpoints until a gate lets it in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aside: bool,
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
    /// Waits for a replica that runs already and on which a later step depends; changes nothing.
    AwaitReplica {
        /// Which.
        replica: ReplicaId,
        /// What the provider calls it.
        resource: ResourceId,
        /// Where it runs.
        machine: MachineId,
        /// Which driver knows it.
        site: Site,
        /// How its health is known.
        health: Option<HealthCheck>,
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
    /// Gives a replica that runs another name; it is not restarted.
    RenameReplica {
        /// What it is from now on.
        spec: ReplicaSpec,
        /// What it was.
        was: ReplicaId,
        /// What the provider calls it.
        resource: ResourceId,
    },
    /// Takes a replica over that runs without our owner tag.
    AdoptReplica {
        /// What it is from now on: as it was found, which later steps may change.
        spec: ReplicaSpec,
        /// What the provider calls it.
        resource: ResourceId,
        /// Whose it is until then; `None`: nobody's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_from: Option<OwnerTag>,
        /// What it is called until then.
        name: String,
    },
    /// Takes a machine over that is there without our owner tag.
    AdoptMachine {
        /// What it is.
        machine: Machine,
        /// What the provider calls it.
        resource: ResourceId,
        /// Whose it is until then; `None`: nobody's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_from: Option<OwnerTag>,
        /// What it is called until then.
        name: String,
    },
    /// Makes the copies of a data set equal and verifies them.
    SyncData {
        /// Which.
        data: DataName,
        /// Where its primary copy is.
        site: Site,
        /// Where the other copies are.
        copies: Vec<RegionKey>,
        /// When this was planned: the copies are equal as of then or later.
        planned_at: Timestamp,
    },
    /// Watches new replicas for a while before anything further is done.
    Gate {
        /// What is watched, and what has to hold.
        gate: Gate,
    },
}

/// What has to hold of new replicas for a while: that they are healthy, and what metrics say. Nothing is made or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Whose replicas they are.
    pub service: ServiceName,
    /// Where the first of them is.
    pub site: Site,
    /// The earlier steps that create them.
    pub watched: Vec<StepId>,
    /// How long they are watched at least, from when the gate is reached.
    pub hold: Duration,
    /// Conditions on metrics, each measured for its own time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis: Vec<Analysis>,
    /// Old replicas that leave the endpoints when the gate is passed, in the same moment in which the watched enter.
    /// Empty: nobody is switched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switch_from: Vec<ResourceId>,
}

impl Gate {
    /// The shortest time it takes.
    #[must_use]
    pub fn length(&self) -> Duration {
        let measured = self
            .analysis
            .iter()
            .map(|a| a.interval.saturating_mul(a.measurements()));
        measured.max().unwrap_or_default().max(self.hold)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new = self.watched.len();
        write!(f, "? {} ({new} new) for {:?}", self.service, self.length())?;
        for analysis in &self.analysis {
            write!(f, ", {} {}", analysis.metric, analysis.limit)?;
        }
        if !self.switch_from.is_empty() {
            write!(f, ", then switched")?;
        }
        Ok(())
    }
}

impl Action {
    /// Where it happens; the cloud tells which driver.
    #[must_use]
    pub const fn site(&self) -> &Site {
        match self {
            Self::CreateMachine { machine } => &machine.site,
            Self::CreateReplica { spec } | Self::RenameReplica { spec, .. } | Self::AdoptReplica { spec, .. } => {
                &spec.site
            }
            Self::AdoptMachine { machine, .. } => &machine.site,
            Self::Gate { gate } => &gate.site,
            Self::DeleteReplica { site, .. }
            | Self::AwaitReplica { site, .. }
            | Self::DeleteMachine { site, .. }
            | Self::SyncData { site, .. } => site,
        }
    }

    /// The replica it is about, if it is about one.
    #[must_use]
    pub const fn replica(&self) -> Option<&ReplicaId> {
        match self {
            Self::CreateReplica { spec } | Self::RenameReplica { spec, .. } | Self::AdoptReplica { spec, .. } => {
                Some(&spec.replica)
            }
            Self::DeleteReplica { replica, .. } | Self::AwaitReplica { replica, .. } => Some(replica),
            Self::CreateMachine { .. }
            | Self::DeleteMachine { .. }
            | Self::AdoptMachine { .. }
            | Self::SyncData { .. }
            | Self::Gate { .. } => None,
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
            Self::AwaitReplica { replica, machine, .. } => write!(f, "= {replica} on {machine}"),
            Self::DeleteMachine { machine, .. } => write!(f, "- machine {machine}"),
            Self::RenameReplica { spec, was, .. } => write!(f, "> {was} becomes {} on {}", spec.replica, spec.machine),
            Self::AdoptReplica { spec, resource, .. } => {
                write!(f, "> {resource} becomes {} on {}", spec.replica, spec.machine)
            }
            Self::AdoptMachine { machine, resource, .. } => write!(
                f,
                "> {resource} becomes machine {} ({} {} {})",
                machine.id, machine.site, machine.instance, machine.price
            ),
            Self::SyncData { data, copies, .. } => write!(f, "= data {data} equal in {} copies", copies.len() + 1),
            Self::Gate { gate } => gate.fmt(f),
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

impl ServiceSpec {
    /// Digest that [`ReplicaSpec::digest`] gives for a replica of this service as it is now, wherever it is.
    #[must_use]
    pub fn form(&self, replica: &ReplicaId) -> Digest {
        Digest::of(&(replica, &self.resources, &self.run, &self.health, &self.stop))
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
    /// The replica is healthy; the machine runs.
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
    /// No live thing of this name with our owner tag but this one, which is being replaced.
    AbsentBut {
        /// What the provider calls the old one.
        resource: ResourceId,
    },
    /// Nothing in particular.
    Anything,
    /// This very thing is there and carries the owner tag and the name that the step takes it from, or already those
    /// that the step gives it.
    Claimable {
        /// What the provider calls it.
        resource: ResourceId,
    },
    /// This very thing is there, or already gone.
    PresentOrGone {
        /// What the provider calls it.
        resource: ResourceId,
    },
    /// Nothing: the step changes nothing.
    Always,
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compensation {
    /// What was created is deleted.
    Delete,
    /// What was taken over or renamed gets its old owner tag and name back; it runs on.
    Release,
    /// Cannot be undone; the text says why that is acceptable.
    Nothing {
        /// Reason.
        because: String,
    },
}
