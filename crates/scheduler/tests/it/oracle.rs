//! The exhaustive optimum of tiny worlds, found by trying everything; it shares no code with planner or checker.

use std::collections::BTreeMap;

use skyloom_core::*;
use skyloom_scheduler::{Cheapest, PlaceConfig, Problem, check, decide};

use crate::random_world::tiny;
use crate::world::{World, offer};

/// One way to buy a machine.
struct Way {
    site: (String, String, String),
    capacity: Resources,
    purchase: Purchase,
    price: i128,
    /// A machine that is there: it can be used once.
    once: bool,
}

/// Everything that is tried, and the best so far.
struct Oracle<'w> {
    world: &'w World,
    catalogue: Catalogue,
    ways: Vec<Way>,
    /// Service of each replica.
    replicas: Vec<usize>,
    best: Option<i128>,
}

/// Least total per month in millionths of a dollar with every replica placed, on machines to buy or of the snapshot,
/// where nothing runs yet; `None`: that is impossible.
pub(crate) fn optimum(world: &World) -> Option<i128> {
    let catalogue = world.catalogue();
    let mut ways = Vec::new();
    for offer in &world.parts.offers {
        let info = catalogue.region(&offer.key.region).unwrap();
        let zones: Vec<String> = info.zones.iter().map(ToString::to_string).collect();
        let zones = if zones.is_empty() { vec![String::new()] } else { zones };
        for zone in zones {
            for (purchase, price) in [(Purchase::OnDemand, offer.on_demand), (Purchase::Spot, offer.spot)] {
                let Some(price) = price else { continue };
                let key = &offer.key.region;
                ways.push(Way {
                    site: (key.cloud.to_string(), key.region.to_string(), zone.clone()),
                    capacity: offer.capacity,
                    purchase,
                    price: i128::from(price.per_hour.as_micros()) * 730,
                    once: false,
                });
            }
        }
    }
    for node in &world.snapshot.nodes {
        let (machine, key) = (&node.machine, &node.machine.site.region);
        let zone = machine.site.zone.as_ref().map_or_else(String::new, ToString::to_string);
        ways.push(Way {
            site: (key.cloud.to_string(), key.region.to_string(), zone),
            capacity: machine.capacity,
            purchase: machine.purchase,
            price: i128::from(machine.price.as_micros()) * 730,
            once: true,
        });
    }
    ways.sort_by_key(|w| w.price);
    let services = world.manifest.services.iter().enumerate();
    let replicas = services
        .flat_map(|(i, s)| vec![i; usize::try_from(s.replicas.get()).unwrap()])
        .collect();
    let mut oracle = Oracle {
        world,
        catalogue,
        ways,
        replicas,
        best: None,
    };
    oracle.try_all(&mut Vec::new(), &mut Vec::new(), 0);
    oracle.best
}

