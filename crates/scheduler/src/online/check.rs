//! An independent look at where pods are: it shares no code with the placer, and takes its time.
//!
//! Given the nodes, the quotas and every claim (who is where, on which devices), it says what breaks. Rules that are
//! judged when a pod is placed (affinity, spread) are asked for the claims that the caller names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{Affinity, MachineId, ServiceName, SpreadOver};

use super::{NodeSpec, PodSpec, Quota};

/// A pod that is said to be on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim<'a> {
    /// What it asks for and insists on.
    pub pod: &'a PodSpec,
    /// Where it is.
    pub node: &'a MachineId,
    /// Numbers of the GPU devices that it has there.
    pub devices: Vec<usize>,
}

/// Something that is not as it must be. Pods are named by their rank among the claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// There is no such node.
    NoSuchNode(usize),
    /// More is taken of a resource than the node has.
    OverCapacity(MachineId, String),
    /// More is taken of a device than it has.
    OverDevice(MachineId, usize),
    /// Not the devices that it asks for: a share is on one, whole devices are as many as asked for, all of the node.
    WrongDevices(usize),
    /// A hard rule about the node is broken.
    Barred(usize, String),
    /// A workload that must be away is in its domain.
    NotApart(usize, ServiceName),
    /// A workload that must be near is not in its domain.
    NotNear(usize, ServiceName),
    /// Its workload is spread more unevenly than allowed.
    Uneven(usize),
    /// The pods of a tenant ask for more than its quota.
    OverQuota(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchNode(pod) => write!(f, "pod {pod} is on a node that is not there"),
            Self::OverCapacity(node, what) => write!(f, "{node} gives more {what} than it has"),
            Self::OverDevice(node, device) => write!(f, "device {device} of {node} gives more than it has"),
            Self::WrongDevices(pod) => write!(f, "pod {pod} has other devices than it asks for"),
            Self::Barred(pod, rule) => write!(f, "pod {pod} is on a node that its {rule} rule excludes"),
            Self::NotApart(pod, other) => write!(f, "pod {pod} is together with `{other}`"),
            Self::NotNear(pod, other) => write!(f, "pod {pod} is not together with `{other}`"),
            Self::Uneven(pod) => write!(f, "the workload of pod {pod} is spread too unevenly"),
            Self::OverQuota(tenant) => write!(f, "tenant `{tenant}` is over its quota"),
        }
    }
}

