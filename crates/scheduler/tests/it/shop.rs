//! The shop of the reference manifest on the built-in catalogue.

use std::collections::BTreeSet;

use skyloom_core::*;
use skyloom_scheduler::formulas::{CostBenefit, Mean};
use skyloom_scheduler::policy::BUILTIN;
use skyloom_scheduler::{Cheapest, PlaceConfig, PlaceError, Problem, check, decide, load_report, place, unsatisfied};

use crate::world::{egress, latency, manifest, residency, service, spread};

pub(crate) fn shop() -> Manifest {
    let mut database = service("database", 1, "2", "4GiB");
    database.resources = database.resources.with_disk("20GiB".parse().unwrap());
    database.purchase = PurchasePreference::OnDemand;
    database.data = vec!["orders".parse().unwrap()];
    let mut backend = service("backend", 2, "1", "2GiB");
    backend.latency = vec![latency("database", 20)];
    backend.egress = vec![egress("database", "40GB")];
    backend.spread = vec![spread(SpreadOver::Zone, 1)];
    let mut frontend = service("frontend", 4, "500m", "512MiB");
    frontend.anti_affinity = vec!["frontend".parse().unwrap()];
    frontend.revenue = Some(Revenue {
        per_hour: "10".parse().unwrap(),
    });
    let copy = |region: &str| DataReplica {
        region: region.parse().unwrap(),
        at: None,
    };
    let mut shop = manifest("shop", vec![database, backend, frontend]);
    shop.residency = residency(&["EU"]);
    shop.budget = Some(Budget {
        per_month: "1200".parse().unwrap(),
        at: Some(Location { line: 9, column: 1 }),
    });
    shop.revenue = Some(Revenue {
        per_hour: "12.5".parse().unwrap(),
    });
    shop.data = vec![DataSpec {
        name: "orders".parse().unwrap(),
        at: None,
        class: DataClass::Regulated,
        replicas: vec![copy("aws/eu-central-1"), copy("gcp/europe-west3")],
        sync: None,
        backup: None,
    }];
    shop
}

#[test]
fn the_shop_is_placed_in_the_union_within_its_budget_and_explained() {
    let (manifest, snapshot, catalogue) = (shop(), Snapshot::empty(1, Timestamp::EPOCH), Catalogue::builtin());
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    for builtin in BUILTIN {
        let placement = place(&problem, (builtin.new)(1).as_ref(), &PlaceConfig::new()).unwrap();
        assert_eq!(check(&problem, &placement), [], "{}", builtin.name);
        assert_eq!(
            (placement.assignments.len(), placement.unplaced.len()),
            (7, 0),
            "{}",
            builtin.name
        );
        let zones = placement
            .assignments
            .iter()
            .filter(|a| a.replica.service().as_str() == "backend");
        let zones: BTreeSet<&Site> = zones
            .map(|a| &placement.machines.iter().find(|m| m.id == a.machine).unwrap().site)
            .collect();
        assert_eq!(zones.len(), 2, "{}", builtin.name);
    }
}

#[test]
fn the_cheapest_shop_beats_every_other_policy_and_says_why() {
    let (manifest, snapshot, catalogue) = (shop(), Snapshot::empty(1, Timestamp::EPOCH), Catalogue::builtin());
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let decision = decide(&problem, &Cheapest, &PlaceConfig::new()).unwrap();
    let cheapest = decision.placement;
    for builtin in BUILTIN {
        let other = place(&problem, (builtin.new)(1).as_ref(), &PlaceConfig::new()).unwrap();
        assert!(
            cheapest.cost.total_per_month <= other.cost.total_per_month,
            "{}",
            builtin.name
        );
    }
    for explanation in &cheapest.explanations {
        assert!(explanation.feasible > 10 && !explanation.because.is_empty());
        let runner_up = explanation.runner_up.as_ref().unwrap();
        assert_ne!(runner_up.candidate, explanation.chosen);
        assert!(
            cheapest
                .machines
                .iter()
                .any(|m| Some(&m.id) == explanation.chosen.machine.as_ref())
        );
        assert!(!runner_up.lost_because.is_empty());
    }
    let dearer = |e: &&Explanation| {
        e.runner_up
            .as_ref()
            .is_some_and(|r| r.lost_because.contains("USD more"))
    };
    assert!(
        cheapest.explanations.iter().filter(dearer).count() >= 2,
        "{:#?}",
        cheapest.explanations
    );
    // Every offer is either taken, feasible or rejected with its reason.
    let kinds = catalogue
        .offers()
        .iter()
        .map(|o| usize::from(o.on_demand.is_some()) + usize::from(o.spot.is_some()));
    let database = &cheapest.rejections[&"database".parse::<ServiceName>().unwrap()];
    let rejected_offers = database.iter().filter(|r| r.candidate.machine.is_none()).count();
    assert!(rejected_offers > 100 && rejected_offers < kinds.sum());
    assert!(database.iter().any(|r| r.filter == Filter::Purchase));
    assert!(
        database
            .iter()
            .any(|r| r.filter == Filter::Residency && r.detail.contains("allowed `EU`"))
    );
}

