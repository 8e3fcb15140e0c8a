//! Prices, shares, totals and the budget.

use std::collections::BTreeMap;

use skyloom_core::catalogue::EgressTarget;
use skyloom_core::{
    Assignment, Bytes, HOURS_PER_MONTH, Link, Machine, MicroUsd, MicroUsdPerHour, Placement, RegionKey, Resources,
    ServiceName, Site,
};

use super::{Nodes, Placed, Violation};
use crate::problem::Problem;

pub(super) fn check(
    problem: &Problem<'_>,
    nodes: &Nodes<'_>,
    placement: &Placement,
    placed: &[Placed<'_>],
    violations: &mut Vec<Violation>,
) {
    let mut assigned: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for assignment in &placement.assignments {
        assigned.entry(&assignment.machine).or_default().push(assignment);
    }
    for machine in &placement.machines {
        if !priced_right(problem, nodes, machine) {
            violations.push(Violation::WrongMachine {
                machine: machine.id.clone(),
                price: machine.price,
            });
        }
        let here = assigned.get(&machine.id).map_or(&[][..], Vec::as_slice);
        check_shares(here, machine, violations);
    }
    let per_hour: i128 = placement.machines.iter().map(|m| i128::from(m.price.as_micros())).sum();
    let per_month = per_hour * i128::from(HOURS_PER_MONTH);
    let egress = egress(problem, placed);
    let cost = &placement.cost;
    let figures = [
        (
            "price of the machines per hour",
            i128::from(cost.machines_per_hour.as_micros()),
            per_hour,
        ),
        (
            "price of the machines per month",
            i128::from(cost.machines_per_month.as_micros()),
            per_month,
        ),
        (
            "price of the egress per month",
            i128::from(cost.egress_per_month.as_micros()),
            egress,
        ),
        (
            "total per month",
            i128::from(cost.total_per_month.as_micros()),
            per_month + egress,
        ),
    ];
    for (figure, stated, counted) in figures {
        if stated != counted {
            violations.push(Violation::WrongCost {
                figure,
                stated: money(stated),
                counted: money(counted),
            });
        }
    }
    if let Some(budget) = problem.manifest.budget {
        let total = money(per_month + egress);
        if total > budget.per_month {
            violations.push(Violation::OverBudget {
                total,
                budget: budget.per_month,
            });
        }
    }
}

fn money(micros: i128) -> MicroUsd {
    MicroUsd::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// Whether a machine is as observed, or sold like that by the catalogue in one of the region's zones.
fn priced_right(problem: &Problem<'_>, nodes: &Nodes<'_>, machine: &Machine) -> bool {
    if let Some(node) = nodes.get(&machine.id) {
        return node.machine == *machine;
    }
    problem.catalogue.offers().iter().any(|offer| {
        let zones = problem
            .catalogue
            .region(&offer.key.region)
            .map_or(&[][..], |r| &r.zones);
        let zone_ok = match (&offer.key.zone, &machine.site.zone) {
            (Some(priced), Some(zone)) => priced == zone,
            (None, Some(zone)) => zones.contains(zone),
            (None, None) => zones.is_empty(),
            (Some(_), None) => false,
        };
        let price = offer.price(machine.purchase);
        offer.key.region == machine.site.region
            && offer.key.instance == machine.instance
            && zone_ok
            && price.is_some_and(|p| p.per_hour == machine.price && p.as_of == machine.price_as_of)
            && offer.capacity == machine.capacity
            && offer.arch == machine.arch
    })
}

/// Shares sum to the price, and a larger dominant share never pays less.
fn check_shares(assigned: &[&Assignment], machine: &Machine, violations: &mut Vec<Violation>) {
    let mut here: Vec<(f64, i64)> = Vec::new();
    for assignment in assigned {
        here.push((
            dominant(&assignment.request, &machine.capacity),
            assignment.share.as_micros(),
        ));
    }
    let sum: i128 = here.iter().map(|(_, share)| i128::from(*share)).sum();
    here.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    // Equal weights may differ by the one millionth that does not divide.
    let fair = here.windows(2).all(|pair| pair[0].1 <= pair[1].1 + 1);
    if sum != i128::from(machine.price.as_micros()) || !fair {
        violations.push(Violation::WrongShares {
            machine: machine.id.clone(),
            sum: MicroUsdPerHour::from_micros(i64::try_from(sum).unwrap_or(i64::MAX)),
            price: machine.price,
        });
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an order of shares, compared with a tolerance"
)]
fn dominant(request: &Resources, capacity: &Resources) -> f64 {
    let share = |d| match capacity.get(d) {
        0 => 0.0,
        whole => request.get(d) as f64 / whole as f64,
    };
    skyloom_core::Dimension::ALL.into_iter().map(share).fold(0.0, f64::max)
}

/// Traffic per month: each service's volume evenly over its replicas and the other side's; to a data set's nearest copy.
fn egress(problem: &Problem<'_>, placed: &[Placed<'_>]) -> i128 {
    // Bytes by source region and direction; other clouds are the internet.
    let mut volumes: BTreeMap<(RegionKey, Direction), u128> = BTreeMap::new();
    let sites = sites(placed);
    let nowhere = BTreeMap::new();
    for service in &problem.manifest.services {
        let senders = sites.get(&service.name).unwrap_or(&nowhere);
        for need in &service.egress {
            let receivers = match &need.to {
                Link::Service(to) => sites.get(to).unwrap_or(&nowhere),
                Link::Data(_) | Link::Internet => &nowhere,
            };
            // Parts of the volume by way; a part is a pair of replicas, or one sender.
            let mut parts: BTreeMap<(RegionKey, Direction), u128> = BTreeMap::new();
            for (site, count) in senders {
                let mut add = |way: Option<Direction>, part: u128| {
                    if let Some(way) = way {
                        *parts.entry((site.region.clone(), way)).or_insert(0) += part;
                    }
                };
                match &need.to {
                    Link::Internet => add(Some(Direction::Internet), *count),
                    Link::Data(name) => {
                        let copies = problem.manifest.data_set(name).map_or(&[][..], |d| &d.replicas);
                        let copies = copies.iter().map(|c| &c.region);
                        let nearest = copies.min_by_key(|to| distance(problem, &site.region, to));
                        add(nearest.and_then(|to| direction(&site.region, to)), *count);
                    }
                    Link::Service(_) => {
                        for (other, n) in receivers.iter().filter(|(other, _)| *other != site) {
                            let here = other.region == site.region;
                            let way = if here {
                                Some(Direction::OtherZone)
                            } else {
                                direction(&site.region, &other.region)
                            };
                            add(way, count * n);
                        }
                    }
                }
            }
            let all = u128::from(service.replicas.get()) * receivers.values().sum::<u128>().max(1);
            for (way, part) in parts {
                let bytes = (u128::from(need.per_month.as_bytes()) * part).div_ceil(all);
                *volumes.entry(way).or_insert(0) += bytes;
            }
        }
    }
    volumes
        .iter()
        .map(|((from, way), bytes)| price(problem, from, way, *bytes))
        .sum()
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    OtherZone,
    Region(RegionKey),
    Internet,
}

fn direction(from: &RegionKey, to: &RegionKey) -> Option<Direction> {
    match (from == to, from.cloud == to.cloud) {
        (true, _) => None,
        (false, true) => Some(Direction::Region(to.clone())),
        (false, false) => Some(Direction::Internet),
    }
}

/// Same region first, then the shortest known round trip, then the same cloud, then by name.
fn distance(problem: &Problem<'_>, from: &RegionKey, to: &RegionKey) -> (bool, u128, bool, RegionKey) {
    let known = problem.catalogue.region(from).zip(problem.catalogue.region(to));
    let trip = known
        .and_then(|(a, b)| a.round_trip_to(b))
        .map_or(u128::MAX, |t| t.as_micros());
    (from != to, trip, from.cloud != to.cloud, to.clone())
}

/// How many replicas of each service are where.
fn sites<'a>(placed: &[Placed<'a>]) -> BTreeMap<&'a ServiceName, BTreeMap<&'a Site, u128>> {
    let mut sites: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for one in placed {
        let of_service = sites.entry(&one.service.name).or_default();
        *of_service.entry(&one.machine.site).or_insert(0) += 1;
    }
    sites
}

fn price(problem: &Problem<'_>, from: &RegionKey, way: &Direction, bytes: u128) -> i128 {
    /// What the planner says it assumes where a catalogue prices no egress at all: 0.12 USD per GiB.
    const ASSUMED_MICROS_PER_GIB: u128 = 120_000;
    let target = match way {
        Direction::OtherZone => EgressTarget::OtherZone,
        Direction::Region(to) => EgressTarget::Region(to),
        Direction::Internet => EgressTarget::Internet,
    };
    let volume = Bytes::from_bytes(u64::try_from(bytes).unwrap_or(u64::MAX));
    match problem.catalogue.egress_cost(from, target, volume) {
        Ok(quote) => i128::from(quote.cost.as_micros()),
        Err(_) => i128::try_from((bytes * ASSUMED_MICROS_PER_GIB).div_ceil(1 << 30)).unwrap_or(i128::MAX),
    }
}
