//! What holds whatever goes wrong.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use futures::executor::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use skyloom_core::{MicroUsdPerHour, Purchase, ResourceId, Resources, Timestamp};
use skyloom_provider::sim::{SimCloud, SimConfig, SimEvent, SimEventKind, SimFaults, SimProgram};
use skyloom_provider::{Driver, Epoch, FaultRates, Kind, PerMille, RateLimit, ResourceState};

use crate::samples::{REGION, STOP, buy, config, machine, owner, place_program, seconds};

type Step = (u8, u8, u8);

/// A cloud in which everything goes wrong often.
fn hostile(seed: u64) -> SimConfig {
    let rare = PerMille::new(80);
    let calls = FaultRates::none()
        .with_lost_requests(rare)
        .with_lost_replies(PerMille::new(150))
        .with_repeats(PerMille::new(200));
    let faults = SimFaults::none()
        .with_calls(calls)
        .with_no_capacity(rare)
        .with_failed_starts(rare)
        .with_evictions_per_hour(PerMille::new(500));
    let number = |n| NonZeroU32::new(n).unwrap();
    config(seed)
        .with_faults(faults)
        .with_machine_quota(4)
        .with_vcpu_quota(REGION.parse().unwrap(), 7)
        .with_rate_limit(RateLimit::new(number(5), number(40)))
        .with_program("job", SimProgram::job(seconds(90), 0))
        .with_clock_skew_micros(1_234_567)
}

fn step(cloud: &SimCloud, (what, a, b): Step) {
    let things = cloud.oracle();
    let chosen = things
        .get(usize::from(a) % things.len().max(1))
        .map(|thing| thing.resource.clone());
    let epoch = Epoch(u64::from(b > 16));
    let (id, name) = chosen.map_or_else(
        || ("unknown".parse().unwrap(), "none".to_owned()),
        |thing| (thing.id, thing.name),
    );
    // A caller does not know what became of its call, so no answer is looked at here.
    match what {
        0..=3 => {
            let mut machine = machine(&format!("m{}", a % 8));
            machine.purchase = if a % 2 == 0 { Purchase::Spot } else { Purchase::OnDemand };
            machine.price = MicroUsdPerHour::from_micros(i64::from(b) * 7919 + 1);
            drop(block_on(cloud.create(&buy(machine, &format!("t{}", b % 64)))));
        }
        4..=8 if !name.contains('/') => {
            let program = if b % 3 == 0 { "job" } else { "serve" };
            let request = place_program(&format!("web/{}", b % 32), &name, &id, &format!("t{}", b % 64), program);
            drop(block_on(cloud.create(&request)));
        }
        9 => drop(block_on(cloud.delete(&id, STOP, epoch))),
        10 => drop(block_on(cloud.stop(&id, STOP, epoch))),
        11 => drop(block_on(cloud.start(&id, epoch))),
        12 => drop(cloud.crash(&id)),
        13 => cloud.set_outage(REGION.parse().unwrap(), b % 4 == 0),
        14 => {
            let price = MicroUsdPerHour::from_micros(i64::from(b) * 104_729);
            cloud
                .set_price(
                    REGION.parse().unwrap(),
                    "m5.large".parse().unwrap(),
                    Purchase::Spot,
                    price,
                )
                .unwrap();
        }
        15 => drop((
            block_on(cloud.usage(&id)),
            block_on(cloud.logs(&id, 5)),
            block_on(cloud.list(&owner())),
        )),
        _ => cloud.advance(seconds(u64::from(a) * u64::from(b) / 16)),
    }
}

/// What runs never exceeds what there is, and no token has two things.
fn bounds_hold(cloud: &SimCloud) {
    let things = cloud.oracle();
    let mut tokens: Vec<_> = things.iter().map(|thing| thing.resource.token.clone()).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), things.len(), "two live things have one token");
    let live = |state: &ResourceState| matches!(state, ResourceState::Pending | ResourceState::Running);
    let machines = things.iter().filter(|thing| thing.resource.kind == Kind::Machine);
    assert!(
        machines.clone().filter(|thing| live(&thing.resource.state)).count() <= 3,
        "seven CPUs are three machines"
    );
    for machine in machines {
        let on_it = things
            .iter()
            .filter(|thing| thing.machine.as_ref() == Some(&machine.resource.id));
        let running = on_it.filter(|thing| live(&thing.resource.state));
        let sum = running
            .clone()
            .fold(Resources::ZERO, |sum, thing| sum.checked_add(&thing.resources).unwrap());
        assert!(sum.fits_in(&machine.resources));
        assert!(
            live(&machine.resource.state) || running.count() == 0,
            "a replica runs on a machine that does not"
        );
    }
}

