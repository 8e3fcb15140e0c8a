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
pub(crate) enum Toward {
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
pub(crate) struct Need {
    pub(crate) from: usize,
    /// Replicas asked for, over which the volume is spread.
    pub(crate) senders: u32,
    pub(crate) bytes: u64,
    pub(crate) to: Target,
}

#[derive(Debug)]
pub(crate) enum Target {
    Service(usize),
    /// Nearest copy per region; `None` where the data set has no copy.
    Data(Vec<Option<usize>>),
    Internet,
}

/// Cost, and whether it is assumed, by source region, direction and bytes.
type Quotes = BTreeMap<(usize, Toward, u64), (i128, bool)>;

/// A cost and the volume that it is the cost of, by source region and direction; `None`: not known.
type Means = BTreeMap<(usize, Toward), Option<(i128, u64)>>;

/// The needs for traffic of a manifest, and their prices.
#[derive(Debug)]
pub(crate) struct Egress<'a> {
    needs: Vec<Need>,
    /// Whether a service sends or receives anything.
    involved: Vec<bool>,
    /// Replicas that each service asks for.
    replicas: Vec<usize>,
    problem: Problem<'a>,
    /// Prices already worked out, and whether they are assumed; a cache, invisible from outside.
    known: RefCell<Quotes>,
    /// Lowest mean prices already looked for; a cache as well.
    means: RefCell<Means>,
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
            replicas: specs
                .iter()
                .map(|s| usize::try_from(s.replicas.get()).unwrap_or(usize::MAX))
                .collect(),
            problem: *problem,
            known: RefCell::default(),
            means: RefCell::default(),
        }
    }

    /// Whether where replicas of `service` are changes the cost of traffic.
    pub(crate) fn concerns(&self, service: usize) -> bool {
        self.involved[service]
    }

    /// The needs for traffic, none of them empty.
    pub(crate) fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// What a month's volume costs that leaves a region in one direction, in millionths of a dollar, and whether a price
    /// had to be assumed.
    pub(crate) fn quoted(&self, regions: &[Region<'_>], from: usize, toward: Toward, bytes: u64) -> (i128, bool) {
        let quote = || quote(&self.problem, regions, from, toward, bytes);
        *self
            .known
            .borrow_mut()
            .entry((from, toward, bytes))
            .or_insert_with(quote)
    }

    /// Cost per month in millionths of a dollar, and whether a price had to be assumed.
    pub(crate) fn per_month(&self, counts: &SiteCounts, sites: &[SiteRef<'_>], regions: &[Region<'_>]) -> (i128, bool) {
        self.price(self.volumes(counts, sites, regions), regions)
    }

    /// Millionths of a dollar per month that one replica of `service` in `region` adds at least, whatever the rest does:
    /// its share of what goes to the internet and to data sets, at the lowest mean price that the way can come to. What
    /// goes to services may be free in the best case.
    ///
    /// Tiers are marginal and a mean over them is lowest at an edge or at the largest volume, so those are looked at. An
    /// assumed price is the largest of several lists and is not bounded so: it counts nothing here.
    pub(crate) fn at_least(&self, service: usize, region: usize, regions: &[Region<'_>]) -> i128 {
        let of_service = self.needs.iter().filter(|need| need.from == service);
        let least = |need: &Need| {
            let toward = match &need.to {
                Target::Service(_) => None,
                Target::Internet => Some(Toward::Internet),
                Target::Data(nearest) => nearest[region].and_then(|copy| toward_region(region, copy, regions)),
            }?;
            let (cost, volume) = self.lowest_mean(regions, region, toward)?;
            let share = cost.checked_mul(i128::from(need.bytes))?;
            Some(share / i128::from(volume) / i128::from(need.senders))
        };
        of_service.filter_map(least).sum()
    }

    /// Millionths of a dollar per month that all traffic from one service to another costs at least when it goes from one
    /// region to the other.
    pub(crate) fn between(&self, services: (usize, usize), places: (usize, usize), regions: &[Region<'_>]) -> i128 {
        let Some(toward) = toward_region(places.0, places.1, regions) else {
            return 0;
        };
        let needs = self.needs.iter().filter(|need| need.from == services.0);
        let bytes = needs
            .filter(|need| matches!(need.to, Target::Service(to) if to == services.1))
            .fold(0u64, |sum, need| sum.saturating_add(need.bytes));
        if bytes == 0 {
            return 0;
        }
        let mean = self.lowest_mean(regions, places.0, toward);
        let cost = mean.and_then(|(cost, volume)| Some(cost.checked_mul(i128::from(bytes))? / i128::from(volume)));
        cost.unwrap_or(0)
    }

    /// Bytes per month that a service sends to others and receives from them.
    pub(crate) fn exchanged(&self, service: usize) -> u64 {
        let other = |need: &&Need| match need.to {
            Target::Service(to) => to == service || need.from == service,
            Target::Data(_) | Target::Internet => false,
        };
        self.needs
            .iter()
            .filter(other)
            .fold(0u64, |sum, need| sum.saturating_add(need.bytes))
    }

    /// Directions into which one replica of a service can send at most, counted with repetition.
    pub(crate) fn directions(&self, service: usize) -> usize {
        let needs = self.needs.iter().filter(|need| need.from == service);
        let directions = needs.map(|need| match need.to {
            Target::Service(to) => self.replicas.get(to).copied().unwrap_or(1),
            Target::Data(_) | Target::Internet => 1,
        });
        directions.fold(0, usize::saturating_add)
    }

    /// A cost and the volume that it is the cost of, at which a way is cheapest per byte; the cost is rounded down.
    fn lowest_mean(&self, regions: &[Region<'_>], from: usize, toward: Toward) -> Option<(i128, u64)> {
        if let Some(known) = self.means.borrow().get(&(from, toward)) {
            return *known;
        }
        let found = self.look_for_lowest_mean(regions, from, toward);
        self.means.borrow_mut().insert((from, toward), found);
        found
    }

    fn look_for_lowest_mean(&self, regions: &[Region<'_>], from: usize, toward: Toward) -> Option<(i128, u64)> {
        let most = self.needs.iter().fold(0u64, |sum, need| sum.saturating_add(need.bytes));
        let cloud = &regions[from].key.cloud;
        let rules = self
            .problem
            .catalogue
            .egress_rules()
            .iter()
            .filter(|rule| rule.from == *cloud);
        let edges = rules.flat_map(|rule| rule.tiers.iter().filter_map(|tier| tier.up_to));
        let mut volumes: Vec<u64> = edges.map(Bytes::as_bytes).filter(|edge| *edge < most).collect();
        volumes.push(most);
        let mut best: Option<(i128, u64)> = None;
        for volume in volumes.into_iter().filter(|volume| *volume > 0) {
            let (cost, assumed) = quote(&self.problem, regions, from, toward, volume);
            if assumed {
                return None;
            }
            let cost = (cost - 1).max(0);
            let cheaper = |(known, of): (i128, u64)| {
                // Amounts of money below 2^63 times volumes below 2^64.
                cost.saturating_mul(i128::from(of)) < known.saturating_mul(i128::from(volume))
            };
            if best.is_none_or(cheaper) {
                best = Some((cost, volume));
            }
        }
        best
    }

    fn price(&self, volumes: BTreeMap<(usize, Toward), u128>, regions: &[Region<'_>]) -> (i128, bool) {
        let mut total = 0i128;
        let mut any_assumed = false;
        for ((region, toward), bytes) in volumes {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let (cost, assumed) = self.quoted(regions, region, toward, bytes);
            total += cost;
            any_assumed |= assumed;
        }
        (total, any_assumed)
    }

    /// Bytes per month that leave each region in each direction. Each need is rounded up once per region and direction.
    fn volumes(
        &self,
        counts: &SiteCounts,
        sites: &[SiteRef<'_>],
        regions: &[Region<'_>],
    ) -> BTreeMap<(usize, Toward), u128> {
        let mut volumes = BTreeMap::new();
        for need in &self.needs {
            let senders = by_region(&counts[need.from], sites);
            let (parts, whole) = match &need.to {
                Target::Internet => (senders.iter().map(|(r, n)| ((*r, Toward::Internet), *n)).collect(), 1),
                Target::Data(nearest) => {
                    let way = |(r, n): (&usize, &u128)| {
                        let toward = nearest[*r].and_then(|copy| toward_region(*r, copy, regions))?;
                        Some(((*r, toward), *n))
                    };
                    (senders.iter().filter_map(way).collect(), 1)
                }
                Target::Service(to) => {
                    let receivers = by_region(&counts[*to], sites);
                    let same_site = same_site_pairs(&counts[need.from], &counts[*to], sites);
                    (
                        pairs(&senders, &receivers, &same_site, regions),
                        receivers.values().sum(),
                    )
                }
            };
            let whole: u128 = u128::from(need.senders) * whole.max(1);
            for (way, part) in parts.into_iter().filter(|(_, part)| *part > 0) {
                // bytes < 2^64 and both counts < 2^32: the product is below 2^128.
                *volumes.entry(way).or_insert(0) += u128::from(need.bytes).saturating_mul(part).div_ceil(whole);
            }
        }
        volumes
    }
}

/// Replicas per region.
fn by_region(counts: &[(usize, u32)], sites: &[SiteRef<'_>]) -> BTreeMap<usize, u128> {
    let mut regions = BTreeMap::new();
    for (site, count) in counts {
        *regions.entry(sites[*site].region).or_insert(0) += u128::from(*count);
    }
    regions
}

/// Pairs of a sender and a receiver in one zone, per region: their traffic is free.
fn same_site_pairs(from: &[(usize, u32)], to: &[(usize, u32)], sites: &[SiteRef<'_>]) -> BTreeMap<usize, u128> {
    let mut pairs = BTreeMap::new();
    for (site, count) in from {
        if let Ok(index) = to.binary_search_by_key(site, |(s, _)| *s) {
            *pairs.entry(sites[*site].region).or_insert(0) += u128::from(*count) * u128::from(to[index].1);
        }
    }
    pairs
}

/// Pairs of a sender and a receiver per region of the sender and direction.
fn pairs(
    senders: &BTreeMap<usize, u128>,
    receivers: &BTreeMap<usize, u128>,
    same_site: &BTreeMap<usize, u128>,
    regions: &[Region<'_>],
) -> BTreeMap<(usize, Toward), u128> {
    let mut pairs = BTreeMap::new();
    for (&from, count) in senders {
        for (&to, others) in receivers {
            let (toward, free) = match toward_region(from, to, regions) {
                Some(toward) => (toward, 0),
                None => (Toward::OtherZone, same_site.get(&from).copied().unwrap_or(0)),
            };
            *pairs.entry((from, toward)).or_insert(0) += count * others - free;
        }
    }
    pairs
}

/// Where traffic to a regional store goes; `None` inside one region, where stores are reached free of charge.
pub(crate) fn toward_region(from: usize, to: usize, regions: &[Region<'_>]) -> Option<Toward> {
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
