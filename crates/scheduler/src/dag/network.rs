//! Regions by number; over which meter bytes from one to another go, and how long they take.
//!
//! A meter is what a cloud counts for the month and charges by tiers: one region's bytes under one price list (to the
//! internet; to the other regions of the cloud, of which near and far ones may have lists of their own). Inside one
//! region traffic is free, as it goes over regional stores. What one meter charges is the tariff's.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::catalogue::{EgressError, EgressScope, EgressTarget};
use skyloom_core::{Catalogue, RegionKey};

use super::compile::MILLIS_MAX;
use super::tariff::Tariff;
use super::types::{DagConfig, Speeds};

/// No meter counts it: free.
pub(super) const FREE: u32 = u32::MAX;

/// One region's bytes under one price list.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) tariff: Tariff,
    /// Whether its price is assumed.
    pub(super) assumed: bool,
}

/// Regions with their meters and speeds.
#[derive(Debug)]
pub(super) struct Network {
    /// Sorted.
    pub(super) regions: Vec<RegionKey>,
    pub(super) meters: Vec<Meter>,
    /// Meter by sender and receiver, the sender outermost; [`FREE`] inside a region.
    meter_of: Vec<u32>,
    /// The different speeds, in bytes per second; 0: at once.
    speeds: Vec<u64>,
    /// Which speed, in the order of `meter_of`.
    speed_of: Vec<u32>,
    /// The meters of each sender.
    ways: Vec<Vec<Way>>,
    /// Sets of receivers, a bit each, in pieces of equal length.
    receivers: Vec<u64>,
}

/// A meter of a sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) meter: usize,
    /// Which set of receivers it counts.
    set: usize,
}

impl Network {
    /// The network between these regions.
    pub(super) fn new(
        regions: &BTreeSet<&RegionKey>,
        catalogue: &Catalogue,
        config: &DagConfig,
    ) -> Result<Self, EgressError> {
        let regions: Vec<RegionKey> = regions.iter().map(|key| (*key).clone()).collect();
        let by_pair = speeds(&regions, &config.speeds);
        let mut speeds = by_pair.clone();
        speeds.sort_unstable();
        speeds.dedup();
        let number = |speed: &u64| {
            speeds
                .binary_search(speed)
                .map_or(0, |at| u32::try_from(at).unwrap_or(0))
        };
        let mut network = Self {
            speed_of: by_pair.iter().map(number).collect(),
            speeds,
            ways: Vec::with_capacity(regions.len()),
            meter_of: Vec::with_capacity(regions.len() * regions.len()),
            meters: Vec::new(),
            receivers: Vec::new(),
            regions,
        };
        for from in 0..network.regions.len() {
            network.meter(from, catalogue, config)?;
            network.add_ways(from);
        }
        Ok(network)
    }

