//! Each hard rule: what it lets through, what it leaves out, and which rule is named.

use std::time::Duration;

use skyloom_core::*;
use skyloom_scheduler::policy::BUILTIN;
use skyloom_scheduler::{Cheapest, PlaceConfig, PlaceError, Problem, place, unsatisfied};

use crate::world::*;

/// One service of one replica with a rule, and the filter that leaves it without a place; `None`: it is placed.
fn check(change: impl Fn(&mut World), expected: Option<Filter>) {
    let mut world = World::new().with(vec![service("web", 1, "1", "1GiB")]);
    change(&mut world);
    for builtin in BUILTIN {
        let placement = world.place((builtin.new)(1).as_ref());
        let left_out = placement.unplaced.first().map(|u| u.filter);
        assert_eq!(left_out, expected, "{}: {:?}", builtin.name, placement.unplaced);
        if let Some(rule) = expected {
            let entry = &unsatisfied(&placement)[0];
            assert_eq!((entry.rule, entry.service.as_str()), (rule, "web"));
            assert!(placement.unplaced[0].rejected.contains_key(&rule));
        }
    }
}

fn web(world: &mut World) -> &mut ServiceSpec {
    &mut world.manifest.services[0]
}

#[test]
fn places_residency_purchase_and_size_are_hard() {
    check(|_| {}, None);
    check(|w| web(w).clouds = ["beta".parse().unwrap()].into(), None);
    check(
        |w| web(w).clouds = ["gamma".parse().unwrap()].into(),
        Some(Filter::Place),
    );
    check(
        |w| web(w).regions = ["alpha/nowhere".parse().unwrap()].into(),
        Some(Filter::Place),
    );
    check(|w| w.manifest.residency = residency(&["CH"]), Some(Filter::Residency));
    check(|w| web(w).residency = Some(residency(&["CH"])), Some(Filter::Residency));
    check(|w| web(w).purchase = PurchasePreference::Spot, Some(Filter::Purchase));
    check(|w| web(w).resources.cpu = "5".parse().unwrap(), Some(Filter::Cpu));
    check(
        |w| web(w).resources.memory = "17GiB".parse().unwrap(),
        Some(Filter::Memory),
    );
    check(|w| web(w).resources.disk = "2TiB".parse().unwrap(), Some(Filter::Disk));
    check(|w| web(w).resources.gpu = "1".parse().unwrap(), Some(Filter::Gpu));
}

#[test]
fn without_any_option_the_reason_says_so() {
    let world = World::new().with(vec![service("web", 2, "1", "1GiB")]).without_offers();
    let placement = world.place(&Cheapest);
    assert_eq!(placement.unplaced.len(), 2);
    insta::assert_snapshot!(placement.unplaced[0].reason, @"there is no machine and no offer to buy one");
    assert_eq!(unsatisfied(&placement)[0].replicas, 2);
}

#[test]
fn labels_and_taints_are_hard_and_built_in_labels_are_facts() {
    let label = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    check(|w| web(w).labels = label("arch", "x86_64"), None);
    check(|w| web(w).labels = label("arch", "arm64"), Some(Filter::Labels));
    check(|w| web(w).labels = label("zone", "eu-1b"), None);
    check(|w| web(w).labels = label("disk", "ssd"), Some(Filter::Labels));
    let own = |w: &mut World, labels: &[(&str, &str)], taint: Option<&str>| {
        let mut node = node("n-1", "eu-1a");
        node.labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        node.taints = taint
            .iter()
            .map(|k| Taint {
                key: (*k).to_owned(),
                value: "yes".to_owned(),
            })
            .collect();
        *w = w.clone().with_nodes(vec![node]).without_offers();
    };
    check(
        |w| {
            web(w).labels = label("disk", "ssd");
            own(w, &[("disk", "ssd")], None)
        },
        None,
    );
    check(
        |w| {
            web(w).labels = label("zone", "moon");
            own(w, &[("zone", "moon")], None)
        },
        Some(Filter::Labels),
    );
    check(|w| own(w, &[], Some("gpu")), Some(Filter::Taints));
    let tolerate = |value: Option<&str>| Toleration {
        key: "gpu".to_owned(),
        value: value.map(str::to_owned),
    };
    check(
        |w| {
            web(w).tolerations = vec![tolerate(None)];
            own(w, &[], Some("gpu"))
        },
        None,
    );
    check(
        |w| {
            web(w).tolerations = vec![tolerate(Some("no"))];
            own(w, &[], Some("gpu"))
        },
        Some(Filter::Taints),
    );
    check(
        |w| {
            own(w, &[], None);
            w.snapshot.nodes[0].ready = false
        },
        Some(Filter::NotReady),
    );
    check(
        |w| {
            own(w, &[], None);
            w.snapshot.nodes[0].machine.capacity = Resources::ZERO
        },
        Some(Filter::Cpu),
    );
}