/// Everything that is not as it must be, sorted; `fresh` are the claims that were placed last, for which affinity and
/// spread are asked as well.
#[must_use]
pub fn audit(nodes: &[NodeSpec], quotas: &[Quota], claims: &[Claim<'_>], fresh: &[usize]) -> Vec<Fault> {
    let by_id: BTreeMap<&MachineId, &NodeSpec> = nodes.iter().map(|node| (&node.id, node)).collect();
    let mut faults = BTreeSet::new();
    for (rank, claim) in claims.iter().enumerate() {
        match by_id.get(claim.node) {
            None => drop(faults.insert(Fault::NoSuchNode(rank))),
            Some(node) => {
                faults.extend(barred(claim.pod, node).map(|rule| Fault::Barred(rank, rule.to_owned())));
                if !devices_are_right(claim, node) {
                    faults.insert(Fault::WrongDevices(rank));
                }
            }
        }
    }
    for node in nodes {
        faults.extend(over_capacity(node, claims));
    }
    for quota in quotas {
        let pods = claims
            .iter()
            .map(|claim| claim.pod)
            .filter(|pod| pod.tenant.as_ref() == Some(&quota.tenant));
        let sum = |of: &dyn Fn(&PodSpec) -> u64| pods.clone().map(|pod| u128::from(of(pod))).sum::<u128>();
        let over = sum(&cpu) > u128::from(quota.max.cpu.as_millicores())
            || sum(&memory) > u128::from(quota.max.memory.as_bytes())
            || sum(&disk) > u128::from(quota.max.disk.as_bytes())
            || sum(&gpu) > u128::from(quota.max.gpu.as_milligpus());
        if over {
            faults.insert(Fault::OverQuota(quota.tenant.clone()));
        }
    }
    let together = Together { nodes, by_id, claims };
    faults.extend((0..claims.len()).flat_map(|rank| together.not_apart(rank)));
    faults.extend(fresh.iter().flat_map(|rank| together.not_near(*rank)));
    faults.extend(
        fresh
            .iter()
            .filter(|rank| together.is_uneven(**rank))
            .map(|rank| Fault::Uneven(*rank)),
    );
    faults.into_iter().collect()
}

fn cpu(pod: &PodSpec) -> u64 {
    pod.request.cpu.as_millicores()
}

fn memory(pod: &PodSpec) -> u64 {
    pod.request.memory.as_bytes()
}

fn disk(pod: &PodSpec) -> u64 {
    pod.request.disk.as_bytes()
}

fn gpu(pod: &PodSpec) -> u64 {
    pod.request.gpu.as_milligpus()
}

/// The first rule about the node alone that it breaks.
fn barred(pod: &PodSpec, node: &NodeSpec) -> Option<&'static str> {
    let laws = &node.jurisdictions;
    let rule = &pod.residency;
    let has_rule = !(rule.allow.is_empty() && rule.deny.is_empty());
    let allowed = rule.allow.is_empty() || rule.allow.iter().any(|law| laws.contains(law));
    if has_rule && (laws.is_empty() || !allowed || rule.deny.iter().any(|law| laws.contains(law))) {
        return Some("residency");
    }
    for (key, value) in &pod.labels {
        if node.labels.get(key).is_none_or(|has| has != value) {
            return Some("labels");
        }
    }
    for taint in &node.taints {
        let same_value = |value: &Option<String>| value.as_ref().is_none_or(|value| *value == taint.value);
        if !pod
            .tolerations
            .iter()
            .any(|t| t.key == taint.key && same_value(&t.value))
        {
            return Some("taints");
        }
    }
    for (place, max) in &pod.round_trip_max {
        if node.round_trip.get(place).is_none_or(|time| time > max) {
            return Some("latency");
        }
    }
    if let Some(max) = pod.carbon_g_per_kwh_max
        && node.carbon_g_per_kwh.is_none_or(|grams| grams > max)
    {
        return Some("carbon");
    }
    let named = !pod.gpu_models.is_empty() && gpu(pod) > 0;
    (named && !pod.gpu_models.contains(&node.gpu_model)).then_some("gpu model")
}

fn devices_are_right(claim: &Claim<'_>, node: &NodeSpec) -> bool {
    let asked = gpu(claim.pod);
    let distinct: BTreeSet<&usize> = claim.devices.iter().collect();
    let there = |device: &usize| (*device as u64) < node.capacity.gpu.as_milligpus().div_ceil(1000);
    let count = if asked < 1000 { asked.min(1) } else { asked / 1000 };
    distinct.len() == claim.devices.len() && claim.devices.len() as u64 == count && claim.devices.iter().all(there)
}

fn over_capacity(node: &NodeSpec, claims: &[Claim<'_>]) -> Vec<Fault> {
    let here: Vec<&Claim<'_>> = claims.iter().filter(|claim| *claim.node == node.id).collect();
    let mut faults = Vec::new();
    let mut compare = |what: &str, taken: u128, has: u64| {
        if taken > u128::from(has) {
            faults.push(Fault::OverCapacity(node.id.clone(), what.to_owned()));
        }
    };
    let sum = |of: fn(&PodSpec) -> u64| here.iter().map(|claim| u128::from(of(claim.pod))).sum::<u128>();
    compare("cpu", sum(cpu), node.capacity.cpu.as_millicores());
    compare("memory", sum(memory), node.capacity.memory.as_bytes());
    compare("disk", sum(disk), node.capacity.disk.as_bytes());
    let names: BTreeSet<&String> = here.iter().flat_map(|claim| claim.pod.extra.keys()).collect();
    for name in names {
        let taken = here
            .iter()
            .filter_map(|claim| claim.pod.extra.get(name))
            .map(|n| u128::from(*n))
            .sum();
        compare(name, taken, node.extra.get(name).copied().unwrap_or(0));
    }
    let mut taken: BTreeMap<usize, u64> = BTreeMap::new();
    for claim in here {
        for device in &claim.devices {
            *taken.entry(*device).or_default() += gpu(claim.pod).min(1000);
        }
    }
    for (device, taken) in taken {
        let before = (device as u64).saturating_mul(1000);
        let has = node.capacity.gpu.as_milligpus().saturating_sub(before).min(1000);
        if taken > has {
            faults.push(Fault::OverDevice(node.id.clone(), device));
        }
    }
    faults
}

/// Rules about other pods.
struct Together<'a> {
    nodes: &'a [NodeSpec],
    by_id: BTreeMap<&'a MachineId, &'a NodeSpec>,
    claims: &'a [Claim<'a>],
}

