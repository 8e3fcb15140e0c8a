//! Rules between replicas: latency, affinity, anti-affinity, spread.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{
    Filter, Link, Machine, MachineId, Purchase, ServiceName, ServiceSpec, Site, SpreadOver, SpreadRule,
};

use super::Placed;
use super::alone::{broken_on, holds_one, within};
use super::quota::could_buy;
use crate::problem::Problem;
use crate::quotas::Quota;

/// Services that must not share a machine, both ways round: whoever of the two says so.
#[derive(Debug)]
pub(super) struct Apart<'a>(BTreeMap<&'a ServiceName, BTreeSet<&'a ServiceName>>);

impl<'a> Apart<'a> {
    pub(super) fn new(services: &'a [ServiceSpec]) -> Self {
        let mut apart: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for service in services {
            for other in &service.anti_affinity {
                apart.entry(&service.name).or_default().insert(other);
                apart.entry(other).or_default().insert(&service.name);
            }
        }
        Self(apart)
    }
}

/// Rules between replicas that one placed replica breaks.
pub(super) fn broken(
    problem: &Problem<'_>,
    quotas: &[Quota],
    all: &[Placed<'_>],
    apart: &Apart<'_>,
    one: &Placed<'_>,
) -> Vec<Filter> {
    let mut broken = Vec::new();
    for limit in &one.service.latency {
        if let Link::Service(to) = &limit.to {
            let near =
                |other: &Placed<'_>| within(problem, &one.machine.site.region, &other.machine.site.region, limit.max);
            if !reaches(problem, all, one, to, near) {
                broken.push(Filter::Latency);
            }
        }
    }
    for affinity in &one.service.affinity {
        let here = Domain::of(one.machine, affinity.within);
        let beside = |other: &Placed<'_>| Domain::of(other.machine, affinity.within) == here;
        if !reaches(problem, all, one, &affinity.service, beside) {
            broken.push(Filter::Affinity);
        }
    }
    if let Some(others) = apart.0.get(&one.service.name)
        && neighbours(problem, all, one).iter().any(|name| others.contains(name))
    {
        broken.push(Filter::AntiAffinity);
    }
    broken.extend(
        one.service
            .spread
            .iter()
            .filter(|rule| !even(problem, quotas, all, one, rule))
            .map(|_| Filter::Spread),
    );
    broken
}

/// Whether some other replica of `to` satisfies `near`; or the rule has to wait for one without a place while this one
/// runs already; or there is no other to be near.
fn reaches(
    problem: &Problem<'_>,
    all: &[Placed<'_>],
    one: &Placed<'_>,
    to: &ServiceName,
    near: impl Fn(&Placed<'_>) -> bool,
) -> bool {
    let others = all
        .iter()
        .filter(|p| p.service.name == *to && p.assignment.replica != one.assignment.replica);
    let only_itself = one.service.name == *to && one.service.replicas.get() == 1;
    let waits = one.stays && missing(problem, all, to) > 0;
    only_itself || waits || others.into_iter().any(near)
}

/// Replicas of a service without a place.
fn missing(problem: &Problem<'_>, all: &[Placed<'_>], service: &ServiceName) -> u64 {
    let asked = problem
        .manifest
        .service(service)
        .map_or(0, |s| u64::from(s.replicas.get()));
    let placed = all.iter().filter(|p| p.service.name == *service).count();
    asked.saturating_sub(placed as u64)
}

/// Services of the other replicas on the machine, asked for or not.
fn neighbours(problem: &Problem<'_>, all: &[Placed<'_>], one: &Placed<'_>) -> Vec<ServiceName> {
    let with = all
        .iter()
        .filter(|p| p.machine.id == one.machine.id && p.assignment.replica != one.assignment.replica)
        .map(|p| p.service.name.clone());
    let unasked = problem.snapshot.replicas.iter().filter(|o| {
        let wanted = problem
            .manifest
            .service(o.replica.service())
            .is_some_and(|s| o.replica.index() < s.replicas.get());
        o.machine == one.machine.id && o.state.is_live() && !wanted
    });
    with.chain(unasked.map(|o| o.replica.service().clone())).collect()
}

/// What replicas share a fate in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Domain {
    Machine(MachineId),
    /// Some machine that is not bought.
    NewMachine,
    Site(Site),
    Region(skyloom_core::RegionKey),
    Cloud(skyloom_core::CloudId),
}

impl Domain {
    fn of(machine: &Machine, over: SpreadOver) -> Self {
        match over {
            SpreadOver::Machine => Self::Machine(machine.id.clone()),
            SpreadOver::Zone => Self::Site(machine.site.clone()),
            SpreadOver::Region => Self::Region(machine.site.region.clone()),
            SpreadOver::Cloud => Self::Cloud(machine.site.region.cloud.clone()),
        }
    }
}

