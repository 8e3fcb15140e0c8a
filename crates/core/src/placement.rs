//! A decision where things run, with its price and its reasons.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::split_exactly;
use crate::{
    Date, Digest, Dimension, InstanceType, MachineId, MicroUsd, MicroUsdPerHour, Purchase, ReplicaId, Resources,
    ServiceName, Site,
};

/// Names the snapshot that a decision was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// Its generation.
    pub generation: u64,
    /// Its digest.
    pub digest: Digest,
}

/// A machine: bought already, or to be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Unique in its control plane.
    pub id: MachineId,
    /// Where it is.
    pub site: Site,
    /// Its type in the cloud's words.
    pub instance: InstanceType,
    /// How it is paid.
    pub purchase: Purchase,
    /// What it costs; the price used for the decision, kept for ever.
    pub price: MicroUsdPerHour,
    /// Date of that price.
    pub price_as_of: Date,
    /// What it can hold.
    pub capacity: Resources,
    /// CPU architecture, such as `x86_64`; empty where unknown.
    pub arch: String,
}

/// One replica's machine and share of it (`D_i` of formula 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which replica.
    pub replica: ReplicaId,
    /// Its machine, in [`Placement::machines`].
    pub machine: MachineId,
    /// What it is given.
    pub request: Resources,
    /// Its share of the machine's price by dominant resource; the shares of a machine sum to its price.
    pub share: MicroUsdPerHour,
}

/// Where everything runs. Equal input gives equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// What it was decided from.
    pub snapshot: SnapshotRef,
    /// Name of the policy.
    pub policy: String,
    /// Machines in use, sorted by id.
    pub machines: Vec<Machine>,
    /// One entry per placed replica, sorted by replica.
    pub assignments: Vec<Assignment>,
    /// Replicas without a place, sorted by replica, each with its reason.
    pub unplaced: Vec<Unplaced>,
    /// Why each placed replica is where it is, in the order of `assignments`.
    pub explanations: Vec<Explanation>,
    /// Options that no replica of a service could take, each with the first filter that rejected it.
    pub rejections: BTreeMap<ServiceName, Vec<Rejection>>,
    /// What it costs.
    pub cost: CostSummary,
}

/// Cost of a placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CostSummary {
    /// All machines.
    pub machines_per_hour: MicroUsdPerHour,
    /// All machines over a month of 730 hours.
    pub machines_per_month: MicroUsd,
    /// Traffic between services, to data sets and to the internet.
    pub egress_per_month: MicroUsd,
    /// Machines and egress.
    pub total_per_month: MicroUsd,
    /// Whether an egress price was assumed because none is published for the pair.
    pub egress_assumed: bool,
}

/// A replica without a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplaced {
    /// Which replica.
    pub replica: ReplicaId,
    /// The filter that rejected the most options, or that rejected the last ones.
    pub filter: Filter,
    /// The reason, for people.
    pub reason: String,
    /// How many options each filter rejected.
    pub rejected: BTreeMap<Filter, u32>,
}

/// A hard rule that rejects an option. The order is the order in which filters are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The machine takes no new replicas.
    NotReady,
    /// The cloud or region is not among those the service names.
    Place,
    /// The place is outside the allowed jurisdictions.
    Residency,
    /// The option is not offered for the kind of purchase asked for.
    Purchase,
    /// A required label is absent or different.
    Labels,
    /// A taint is not tolerated.
    Taints,
    /// CPU does not fit.
    Cpu,
    /// Memory does not fit.
    Memory,
    /// Disk does not fit.
    Disk,
    /// GPU does not fit.
    Gpu,
    /// The round trip would be too long.
    Latency,
    /// A service it must be near is not there.
    Affinity,
    /// A service it must be away from is there.
    AntiAffinity,
    /// Replicas would be spread too unevenly.
    Spread,
    /// The quota of the region or family is used up.
    Quota,
    /// The budget would be exceeded.
    Budget,
}