impl Oracle<'_> {
    fn service(&self, index: usize) -> &ServiceSpec {
        &self.world.manifest.services[index]
    }

    /// `machines`: way and residents; `at`: machine of each replica so far.
    fn try_all(&mut self, machines: &mut Vec<(usize, Vec<usize>)>, at: &mut Vec<usize>, paid: i128) {
        if self.best.is_some_and(|best| paid >= best) {
            return;
        }
        let replica = at.len();
        if replica == self.replicas.len() {
            if self.rules_hold(machines, at) {
                let total = paid + self.egress(machines, at);
                if self.best.is_none_or(|best| total < best) {
                    self.best = Some(total);
                }
            }
            return;
        }
        for machine in 0..machines.len() {
            machines[machine].1.push(replica);
            if self.fits(&machines[machine]) {
                at.push(machine);
                self.try_all(machines, at, paid);
                at.pop();
            }
            machines[machine].1.pop();
        }
        for way in 0..self.ways.len() {
            if self.ways[way].once && machines.iter().any(|(used, _)| *used == way) {
                continue;
            }
            machines.push((way, vec![replica]));
            if self.allowed(self.replicas[replica], way) && self.fits(machines.last().unwrap()) {
                at.push(machines.len() - 1);
                self.try_all(machines, at, paid + self.ways[way].price);
                at.pop();
            }
            machines.pop();
        }
    }

    fn fits(&self, (way, residents): &(usize, Vec<usize>)) -> bool {
        let capacity = &self.ways[*way].capacity;
        let (mut cpu, mut memory) = (0, 0);
        for resident in residents {
            let service = self.service(self.replicas[*resident]);
            cpu += service.resources.cpu.as_millicores();
            memory += service.resources.memory.as_bytes();
            if !self.allowed(self.replicas[*resident], *way) {
                return false;
            }
        }
        cpu <= capacity.cpu.as_millicores() && memory <= capacity.memory.as_bytes()
    }

    fn allowed(&self, service: usize, way: usize) -> bool {
        let (way, service) = (&self.ways[way], self.service(service));
        let purchase_ok = match service.purchase {
            PurchasePreference::Any => true,
            PurchasePreference::OnDemand => way.purchase == Purchase::OnDemand,
            PurchasePreference::Spot => way.purchase == Purchase::Spot,
        };
        let laws = match way.site.1.as_str() {
            "eu-1" => ["DE", "EU"],
            "us-1" => ["US", "US"],
            _ => ["NL", "EU"],
        };
        let allow = &self.world.manifest.residency.allow;
        let small_enough = service.resources.cpu <= way.capacity.cpu && service.resources.memory <= way.capacity.memory;
        purchase_ok && small_enough && (allow.is_empty() || allow.iter().any(|j| laws.contains(&j.as_str())))
    }

    fn near(&self, a: &str, b: &str, max: std::time::Duration) -> bool {
        let find = |name: &str| {
            self.catalogue
                .regions()
                .find(|r| r.key.region.as_str() == name)
                .unwrap()
        };
        find(a).round_trip_to(find(b)).unwrap() <= max
    }

    fn rules_hold(&self, machines: &[(usize, Vec<usize>)], at: &[usize]) -> bool {
        let site = |r: usize| &self.ways[machines[at[r]].0].site;
        let of = |name: &ServiceName| -> Vec<usize> {
            (0..at.len())
                .filter(|r| self.service(self.replicas[*r]).name == *name)
                .collect()
        };
        (0..at.len()).all(|replica| {
            let service = self.service(self.replicas[replica]);
            let near = service.latency.iter().all(|limit| match &limit.to {
                Link::Service(to) => of(to)
                    .iter()
                    .any(|t| self.near(&site(replica).1, &site(*t).1, limit.max)),
                _ => true,
            });
            let beside = service.affinity.iter().all(|affinity| {
                of(&affinity.service).iter().any(|t| match affinity.within {
                    SpreadOver::Machine => at[*t] == at[replica],
                    SpreadOver::Zone => site(*t) == site(replica),
                    SpreadOver::Region => site(*t).1 == site(replica).1,
                    SpreadOver::Cloud => site(*t).0 == site(replica).0,
                })
            });
            let apart = service.anti_affinity.iter().all(|name| {
                of(name)
                    .iter()
                    .all(|other| *other == replica || at[*other] != at[replica])
            });
            near && beside && apart
        }) && self.spread_holds(machines, at)
    }

    fn spread_holds(&self, machines: &[(usize, Vec<usize>)], at: &[usize]) -> bool {
        let services = 0..self.world.manifest.services.len();
        services.into_iter().all(|index| {
            let service = self.service(index);
            service.spread.iter().all(|rule| {
                let mut counts: BTreeMap<String, i64> = BTreeMap::new();
                let domain = |way: usize, machine: Option<usize>| {
                    let (cloud, region, zone) = &self.ways[way].site;
                    match rule.over {
                        SpreadOver::Machine => machine.map_or("new".to_owned(), |m| m.to_string()),
                        SpreadOver::Zone => format!("{cloud}/{region}/{zone}"),
                        SpreadOver::Region => format!("{cloud}/{region}"),
                        SpreadOver::Cloud => cloud.clone(),
                    }
                };
                for way in 0..self.ways.len() {
                    let place = &self.ways[way].site;
                    // With one rule per service, a spread service has no latency limit or affinity of its own.
                    assert!(service.latency.is_empty() && service.affinity.is_empty(), "{place:?}");
                    if self.allowed(index, way) {
                        counts.entry(domain(way, None)).or_insert(0);
                    }
                }
                for replica in (0..at.len()).filter(|r| self.replicas[*r] == index) {
                    *counts
                        .entry(domain(machines[at[replica]].0, Some(at[replica])))
                        .or_insert(0) += 1;
                }
                let (most, least) = (counts.values().max().unwrap(), counts.values().min().unwrap());
                most - least <= i64::from(rule.max_skew.get())
            })
        })
    }

    /// Traffic evenly over both sides, added up per source region and kind of way; flat prices of the test world.
    fn egress(&self, machines: &[(usize, Vec<usize>)], at: &[usize]) -> i128 {
        let site = |r: usize| &self.ways[machines[at[r]].0].site;
        let mut volumes: BTreeMap<(String, String, i128), u128> = BTreeMap::new();
        for (from, service) in self.world.manifest.services.iter().enumerate() {
            for need in &service.egress {
                let senders: Vec<usize> = (0..at.len()).filter(|r| self.replicas[*r] == from).collect();
                let receivers: Vec<usize> = match &need.to {
                    Link::Service(to) => (0..at.len())
                        .filter(|r| self.service(self.replicas[*r]).name == *to)
                        .collect(),
                    _ => Vec::new(),
                };
                // Pairs of replicas per source region and way, as volumes are rounded up once for each.
                let mut pairs: BTreeMap<(String, String, i128), u128> = BTreeMap::new();
                for sender in &senders {
                    let a = site(*sender);
                    let internet = ("internet".to_owned(), if a.0 == "alpha" { 90_000 } else { 10_000 });
                    let ways: Vec<(String, i128)> = match &need.to {
                        Link::Service(_) => receivers
                            .iter()
                            .map(|r| site(*r))
                            .filter(|b| *b != a)
                            .map(|b| match (a.1 == b.1, a.0 == b.0) {
                                (true, _) => ("zone".to_owned(), 10_000),
                                (false, true) => (b.1.clone(), 20_000),
                                (false, false) => internet.clone(),
                            })
                            .collect(),
                        _ => vec![internet],
                    };
                    for (way, per_gib) in ways {
                        *pairs.entry((a.1.clone(), way, per_gib)).or_insert(0) += 1;
                    }
                }
                let all = (senders.len() * receivers.len().max(1)) as u128;
                for (way, count) in pairs {
                    let bytes = (u128::from(need.per_month.as_bytes()) * count).div_ceil(all);
                    *volumes.entry(way).or_insert(0) += bytes;
                }
            }
        }
        let cost = |((_, _, per_gib), bytes): (&(String, String, i128), &u128)| {
            (i128::try_from(*bytes).unwrap() * per_gib + (1 << 29)) >> 30
        };
        volumes.iter().map(cost).sum()
    }
}