    /// Adds the meters of one sender.
    fn meter(&mut self, from: usize, catalogue: &Catalogue, config: &DagConfig) -> Result<(), EgressError> {
        let sender = &self.regions[from];
        let already = |scope: EgressScope| {
            let of = config
                .already_this_month
                .iter()
                .filter(|sent| sent.region == *sender && sent.scope == scope);
            of.map(|sent| sent.bytes.as_bytes()).fold(0, u64::saturating_add)
        };
        // Meters of this sender by their price list; the assumed one has none.
        let mut known: BTreeMap<Option<usize>, u32> = BTreeMap::new();
        for to in &self.regions {
            let target = EgressTarget::Region(to);
            let scope = target.scope_from(sender).unwrap_or(EgressScope::InterZone);
            if scope == EgressScope::InterZone {
                self.meter_of.push(FREE);
                continue;
            }
            let rule = catalogue.egress_rule(sender, target);
            let list = rule.and_then(|rule| catalogue.egress_rules().iter().position(|r| r == rule));
            let number = match known.get(&list) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(self.meters.len()).unwrap_or(FREE);
                    let tariff = match rule {
                        Some(rule) => Tariff::new(&rule.tiers, already(scope)),
                        None => assumed(catalogue, sender, already(scope))?,
                    };
                    self.meters.push(Meter {
                        tariff,
                        assumed: rule.is_none(),
                    });
                    known.insert(list, number);
                    number
                }
            };
            self.meter_of.push(number);
        }
        Ok(())
    }

    /// Number of a region.
    pub(super) fn region(&self, key: &RegionKey) -> Option<usize> {
        self.regions.binary_search(key).ok()
    }

    /// The meter that counts bytes from one region to another, or [`FREE`].
    pub(super) fn meter_of(&self, from: usize, to: usize) -> u32 {
        self.meter_of[from * self.regions.len() + to]
    }

    /// Meters from one region to all, by number.
    pub(super) fn meters_from(&self, from: usize) -> &[u32] {
        &self.meter_of[from * self.regions.len()..(from + 1) * self.regions.len()]
    }

    /// The meters of a sender.
    pub(super) fn ways(&self, from: usize) -> &[Way] {
        &self.ways[from]
    }

    /// The receivers that a meter counts, a bit each.
    pub(super) fn receivers(&self, way: &Way) -> &[u64] {
        &self.receivers[way.set * self.words()..(way.set + 1) * self.words()]
    }

    /// Words of a set of regions.
    pub(super) const fn words(&self) -> usize {
        let words = self.regions.len().div_ceil(64);
        if words == 0 { 1 } else { words }
    }

    fn add_ways(&mut self, from: usize) {
        let words = self.words();
        let mut ways: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (to, meter) in self.meters_from(from).iter().enumerate() {
            if *meter != FREE {
                ways.entry(*meter).or_insert_with(|| vec![0; words])[to / 64] |= 1 << (to % 64);
            }
        }
        let mut of_sender = Vec::with_capacity(ways.len());
        for (meter, receivers) in ways {
            let set = self.receivers.len() / words;
            self.receivers.extend(receivers);
            let meter = meter as usize;
            of_sender.push(Way { meter, set });
        }
        self.ways.push(of_sender);
    }

    /// How many different speeds there are.
    pub(super) const fn speeds(&self) -> usize {
        self.speeds.len()
    }

    /// The number of the speed between two regions.
    pub(super) fn speed_of(&self, from: usize, to: usize) -> usize {
        self.speed_of[from * self.regions.len() + to] as usize
    }

    /// Milliseconds that bytes take at a speed by its number, rounded up.
    pub(super) fn millis(&self, speed: usize, bytes: u64) -> u64 {
        let speed = self.speeds[speed];
        if speed == 0 {
            return 0;
        }
        if let Some(product) = bytes.checked_mul(1000) {
            return product.div_ceil(speed).min(MILLIS_MAX);
        }
        let millis = (u128::from(bytes) * 1000).div_ceil(u128::from(speed));
        u64::try_from(millis).unwrap_or(u64::MAX).min(MILLIS_MAX)
    }
}

fn assumed(catalogue: &Catalogue, from: &RegionKey, already: u64) -> Result<Tariff, EgressError> {
    let rules = catalogue.assumed_egress_rules(from);
    if rules.is_empty() {
        return Err(EgressError::Unknown { from: from.clone() });
    }
    Ok(Tariff::assumed(rules.iter().map(|rule| rule.tiers.as_slice()), already))
}

fn speeds(regions: &[RegionKey], speeds: &Speeds) -> Vec<u64> {
    let particular = speeds.by_pair();
    let between = |from: &RegionKey, to: &RegionKey| {
        let general = if from == to {
            speeds.within_region
        } else if from.cloud == to.cloud {
            speeds.between_regions
        } else {
            speeds.between_clouds
        };
        particular.get(&(from, to)).copied().unwrap_or(general).unwrap_or(0)
    };
    let pairs = regions.iter().flat_map(|from| regions.iter().map(move |to| (from, to)));
    pairs.map(|(from, to)| between(from, to)).collect()
}
