//! What a cluster is: plain data, as a caller measures or writes it. Whether it makes sense is `index`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{MachineId, MicroUsd, MicroUsdPerHour};

/// Names a workload, unique in its cluster; any text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkloadId(String);

impl WorkloadId {
    /// A name; whether it is unique and not empty is seen when a cluster is read.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A resource that nodes have and workloads use, in any unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// Such as `cpu`.
    pub name: String,
    /// Whether it is counted in thousandths of devices: a request of 1,000 or more takes whole devices, and a smaller one
    /// is a share of a single device.
    #[serde(default)]
    pub devices: bool,
}

/// Nodes with workloads on them.
///
/// Lists of amounts have one number per dimension, in the order of `dimensions`. The order of nodes, workloads and
/// spreads does not matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Resources that are counted, at most eight.
    pub dimensions: Vec<Dimension>,
    /// Machines.
    pub nodes: Vec<Node>,
    /// What runs on them.
    #[serde(default)]
    pub workloads: Vec<Workload>,
    /// Rules of even spread.
    #[serde(default)]
    pub spread: Vec<Spread>,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name, unique in the cluster.
    pub id: MachineId,
    /// What it has; 0: nothing of it.
    pub capacity: Vec<u64>,
    /// What of it is used by what is not a workload here; empty: nothing.
    #[serde(default)]
    pub other_use: Vec<u64>,
    /// What it costs.
    #[serde(default)]
    pub price: MicroUsdPerHour,
    /// Where it is: the name of its domain by level, such as `zone` or `region`.
    #[serde(default)]
    pub domains: BTreeMap<String, String>,
    /// Labels that workloads can ask for.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints that workloads must tolerate.
    #[serde(default)]
    pub taints: BTreeSet<String>,
    /// Whether it may receive; one that may not counts neither in the mean nor in the balance, and can be drained.
    #[serde(default = "yes")]
    pub ready: bool,
    /// Whether it stays whatever runs on it (it is reserved, or runs what is not listed).
    #[serde(default)]
    pub keep: bool,
    /// What draining it costs besides the moves.
    #[serde(default)]
    pub drain_cost: MicroUsd,
}

/// Something that runs on a node and can be moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its name, unique in the cluster.
    pub id: WorkloadId,
    /// Where it runs.
    pub node: MachineId,
    /// What is set aside for it: the sum over a receiving node never exceeds the node's capacity.
    pub request: Vec<u64>,
    /// What it uses, measured: utilisation is made of it. Absent: what is requested.
    #[serde(default)]
    pub used: Option<Vec<u64>>,
    /// What moving it costs. Absent: what the settings say.
    #[serde(default)]
    pub move_cost: Option<MicroUsd>,
    /// Whether it stays where it is.
    #[serde(default)]
    pub pinned: bool,
    /// The nodes it may be on. Absent: any.
    #[serde(default)]
    pub nodes: Option<BTreeSet<MachineId>>,
    /// Labels that its node must have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints that its node may have.
    #[serde(default)]
    pub tolerates: BTreeSet<String>,
    /// Groups it belongs to; rules name them.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Groups no other member of which may be on its node; naming an own group keeps its members apart.
    #[serde(default)]
    pub apart_from: BTreeSet<String>,
    /// Measured slow-down by its neighbours, 0 (none) to 1 (it stands still). Absent: estimated from how crowded its
    /// node is.
    #[serde(default)]
    pub slowed: Option<f64>,
}

/// The members of a group are spread evenly: between the domain with most and the one with least of those where one may
/// run, there are at most `max_skew`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Whose members.
    pub group: String,
    /// Over which level of domains; `node`: over the nodes themselves.
    pub over: String,
    /// Largest difference, at least 1.
    pub max_skew: u32,
}

/// A machine that can be bought, as often as wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Its name, such as that of a machine type in a zone; unique among the offers.
    pub id: String,
    /// What it has.
    pub capacity: Vec<u64>,
    /// What it costs.
    pub price: MicroUsdPerHour,
    /// Where it would be.
    #[serde(default)]
    pub domains: BTreeMap<String, String>,
    /// Labels it would have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints it would have.
    #[serde(default)]
    pub taints: BTreeSet<String>,
}

impl Cluster {
    /// An empty cluster that counts these resources, none of them in devices.
    #[must_use]
    pub fn new(dimensions: &[&str]) -> Self {
        let dimension = |name: &&str| Dimension {
            name: (*name).to_owned(),
            devices: false,
        };
        Self {
            dimensions: dimensions.iter().map(dimension).collect(),
            nodes: Vec::new(),
            workloads: Vec::new(),
            spread: Vec::new(),
        }
    }
}

impl Node {
    /// A ready node that costs nothing, has neither labels nor taints, and may be given back.
    #[must_use]
    pub const fn new(id: MachineId, capacity: Vec<u64>) -> Self {
        Self {
            id,
            capacity,
            other_use: Vec::new(),
            price: MicroUsdPerHour::ZERO,
            domains: BTreeMap::new(),
            labels: BTreeMap::new(),
            taints: BTreeSet::new(),
            ready: true,
            keep: false,
            drain_cost: MicroUsd::ZERO,
        }
    }
}

impl Workload {
    /// A workload that uses what it requests and may be anywhere.
    pub fn new(id: impl Into<String>, node: MachineId, request: Vec<u64>) -> Self {
        Self {
            id: WorkloadId::new(id),
            node,
            request,
            used: None,
            move_cost: None,
            pinned: false,
            nodes: None,
            labels: BTreeMap::new(),
            tolerates: BTreeSet::new(),
            groups: BTreeSet::new(),
            apart_from: BTreeSet::new(),
            slowed: None,
        }
    }
}

const fn yes() -> bool {
    true
}
