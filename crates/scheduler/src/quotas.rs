//! Quotas: how much of a region and family an account may hold, as the cloud's own console states it.
//!
//! A quota is a fact about an account, not about a manifest or a price list, so it comes with the configuration of a
//! decision. It is hard: a machine that would exceed it is no option, and the amount counts, not whether there is some
//! quota at all. Asking a cloud for its quotas belongs to a driver.

use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{Catalogue, InstanceType, Machine, Offer, Purchase, RegionKey};

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaUnit {
    /// Nominal virtual CPUs, begun ones counted in full.
    Vcpus,
    /// Machines.
    Machines,
    /// Accelerator devices, begun ones counted in full.
    Devices,
}

impl fmt::Display for QuotaUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vcpus => "vCPUs",
            Self::Machines => "machines",
            Self::Devices => "devices",
        })
    }
}

/// The most that machines of a region and family may come to, those of the snapshot included.
///
/// ```
/// use skyloom_scheduler::{PlaceConfig, Quota, QuotaUnit};
///
/// let none_of_m = Quota::new("aws/eu-west-1".parse()?, QuotaUnit::Vcpus, 0).with_family("m");
/// let config = PlaceConfig::new().with_quotas(vec![none_of_m]);
/// assert_eq!(config.quotas.len(), 1);
/// # Ok::<(), skyloom_core::IdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quota {
    /// Where it holds.
    pub region: RegionKey,
    /// Beginnings of the types' names that it covers (`m`, `n2-`, `Standard_D`); empty: every type.
    pub families: Vec<String>,
    /// The kind of purchase that it covers; `None`: both.
    pub purchase: Option<Purchase>,
    /// What is counted.
    pub unit: QuotaUnit,
    /// The most that is allowed; what is held outside of the snapshot must be taken off already.
    pub allowed: u64,
}

impl Quota {
    /// A quota over every type of a region and both kinds of purchase.
    #[must_use]
    pub const fn new(region: RegionKey, unit: QuotaUnit, allowed: u64) -> Self {
        Self {
            region,
            families: Vec::new(),
            purchase: None,
            unit,
            allowed,
        }
    }

    /// The same for types whose names begin so; may be called for several beginnings.
    #[must_use]
    pub fn with_family(mut self, beginning: impl Into<String>) -> Self {
        self.families.push(beginning.into());
        self
    }

    /// The same for one kind of purchase only.
    #[must_use]
    pub const fn with_purchase(mut self, purchase: Purchase) -> Self {
        self.purchase = Some(purchase);
        self
    }

    fn covers(&self, region: &RegionKey, instance: &InstanceType, purchase: Purchase) -> bool {
        let family = |beginning: &String| instance.as_str().starts_with(beginning.as_str());
        self.region == *region
            && self.purchase.is_none_or(|only| only == purchase)
            && (self.families.is_empty() || self.families.iter().any(family))
    }

    /// What one machine of an offer would take of it; `None`: it is not concerned.
    pub(crate) fn taken_by_offer(&self, offer: &Offer, purchase: Purchase) -> Option<u64> {
        let concerned = self.covers(&offer.key.region, &offer.key.instance, purchase);
        concerned.then(|| match self.unit {
            QuotaUnit::Vcpus => offer.vcpus.as_millicores().div_ceil(1000),
            QuotaUnit::Machines => 1,
            QuotaUnit::Devices => offer.capacity.gpu.as_milligpus().div_ceil(1000),
        })
    }

    /// What a machine takes of it; `None`: it is not concerned. A type that the catalogue does not sell counts the CPUs
    /// that it has.
    pub(crate) fn taken_by_machine(&self, machine: &Machine, catalogue: &Catalogue) -> Option<u64> {
        if !self.covers(&machine.site.region, &machine.instance, machine.purchase) {
            return None;
        }
        let sold = catalogue.in_region(&machine.site.region);
        match sold.iter().find(|offer| offer.key.instance == machine.instance) {
            Some(offer) => self.taken_by_offer(offer, machine.purchase),
            None => Some(match self.unit {
                QuotaUnit::Vcpus => machine.capacity.cpu.as_millicores().div_ceil(1000),
                QuotaUnit::Machines => 1,
                QuotaUnit::Devices => machine.capacity.gpu.as_milligpus().div_ceil(1000),
            }),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.allowed, self.unit)?;
        if !self.families.is_empty() {
            write!(f, " of {}", self.families.join(", "))?;
        }
        if let Some(purchase) = self.purchase {
            write!(f, ", {purchase}")?;
        }
        write!(f, " in {}", self.region)
    }
}

/// What is left of each quota for machines to buy, once those of the snapshot are counted.
pub(crate) fn left(quotas: &[Quota], problem: &crate::problem::Problem<'_>) -> Vec<u64> {
    let taken = |quota: &Quota| {
        let nodes = problem.snapshot.nodes.iter();
        nodes
            .filter_map(|node| quota.taken_by_machine(&node.machine, problem.catalogue))
            .fold(0u64, u64::saturating_add)
    };
    quotas
        .iter()
        .map(|quota| quota.allowed.saturating_sub(taken(quota)))
        .collect()
}