impl From<Dimension> for Filter {
    fn from(dimension: Dimension) -> Self {
        match dimension {
            Dimension::Cpu => Self::Cpu,
            Dimension::Memory => Self::Memory,
            Dimension::Disk => Self::Disk,
            Dimension::Gpu => Self::Gpu,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "not ready",
            Self::Place => "place",
            Self::Residency => "residency",
            Self::Purchase => "purchase",
            Self::Labels => "labels",
            Self::Taints => "taints",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Gpu => "gpu",
            Self::Latency => "latency",
            Self::Affinity => "affinity",
            Self::AntiAffinity => "anti-affinity",
            Self::Spread => "spread",
            Self::Quota => "quota",
            Self::Budget => "budget",
        })
    }
}

/// Somewhere a replica could go: a machine that is there, or one that can be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The machine that is there already (or was opened by this decision); `None`: to be bought.
    pub machine: Option<MachineId>,
    /// Where it is; without a zone when any zone of the region will do.
    pub site: Site,
    /// Its type.
    pub instance: InstanceType,
    /// How it is paid.
    pub purchase: Purchase,
    /// What the whole machine costs.
    pub price: MicroUsdPerHour,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.site, self.instance, self.purchase, self.price)?;
        self.machine.as_ref().map_or(Ok(()), |id| write!(f, " (machine {id})"))
    }
}

/// Why a replica is where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Which replica.
    pub replica: ReplicaId,
    /// Where it went.
    pub chosen: Candidate,
    /// The reason in one sentence.
    pub because: String,
    /// The best option that was not taken; `None` when there was only one.
    pub runner_up: Option<RunnerUp>,
    /// Options that passed every filter.
    pub feasible: u32,
}

/// The best option that was not taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerUp {
    /// Which.
    pub candidate: Candidate,
    /// Why it lost, with the difference.
    pub lost_because: String,
}

/// An option that a service could not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Which.
    pub candidate: Candidate,
    /// The first filter that rejected it.
    pub filter: Filter,
    /// What was asked and what was there.
    pub detail: String,
}

/// Shares of a machine's price in proportion to each request's dominant share of the machine (its largest share over
/// the dimensions); they sum to `price` exactly. Order as `requests`; a machine without requests gives no shares.
///
/// Dominant share: Ghodsi et al., Dominant Resource Fairness, NSDI 2011, section 4.
#[must_use]
pub fn share_price(price: MicroUsdPerHour, capacity: &Resources, requests: &[Resources]) -> Vec<MicroUsdPerHour> {
    let weights: Vec<u64> = requests
        .iter()
        .map(|request| dominant_share_ppb(request, capacity))
        .collect();
    split_exactly(price.as_micros(), &weights)
        .into_iter()
        .map(MicroUsdPerHour::from_micros)
        .collect()
}

/// The largest share over the dimensions, in thousand-millionths, so that equal input gives equal shares everywhere.
fn dominant_share_ppb(request: &Resources, capacity: &Resources) -> u64 {
    let share = |dimension| {
        let (asked, there) = (u128::from(request.get(dimension)), u128::from(capacity.get(dimension)));
        let ppb = (asked * 1_000_000_000).checked_div(there).unwrap_or(0);
        u64::try_from(ppb).unwrap_or(u64::MAX)
    };
    Dimension::ALL.into_iter().map(share).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Millicores};

    #[test]
    fn shares_follow_the_dominant_resource_and_sum_to_the_price() {
        let capacity = Resources::new(Millicores::from_cores(4), Bytes::from_gib(8));
        let small = Resources::new(Millicores::from_cores(1), Bytes::from_gib(1));
        let heavy = Resources::new(Millicores::from_cores(1), Bytes::from_gib(4));
        let shares = share_price(MicroUsdPerHour::from_micros(100_000), &capacity, &[small, heavy]);
        assert_eq!(shares, [33_333, 66_667].map(MicroUsdPerHour::from_micros));
        assert_eq!(share_price(MicroUsdPerHour::from_micros(7), &capacity, &[]), []);
    }
}
