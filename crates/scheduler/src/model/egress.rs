//! What traffic costs per month, given how many replicas of each service are where.
//!
//! A service's traffic to another is spread evenly over both sides' replicas (that is how callers balance over the
//! endpoints they are given); to a data set it goes to the nearest copy; inside one zone it is free. Volumes that leave
//! one region in one direction are added up before the tiers are applied, because that is how they are billed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use skyloom_core::catalogue::EgressTarget;
use skyloom_core::{Bytes, Link, ServiceSpec};

use super::{Region, SiteRef, region_index};
use crate::problem::Problem;

/// Replicas per site of each service, sorted by site; entries are above zero.
pub(crate) type SiteCounts = Vec<Vec<(usize, u32)>>;

/// Where traffic of a region goes, as far as its price depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Toward {
    OtherZone,
    /// Another region of the same cloud.
    Region(usize),
    /// The internet and all other clouds: one volume, one list of tiers.
    Internet,
}

/// What a GiB is taken to cost where a catalogue has no egress price at all: the dearest first tier to the internet that
/// the large clouds publish for most regions. An unknown price is never zero, and the answer is flagged.
const ASSUMED_MICROS_PER_GIB: u128 = 120_000;

/// One need for traffic.
#[derive(Debug)]
struct Need {
    from: usize,
    /// Replicas asked for, over which the volume is spread.
    senders: u32,
    bytes: u64,
    to: Target,
}

#[derive(Debug)]
enum Target {
    Service(usize),
    /// Nearest copy per region; `None` where the data set has no copy.
    Data(Vec<Option<usize>>),
    Internet,
}

/// Cost, and whether it is assumed, by source region, direction and bytes.
type Quotes = BTreeMap<(usize, Toward, u64), (i128, bool)>;

/// The needs for traffic of a manifest, and their prices.
#[derive(Debug)]
pub(crate) struct Egress<'a> {
    needs: Vec<Need>,
    /// Whether a service sends or receives anything.
    involved: Vec<bool>,
    problem: Problem<'a>,
    /// Prices already worked out, and whether they are assumed; a cache, invisible from outside.
    known: RefCell<Quotes>,
}

