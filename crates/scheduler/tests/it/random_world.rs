//! Random small worlds from a seed, with every kind of rule, some of them impossible to meet.

use skyloom_core::*;

use crate::world::*;

/// SplitMix64 (Steele, Lea, Flood, 2014): a seed gives the same world for ever.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }
}

/// Offers with random sizes and prices in two or three regions, up to `replicas_max` replicas of up to three services.
pub(crate) fn tiny(seed: u64, replicas_max: u64) -> World {
    let mut dice = Dice::new(seed);
    let mut world = World::new();
    world.parts.regions.iter_mut().for_each(|r| r.zones.truncate(2));
    world.parts.offers.clear();
    for place in ["alpha/eu-1", "beta/ams", "alpha/us-1"] {
        if place == "alpha/us-1" && dice.one_in(2) {
            continue;
        }
        for instance in ["a", "b"] {
            let cores = u32::try_from(1 + dice.roll(4)).unwrap();
            let gib = u32::try_from(1 + dice.roll(8)).unwrap();
            let fair = i64::from(cores) * 20_000 + i64::from(gib) * 4000;
            let price = fair * i64::try_from(60 + dice.roll(80)).unwrap() / 100;
            let spot = dice.one_in(3).then_some(price / 2);
            world
                .parts
                .offers
                .push(offer(place, instance, cores, gib, Some(price), spot));
        }
    }
    let mut left = 2 + dice.roll(replicas_max - 1);
    let names = ["api", "db", "web"];
    for name in names.into_iter().take(usize::try_from(1 + dice.roll(3)).unwrap()) {
        if left == 0 {
            break;
        }
        let replicas = (1 + dice.roll(3)).min(left);
        left -= replicas;
        let cpu = ["250m", "500m", "1", "2"][usize::try_from(dice.roll(4)).unwrap()];
        let memory = ["512MiB", "1GiB", "3GiB"][usize::try_from(dice.roll(3)).unwrap()];
        world
            .manifest
            .services
            .push(service(name, u32::try_from(replicas).unwrap(), cpu, memory));
    }
    add_rules(&mut world, &mut dice);
    world
}

fn add_rules(world: &mut World, dice: &mut Dice) {
    let names: Vec<String> = world.manifest.services.iter().map(|s| s.name.to_string()).collect();
    if dice.one_in(4) {
        world.manifest.residency = residency(&[*dice.pick(&["EU", "US", "NL"])]);
    }
    for service in &mut world.manifest.services {
        let other = dice.pick(&names).clone();
        let not_itself = other != service.name.as_str();
        match dice.roll(9) {
            0 => service.anti_affinity = vec![service.name.clone()],
            1 => service.spread = vec![spread(SpreadOver::Zone, 1)],
            2 => service.spread = vec![spread(*dice.pick(&[SpreadOver::Machine, SpreadOver::Cloud]), 1)],
            3 if not_itself => service.latency = vec![latency(&other, *dice.pick(&[2, 20]))],
            4 if not_itself => {
                let within = *dice.pick(&[SpreadOver::Machine, SpreadOver::Zone, SpreadOver::Region]);
                service.affinity = vec![Affinity {
                    service: other.parse().unwrap(),
                    within,
                }];
            }
            5 if not_itself => service.anti_affinity = vec![other.parse().unwrap()],
            6 => service.purchase = *dice.pick(&[PurchasePreference::OnDemand, PurchasePreference::Spot]),
            _ => {}
        }
        if dice.one_in(3) {
            let to = if not_itself {
                Link::Service(other.parse().unwrap())
            } else {
                Link::Internet
            };
            let volume = ["10GiB", "100GiB", "1000GiB"][usize::try_from(dice.roll(3)).unwrap()];
            service.egress = vec![EgressNeed {
                to,
                per_month: volume.parse().unwrap(),
            }];
        }
    }
}