/// Whether the domain of one replica holds at most `max_skew` more than the least used eligible one.
fn even(problem: &Problem<'_>, quotas: &[Quota], all: &[Placed<'_>], one: &Placed<'_>, rule: &SpreadRule) -> bool {
    let mut counts: BTreeMap<Domain, u64> = BTreeMap::new();
    for placed in all.iter().filter(|p| p.service.name == one.service.name) {
        *counts.entry(Domain::of(placed.machine, rule.over)).or_insert(0) += 1;
    }
    let eligible = eligible(problem, quotas, all, one.service, rule.over);
    let count = |domain: &Domain| counts.get(domain).copied().unwrap_or(0);
    let here = count(&Domain::of(one.machine, rule.over));
    let least = eligible.iter().map(count).min().unwrap_or(0);
    let skew = u64::from(rule.max_skew.get());
    if here.saturating_sub(least) <= skew {
        return true;
    }
    let most = counts.values().copied().max().unwrap_or(0);
    let gap: u64 = eligible
        .iter()
        .map(|d| most.saturating_sub(skew).saturating_sub(count(d)))
        .sum();
    one.stays && gap <= missing(problem, all, &one.service.name)
}

/// Domains in which the service could have a replica, given where the others are.
fn eligible(
    problem: &Problem<'_>,
    quotas: &[Quota],
    all: &[Placed<'_>],
    service: &ServiceSpec,
    over: SpreadOver,
) -> BTreeSet<Domain> {
    let mut domains = BTreeSet::new();
    let possible = |machine: &Machine, node| {
        broken_on(problem, service, machine, node).is_empty()
            && holds_one(service, machine)
            && follows_others(problem, all, service, machine)
    };
    for node in problem.snapshot.nodes.iter().filter(|n| possible(&n.machine, Some(n))) {
        domains.insert(Domain::of(&node.machine, over));
    }
    for machine in for_sale(problem).filter(|m| possible(m, None) && could_buy(problem, quotas, m)) {
        let domain = Domain::of(&machine, over);
        domains.insert(if over == SpreadOver::Machine {
            Domain::NewMachine
        } else {
            domain
        });
    }
    domains
}

/// Whether a place is near enough to the other services' replicas, as far as they have a place.
fn follows_others(problem: &Problem<'_>, all: &[Placed<'_>], service: &ServiceSpec, machine: &Machine) -> bool {
    let of = |name: &ServiceName| -> Vec<&Placed<'_>> {
        all.iter()
            .filter(|p| p.service.name == *name && p.service.name != service.name)
            .collect()
    };
    let near = service.latency.iter().all(|limit| match &limit.to {
        Link::Service(to) => {
            let targets = of(to);
            let reach = |p: &&Placed<'_>| within(problem, &machine.site.region, &p.machine.site.region, limit.max);
            targets.is_empty() || targets.iter().any(reach)
        }
        Link::Data(_) | Link::Internet => true,
    });
    near && service.affinity.iter().all(|affinity| {
        let targets = of(&affinity.service);
        // Two machines of one zone are as near as a machine that is not bought can be known to be.
        let level = if affinity.within == SpreadOver::Machine {
            SpreadOver::Zone
        } else {
            affinity.within
        };
        let shares = |p: &&Placed<'_>| Domain::of(p.machine, level) == Domain::of(machine, level);
        targets.is_empty() || targets.iter().any(shares)
    })
}

/// Every machine that the catalogue sells, zone by zone.
fn for_sale<'p>(problem: &'p Problem<'_>) -> impl Iterator<Item = Machine> + 'p {
    problem.catalogue.offers().iter().flat_map(move |offer| {
        let zones = problem
            .catalogue
            .region(&offer.key.region)
            .map_or(&[][..], |r| &r.zones);
        let sites: Vec<Option<skyloom_core::ZoneName>> = match (&offer.key.zone, zones) {
            (Some(zone), _) => vec![Some(zone.clone())],
            (None, []) => vec![None],
            (None, zones) => zones.iter().cloned().map(Some).collect(),
        };
        let kinds = [Purchase::OnDemand, Purchase::Spot]
            .into_iter()
            .filter_map(|p| Some((p, offer.price(p)?)));
        let pairs: Vec<_> = kinds
            .flat_map(|kind| sites.clone().into_iter().map(move |zone| (kind, zone)))
            .collect();
        pairs.into_iter().map(move |((purchase, price), zone)| Machine {
            id: MachineId::new("for-sale").expect("invariant: letters and a dash"),
            site: Site {
                region: offer.key.region.clone(),
                zone,
            },
            instance: offer.key.instance.clone(),
            purchase,
            price: price.per_hour,
            price_as_of: price.as_of,
            capacity: offer.capacity,
            arch: offer.arch.clone(),
        })
    })
}
