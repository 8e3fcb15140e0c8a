//! The problem in the order in which chances are put together: regions, their zones, what each zone sells.

use std::ops::Range;

use skyloom_core::{MicroUsdPerHour, Purchase};

use super::chance::Chance;
use super::problem::{AvailabilityProblem, Domain, Mix, Supply};

/// One kind in one zone; a decision is a count for each stage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stage {
    pub(super) purchase: Purchase,
    /// Millionths of a dollar per hour.
    pub(super) price: u64,
    pub(super) down: Chance,
    pub(super) gone: Chance,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) zone: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) down: Chance,
    pub(super) max: u32,
    pub(super) region: usize,
    pub(super) stages: Range<usize>,
    /// Whether the zone before it in its region is equal in everything but its name.
    pub(super) is_twin: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Area {
    pub(super) down: Chance,
    /// Most on-demand and spot replicas.
    pub(super) max: [u32; 2],
    pub(super) zones: Range<usize>,
}

/// A checked problem; equal for permuted input.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) need: usize,
    /// Largest chance of a shortfall.
    pub(super) allowed: Chance,
    pub(super) stages: Vec<Stage>,
    pub(super) zones: Vec<Zone>,
    pub(super) areas: Vec<Area>,
}

/// Position of a kind in a pair of counts.
pub(super) const fn slot(purchase: Purchase) -> usize {
    match purchase {
        Purchase::OnDemand => 0,
        Purchase::Spot => 1,
    }
}

impl Plan {
    pub(super) fn new(problem: &AvailabilityProblem) -> Self {
        let mut plan = Self {
            need: usize::try_from(problem.need).unwrap_or(usize::MAX),
            allowed: Chance::new(problem.slo).complement(),
            stages: Vec::new(),
            zones: Vec::new(),
            areas: Vec::new(),
        };
        let mut domains: Vec<&Domain> = problem.domains.iter().collect();
        domains.sort_by_cached_key(|d| {
            (
                d.region.clone().unwrap_or_else(|| d.name.clone()),
                kind_of(d),
                d.name.clone(),
            )
        });
        let mut before: Option<&Domain> = None;
        for domain in domains {
            let same = before.is_some_and(|b| b.region.is_some() && b.region == domain.region);
            let alone_twin = before.is_some_and(|b| b.region.is_none() && domain.region.is_none());
            if !same {
                plan.open_area(problem, domain);
            }
            let is_twin = before.is_some_and(|b| kind_of(b) == kind_of(domain)) && (same || alone_twin);
            plan.push(domain, is_twin);
            before = Some(domain);
        }
        plan
    }

    fn open_area(&mut self, problem: &AvailabilityProblem, domain: &Domain) {
        let region = problem.regions.iter().find(|r| Some(&r.name) == domain.region.as_ref());
        let zones = self.zones.len()..self.zones.len();
        self.areas.push(match region {
            Some(region) => Area {
                down: Chance::new(region.down),
                max: [region.on_demand_max, region.spot_max].map(|max| max.unwrap_or(u32::MAX)),
                zones,
            },
            None => Area {
                down: Chance::ZERO,
                max: [u32::MAX; 2],
                zones,
            },
        });
    }

    fn push(&mut self, domain: &Domain, is_twin: bool) {
        let first = self.stages.len();
        let zone = self.zones.len();
        for purchase in [Purchase::OnDemand, Purchase::Spot] {
            if let Some(supply) = domain.supply(purchase) {
                self.stages.push(Stage::new(purchase, supply, domain.limit(), zone));
            }
        }
        self.zones.push(Zone {
            name: domain.name.clone(),
            down: Chance::new(domain.down),
            max: domain.limit(),
            region: self.areas.len() - 1,
            stages: first..self.stages.len(),
            is_twin,
        });
        if let Some(area) = self.areas.last_mut() {
            area.zones.end = self.zones.len();
        }
    }

    /// Millionths of a dollar per hour.
    pub(super) fn cost(&self, counts: &[u32]) -> u64 {
        let each = self.stages.iter().zip(counts);
        each.map(|(stage, count)| stage.price * u64::from(*count)).sum()
    }