#[derive(Debug, Default)]
struct Tally {
    solved: u32,
    optimal: u32,
    impossible: u32,
    missed: u32,
    worst: f64,
}

fn dollars(micros: i128) -> f64 {
    MicroUsd::from_micros(i64::try_from(micros).unwrap()).as_usd()
}

fn tally(seeds: std::ops::Range<u64>, replicas_max: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let world = tiny(seed, replicas_max);
        let catalogue = world.catalogue();
        let problem = Problem {
            manifest: &world.manifest,
            snapshot: &world.snapshot,
            catalogue: &catalogue,
        };
        let found = decide(&problem, &Cheapest, &PlaceConfig::new()).unwrap().placement;
        assert_eq!(check(&problem, &found), [], "seed {seed}");
        let total = i128::from(found.cost.total_per_month.as_micros());
        match optimum(&world) {
            None => {
                assert!(
                    !found.unplaced.is_empty(),
                    "seed {seed}: placed what cannot be placed\n{world:#?}"
                );
                tally.impossible += 1;
            }
            Some(_) if !found.unplaced.is_empty() => tally.missed += 1,
            Some(least) => {
                assert!(
                    total >= least,
                    "seed {seed}: {total} is below the optimum {least}\n{world:#?}"
                );
                tally.solved += 1;
                tally.optimal += u32::from(total == least);
                tally.worst = tally.worst.max(dollars(total) / dollars(least) - 1.0);
            }
        }
    }
    tally
}

#[test]
fn the_cheapest_is_never_below_the_optimum_and_nearly_always_at_it() {
    let tally = tally(0..250, 5);
    // Measured over seeds 1,000..5,000, on which nothing was tuned but the kinds of moves: 3,661 of 3,664 optimal, none
    // missed, the worst 16 % above. The floor leaves a margin.
    assert!(tally.solved >= 150 && tally.impossible >= 5, "{tally:?}");
    assert!(f64::from(tally.optimal) >= 0.98 * f64::from(tally.solved), "{tally:?}");
    assert!(tally.missed <= 1 && tally.worst < 0.25, "{tally:?}");
}

#[test]
fn one_more_offer_never_makes_the_optimum_dearer() {
    for seed in 0..60 {
        let world = tiny(seed, 4);
        // A rule of even spreading may ask for more once there is one more place to spread over.
        if world.manifest.services.iter().any(|s| !s.spread.is_empty()) {
            continue;
        }
        let mut more = world.clone();
        more.parts
            .offers
            .push(offer("beta/ams", "extra", 2, 4, Some(30_000), None));
        if let Some(before) = optimum(&world) {
            assert!(optimum(&more).unwrap() <= before, "seed {seed}");
        }
    }
}
