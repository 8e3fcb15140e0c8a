//! What an online placer is told: nodes, what pods ask for and insist on, and quotas. How it decides does not belong here.
//!
//! Pods of equal [`PodSpec`] are one class; everything the placer remembers, it remembers per class, so a caller makes
//! one spec per workload and not one per pod.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Affinity, Jurisdiction, MachineId, Residency, Resources, ServiceName, Site, SpreadRule, Taint, Toleration,
};

/// A machine that takes pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Name, unique in the cluster; ties between equal nodes go to the lowest.
    pub id: MachineId,
    /// What it has. GPUs are devices of 1,000 thousandths; a remainder is one smaller device.
    pub capacity: Resources,
    /// Further additive resources by name, such as `net-mbit`.
    #[serde(default)]
    pub extra: BTreeMap<String, u64>,
    /// Model of its GPUs; empty where there are none or it is not known.
    #[serde(default)]
    pub gpu_model: String,
    /// Where it is; nodes without a site share one nameless domain of each kind.
    #[serde(default)]
    pub site: Option<Site>,
    /// Laws its place is under; empty: unknown, so that any residency rule excludes it.
    #[serde(default)]
    pub jurisdictions: BTreeSet<Jurisdiction>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints.
    #[serde(default)]
    pub taints: Vec<Taint>,
    /// Round-trip time to places by name; a place that is missing is too far for any limit.
    #[serde(default)]
    pub round_trip: BTreeMap<String, Duration>,
    /// Grams of CO2 per kWh of the electricity there; `None`: unknown, which no cap admits.
    #[serde(default)]
    pub carbon_g_per_kwh: Option<u32>,
}

impl NodeSpec {
    /// A node with capacity and nothing else.
    #[must_use]
    pub const fn new(id: MachineId, capacity: Resources) -> Self {
        Self {
            id,
            capacity,
            extra: BTreeMap::new(),
            gpu_model: String::new(),
            site: None,
            jurisdictions: BTreeSet::new(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            round_trip: BTreeMap::new(),
            carbon_g_per_kwh: None,
        }
    }

    /// The same with GPUs of this model.
    #[must_use]
    pub fn with_gpu_model(mut self, model: impl Into<String>) -> Self {
        self.gpu_model = model.into();
        self
    }
}

/// What a pod asks for and insists on. Every rule is hard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PodSpec {
    /// The workload it belongs to, by which the rules of others mean it.
    #[serde(default)]
    pub workload: Option<ServiceName>,
    /// What it takes. GPU below 1,000 thousandths is a share of one device, otherwise whole devices.
    pub request: Resources,
    /// Further additive resources by name.
    #[serde(default)]
    pub extra: BTreeMap<String, u64>,
    /// GPU models it runs on; empty is any.
    #[serde(default)]
    pub gpu_models: BTreeSet<String>,
    /// Labels that the node must carry.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints that it tolerates.
    #[serde(default)]
    pub tolerations: Vec<Toleration>,
    /// Workloads of which a pod must be in the same domain already. Its own workload may be named: the first pod of it
    /// is exempt.
    #[serde(default)]
    pub affinity: Vec<Affinity>,
    /// Workloads of which no pod may be in the same domain, whichever of the two came first.
    #[serde(default)]
    pub anti_affinity: Vec<Affinity>,
    /// How evenly its workload is spread, judged when a pod is placed.
    #[serde(default)]
    pub spread: Vec<SpreadRule>,
    /// Higher may push out lower, where the placer is allowed to preempt.
    #[serde(default)]
    pub priority: i32,
    /// Longest round trip to places by name.
    #[serde(default)]
    pub round_trip_max: BTreeMap<String, Duration>,
    /// Most grams of CO2 per kWh.
    #[serde(default)]
    pub carbon_g_per_kwh_max: Option<u32>,
    /// Which jurisdictions it may be in.
    #[serde(default)]
    pub residency: Residency,
    /// Whose quota it counts against.
    #[serde(default)]
    pub tenant: Option<String>,
}

impl PodSpec {
    /// A pod that asks for this and insists on nothing.
    #[must_use]
    pub fn new(request: Resources) -> Self {
        Self {
            request,
            ..Self::default()
        }
    }
}

/// The most that the pods of one tenant may ask for together; a tenant without a quota is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Whose.
    pub tenant: String,
    /// The most, in each dimension.
    pub max: Resources,
}

/// A kind of pod that is expected, and how many of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The kind.
    pub pod: PodSpec,
    /// How many; only the proportions count.
    pub count: u32,
}