#[test]
fn gpu_shares_stay_on_one_device() {
    let gpus = |devices: u64, shares: &[&str]| {
        let mut own = node("n-1", "eu-1a");
        own.machine.capacity.gpu = Milligpus::from_milligpus(devices);
        let services = shares.iter().enumerate().map(|(i, share)| {
            let mut job = service(&format!("job{i}"), 1, "100m", "64MiB");
            job.resources.gpu = share.parse().unwrap();
            job
        });
        let world = World::new()
            .with(services.collect())
            .with_nodes(vec![own])
            .without_offers();
        world.place(&Cheapest).unplaced.len()
    };
    assert_eq!(gpus(2000, &["600m", "600m"]), 0);
    assert_eq!(gpus(2000, &["600m", "600m", "600m"]), 1);
    assert_eq!(gpus(2000, &["1", "500m", "500m"]), 0);
    assert_eq!(gpus(2000, &["2", "100m"]), 1);
    assert_eq!(gpus(4000, &["1500m"]), 1);
}

#[test]
fn latency_binds_both_ends_whichever_is_placed_first() {
    // The database alone would go to the cheaper region over the ocean, where the backend may not be.
    let mut backend = service("backend", 2, "1", "2GiB");
    backend.residency = Some(residency(&["EU"]));
    backend.latency = vec![latency("database", 20)];
    let world = World::new().with(vec![backend, service("database", 1, "2", "4GiB")]);
    for builtin in BUILTIN {
        let placement = world.place((builtin.new)(3).as_ref());
        assert_eq!(placement.unplaced, [], "{}", builtin.name);
        assert_ne!(
            machine_of(&placement, "database/0").site.region.region.as_str(),
            "us-1",
            "{}",
            builtin.name
        );
    }
}

#[test]
fn latency_to_a_data_set_counts_from_its_nearest_copy() {
    let data = |world: &mut World, region: &str| {
        world.manifest.data = vec![DataSpec {
            name: "orders".parse().unwrap(),
            at: None,
            class: DataClass::Internal,
            replicas: vec![DataReplica {
                region: region.parse().unwrap(),
                at: None,
            }],
            sync: None,
            backup: None,
        }];
        let to = Link::Data("orders".parse().unwrap());
        web(world).latency = vec![LatencyLimit {
            to,
            max: Duration::from_millis(5),
            at: None,
        }];
    };
    check(|w| data(w, "alpha/eu-1"), None);
    check(|w| data(w, "alpha/unknown"), Some(Filter::Latency));
    check(
        |w| {
            data(w, "alpha/eu-1");
            web(w).clouds = ["beta".parse().unwrap()].into();
        },
        Some(Filter::Latency),
    );
}

#[test]
fn affinity_brings_together_and_anti_affinity_keeps_apart_in_both_directions() {
    let mut a = service("a", 1, "1", "1GiB");
    let mut b = service("b", 1, "2", "2GiB");
    b.affinity = vec![Affinity {
        service: "a".parse().unwrap(),
        within: SpreadOver::Machine,
    }];
    for builtin in BUILTIN {
        let world = World::new().with(vec![a.clone(), b.clone()]);
        let placement = world.place((builtin.new)(1).as_ref());
        if placement.unplaced.is_empty() {
            assert_eq!(
                machine_of(&placement, "a/0").id,
                machine_of(&placement, "b/0").id,
                "{}",
                builtin.name
            );
        }
    }
    assert_eq!(
        World::new().with(vec![a.clone(), b.clone()]).place(&Cheapest).unplaced,
        []
    );
    b.affinity.clear();
    // Only one of the two names the other; a third party is already there.
    a.anti_affinity = vec!["b".parse().unwrap(), "gone".parse().unwrap()];
    let nodes = vec![node("n-1", "eu-1a"), node("n-2", "eu-1b"), node("n-3", "eu-1c")];
    let mut world = World::new().with(vec![a, b]).with_nodes(nodes).without_offers();
    world.snapshot.replicas = vec![running(
        "gone/0",
        "n-1",
        Resources::new("1".parse().unwrap(), Bytes::from_gib(1)),
    )];
    for builtin in BUILTIN {
        let placement = world.place((builtin.new)(1).as_ref());
        assert_eq!(placement.unplaced, []);
        assert_ne!(
            machine_of(&placement, "a/0").id,
            machine_of(&placement, "b/0").id,
            "{}",
            builtin.name
        );
        assert_ne!(machine_of(&placement, "a/0").id.as_str(), "n-1", "{}", builtin.name);
    }
}