#[test]
fn the_shops_load_and_benefit_are_reported() {
    let (manifest, snapshot, catalogue) = (shop(), Snapshot::empty(1, Timestamp::EPOCH), Catalogue::builtin());
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let placement = place(&problem, &Cheapest, &PlaceConfig::new()).unwrap();
    let report = load_report(&problem, &placement, Mean::Arithmetic).unwrap();
    assert_eq!(report.machines.len(), placement.machines.len());
    assert!(report.machines.iter().all(|m| m.utilisation.get() > 0.0 && !m.measured));
    assert!(matches!(report.ce, Some(CostBenefit::Ratio(ce)) if ce > 0.0 && ce < 1.0));
    assert_eq!(report.services.len(), 1);
    assert!(report.to_string().lines().count() >= report.machines.len() + 3);
}

#[test]
fn a_budget_that_cannot_be_met_names_itself_and_the_least_cost_found() {
    let (mut manifest, snapshot, catalogue) = (shop(), Snapshot::empty(1, Timestamp::EPOCH), Catalogue::builtin());
    manifest.budget = Some(Budget {
        per_month: "5".parse().unwrap(),
        at: Some(Location { line: 9, column: 1 }),
    });
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    for builtin in BUILTIN {
        let error = place(&problem, (builtin.new)(1).as_ref(), &PlaceConfig::new()).unwrap_err();
        assert_eq!(error.class(), Class::Exhausted);
        assert!(
            error
                .to_string()
                .starts_with("meet the budget rule of `test.toml`, line 9:1: asked for `"),
            "{error}"
        );
        assert!(matches!(
            error,
            PlaceError::Unsatisfiable {
                rule: Filter::Budget,
                ..
            }
        ));
    }
}

#[test]
fn a_large_shop_is_placed_in_full_within_its_work_and_says_that_more_might_help() {
    let (mut manifest, snapshot, catalogue) = (shop(), Snapshot::empty(1, Timestamp::EPOCH), Catalogue::builtin());
    manifest.budget = None;
    for service in &mut manifest.services {
        service.replicas = (service.replicas.get() * 8).try_into().unwrap();
    }
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let config = PlaceConfig::new().with_work_max(150_000);
    let decision = decide(&problem, &Cheapest, &config).unwrap();
    assert_eq!(
        (decision.placement.assignments.len(), decision.placement.unplaced.len()),
        (56, 0)
    );
    // What is begun is finished, so that the limit is overstepped by one packing at most.
    assert!(
        decision.work_exhausted && decision.work_done < 2 * config.work_max,
        "{}",
        decision.work_done
    );
    assert_eq!(check(&problem, &decision.placement), []);
    assert_eq!(decide(&problem, &Cheapest, &config).unwrap(), decision);
}

#[test]
fn who_must_be_near_a_service_without_a_place_names_that_service() {
    let mut manifest = shop();
    let database = manifest
        .services
        .iter_mut()
        .find(|service| service.name.as_str() == "database")
        .unwrap();
    database.resources.cpu = Millicores::from_cores(10_000);
    let (snapshot, catalogue) = (Snapshot::empty(0, Timestamp::EPOCH), Catalogue::builtin());
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let placement = place(&problem, &Cheapest, &PlaceConfig::new()).unwrap();
    let left_out = unsatisfied(&placement);
    let of = |name: &str| left_out.iter().find(|entry| entry.service.as_str() == name).unwrap();
    assert_eq!(of("database").rule, Filter::Cpu);
    assert_eq!(of("backend").rule, Filter::Latency);
    assert!(
        of("backend")
            .reason
            .contains("`database`, which it must be near, has no place itself")
    );
}
