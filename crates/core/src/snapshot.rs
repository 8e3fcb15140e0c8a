//! What is there: machines and replicas as observed at one moment, under one generation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::placement::SnapshotRef;
use crate::{Digest, Machine, MachineId, Ratio, ReplicaId, ResourceId, Resources, Taint, Timestamp};

/// The observed world. Engines decide on it; a plan names its generation and digest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Counts every recorded change; a plan made for an older one is refused.
    pub generation: u64,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Machines, sorted by id.
    pub nodes: Vec<Node>,
    /// Replicas, sorted by id.
    pub replicas: Vec<ObservedReplica>,
}

impl Snapshot {
    /// A world in which nothing runs yet.
    #[must_use]
    pub fn empty(generation: u64, taken_at: Timestamp) -> Self {
        Self {
            generation,
            taken_at,
            nodes: Vec::new(),
            replicas: Vec::new(),
        }
    }

    /// The machine of that id.
    #[must_use]
    pub fn node(&self, id: &MachineId) -> Option<&Node> {
        self.nodes.iter().find(|n| n.machine.id == *id)
    }

    /// The name under which decisions refer to this snapshot.
    #[must_use]
    pub fn reference(&self) -> SnapshotRef {
        SnapshotRef {
            generation: self.generation,
            digest: Digest::of(self),
        }
    }
}

/// A machine that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// What it is and costs.
    pub machine: Machine,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// Labels, besides the built-in `cloud`, `region`, `zone`, `instance`, `arch`, `purchase`.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Whether it takes new replicas.
    pub ready: bool,
    /// Measured utilisation (formula 1, folded); `None`: requested over capacity is used.
    pub utilisation: Option<Ratio>,
}

/// A replica that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedReplica {
    /// Which replica.
    pub replica: ReplicaId,
    /// Where it runs.
    pub machine: MachineId,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// What it asked for.
    pub request: Resources,
    /// Digest of the [`crate::ReplicaSpec`] it was started from.
    pub spec: Digest,
    /// How it is.
    pub state: ReplicaState,
}

/// How a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicaState {
    /// Asked for, not running yet.
    Pending,
    /// Running, not known to be healthy yet.
    Started,
    /// Running and healthy.
    Healthy,
    /// Running and found unhealthy.
    Unhealthy,
    /// Ended with success.
    Completed,
    /// Ended otherwise.
    Failed,
    /// Gone without a trace.
    Lost,
}

impl ReplicaState {
    /// Whether the replica still occupies its machine.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Started | Self::Healthy | Self::Unhealthy)
    }
}
