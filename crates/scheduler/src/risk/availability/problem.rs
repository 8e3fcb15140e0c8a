//! What is asked, what can be bought, and what can go wrong: the input and its checks.
//!
//! Failures come in four layers, each independent of the others: a region is down, a zone of it is down, a zone has lost
//! all capacity of a kind (spot, mostly), and a single replica is down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, MicroUsdPerHour, Purchase, Ratio};
use thiserror::Error;

/// Most replicas that may be needed.
pub const NEED_MAX: u32 = 1000;
/// Most fault domains.
pub const DOMAINS_MAX: usize = 64;
/// Most replicas of one kind in one domain, also where no limit is given.
pub const REPLICAS_MAX: u32 = 4000;

/// One kind of replica in one domain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Supply {
    /// Price of a replica.
    pub price: MicroUsdPerHour,
    /// Chance that a replica is down while its domain is up: crashes, updates, evictions of its own.
    pub down: Ratio,
    /// Chance that the domain, though up, has no capacity of this kind at all: the common cause of evictions.
    #[serde(default)]
    pub gone: Ratio,
    /// Most replicas (a quota); `None`: [`REPLICAS_MAX`].
    #[serde(default)]
    pub max: Option<u32>,
    /// Replicas that run already: they are kept, and count.
    #[serde(default)]
    pub running: u32,
}

impl Supply {
    /// A kind without a common cause, without a quota, and of which nothing runs.
    #[must_use]
    pub const fn new(price: MicroUsdPerHour, down: Ratio) -> Self {
        Self {
            price,
            down,
            gone: Ratio::ZERO,
            max: None,
            running: 0,
        }
    }

    /// The same with a chance that all capacity of the kind is gone.
    #[must_use]
    pub const fn with_gone(mut self, gone: Ratio) -> Self {
        self.gone = gone;
        self
    }

    /// The same with a quota.
    #[must_use]
    pub const fn with_max(mut self, max: u32) -> Self {
        self.max = Some(max);
        self
    }

    /// The same with replicas that run already.
    #[must_use]
    pub const fn with_running(mut self, running: u32) -> Self {
        self.running = running;
        self
    }

    pub(super) fn limit(&self) -> u32 {
        self.max.unwrap_or(REPLICAS_MAX).min(REPLICAS_MAX)
    }
}

/// A fault domain: what is in it fails together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// The region that it goes down with, if any; a name among [`AvailabilityProblem::regions`].
    #[serde(default)]
    pub region: Option<String>,
    /// Chance that it is down while its region is up.
    pub down: Ratio,
    /// Replicas that stay.
    #[serde(default)]
    pub on_demand: Option<Supply>,
    /// Replicas that can be taken away.
    #[serde(default)]
    pub spot: Option<Supply>,
    /// Most replicas of both kinds together.
    #[serde(default)]
    pub max: Option<u32>,
}

impl Domain {
    /// A domain in which nothing can be bought yet.
    #[must_use]
    pub fn new(name: impl Into<String>, down: Ratio) -> Self {
        Self {
            name: name.into(),
            region: None,
            down,
            on_demand: None,
            spot: None,
            max: None,
        }
    }

    /// The same in a region.
    #[must_use]
    pub fn in_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The same with on-demand replicas.
    #[must_use]
    pub const fn with_on_demand(mut self, supply: Supply) -> Self {
        self.on_demand = Some(supply);
        self
    }

    /// The same with spot replicas.
    #[must_use]
    pub const fn with_spot(mut self, supply: Supply) -> Self {
        self.spot = Some(supply);
        self
    }

    /// The same with a limit on replicas of both kinds together.
    #[must_use]
    pub const fn with_max(mut self, max: u32) -> Self {
        self.max = Some(max);
        self
    }

    pub(super) fn limit(&self) -> u32 {
        self.max.unwrap_or(2 * REPLICAS_MAX).min(2 * REPLICAS_MAX)
    }

    pub(super) const fn supply(&self, purchase: Purchase) -> Option<&Supply> {
        match purchase {
            Purchase::Spot => self.spot.as_ref(),
            _ => self.on_demand.as_ref(),
        }
    }
}

/// Domains that also go down together, and share quotas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Chance that it is down with all its domains.
    pub down: Ratio,
    /// Most on-demand replicas in it.
    #[serde(default)]
    pub on_demand_max: Option<u32>,
    /// Most spot replicas in it.
    #[serde(default)]
    pub spot_max: Option<u32>,
}

impl Region {
    /// A region without quotas.
    #[must_use]
    pub fn new(name: impl Into<String>, down: Ratio) -> Self {
        Self {
            name: name.into(),
            down,
            on_demand_max: None,
            spot_max: None,
        }
    }
}

/// How many replicas must be up, how often, and where they can be bought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AvailabilityProblem {
    /// Replicas that must be up at the same time.
    pub need: u32,
    /// The share of time, or the chance, that they are.
    pub slo: Ratio,
    /// Where replicas can be.
    pub domains: Vec<Domain>,
    /// Regions that domains name.
    #[serde(default)]
    pub regions: Vec<Region>,
}

/// Replicas in one domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mix {
    /// The domain.
    pub domain: String,
    /// On-demand replicas, running ones included.
    pub on_demand: u32,
    /// Spot replicas, running ones included.
    pub spot: u32,
}

