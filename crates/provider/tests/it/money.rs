//! The bill, to the micro-dollar.

use futures::executor::block_on;
use skyloom_core::{MicroUsd, MicroUsdPerHour, Purchase};
use skyloom_provider::Driver;
use skyloom_provider::sim::{Delay, SimCloud};

use crate::samples::{EPOCH, REGION, STOP, buy, config, immediate, machine, owner, seconds, shop};

fn micros(n: i64) -> MicroUsd {
    MicroUsd::from_micros(n)
}

#[test]
fn a_machine_is_charged_from_running_to_stopping() {
    let cloud = SimCloud::new(config(1).with_machine_start(Delay::exactly(seconds(40))));
    let total = || cloud.bill().total().unwrap();
    let made = block_on(cloud.create(&buy(machine("m"), "t"))).unwrap();
    cloud.advance(seconds(40));
    assert_eq!(total(), micros(0), "pending is free");
    cloud.advance(seconds(90));
    assert_eq!(total(), micros(9000), "0.36 USD/h is 100 micro-dollars per second");
    assert!(cloud.bill().items[0].open);
    block_on(cloud.stop(&made.id, STOP, EPOCH)).unwrap();
    cloud.advance(seconds(1000));
    assert_eq!(total(), micros(9000), "stopped is free");
    block_on(cloud.start(&made.id, EPOCH)).unwrap();
    cloud.advance(seconds(50));
    block_on(cloud.delete(&made.id, STOP, EPOCH)).unwrap();
    cloud.advance(seconds(1000));
    assert_eq!(total(), micros(10_000));
    let items = cloud.bill().items;
    assert_eq!(
        items.iter().map(|item| (item.cost, item.open)).collect::<Vec<_>>(),
        [(micros(9000), false), (micros(1000), false)]
    );
    assert_eq!(cloud.bill().of(&owner()).items.len(), 2);
    assert_eq!(cloud.bill().of(&"stranger".parse().unwrap()).total(), Some(micros(0)));
}

#[test]
fn each_item_is_rounded_once_half_away_from_zero() {
    let cloud = SimCloud::new(immediate(1));
    let mut odd = machine("m");
    odd.price = MicroUsdPerHour::from_micros(1);
    block_on(cloud.create(&buy(odd, "t"))).unwrap();
    cloud.advance(seconds(1799));
    assert_eq!(cloud.bill().total(), Some(micros(0)));
    cloud.advance(seconds(1));
    assert_eq!(cloud.bill().total(), Some(micros(1)));
}

#[test]
fn a_listed_price_is_charged_whatever_the_request_says_and_may_change() {
    let key = || (REGION.parse().unwrap(), "m5.large".parse().unwrap(), Purchase::OnDemand);
    let (region, instance, purchase) = key();
    let config = immediate(1).with_price(region, instance, purchase, "0.72".parse().unwrap());
    let cloud = SimCloud::new(config);
    block_on(cloud.create(&buy(machine("m"), "t"))).unwrap();
    cloud.advance(seconds(10));
    let (region, instance, purchase) = key();
    cloud
        .set_price(region, instance, purchase, "1.08".parse().unwrap())
        .unwrap();
    cloud.advance(seconds(10));
    assert_eq!(cloud.bill().total(), Some(micros(10 * 200 + 10 * 300)));
    let (region, instance, purchase) = key();
    assert!(
        cloud
            .set_price(region, instance, purchase, MicroUsdPerHour::from_micros(-1))
            .is_err()
    );
}

#[test]
fn an_evicted_machine_is_charged_until_it_was_taken() {
    let (cloud, on, _) = shop(immediate(1).with_eviction_notice(seconds(120)));
    let before = cloud.bill().total().unwrap().as_micros();
    cloud.evict(&on.id).unwrap();
    cloud.advance(seconds(1000));
    assert_eq!(cloud.bill().total().unwrap().as_micros() - before, 120 * 100);
}

#[test]
fn the_dearest_machine_for_a_century_can_still_be_held() {
    let cloud = SimCloud::new(immediate(1));
    for n in 0..12 {
        let mut dear = machine(&format!("m{n}"));
        dear.price = MicroUsdPerHour::from_micros(1_000_000_000_000);
        block_on(cloud.create(&buy(dear, &format!("t{n}")))).unwrap();
    }
    cloud.advance(seconds(u64::MAX));
    let bill = cloud.bill();
    assert_eq!(bill.items[0].cost, micros(100 * 365 * 24 * 1_000_000_000_000));
    assert_eq!(
        bill.total(),
        None,
        "twelve of them are beyond what can be held, and the sum says so"
    );
}