impl<'a> Egress<'a> {
    pub(super) fn new(
        problem: &Problem<'a>,
        specs: &[&'a ServiceSpec],
        regions: &[Region<'a>],
        rtt: &[Option<u64>],
    ) -> Self {
        let number = |name: &skyloom_core::ServiceName| specs.iter().position(|s| s.name == *name);
        let mut needs = Vec::new();
        let mut involved = vec![false; specs.len()];
        for (from, spec) in specs.iter().enumerate() {
            for need in spec.egress.iter().filter(|e| !e.per_month.is_zero()) {
                let to = match &need.to {
                    Link::Internet => Target::Internet,
                    Link::Service(name) => match number(name) {
                        Some(to) => Target::Service(to),
                        None => continue,
                    },
                    Link::Data(name) => Target::Data(nearest_copies(problem, name, regions, rtt)),
                };
                involved[from] = true;
                if let Target::Service(to) = to {
                    involved[to] = true;
                }
                needs.push(Need {
                    from,
                    senders: spec.replicas.get(),
                    bytes: need.per_month.as_bytes(),
                    to,
                });
            }
        }
        Self {
            needs,
            involved,
            problem: *problem,
            known: RefCell::default(),
        }
    }

    /// Whether where replicas of `service` are changes the cost of traffic.
    pub(crate) fn concerns(&self, service: usize) -> bool {
        self.involved[service]
    }

    /// Cost per month in millionths of a dollar, and whether a price had to be assumed.
    pub(crate) fn per_month(&self, counts: &SiteCounts, sites: &[SiteRef<'_>], regions: &[Region<'_>]) -> (i128, bool) {
        self.price(self.volumes(counts, sites, regions), regions)
    }

    fn price(&self, volumes: BTreeMap<(usize, Toward), u128>, regions: &[Region<'_>]) -> (i128, bool) {
        let mut total = 0i128;
        let mut any_assumed = false;
        for ((region, toward), bytes) in volumes {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let mut known = self.known.borrow_mut();
            let quote = || quote(&self.problem, regions, region, toward, bytes);
            let (cost, assumed) = *known.entry((region, toward, bytes)).or_insert_with(quote);
            total += cost;
            any_assumed |= assumed;
        }
        (total, any_assumed)
    }

    /// Bytes per month that leave each region in each direction.
    fn volumes(
        &self,
        counts: &SiteCounts,
        sites: &[SiteRef<'_>],
        regions: &[Region<'_>],
    ) -> BTreeMap<(usize, Toward), u128> {
        let mut volumes = BTreeMap::new();
        for need in &self.needs {
            for &(site, count) in &counts[need.from] {
                let region = sites[site].region;
                let sent = u128::from(need.bytes) * u128::from(count);
                let mut add = |toward: Option<Toward>, numerator: u128, denominator: u128| {
                    if let Some(toward) = toward {
                        *volumes.entry((region, toward)).or_insert(0) += numerator.div_ceil(denominator.max(1));
                    }
                };
                let senders = u128::from(need.senders);
                match &need.to {
                    Target::Internet => add(Some(Toward::Internet), sent, senders),
                    Target::Data(nearest) => {
                        let toward = nearest[region].and_then(|copy| toward_region(region, copy, regions));
                        add(toward, sent, senders);
                    }
                    Target::Service(to) => {
                        let receivers: u128 = counts[*to].iter().map(|(_, n)| u128::from(*n)).sum();
                        for &(other, n) in &counts[*to] {
                            let toward = toward_site(site, other, sites, regions);
                            // bytes < 2^64 and both counts < 2^32: the product is below 2^128.
                            add(toward, sent.saturating_mul(u128::from(n)), senders * receivers);
                        }
                    }
                }
            }
        }
        volumes
    }
}

/// Where traffic between two sites goes; `None` inside one zone, which is free.
fn toward_site(from: usize, to: usize, sites: &[SiteRef<'_>], regions: &[Region<'_>]) -> Option<Toward> {
    let (a, b) = (sites[from].region, sites[to].region);
    match (from == to, a == b) {
        (true, _) => None,
        (false, true) => Some(Toward::OtherZone),
        (false, false) => toward_region(a, b, regions),
    }
}

/// Where traffic to a regional store goes; `None` inside one region, where stores are reached free of charge.
fn toward_region(from: usize, to: usize, regions: &[Region<'_>]) -> Option<Toward> {
    match (from == to, regions[from].cloud == regions[to].cloud) {
        (true, _) => None,
        (false, true) => Some(Toward::Region(to)),
        (false, false) => Some(Toward::Internet),
    }
}

/// The catalogue's price, in millionths of a dollar, and whether it is assumed.
fn quote(problem: &Problem<'_>, regions: &[Region<'_>], from: usize, toward: Toward, bytes: u64) -> (i128, bool) {
    const GIB: u128 = 1 << 30;
    let target = match toward {
        Toward::OtherZone => EgressTarget::OtherZone,
        Toward::Region(to) => EgressTarget::Region(regions[to].key),
        Toward::Internet => EgressTarget::Internet,
    };
    match problem
        .catalogue
        .egress_cost(regions[from].key, target, Bytes::from_bytes(bytes))
    {
        Ok(quote) => (i128::from(quote.cost.as_micros()), quote.assumed),
        Err(_) => {
            let micros = (u128::from(bytes) * ASSUMED_MICROS_PER_GIB).div_ceil(GIB);
            (i128::try_from(micros).unwrap_or(i128::from(i64::MAX)), true)
        }
    }
}

/// Per region the copy that traffic goes to: of this region, else the one with the shortest known round trip, else of
/// the same cloud, else the first by key.
fn nearest_copies(
    problem: &Problem<'_>,
    name: &skyloom_core::DataName,
    regions: &[Region<'_>],
    rtt: &[Option<u64>],
) -> Vec<Option<usize>> {
    let copies: Vec<usize> = problem
        .manifest
        .data_set(name)
        .map(|d| {
            d.replicas
                .iter()
                .filter_map(|r| region_index(regions, &r.region))
                .collect()
        })
        .unwrap_or_default();
    let distance = |from: usize, to: usize| {
        rtt.get(from * regions.len() + to)
            .copied()
            .flatten()
            .unwrap_or(u64::MAX)
    };
    let rank = |from: usize, to: usize| {
        (
            from != to,
            distance(from, to),
            regions[from].cloud != regions[to].cloud,
            to,
        )
    };
    (0..regions.len())
        .map(|from| copies.iter().copied().min_by_key(|to| rank(from, *to)))
        .collect()
}