/// A mix over all domains with what it costs and gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Priced {
    /// Replicas per domain, in order of name; domains without any are left out.
    pub mix: Vec<Mix>,
    /// What it costs.
    pub cost: MicroUsdPerHour,
    /// Chance that fewer than needed are up, rounded up.
    pub shortfall: f64,
    /// Chance that enough are up, rounded down.
    pub probability: f64,
}

/// Why there is no mix.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum AvailabilityError {
    /// No replica is needed, or more than can be decided on.
    #[error("keep {need} replicas up: 1 to {NEED_MAX} can be asked for")]
    Need {
        /// What was asked.
        need: u32,
    },
    /// There are no domains, or too many.
    #[error("spread replicas over {domains} domains: there must be 1 to {DOMAINS_MAX}")]
    Domains {
        /// How many were given.
        domains: usize,
    },
    /// Two domains, or two regions, have one name.
    #[error("tell two places apart that are both called `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A domain names a region that is not described.
    #[error("find the region `{region}` of domain `{domain}`")]
    UnknownRegion {
        /// The domain.
        domain: String,
        /// The region it names.
        region: String,
    },
    /// A price is negative, or so large that a mix could not be paid.
    #[error("accept {price} as the price of a replica in `{domain}`")]
    Price {
        /// Where.
        domain: String,
        /// What was given.
        price: MicroUsdPerHour,
    },
    /// A kind costs nothing, and nothing limits it.
    #[error("count free replicas in `{domain}`: without a limit there is no end to them")]
    FreeWithoutLimit {
        /// Where.
        domain: String,
    },
    /// More replicas run than a quota or a limit allows.
    #[error("keep {running} running replicas in `{place}`: at most {max} are allowed")]
    Running {
        /// The domain or region.
        place: String,
        /// Those that run.
        running: u32,
        /// Those that may.
        max: u32,
    },
    /// Not even all replicas that can be bought are up often enough.
    #[error("keep {need} replicas up with probability {slo}: {reachable:.9} can be reached", slo = .slo.get())]
    Unsatisfiable {
        /// What was needed.
        need: u32,
        /// How often.
        slo: Ratio,
        /// The best that can be reached, rounded down; where kinds or zones share a limit, the best that was found.
        reachable: f64,
    },
    /// The effort ended before a mix was found, or all were ruled out.
    #[error("find a mix within the effort allowed")]
    Undecided,
}

impl AvailabilityError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Unsatisfiable { .. } => Class::Exhausted,
            _ => Class::Invalid,
        }
    }
}

/// Largest price: with it the dearest mix stays far below the largest amount of money.
const PRICE_MAX: i64 = 1_000_000_000_000;

impl AvailabilityProblem {
    /// What of the input contradicts itself.
    pub(super) fn check(&self) -> Result<(), AvailabilityError> {
        if self.need == 0 || self.need > NEED_MAX {
            return Err(AvailabilityError::Need { need: self.need });
        }
        if self.domains.is_empty() || self.domains.len() > DOMAINS_MAX {
            return Err(AvailabilityError::Domains {
                domains: self.domains.len(),
            });
        }
        let names = self.domains.iter().map(|d| &d.name);
        duplicate(names)?;
        duplicate(self.regions.iter().map(|r| &r.name))?;
        let mut running: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
        for domain in &self.domains {
            let counts = domain.check()?;
            let Some(region) = &domain.region else { continue };
            if !self.regions.iter().any(|r| r.name == *region) {
                return Err(AvailabilityError::UnknownRegion {
                    domain: domain.name.clone(),
                    region: region.clone(),
                });
            }
            let sums = running.entry(region).or_default();
            *sums = [sums[0].saturating_add(counts[0]), sums[1].saturating_add(counts[1])];
        }
        for region in &self.regions {
            let sums = running.get(region.name.as_str()).copied().unwrap_or_default();
            for (running, max) in [(sums[0], region.on_demand_max), (sums[1], region.spot_max)] {
                within(&region.name, running, max.unwrap_or(u32::MAX))?;
            }
        }
        Ok(())
    }
}

impl Domain {
    /// Checks the domain alone; gives its running replicas.
    fn check(&self) -> Result<[u32; 2], AvailabilityError> {
        let mut counts = [0; 2];
        for (count, supply) in counts.iter_mut().zip([&self.on_demand, &self.spot]) {
            let Some(supply) = supply else { continue };
            if !(0..=PRICE_MAX).contains(&supply.price.as_micros()) {
                return Err(AvailabilityError::Price {
                    domain: self.name.clone(),
                    price: supply.price,
                });
            }
            if supply.price == MicroUsdPerHour::ZERO && supply.max.is_none() && self.max.is_none() {
                return Err(AvailabilityError::FreeWithoutLimit {
                    domain: self.name.clone(),
                });
            }
            within(&self.name, supply.running, supply.limit())?;
            *count = supply.running;
        }
        within(&self.name, counts[0] + counts[1], self.limit())?;
        Ok(counts)
    }
}

fn within(place: &str, running: u32, max: u32) -> Result<(), AvailabilityError> {
    if running <= max {
        return Ok(());
    }
    Err(AvailabilityError::Running {
        place: place.to_owned(),
        running,
        max,
    })
}

fn duplicate<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), AvailabilityError> {
    let mut sorted: Vec<&String> = names.collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(AvailabilityError::Duplicate { name: pair[0].clone() }),
        None => Ok(()),
    }
}
