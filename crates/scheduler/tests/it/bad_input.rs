//! Input that no one should send: typed errors, or a reason; never a panic.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::*;
use skyloom_scheduler::policy::BUILTIN;
use skyloom_scheduler::what_if::what_if;
use skyloom_scheduler::{
    Cheapest, PlaceConfig, PlaceError, Quota, QuotaUnit, RebalanceConfig, RebalanceError, RebalanceInput, check,
    check_within, decide, place, rebalance,
};

use crate::world::*;

fn error_of(change: impl Fn(&mut World)) -> PlaceError {
    let mut world = World::new().with(vec![service("web", 1, "1", "1GiB")]);
    change(&mut world);
    let catalogue = world.catalogue();
    let problem = world.problem(&catalogue);
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
    let problem = world.problem(&catalogue);
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
    let problem = world.problem(&catalogue);
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

/// A name, what is wrong with the world, and what must come of it.
type Row = (&'static str, fn(&mut World, &mut PlaceConfig), Expected);

/// What must come of bad input.
enum Expected {
    /// No placement, with an error of this class.
    Refused(Class),
    /// Replicas are left out by this filter, and nothing is placed against a rule.
    LeftOut(Filter),
    /// All is placed all the same.
    Placed,
}

const ROWS: &[Row] = &[
    (
        "a machine without any capacity is no place",
        |w, _| {
            w.snapshot.nodes[0].machine.capacity = Resources::ZERO;
        },
        Expected::Placed,
    ),
    (
        "only machines without capacity",
        |w, _| {
            w.snapshot.nodes[0].machine.capacity = Resources::ZERO;
            w.parts.offers.clear();
        },
        Expected::LeftOut(Filter::Cpu),
    ),
    (
        "larger than any offer",
        |w, _| {
            w.manifest.services[0].resources = Resources::new(Millicores::from_cores(5), Bytes::from_gib(1));
        },
        Expected::LeftOut(Filter::Cpu),
    ),
    (
        "more memory than any offer",
        |w, _| {
            w.manifest.services[0].resources.memory = Bytes::from_gib(17);
        },
        Expected::LeftOut(Filter::Memory),
    ),
    (
        "2^63 of everything",
        |w, _| {
            let most = 1u64 << 63;
            w.manifest.services[0].resources = Resources {
                cpu: Millicores::from_millicores(most),
                memory: Bytes::from_bytes(most),
                disk: Bytes::from_bytes(most),
                gpu: Milligpus::from_milligpus(most),
            };
        },
        Expected::LeftOut(Filter::Cpu),
    ),
    (
        "a GPU and a half",
        |w, _| {
            w.manifest.services[0].resources.gpu = Milligpus::from_milligpus(1500);
            w.snapshot.nodes[0].machine.capacity.gpu = Milligpus::from_milligpus(4000);
        },
        Expected::LeftOut(Filter::Gpu),
    ),
    (
        "a cloud and a region of another cloud",
        |w, _| {
            w.manifest.services[0].clouds.insert("alpha".parse().unwrap());
            w.manifest.services[0].regions.insert("beta/ams".parse().unwrap());
        },
        Expected::LeftOut(Filter::Place),
    ),
    (
        "a law that is allowed and denied",
        |w, _| {
            w.manifest.residency = residency(&["EU"]);
            w.manifest.residency.deny.insert("EU".parse().unwrap());
        },
        Expected::LeftOut(Filter::Residency),
    ),
    (
        "together with and away from the same",
        |w, _| {
            let api: ServiceName = "api".parse().unwrap();
            w.manifest.services[0].affinity = vec![Affinity {
                service: api.clone(),
                within: SpreadOver::Machine,
            }];
            w.manifest.services[0].anti_affinity = vec![api];
        },
        Expected::LeftOut(Filter::AntiAffinity),
    ),
    (
        "spot where none is sold",
        |w, _| {
            w.manifest.services[0].purchase = PurchasePreference::Spot;
        },
        Expected::LeftOut(Filter::Purchase),
    ),
    (
        "an empty catalogue and nothing there",
        |w, _| {
            w.snapshot.nodes.clear();
            w.parts.offers.clear();
            w.parts.regions.clear();
            w.parts.egress.clear();
        },
        Expected::LeftOut(Filter::Place),
    ),
    (
        "a quota of zero everywhere",
        |w, c| {
            w.snapshot.nodes.clear();
            let none = |region: &str| Quota::new(region.parse().unwrap(), QuotaUnit::Vcpus, 0);
            c.quotas = ["alpha/eu-1", "alpha/us-1", "beta/ams"].map(none).to_vec();
        },
        Expected::LeftOut(Filter::Quota),
    ),
    (
        "a quota of a region that nobody knows",
        |_, c| {
            c.quotas = vec![Quota::new("gamma/x".parse().unwrap(), QuotaUnit::Machines, 0)];
        },
        Expected::Placed,
    ),
    (
        "a quota of 2^64 - 1",
        |_, c| {
            let quota = Quota::new("beta/ams".parse().unwrap(), QuotaUnit::Vcpus, u64::MAX);
            c.quotas = vec![quota.clone(), quota];
        },
        Expected::Placed,
    ),
    (
        "two machines of one id",
        |w, _| {
            let twin = w.snapshot.nodes[0].clone();
            w.snapshot.nodes.push(twin);
        },
        Expected::Refused(Class::Conflict),
    ),
    (
        "two services of one name",
        |w, _| {
            let twin = w.manifest.services[0].clone();
            w.manifest.services.push(twin);
        },
        Expected::Refused(Class::Invalid),
    ),
    (
        "a negative price",
        |w, _| {
            w.snapshot.nodes[0].machine.price = MicroUsdPerHour::from_micros(-5);
        },
        Expected::Refused(Class::Invalid),
    ),
    (
        "a budget below zero",
        |w, _| {
            w.manifest.budget = Some(Budget {
                per_month: MicroUsd::from_micros(-1),
                at: None,
            });
        },
        Expected::Refused(Class::Exhausted),
    ),
    (
        "a price at the end of what can be held",
        |w, _| {
            w.snapshot.nodes[0].machine.price = MicroUsdPerHour::MAX;
            w.parts.offers.clear();
        },
        Expected::Refused(Class::Invalid),
    ),
    (
        "no replicas allowed",
        |_, c| {
            c.replicas_max = 0;
        },
        Expected::Refused(Class::Invalid),
    ),
    (
        "no work allowed",
        |_, c| {
            c.work_max = 0;
        },
        Expected::Placed,
    ),
];

#[test]
fn every_policy_answers_every_row_of_the_table() {
    for (name, spoil, expected) in ROWS {
        let mut world = World::new()
            .with(vec![
                service("web", 2, "500m", "512MiB"),
                service("api", 1, "500m", "512MiB"),
            ])
            .with_nodes(vec![node("n-1", "eu-1a")]);
        // Both services are spoilt alike, so that every replica is concerned.
        let mut config = PlaceConfig::new().with_work_max(100_000);
        spoil(&mut world, &mut config);
        let first = world.manifest.services[0].clone();
        if let Some(other) = world.manifest.services.get_mut(1) {
            other.resources = first.resources;
            (other.clouds, other.regions) = (first.clouds.clone(), first.regions.clone());
            other.purchase = first.purchase;
        }
        let catalogue = world.catalogue();
        let problem = world.problem(&catalogue);
        for builtin in BUILTIN {
            let policy = (builtin.new)(1);
            let decided = decide(&problem, policy.as_ref(), &config);
            let whole = what_if(&problem, policy.as_ref(), &config, &[]);
            match (expected, decided) {
                (Expected::Refused(class), Err(error)) => {
                    assert_eq!(error.class(), *class, "{name}: {error}");
                    assert!(whole.map_or(true, |w| w.before.total().is_none()), "{name}");
                }
                (Expected::LeftOut(filter), Ok(decision)) => {
                    let left_out = &decision.placement.unplaced;
                    assert!(left_out.iter().any(|u| u.filter == *filter), "{name}: {left_out:#?}");
                    assert!(left_out.iter().all(|u| !u.reason.is_empty()), "{name}");
                    assert_eq!(
                        check_within(&problem, &config.quotas, &decision.placement),
                        [],
                        "{name}"
                    );
                    assert!(whole.is_ok(), "{name}");
                }
                (Expected::Placed, Ok(decision)) => {
                    assert!(
                        decision.placement.unplaced.is_empty(),
                        "{name}: {:#?}",
                        decision.placement.unplaced
                    );
                    assert_eq!(
                        check_within(&problem, &config.quotas, &decision.placement),
                        [],
                        "{name}"
                    );
                    assert!(whole.is_ok(), "{name}");
                }
                (_, Ok(decision)) => panic!("{name} by {}: {:#?}", builtin.name, decision.placement.unplaced),
                (_, Err(error)) => panic!("{name} by {}: {error}", builtin.name),
            }
        }
    }
}

#[test]
fn ratios_that_are_none_do_not_come_into_being() {
    for bad in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
        assert!(Ratio::new(bad).is_err(), "{bad}");
    }
}