#[test]
fn anti_affinity_with_too_few_machines_leaves_the_rest_out() {
    let mut web = service("web", 3, "100m", "64MiB");
    web.anti_affinity = vec!["web".parse().unwrap()];
    let nodes = vec![node("n-1", "eu-1a"), node("n-2", "eu-1a")];
    let placement = World::new()
        .with(vec![web])
        .with_nodes(nodes)
        .without_offers()
        .place(&Cheapest);
    assert_eq!(placement.assignments.len(), 2);
    assert_eq!(
        (
            placement.unplaced[0].filter,
            placement.unplaced[0].rejected[&Filter::AntiAffinity]
        ),
        (Filter::AntiAffinity, 2)
    );
}

#[test]
fn spread_holds_over_zones_regions_clouds_and_machines() {
    for (over, replicas, most) in [
        (SpreadOver::Zone, 6, 1),
        (SpreadOver::Zone, 8, 2),
        (SpreadOver::Region, 3, 1),
        (SpreadOver::Cloud, 2, 1),
        (SpreadOver::Machine, 4, 1),
    ] {
        let mut web = service("web", replicas, "500m", "512MiB");
        web.spread = vec![spread(over, 1)];
        for builtin in BUILTIN {
            let placement = World::new().with(vec![web.clone()]).place((builtin.new)(1).as_ref());
            assert_eq!(placement.unplaced, [], "{} {over:?}", builtin.name);
            let mut counts = std::collections::BTreeMap::new();
            for assignment in &placement.assignments {
                let machine = machine_of(&placement, &assignment.replica.to_string());
                let domain = match over {
                    SpreadOver::Machine => machine.id.to_string(),
                    SpreadOver::Zone => machine.site.to_string(),
                    SpreadOver::Region => machine.site.region.to_string(),
                    SpreadOver::Cloud => machine.site.region.cloud.to_string(),
                };
                *counts.entry(domain).or_insert(0) += 1;
            }
            assert_eq!(
                counts.values().max(),
                Some(&most),
                "{} {over:?} {counts:?}",
                builtin.name
            );
        }
    }
}

#[test]
fn one_eligible_zone_satisfies_a_spread() {
    let mut web = service("web", 3, "500m", "512MiB");
    web.spread = vec![spread(SpreadOver::Zone, 1)];
    web.regions.insert("beta/ams".parse().unwrap());
    assert_eq!(World::new().with(vec![web]).place(&Cheapest).unplaced, []);
}

#[test]
fn rules_that_contradict_each_other_leave_out_with_a_reason() {
    let mut a = service("a", 1, "1", "1GiB");
    a.affinity = vec![Affinity {
        service: "b".parse().unwrap(),
        within: SpreadOver::Machine,
    }];
    a.anti_affinity = vec!["b".parse().unwrap()];
    for builtin in BUILTIN {
        let world = World::new().with(vec![a.clone(), service("b", 1, "1", "1GiB")]);
        let placement = world.place((builtin.new)(1).as_ref());
        assert!(!placement.unplaced.is_empty(), "{}", builtin.name);
        assert!(
            matches!(placement.unplaced[0].filter, Filter::Affinity | Filter::AntiAffinity),
            "{placement:?}"
        );
    }
}

#[test]
fn a_budget_is_met_even_by_policies_that_would_rather_spend() {
    let mut world = World::new().with(vec![service("web", 6, "500m", "512MiB")]);
    let least = world.place(&Cheapest).cost.total_per_month;
    world.manifest.budget = Some(Budget {
        per_month: least,
        at: None,
    });
    for builtin in BUILTIN {
        let placement = world.place((builtin.new)(1).as_ref());
        assert_eq!(
            (placement.unplaced.len(), placement.cost.total_per_month),
            (0, least),
            "{}",
            builtin.name
        );
    }
}

#[test]
fn a_data_set_outside_the_residency_is_refused_at_its_line() {
    let mut world = World::new();
    world.manifest.residency = residency(&["EU"]);
    world.manifest.data = vec![DataSpec {
        name: "orders".parse().unwrap(),
        at: None,
        class: DataClass::Regulated,
        replicas: vec![DataReplica {
            region: "alpha/us-1".parse().unwrap(),
            at: Some(Location { line: 42, column: 3 }),
        }],
        sync: None,
        backup: None,
    }];
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    let error = place(&problem, &Cheapest, &PlaceConfig::new()).unwrap_err();
    insta::assert_snapshot!(error, @"meet the residency rule of `test.toml`, line 42:3: asked for `alpha/us-1`, allowed is `EU`");
    assert!(matches!(
        error,
        PlaceError::Unsatisfiable {
            rule: Filter::Residency,
            ..
        }
    ));
}
