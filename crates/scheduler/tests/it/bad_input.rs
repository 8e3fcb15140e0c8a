//! Input that no one should send: typed errors, or a reason; never a panic.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::*;
use skyloom_scheduler::policy::BUILTIN;
use skyloom_scheduler::{
    Cheapest, PlaceConfig, PlaceError, Problem, RebalanceConfig, RebalanceError, RebalanceInput, check, place,
    rebalance,
};

use crate::world::*;

fn error_of(change: impl Fn(&mut World)) -> PlaceError {
    let mut world = World::new().with(vec![service("web", 1, "1", "1GiB")]);
    change(&mut world);
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    place(&problem, &Cheapest, &PlaceConfig::new()).unwrap_err()
}

#[test]
fn contradictions_are_typed_errors_with_what_is_wrong() {
    let text = |change: &dyn Fn(&mut World)| error_of(change).to_string();
    insta::assert_snapshot!(text(&|w| w.manifest.services.push(service("web", 1, "1", "1GiB"))), @"tell two services named `web` apart");
    insta::assert_snapshot!(text(&|w| w.snapshot.nodes = vec![node("n-1", "eu-1a"), node("n-1", "eu-1b")]), @"tell two machines `n-1` apart");
    insta::assert_snapshot!(text(&|w| w.manifest.services[0].latency = vec![latency("nobody", 5)]), @"find `nobody`, which a latency limit of service `web` names");
    insta::assert_snapshot!(text(&|w| w.manifest.services[0].egress = vec![egress("nobody", "1GB")]), @"find `nobody`, which an egress of service `web` names");
    insta::assert_snapshot!(text(&|w| w.manifest.services[0].latency = vec![LatencyLimit { to: Link::Internet, max: Duration::ZERO, at: None }]), @"measure the latency from service `web` to the internet: it is not a place");
    insta::assert_snapshot!(text(&|w| w.manifest.services[0].replicas = u32::MAX.try_into().unwrap()), @"place `4294967295` replicas: at most `10000` are accepted at once");
    let negative = |w: &mut World| {
        w.snapshot.nodes = vec![node("n-1", "eu-1a")];
        w.snapshot.nodes[0].machine.price = MicroUsdPerHour::from_micros(-1);
    };
    insta::assert_snapshot!(text(&negative), @"accept a price below zero for `n-1`");
}

#[test]
fn sums_of_money_beyond_what_can_be_held_are_refused() {
    let error = error_of(|w| {
        *w = w.clone().with_nodes(vec![node("n-1", "eu-1a")]).without_offers();
        w.snapshot.nodes[0].machine.price = MicroUsdPerHour::MAX;
    });
    assert_eq!(
        (error.class(), error.to_string().as_str()),
        (
            Class::Invalid,
            "hold the price of all machines per month: it is beyond what an amount of money can be",
        )
    );
}

#[test]
fn quantities_at_the_edge_of_their_type_are_left_out_with_a_reason() {
    for amount in [1u64 << 63, u64::MAX] {
        let mut huge = service("huge", 3, "1", "1GiB");
        huge.resources = Resources {
            cpu: Millicores::from_millicores(amount),
            memory: Bytes::from_bytes(amount),
            disk: Bytes::from_bytes(amount),
            gpu: Milligpus::from_milligpus(amount),
        };
        huge.egress = vec![EgressNeed {
            to: Link::Internet,
            per_month: Bytes::from_bytes(amount),
        }];
        let mut own = node("n-1", "eu-1a");
        own.machine.capacity.memory = Bytes::MAX;
        let world = World::new().with(vec![huge.clone()]).with_nodes(vec![own.clone()]);
        for builtin in BUILTIN {
            let placement = world.place((builtin.new)(1).as_ref());
            assert_eq!(
                (placement.unplaced.len(), placement.unplaced[0].filter),
                (3, Filter::Cpu)
            );
        }
        // One fits a machine as large as it; two would overflow the sum.
        own.machine.capacity = Resources {
            gpu: Milligpus::from_milligpus(u64::MAX / 1000 * 1000),
            ..huge.resources
        };
        huge.resources.gpu = Milligpus::ZERO;
        huge.egress.clear();
        let world = World::new().with(vec![huge]).with_nodes(vec![own]).without_offers();
        for builtin in BUILTIN {
            assert_eq!(world.place((builtin.new)(1).as_ref()).unplaced.len(), 2);
        }
    }
}

#[test]
fn a_machine_that_is_over_full_takes_nothing_more() {
    let mut world = World::new()
        .with(vec![service("web", 1, "1", "1GiB")])
        .with_nodes(vec![node("n-1", "eu-1a")])
        .without_offers();
    let huge = Resources::new(Millicores::MAX, Bytes::MAX);
    world.snapshot.replicas = vec![running("gone/0", "n-1", huge), running("gone/1", "n-1", huge)];
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    let placement = place(&problem, &Cheapest, &PlaceConfig::new()).unwrap();
    assert_eq!(
        (placement.assignments.len(), placement.unplaced[0].filter),
        (0, Filter::Cpu)
    );
    assert_eq!(check(&problem, &placement), []);
}

#[test]
fn a_replica_seen_twice_keeps_its_first_place() {
    let mut world = World::new()
        .with(vec![service("web", 1, "1", "1GiB")])
        .with_nodes(vec![node("n-1", "eu-1a"), node("n-2", "eu-1b")]);
    let request = world.manifest.services[0].resources;
    world.snapshot.replicas = vec![running("web/0", "n-2", request), running("web/0", "n-1", request)];
    let placement = world.place(&Cheapest);
    assert_eq!(lines(&placement), "web/0 -> n-1 alpha/eu-1:eu-1a own");
}

#[test]
fn an_empty_manifest_gives_an_empty_placement() {
    for builtin in BUILTIN {
        let placement = World::new().place((builtin.new)(1).as_ref());
        assert!(placement.machines.is_empty() && placement.cost == CostSummary::default());
    }
}

#[test]
fn numbers_that_are_none_do_not_pass_into_a_rebalance() {
    let world = World::new();
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    let input = RebalanceInput {
        problem,
        usage: &BTreeMap::new(),
        last_moved: None,
    };
    let config = |cost: i64, value: i64| {
        let (cost, value) = (MicroUsd::from_micros(cost), MicroUsdPerHour::from_micros(value));
        RebalanceConfig::new(1, Duration::from_secs(3600), cost, value)
    };
    for ce_max in [f64::NAN, f64::INFINITY, -1.0] {
        let error = rebalance(&input, &config(0, 0).with_ce_max(ce_max)).unwrap_err();
        assert!(matches!(error, RebalanceError::NotANumber { .. }));
        assert_eq!(error.class(), Class::Invalid);
    }
    assert!(matches!(
        rebalance(&input, &config(-1, 0)),
        Err(RebalanceError::NotANumber { .. })
    ));
    assert!(matches!(
        rebalance(&input, &config(0, -1)),
        Err(RebalanceError::NotANumber { .. })
    ));
}
