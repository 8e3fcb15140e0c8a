//! A problem turned into sorted arrays and numbers, so that the search compares integers and not texts.
//!
//! Everything is sorted by name here, which is why the order of the input cannot matter later. Nothing here knows where
//! a replica will go; that is `state`'s.

mod egress;
mod options;
mod statics;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{
    CloudId, Filter, Link, MicroUsdPerHour, Node, ObservedReplica, Offer, Purchase, RegionInfo, RegionKey, ReplicaId,
    ReplicaState, Resources, ServiceName, ServiceSpec, SpreadOver, ZoneName,
};

pub(crate) use egress::{Egress, Need, SiteCounts, Target, Toward, toward_region};
pub(crate) use statics::label;
pub(crate) use validate::residency_text;

use crate::problem::{PlaceConfig, PlaceError, Problem};
use crate::quotas::{self, Quota};

/// A service with its rules in numbers.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    pub(crate) spec: &'a ServiceSpec,
    /// Its replicas are `first..first + count` of [`Model::replicas`].
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Latency limits to services: target and longest round trip in microseconds.
    pub(crate) latency: Vec<(usize, u64)>,
    pub(crate) affinity: Vec<(usize, SpreadOver)>,
    /// Services (also of foreign replicas) that may not share a machine with it, both directions.
    pub(crate) conflicts: Vec<usize>,
    /// Services with a latency limit to this one.
    pub(crate) latency_from: Vec<(usize, u64)>,
    /// Services with an affinity to this one.
    pub(crate) affinity_from: Vec<(usize, SpreadOver)>,
    /// Sites where some option passes the static filters; with whether one of them can be bought.
    pub(crate) eligible: Vec<(usize, bool)>,
    /// Options that can be bought and pass the static filters, cheapest first.
    pub(crate) buyable: Vec<usize>,
    /// As `buyable`, without those that another of the same site outdoes in price and size for every service.
    pub(crate) shortlist: Vec<usize>,
    /// First filter that rejects each option whatever the state; in the order of [`Model::options`].
    pub(crate) statics: Vec<Option<Filter>>,
}

/// A region with what is known of it.
#[derive(Debug)]
pub(crate) struct Region<'a> {
    pub(crate) key: &'a RegionKey,
    pub(crate) info: Option<&'a RegionInfo>,
    pub(crate) cloud: usize,
}

/// A fault domain: a zone, or a region without zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SiteRef<'a> {
    pub(crate) region: usize,
    pub(crate) zone: Option<&'a ZoneName>,
}

/// A machine that is there, or one that can be bought in one zone for one kind of purchase.
#[derive(Debug)]
pub(crate) struct Opt<'a> {
    pub(crate) node: Option<&'a Node>,
    pub(crate) offer: Option<&'a Offer>,
    pub(crate) site: usize,
    pub(crate) region: usize,
    pub(crate) cloud: usize,
    pub(crate) purchase: Purchase,
    pub(crate) price: MicroUsdPerHour,
    pub(crate) capacity: Resources,
    /// Offers of one type, region and kind of purchase share it: their zones differ only.
    pub(crate) group: usize,
    /// Stands for the option in random draws.
    pub(crate) hash: u64,
    /// What buying it takes of each quota that it concerns: number of the quota and amount.
    pub(crate) quotas: Vec<(usize, u64)>,
}

/// A replica that runs, or ended well, on a ready machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) replica: usize,
    pub(crate) node: usize,
}

/// What occupies a machine besides the manifest's own replicas.
#[derive(Debug, Clone)]
pub(crate) struct Foreign {
    pub(crate) node: usize,
    pub(crate) service: usize,
    pub(crate) request: Resources,
}

/// The problem in numbers.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(crate) problem: Problem<'a>,
    /// Sorted by name.
    pub(crate) services: Vec<Service<'a>>,
    /// Sorted by id, so by service and number.
    pub(crate) replicas: Vec<ReplicaId>,
    /// Service of each replica.
    pub(crate) service_of: Vec<usize>,
    pub(crate) regions: Vec<Region<'a>>,
    pub(crate) sites: Vec<SiteRef<'a>>,
    /// Machines that are there first (by id), then offers (by key, kind of purchase and zone).
    pub(crate) options: Vec<Opt<'a>>,
    pub(crate) node_count: usize,
    pub(crate) kept: Vec<Kept>,
    /// Machine of each replica that is kept; what runs there is part of the machine's measured utilisation.
    pub(crate) home: Vec<Option<usize>>,
    pub(crate) foreign: Vec<Foreign>,
    pub(crate) egress: Egress<'a>,
    /// The quotas of the configuration.
    pub(crate) quotas: Vec<Quota>,
    /// What is left of each quota for machines to buy.
    pub(crate) quota_left: Vec<u64>,
    /// Round trips in microseconds, region by region; empty when no rule asks for them.
    rtt: Vec<Option<u64>>,
}

