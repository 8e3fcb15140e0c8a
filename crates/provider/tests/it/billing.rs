//! What is charged besides running time: the minimum of each start, what is stopped and kept, bytes that leave a region.
//! The property recomputes the bill from the event log and the price list, and shares no code with the cloud's meters.

use std::collections::BTreeMap;

use futures::executor::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use skyloom_core::{Bytes, MicroUsd, MicroUsdPerHour, Purchase, ResourceId, Site, Timestamp};
use skyloom_provider::sim::{Charge, Destination, Fate, SimCloud, SimConfig, SimEvent, SimEventKind, SimProgram};
use skyloom_provider::{Driver, Kind, PerMille};

use crate::samples::{EPOCH, REGION, STOP, buy, immediate, machine, place_program, seconds};

const MINIMUM: u64 = 60;
const STOPPED_SHARE: i64 = 250;
const PER_GIB: i64 = 20_000;
const TO_INTERNET: i64 = 90_000;
const PER_SECOND: u64 = 3 << 20;

fn abroad() -> Destination {
    Destination::Region("aws/eu-west-1".parse().unwrap())
}

fn priced(seed: u64) -> SimConfig {
    let home = REGION.parse().unwrap();
    immediate(seed)
        .with_minimum_charge(seconds(MINIMUM))
        .with_stopped_share(PerMille::new(u16::try_from(STOPPED_SHARE).unwrap()))
        .with_egress_price(MicroUsd::from_micros(PER_GIB))
        .with_egress_price_to(home, Destination::Internet, MicroUsd::from_micros(TO_INTERNET))
        .with_program(
            "sender",
            SimProgram::service().sending(abroad(), Bytes::from_bytes(PER_SECOND)),
        )
}

fn charges(cloud: &SimCloud) -> Vec<(Charge, i64)> {
    let items = cloud.bill().items;
    items.iter().map(|item| (item.charge, item.cost.as_micros())).collect()
}

#[test]
fn each_start_costs_a_minute_at_least_and_what_is_stopped_its_share() {
    let cloud = SimCloud::new(priced(1));
    let made = block_on(cloud.create(&buy(machine("m"), "t"))).unwrap();
    cloud.advance(seconds(10));
    assert_eq!(
        charges(&cloud),
        [(Charge::Running, 1000)],
        "0.36 USD/h is 100 micro-dollars per second"
    );
    block_on(cloud.stop(&made.id, STOP, EPOCH)).unwrap();
    assert_eq!(charges(&cloud), [(Charge::Running, 1000), (Charge::Minimum, 5000)]);
    cloud.advance(seconds(100));
    block_on(cloud.start(&made.id, EPOCH)).unwrap();
    cloud.advance(seconds(70));
    block_on(cloud.delete(&made.id, STOP, EPOCH)).unwrap();
    assert_eq!(
        charges(&cloud),
        [
            (Charge::Running, 1000),
            (Charge::Minimum, 5000),
            (Charge::Stopped, 2500),
            (Charge::Running, 7000)
        ]
    );
    assert_eq!(
        SimCloud::new(SimConfig::new(1, Timestamp::EPOCH)).bill().total(),
        Some(MicroUsd::ZERO)
    );
}

#[test]
fn bytes_are_charged_by_where_they_go_and_are_free_at_home() {
    let cloud = SimCloud::new(priced(1));
    let on = block_on(cloud.create(&buy(machine("m"), "t"))).unwrap();
    let web = block_on(cloud.create(&place_program("web/0", "m", &on.id, "t-web", "serve"))).unwrap();
    let sent = [
        (Destination::Region(REGION.parse().unwrap()), 7, None),
        (abroad(), 10, Some(10 * PER_GIB)),
        (Destination::Internet, 2, Some(2 * TO_INTERNET)),
    ];
    for (to, gib, _) in &sent {
        cloud.send(&web.id, to.clone(), Bytes::from_gib(*gib)).unwrap();
    }
    let expected = |bill: &skyloom_provider::sim::Bill| {
        let costs: Vec<_> = bill
            .egress
            .iter()
            .map(|item| (item.to.clone(), Some(item.cost.as_micros())))
            .collect();
        let wanted: Vec<_> = sent
            .iter()
            .filter(|s| s.2.is_some())
            .map(|s| (s.0.clone(), s.2))
            .collect();
        assert_eq!(costs, wanted);
    };
    expected(&cloud.bill());
    block_on(cloud.delete(&web.id, STOP, EPOCH)).unwrap();
    expected(&cloud.bill());
}