    /// The plan with the limits of zones on both kinds together taken into account one by one: such a zone sells as many as
    /// its limit, each as good as the better kind. No mix of the plan is up more often than all that this sells.
    pub(super) fn ideal(&self) -> Self {
        let mut ideal = self.clone();
        for zone in &self.zones {
            let stages = &mut ideal.stages[zone.stages.clone()];
            if let [one, other] = stages
                && one.max + other.max > zone.max
            {
                (one.down, one.gone) = (one.down.min(other.down), one.gone.min(other.gone));
                (one.min, one.max) = (0, zone.max);
                (other.min, other.max) = (0, 0);
            }
        }
        ideal
    }

    /// What the running replicas, and as many of the cheapest as are missing, cost: fewer are never enough.
    pub(super) fn least_cost(&self) -> u64 {
        let running: Vec<u32> = self.stages.iter().map(|stage| stage.min).collect();
        let missing = (self.need as u64).saturating_sub(running.iter().map(|n| u64::from(*n)).sum());
        let cheapest = self.stages.iter().map(|stage| stage.price).min().unwrap_or(0);
        self.cost(&running) + missing * cheapest
    }

    /// The counts with those of twins in falling order: what they are all called is all that changes.
    pub(super) fn canonical(&self, counts: &[u32]) -> Vec<u32> {
        let mut sorted = Vec::with_capacity(counts.len());
        for twins in self.zones.chunk_by(|_, next| next.is_twin) {
            let mut rows: Vec<&[u32]> = twins.iter().map(|zone| &counts[zone.stages.clone()]).collect();
            rows.sort_unstable_by(|a, b| b.cmp(a));
            sorted.extend(rows.into_iter().flatten());
        }
        sorted
    }

    /// Whether zones' limits and regions' quotas hold.
    pub(super) fn is_allowed(&self, counts: &[u32]) -> bool {
        let in_zone = |zone: &Zone, wanted: Option<usize>| -> u64 {
            let stages = zone.stages.clone();
            stages
                .filter(|s| wanted.is_none_or(|w| slot(self.stages[*s].purchase) == w))
                .map(|s| u64::from(counts[s]))
                .sum()
        };
        let zones = self.zones.iter().all(|zone| in_zone(zone, None) <= u64::from(zone.max));
        let areas = self.areas.iter().all(|area| {
            (0..2).all(|kind| {
                let sum: u64 = self.zones[area.zones.clone()]
                    .iter()
                    .map(|z| in_zone(z, Some(kind)))
                    .sum();
                sum <= u64::from(area.max[kind])
            })
        });
        zones && areas
    }

    /// The counts by domain, in order of name, without empty ones.
    pub(super) fn mix(&self, counts: &[u32]) -> Vec<Mix> {
        let mut mix: Vec<Mix> = Vec::new();
        for zone in &self.zones {
            let mut row = Mix {
                domain: zone.name.clone(),
                on_demand: 0,
                spot: 0,
            };
            for stage in zone.stages.clone() {
                match self.stages[stage].purchase {
                    Purchase::OnDemand => row.on_demand = counts[stage],
                    Purchase::Spot => row.spot = counts[stage],
                }
            }
            if row.on_demand + row.spot > 0 {
                mix.push(row);
            }
        }
        mix.sort();
        mix
    }
}

impl Stage {
    fn new(purchase: Purchase, supply: &Supply, zone_max: u32, zone: usize) -> Self {
        Self {
            purchase,
            price: micros(supply.price),
            down: Chance::new(supply.down),
            gone: Chance::new(supply.gone),
            min: supply.running,
            max: supply.limit().min(zone_max),
            zone,
        }
    }
}

fn micros(price: MicroUsdPerHour) -> u64 {
    u64::try_from(price.as_micros()).unwrap_or(0)
}

/// Everything that makes a domain what it is, but its name and its region.
fn kind_of(domain: &Domain) -> (Chance, u32, Vec<Stage>) {
    let stages = [Purchase::OnDemand, Purchase::Spot].into_iter().filter_map(|purchase| {
        let supply = domain.supply(purchase)?;
        Some(Stage::new(purchase, supply, domain.limit(), 0))
    });
    (Chance::new(domain.down), domain.limit(), stages.collect())
}