impl Together<'_> {
    /// What a node's domain is called.
    fn domain(node: &NodeSpec, scope: SpreadOver) -> Option<String> {
        let site = node.site.as_ref();
        match scope {
            SpreadOver::Machine => Some(node.id.to_string()),
            SpreadOver::Zone => site.map(|site| format!("{}|{:?}", site.region, site.zone)),
            SpreadOver::Region => site.map(|site| site.region.to_string()),
            SpreadOver::Cloud => site.map(|site| site.region.cloud.to_string()),
        }
    }

    /// Ranks of the other pods of a workload in the same domain.
    fn beside(&self, rank: usize, rule: &Affinity) -> Vec<usize> {
        let Some(node) = self.by_id.get(self.claims[rank].node) else {
            return Vec::new();
        };
        let here = Self::domain(node, rule.within);
        let is_beside = |other: &usize| {
            let claim = &self.claims[*other];
            let there = self.by_id.get(claim.node);
            *other != rank
                && claim.pod.workload.as_ref() == Some(&rule.service)
                && there.is_some_and(|node| Self::domain(node, rule.within) == here)
        };
        (0..self.claims.len()).filter(is_beside).collect()
    }

    fn not_apart(&self, rank: usize) -> Vec<Fault> {
        let rules = &self.claims[rank].pod.anti_affinity;
        let broken = rules.iter().filter(|rule| !self.beside(rank, rule).is_empty());
        broken.map(|rule| Fault::NotApart(rank, rule.service.clone())).collect()
    }

    fn not_near(&self, rank: usize) -> Vec<Fault> {
        let pod = self.claims[rank].pod;
        let alone = |rule: &&Affinity| {
            let others = self.claims.iter().enumerate().filter(|(other, _)| *other != rank);
            let of_it = others
                .filter(|(_, claim)| claim.pod.workload.as_ref() == Some(&rule.service))
                .count();
            let is_first = pod.workload.as_ref() == Some(&rule.service) && of_it == 0;
            self.beside(rank, rule).is_empty() && !is_first
        };
        let broken = pod.affinity.iter().filter(alone);
        broken.map(|rule| Fault::NotNear(rank, rule.service.clone())).collect()
    }

    fn is_uneven(&self, rank: usize) -> bool {
        let pod = self.claims[rank].pod;
        let Some(node) = self.by_id.get(self.claims[rank].node) else {
            return false;
        };
        pod.spread.iter().any(|rule| {
            let mut counts: BTreeMap<Option<String>, u32> = BTreeMap::new();
            for node in self
                .nodes
                .iter()
                .filter(|node| barred(pod, node).is_none() && holds(node, pod))
            {
                counts.entry(Self::domain(node, rule.over)).or_default();
            }
            let eligible: Vec<Option<String>> = counts.keys().cloned().collect();
            for claim in self.claims.iter().filter(|claim| claim.pod.workload == pod.workload) {
                if let Some(node) = self.by_id.get(claim.node) {
                    *counts.entry(Self::domain(node, rule.over)).or_default() += 1;
                }
            }
            let here = counts.get(&Self::domain(node, rule.over)).copied().unwrap_or(0);
            let least = eligible
                .iter()
                .filter_map(|domain| counts.get(domain))
                .min()
                .copied()
                .unwrap_or(here);
            pod.workload.is_some() && here > least + rule.max_skew.get()
        })
    }
}

/// Whether the pod would fit if the node were empty.
fn holds(node: &NodeSpec, pod: &PodSpec) -> bool {
    let has_extra =
        |(name, amount): (&String, &u64)| node.extra.get(name).is_some_and(|has| has >= amount) || *amount == 0;
    cpu(pod) <= node.capacity.cpu.as_millicores()
        && memory(pod) <= node.capacity.memory.as_bytes()
        && disk(pod) <= node.capacity.disk.as_bytes()
        && gpu(pod) <= node.capacity.gpu.as_milligpus()
        && pod.extra.iter().all(has_extra)
}