type Step = (u8, u8);

/// Names of what is there, and one of them by a number.
fn pick(cloud: &SimCloud, kind: Kind, n: u8) -> Option<ResourceId> {
    let things = cloud.oracle().into_iter().map(|thing| thing.resource);
    let ids: Vec<_> = things.filter(|r| r.kind == kind).map(|r| r.id).collect();
    ids.get(usize::from(n) % ids.len().max(1)).cloned()
}

fn home() -> Site {
    Site {
        region: REGION.parse().unwrap(),
        zone: None,
    }
}

/// Whatever is refused is refused: the log says what happened.
fn step(cloud: &SimCloud, number: usize, (what, n): Step) {
    let (machine_there, replica_there) = (pick(cloud, Kind::Machine, n), pick(cloud, Kind::Replica, n));
    match what {
        0..=2 => drop(block_on(
            cloud.create(&buy(machine(&format!("m{number}")), &format!("t{number}"))),
        )),
        3..=5 => {
            let things = cloud.oracle();
            let on = machine_there.and_then(|id| things.into_iter().find(|thing| thing.resource.id == id));
            if let Some(on) = on {
                let program = if n % 2 == 0 { "sender" } else { "serve" };
                let name = format!("web/{number}");
                let token = format!("t{number}");
                let request = place_program(&name, &on.resource.name, &on.resource.id, &token, program);
                drop(block_on(cloud.create(&request)));
            }
        }
        6 | 7 => drop(machine_there.map(|id| block_on(cloud.stop(&id, STOP, EPOCH)))),
        8 | 9 => drop(machine_there.map(|id| block_on(cloud.start(&id, EPOCH)))),
        10 => drop(machine_there.map(|id| block_on(cloud.delete(&id, STOP, EPOCH)))),
        11 => drop(replica_there.map(|id| block_on(cloud.stop(&id, STOP, EPOCH)))),
        12 => drop(replica_there.map(|id| block_on(cloud.start(&id, EPOCH)))),
        13 => drop(replica_there.map(|id| block_on(cloud.delete(&id, STOP, EPOCH)))),
        14 => drop(machine_there.map(|id| cloud.vanish(&id))),
        15 => drop(machine_there.map(|id| cloud.stop_by_hand(&id))),
        16 => drop(replica_there.map(|id| cloud.send(&id, Destination::Internet, Bytes::from_mib(u32::from(n))))),
        17 => {
            let price = MicroUsdPerHour::from_micros(i64::from(n) * 7919);
            cloud
                .set_price(home().region, "m5.large".parse().unwrap(), Purchase::OnDemand, price)
                .unwrap();
        }
        18 => {
            let fates = [Fate::RunsOn, Fate::Restarts, Fate::Gone];
            cloud.begin_outage(home(), fates[usize::from(n) % 3]);
        }
        19 => cloud.end_outage(&home()),
        _ => cloud.advance(seconds(u64::from(n))),
    }
}

/// A machine as the log tells of it.
#[derive(Default)]
struct Meter {
    price: i64,
    /// What is charged, and since when.
    charged: Option<(bool, i64)>,
    runs_since: Option<i64>,
}

fn rounded(price: i64, from: i64, to: i64) -> i128 {
    // Half up: floor(x + 1/2) with x = price x hours.
    (2 * i128::from(price) * i128::from(to - from) + 3_600_000_000).div_euclid(2 * 3_600_000_000)
}

impl Meter {
    /// Charges until now what was charged.
    fn close(&mut self, now: i64) -> i128 {
        let Some((stopped, from)) = self.charged.take() else {
            return 0;
        };
        let price = if stopped {
            self.price * STOPPED_SHARE / 1000
        } else {
            self.price
        };
        rounded(price, from, now)
    }