impl<'a> Model<'a> {
    /// Checks the problem and puts it into numbers.
    ///
    /// # Errors
    /// [`PlaceError`] when the problem contradicts itself.
    pub(crate) fn build(problem: &Problem<'a>, config: &PlaceConfig) -> Result<Self, PlaceError> {
        validate::check_input(problem, config)?;
        let problem = *problem;
        let regions = regions_of(&problem);
        validate::check_data_residency(&problem, &regions)?;
        let (sites, options, node_count) = options::all(&problem, &regions, &config.quotas);
        let mut specs: Vec<&ServiceSpec> = problem.manifest.services.iter().collect();
        specs.sort_by_key(|s| &s.name);
        let (names, kept, foreign) = observed(&problem, &specs, &options[..node_count]);
        let mut services = services_of(&specs, &names);
        let (mut replicas, mut service_of) = (Vec::new(), Vec::new());
        for (index, service) in services.iter_mut().enumerate() {
            service.first = replicas.len();
            replicas.extend((0..service.spec.replicas.get()).map(|i| ReplicaId::new(service.spec.name.clone(), i)));
            service_of.resize(replicas.len(), index);
        }
        let needs_rtt = problem.manifest.services.iter().any(|s| !s.latency.is_empty())
            || problem
                .manifest
                .services
                .iter()
                .any(|s| s.egress.iter().any(|e| matches!(e.to, Link::Data(_))));
        let rtt = if needs_rtt { round_trips(&regions) } else { Vec::new() };
        let egress = Egress::new(&problem, &specs, &regions, &rtt);
        let mut home = vec![None; replicas.len()];
        kept.iter().for_each(|k: &Kept| home[k.replica] = Some(k.node));
        let mut model = Self {
            problem,
            services,
            replicas,
            service_of,
            regions,
            sites,
            options,
            node_count,
            kept,
            home,
            foreign,
            egress,
            quota_left: quotas::left(&config.quotas, &problem),
            quotas: config.quotas.clone(),
            rtt,
        };
        statics::fill(&mut model);
        Ok(model)
    }

    /// Round trip in microseconds; `None` where it is not known. Only when some rule asks for round trips.
    pub(crate) fn round_trip(&self, a: usize, b: usize) -> Option<u64> {
        self.rtt.get(a * self.regions.len() + b).copied().flatten()
    }

    /// The first quota that does not allow one more machine of an option, when `used` is bought already.
    pub(crate) fn beyond_quota(&self, option: &Opt<'_>, used: &[u64]) -> Option<usize> {
        let beyond = |(number, amount): &&(usize, u64)| {
            let taken = used.get(*number).copied().unwrap_or(0);
            taken.saturating_add(*amount) > self.quota_left[*number]
        };
        option.quotas.iter().find(beyond).map(|(number, _)| *number)
    }

    /// Number of the region of that key.
    pub(crate) fn region_index(&self, key: &RegionKey) -> Option<usize> {
        region_index(&self.regions, key)
    }

    /// What `service` asks for per replica.
    pub(crate) fn request(&self, service: usize) -> &'a Resources {
        &self.services[service].spec.resources
    }
}

/// 64-bit FNV-1a (Fowler, Noll, Vo), a portable number for a text.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes
        .iter()
        .fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Number of the region of that key in a sorted list.
fn region_index(regions: &[Region<'_>], key: &RegionKey) -> Option<usize> {
    regions.binary_search_by_key(&key, |r| r.key).ok()
}

/// Every region that is named anywhere, sorted by key.
fn regions_of<'a>(problem: &Problem<'a>) -> Vec<Region<'a>> {
    let mut keys: BTreeSet<&RegionKey> = problem.catalogue.regions().map(|r| &r.key).collect();
    keys.extend(problem.catalogue.offers().iter().map(|o| &o.key.region));
    keys.extend(problem.snapshot.nodes.iter().map(|n| &n.machine.site.region));
    keys.extend(
        problem
            .manifest
            .data
            .iter()
            .flat_map(|d| &d.replicas)
            .map(|r| &r.region),
    );
    let clouds: BTreeSet<&CloudId> = keys.iter().map(|k| &k.cloud).collect();
    let number: BTreeMap<&CloudId, usize> = clouds.into_iter().zip(0..).collect();
    let region = |key: &'a RegionKey| Region {
        key,
        info: problem.catalogue.region(key),
        cloud: number.get(&key.cloud).copied().unwrap_or_default(),
    };
    keys.into_iter().map(region).collect()
}