/// The bill from the event log alone: it shares no code with the cloud's meters.
fn bill_from_events(events: &[SimEvent], until: Timestamp) -> i128 {
    let mut prices: BTreeMap<&ResourceId, i64> = BTreeMap::new();
    let mut since: BTreeMap<&ResourceId, Timestamp> = BTreeMap::new();
    let mut total = 0;
    let cost = |price: i64, from: Timestamp, to: Timestamp| {
        let micros = i128::from(to.as_micros()) - i128::from(from.as_micros());
        // Rounded half up: floor(x + 1/2) with x = price x hours.
        (2 * i128::from(price) * micros + 3_600_000_000).div_euclid(2 * 3_600_000_000)
    };
    for event in events {
        let (id, goes_on) = match &event.what {
            SimEventKind::Created {
                id, price: Some(price), ..
            } => {
                prices.insert(id, price.as_micros());
                continue;
            }
            SimEventKind::Running { id } if prices.contains_key(id) => {
                since.insert(id, event.at);
                continue;
            }
            SimEventKind::Repriced { id, .. } => (id, true),
            SimEventKind::Stopped { id } | SimEventKind::Evicted { id } | SimEventKind::Deleted { id } => (id, false),
            _ => continue,
        };
        if let Some(from) = since.remove(id) {
            total += cost(prices[id], from, event.at);
            if goes_on {
                since.insert(id, event.at);
            }
        }
        if let SimEventKind::Repriced { price, .. } = &event.what {
            prices.insert(id, price.as_micros());
        }
    }
    total
        + since
            .iter()
            .map(|(id, from)| cost(prices[id], *from, until))
            .sum::<i128>()
}

fn play(seed: u64, steps: &[Step], look: impl Fn(&SimCloud)) -> SimCloud {
    let cloud = SimCloud::new(hostile(seed));
    for next in steps {
        step(&cloud, *next);
        look(&cloud);
    }
    cloud
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec((0u8..20, any::<u8>(), any::<u8>()), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// At most one live thing per token, no quota and no machine overdrawn, no replica on a machine that is gone.
    #[test]
    fn bounds_hold_whatever_goes_wrong(seed in any::<u64>(), steps in steps()) {
        play(seed, &steps, bounds_hold);
    }

    /// The bill is the sum over all intervals of price x time, to the micro-dollar.
    #[test]
    fn the_bill_is_what_the_events_say(seed in any::<u64>(), steps in steps()) {
        let cloud = play(seed, &steps, |_| ());
        let total = cloud.bill().total().unwrap();
        prop_assert_eq!(i128::from(total.as_micros()), bill_from_events(&cloud.events(), cloud.now()));
    }

    /// The same seed and the same calls give the same events, byte for byte, and they survive a round trip.
    #[test]
    fn the_same_seed_gives_the_same_bytes(seed in any::<u64>(), steps in steps()) {
        let log = || serde_json::to_vec(&play(seed, &steps, |_| ()).events()).unwrap();
        let bytes = log();
        prop_assert_eq!(&bytes, &log());
        let read: Vec<SimEvent> = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(serde_json::to_vec(&read).unwrap(), bytes);
    }

    /// Every change of the clock goes forward, and events are in order of time.
    #[test]
    fn time_goes_forward(seed in any::<u64>(), steps in steps()) {
        let cloud = play(seed, &steps, |_| ());
        let events = cloud.events();
        prop_assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at));
        prop_assert!(events.iter().all(|event| event.at <= cloud.now()));
    }
}

/// SplitMix64's output function (Steele, Lea and Flood, OOPSLA 2014).
fn mixed(n: u64) -> u64 {
    let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The properties above say something only if the hostile cloud does all that it can.
#[test]
fn the_hostile_cloud_is_hostile() {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..40 {
        let steps: Vec<Step> = (0..200)
            .map(|n| {
                let [a, b, c, ..] = mixed(seed * 1000 + n).to_be_bytes();
                (a % 20, b, c)
            })
            .collect();
        for event in play(seed, &steps, |_| ()).events() {
            let name = serde_json::to_value(&event.what).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned();
            *seen.entry(name).or_default() += 1;
        }
    }
    let kinds = [
        "called",
        "refused",
        "reply-lost",
        "redelivered",
        "created",
        "running",
        "stopped",
        "starting",
    ];
    let more = ["exited", "eviction-noticed", "evicted", "deleted", "repriced", "outage"];
    for kind in kinds.iter().chain(&more) {
        assert!(seen.get(*kind).is_some_and(|n| *n > 20), "{kind}: {seen:?}");
    }
}