    fn ends(&mut self, now: i64) -> i128 {
        let minimum = i64::try_from(MINIMUM).unwrap() * 1_000_000;
        let rest = self
            .runs_since
            .take()
            .map(|from| from + minimum)
            .filter(|least| *least > now);
        self.close(now) + rest.map_or(0, |least| rounded(self.price, now, least))
    }
}

fn machines_from_events(events: &[SimEvent], until: i64) -> i128 {
    let mut meters: BTreeMap<&ResourceId, Meter> = BTreeMap::new();
    let mut total = 0;
    for event in events {
        let now = event.at.as_micros();
        match &event.what {
            SimEventKind::Created {
                id, price: Some(price), ..
            } => {
                meters.entry(id).or_default().price = price.as_micros();
            }
            SimEventKind::Running { id } => {
                if let Some(meter) = meters.get_mut(id) {
                    total += meter.close(now);
                    (meter.charged, meter.runs_since) = (Some((false, now)), Some(now));
                }
            }
            SimEventKind::Stopped { id } => {
                if let Some(meter) = meters.get_mut(id) {
                    total += meter.ends(now);
                    meter.charged = Some((true, now));
                }
            }
            SimEventKind::Evicted { id } | SimEventKind::Deleted { id } => {
                total += meters.get_mut(id).map_or(0, |meter| meter.ends(now));
            }
            SimEventKind::Repriced { id, price } => {
                if let Some(meter) = meters.get_mut(id) {
                    let charged = meter.charged;
                    total += meter.close(now);
                    meter.charged = charged.map(|(stopped, _)| (stopped, now));
                    meter.price = price.as_micros();
                }
            }
            _ => {}
        }
    }
    total + meters.values_mut().map(|meter| meter.close(until)).sum::<i128>()
}

fn egress_from_events(events: &[SimEvent], senders: &[ResourceId], until: i64) -> i128 {
    let mut since: BTreeMap<&ResourceId, i64> = BTreeMap::new();
    let mut ran: BTreeMap<&ResourceId, i64> = BTreeMap::new();
    let mut sent: BTreeMap<&ResourceId, i128> = BTreeMap::new();
    for event in events {
        let now = event.at.as_micros();
        match &event.what {
            SimEventKind::Running { id } if senders.contains(id) => drop(since.insert(id, now)),
            SimEventKind::Stopped { id }
            | SimEventKind::Exited { id, .. }
            | SimEventKind::Evicted { id }
            | SimEventKind::Deleted { id } => {
                if let Some(from) = since.remove(id) {
                    *ran.entry(id).or_default() += now - from;
                }
            }
            SimEventKind::Sent { id, bytes, .. } => *sent.entry(id).or_default() += i128::from(bytes.as_bytes()),
            _ => {}
        }
    }
    for (id, from) in since {
        *ran.entry(id).or_default() += until - from;
    }
    let cost = |bytes: i128, per_gib: i64| (bytes * i128::from(per_gib) + (1 << 29)).div_euclid(1 << 30);
    let flown = ran
        .values()
        .map(|micros| i128::from(PER_SECOND) * i128::from(*micros) / 1_000_000);
    flown.map(|bytes| cost(bytes, PER_GIB)).sum::<i128>() + sent.values().map(|b| cost(*b, TO_INTERNET)).sum::<i128>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The bill is the integral over the event log, to the micro-dollar, whatever happens to what is charged.
    #[test]
    fn the_whole_bill_follows_from_the_log(seed in any::<u64>(), steps in vec((0u8..26, any::<u8>()), 1..80)) {
        let cloud = SimCloud::new(priced(seed));
        let mut senders = Vec::new();
        for (number, next) in steps.iter().enumerate() {
            let before = cloud.oracle().len();
            step(&cloud, number, *next);
            if (3..=5).contains(&next.0) && next.1 % 2 == 0 && cloud.oracle().len() > before {
                let name = format!("web/{number}");
                let made = cloud.oracle().into_iter().find(|thing| thing.resource.name == name);
                senders.extend(made.map(|thing| thing.resource.id));
            }
        }
        let (events, now) = (cloud.events(), cloud.now().as_micros());
        let expected = machines_from_events(&events, now) + egress_from_events(&events, &senders, now);
        let bill = cloud.bill();
        prop_assert_eq!(i128::from(bill.total().unwrap().as_micros()), expected, "{:#?}", bill);
    }
}