/// Estimated round trips between all regions, in microseconds. A region the catalogue does not know is near itself only.
fn round_trips(regions: &[Region<'_>]) -> Vec<Option<u64>> {
    const LOCAL_MICROS: u64 = 1000;
    let pair = |(i, a): (usize, &Region<'_>), (j, b): (usize, &Region<'_>)| match (a.info, b.info) {
        (Some(a), Some(b)) => a.round_trip_to(b).and_then(|d| u64::try_from(d.as_micros()).ok()),
        _ => (i == j).then_some(LOCAL_MICROS),
    };
    let rows = regions.iter().enumerate();
    rows.flat_map(|a| regions.iter().enumerate().map(move |b| pair(a, b)))
        .collect()
}

/// Sorts what runs into what may stay and what only takes room; and numbers all services named in either.
fn observed<'a>(
    problem: &Problem<'a>,
    specs: &[&'a ServiceSpec],
    nodes: &[Opt<'a>],
) -> (BTreeMap<&'a ServiceName, usize>, Vec<Kept>, Vec<Foreign>) {
    let mut names: BTreeMap<&ServiceName, usize> = specs.iter().map(|s| &s.name).zip(0..).collect();
    let mut seen: Vec<&ObservedReplica> = problem.snapshot.replicas.iter().collect();
    seen.sort_by_key(|o| (&o.replica, &o.machine, &o.resource));
    let stays = |state: ReplicaState| state.is_live() || state == ReplicaState::Completed;
    let (mut kept, mut foreign) = (Vec::<Kept>::new(), Vec::new());
    let mut first = BTreeMap::new();
    let mut next = 0usize;
    for spec in specs {
        first.insert(&spec.name, (next, spec.replicas.get()));
        next += usize::try_from(spec.replicas.get()).unwrap_or(usize::MAX);
    }
    // Validated before: no machine is there twice.
    let numbered = nodes.iter().zip(0..);
    let positions: BTreeMap<_, usize> = numbered
        .filter_map(|(option, position)| Some((&option.node?.machine.id, position)))
        .collect();
    for observed in seen.into_iter().filter(|o| stays(o.state)) {
        let Some(&node) = positions.get(&observed.machine) else {
            continue;
        };
        let ready = nodes[node].node.is_some_and(|n| n.ready);
        let place = first.get(observed.replica.service());
        let wanted = place.filter(|(_, count)| observed.replica.index() < *count);
        let replica = wanted.map(|(first, _)| first + usize::try_from(observed.replica.index()).unwrap_or(usize::MAX));
        match replica {
            Some(replica) if !ready || kept.last().is_none_or(|k| k.replica != replica) => {
                if ready {
                    kept.push(Kept { replica, node });
                }
            }
            _ if !observed.state.is_live() => {}
            _ => {
                let next = names.len();
                let service = *names.entry(observed.replica.service()).or_insert(next);
                foreign.push(Foreign {
                    node,
                    service,
                    request: observed.request,
                });
            }
        }
    }
    (names, kept, foreign)
}

/// The services' rules in numbers; eligibility and statics are filled in later.
fn services_of<'a>(specs: &[&'a ServiceSpec], names: &BTreeMap<&'a ServiceName, usize>) -> Vec<Service<'a>> {
    let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let number = |name: &ServiceName| names.get(name).copied().unwrap_or(usize::MAX);
    let mut services: Vec<Service<'a>> = specs
        .iter()
        .map(|spec| Service {
            spec,
            first: 0,
            count: usize::try_from(spec.replicas.get()).unwrap_or(usize::MAX),
            latency: spec
                .latency
                .iter()
                .filter_map(|l| match &l.to {
                    Link::Service(to) => Some((number(to), micros(l.max))),
                    Link::Data(_) | Link::Internet => None,
                })
                .collect(),
            affinity: spec.affinity.iter().map(|a| (number(&a.service), a.within)).collect(),
            conflicts: spec.anti_affinity.iter().map(number).collect(),
            latency_from: Vec::new(),
            affinity_from: Vec::new(),
            eligible: Vec::new(),
            buyable: Vec::new(),
            shortlist: Vec::new(),
            statics: Vec::new(),
        })
        .collect();
    for from in 0..services.len() {
        for (to, max) in services[from].latency.clone() {
            services[to].latency_from.push((from, max));
        }
        for (to, within) in services[from].affinity.clone() {
            services[to].affinity_from.push((from, within));
        }
        for to in services[from].conflicts.clone() {
            if let Some(other) = services.get_mut(to) {
                other.conflicts.push(from);
            }
        }
    }
    for service in &mut services {
        service.conflicts.sort_unstable();
        service.conflicts.dedup();
    }
    services
}
