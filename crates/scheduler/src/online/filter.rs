//! Filters in the order in which they are asked, and the ones that a node answers the same for as long as it stands.
//!
//! What depends on other pods is `rules`' business; counting refusals is `explain`'s.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::class::Class;
use super::room::RoomRef;
use super::{NodeSpec, PodSpec};

/// What can keep a pod off a node, in the order in which it is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Filter {
    /// What the tenant's pods ask for would exceed its quota, wherever the pod were.
    Quota,
    /// The place is outside the allowed jurisdictions.
    Residency,
    /// A required label is absent or different.
    Labels,
    /// A taint is not tolerated.
    Taints,
    /// A place is too far, or it is not known how far.
    Latency,
    /// The electricity is dirtier than allowed, or it is not known how dirty.
    Carbon,
    /// The GPUs are of another model.
    GpuModel,
    /// It asks for more than the whole node has.
    Size,
    /// CPU is taken.
    Cpu,
    /// Memory is taken.
    Memory,
    /// Disk is taken.
    Disk,
    /// GPUs are taken, or no device has the share free.
    Gpu,
    /// A further resource is taken.
    Extra(String),
    /// A workload that it must be near is not there.
    Affinity,
    /// A workload that must not be near is there.
    AntiAffinity,
    /// Its workload would be spread too unevenly.
    Spread,
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quota => "quota",
            Self::Residency => "residency",
            Self::Labels => "labels",
            Self::Taints => "taints",
            Self::Latency => "latency",
            Self::Carbon => "carbon",
            Self::GpuModel => "gpu model",
            Self::Size => "size",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Gpu => "gpu",
            Self::Extra(name) => name,
            Self::Affinity => "affinity",
            Self::AntiAffinity => "anti-affinity",
            Self::Spread => "spread",
        })
    }
}

/// The first filter that keeps the pod off the node whatever is free there.
pub(super) fn standing_filter(pod: &PodSpec, node: &NodeSpec) -> Option<Filter> {
    let near = |(place, max): (&String, _)| node.round_trip.get(place).is_some_and(|time| time <= max);
    let clean = |max: u32| node.carbon_g_per_kwh.is_some_and(|grams| grams <= max);
    let tolerated = |taint| pod.tolerations.iter().any(|toleration| toleration.covers(taint));
    let has_extra = |(name, amount): (&String, &u64)| node.extra.get(name).copied().unwrap_or(0) >= *amount;
    let wants_gpu = !pod.request.gpu.is_zero();
    let is_model = pod.gpu_models.is_empty() || pod.gpu_models.contains(&node.gpu_model);
    if !pod.residency.permits(&node.jurisdictions) {
        Some(Filter::Residency)
    } else if pod
        .labels
        .iter()
        .any(|(key, value)| node.labels.get(key) != Some(value))
    {
        Some(Filter::Labels)
    } else if !node.taints.iter().all(tolerated) {
        Some(Filter::Taints)
    } else if !pod.round_trip_max.iter().all(near) {
        Some(Filter::Latency)
    } else if !pod.carbon_g_per_kwh_max.is_none_or(clean) {
        Some(Filter::Carbon)
    } else if wants_gpu && !is_model {
        Some(Filter::GpuModel)
    } else if !pod.request.fits_in(&node.capacity) || !pod.extra.iter().all(has_extra) {
        Some(Filter::Size)
    } else {
        None
    }
}

/// The first dimension in which a class has no room.
pub(super) fn first_lack(class: &Class, room: RoomRef<'_>, extra_names: &[String]) -> Option<Filter> {
    let free = room.room;
    if class.cpu > free.cpu {
        Some(Filter::Cpu)
    } else if class.memory > free.memory {
        Some(Filter::Memory)
    } else if class.disk > free.disk {
        Some(Filter::Disk)
    } else if class.share > free.widest || class.whole > free.whole {
        Some(Filter::Gpu)
    } else {
        let lacking = class.extra.iter().find(|(at, amount)| *amount > room.extra[*at]);
        lacking.map(|(at, _)| Filter::Extra(extra_names[*at].clone()))
    }
}
