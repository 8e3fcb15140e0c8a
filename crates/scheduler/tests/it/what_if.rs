//! Suppositions: what follows from them, and that they touch nothing.

use skyloom_core::*;
use skyloom_scheduler::what_if::*;
use skyloom_scheduler::{Cheapest, PlaceConfig, Problem, Quota, QuotaUnit, check_within};

use crate::shop::shop;
use crate::world::{World, residency, service, spread};

fn asked(world: &World, changes: &[Change]) -> Result<Consequences, WhatIfError> {
    let catalogue = world.catalogue();
    let problem = world.problem(&catalogue);
    let before = world.clone();
    let answer = what_if(&problem, &Cheapest, &PlaceConfig::new(), changes);
    assert_eq!((&before.manifest, &before.snapshot), (&world.manifest, &world.snapshot));
    assert_eq!(before.catalogue(), catalogue, "nothing of the caller's is touched");
    answer
}

fn plan(outcome: &Outcome) -> &PlanAfter {
    match outcome {
        Outcome::Plan(plan) => plan,
        Outcome::Unsatisfiable { reason, .. } => unreachable!("{reason}"),
    }
}

fn changes(json: &str) -> Vec<Change> {
    serde_json::from_str(json).unwrap()
}

/// Two services in the Union, the cheaper place being `beta/ams`.
fn pair() -> World {
    let mut world = World::new().with(vec![
        service("api", 3, "1", "1GiB"),
        service("web", 2, "500m", "512MiB"),
    ]);
    world.manifest.residency = residency(&["EU"]);
    world
}

#[test]
fn nothing_supposed_changes_nothing() {
    let answer = asked(&pair(), &[]).unwrap();
    assert_eq!(answer.cost_delta, Some(MicroUsd::ZERO));
    for outcome in [&answer.least_cost, &answer.least_moves] {
        let plan = plan(outcome);
        assert!(
            plan.moves.is_empty() && plan.bought.is_empty() && plan.given_back.is_empty(),
            "{answer}"
        );
    }
}

#[test]
fn a_region_that_is_gone_takes_machines_replicas_offers_and_copies_with_it() {
    let mut world = pair();
    world.manifest.data = vec![DataSpec {
        name: "orders".parse().unwrap(),
        at: None,
        class: DataClass::Regulated,
        replicas: ["beta/ams", "alpha/eu-1"]
            .map(|r| DataReplica {
                region: r.parse().unwrap(),
                at: None,
            })
            .to_vec(),
        sync: None,
        backup: None,
    }];
    let answer = asked(&world, &changes(r#"[{"outage": {"cloud": "beta", "region": "ams"}}]"#)).unwrap();
    let plan = plan(&answer.least_cost);
    assert_eq!(plan.moves.len(), 5, "everything ran there: {answer}");
    assert!(
        plan.decision
            .placement
            .machines
            .iter()
            .all(|m| m.site.region.cloud.as_str() == "alpha")
    );
    assert!(plan.given_back.iter().all(|m| m.site.region.cloud.as_str() == "beta"));
    assert_eq!(answer.lost_copies.len(), 1);
    assert_eq!(answer.lost_copies[0].left, 1);
    assert!(answer.cost_delta.unwrap() > MicroUsd::ZERO);
    let text = answer.to_string();
    for part in [
        "suppose beta/ams is gone",
        "more than today",
        "5 moves",
        "loses its copy",
        "machines to buy",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_price_moves_only_what_pays_and_staying_has_its_price() {
    let world = pair();
    let dearer = asked(
        &world,
        &[Change::Price {
            offers: "beta".parse().unwrap(),
            to: PriceChange::Factor(1.5),
        }],
    )
    .unwrap();
    let (cheapest, stays) = (plan(&dearer.least_cost), plan(&dearer.least_moves));
    assert!(stays.moves.is_empty() && stays.bought.is_empty());
    let today = dearer.before.total().unwrap();
    assert_eq!(
        stays.decision.placement.cost.total_per_month.as_micros(),
        today.as_micros() * 3 / 2
    );
    assert!(dearer.least_cost.total() < dearer.least_moves.total(), "{dearer}");
    assert_eq!(cheapest.moves.len(), 5);
    // A change that makes nothing else cheaper moves nothing.
    let same = asked(
        &world,
        &[Change::Price {
            offers: "beta".parse().unwrap(),
            to: PriceChange::Factor(0.9),
        }],
    )
    .unwrap();
    assert!(plan(&same.least_cost).moves.is_empty(), "{same}");
    assert!(same.cost_delta.unwrap() < MicroUsd::ZERO);
}

#[test]
fn growth_keeps_what_runs_and_buys_what_is_missing() {
    let answer = asked(
        &pair(),
        &changes(r#"[{"growth": {"service": "web", "of": "replicas", "factor": 4}}]"#),
    )
    .unwrap();
    let stays = plan(&answer.least_moves);
    assert_eq!((stays.decision.placement.assignments.len(), stays.moves.len()), (11, 0));
    for change in ["resources", "replicas", "traffic"] {
        let change = format!(r#"[{{"growth": {{"of": "{change}", "factor": 2.5}}}}]"#);
        let answer = asked(&pair(), &changes(&change)).unwrap();
        assert!(answer.least_cost.total() >= answer.before.total(), "{answer}");
    }
    let halved = asked(&pair(), &changes(r#"[{"growth": {"of": "replicas", "factor": 0.5}}]"#)).unwrap();
    assert_eq!(plan(&halved.least_cost).decision.placement.assignments.len(), 3);
    assert!(
        plan(&halved.least_moves).moves.is_empty(),
        "who is not asked for any more does not move"
    );
}

#[test]
fn rules_that_cannot_be_met_are_named() {
    let world = pair();
    let budget = asked(&world, &[Change::Rule(Rule::Budget(Some(MicroUsd::from_micros(1))))]).unwrap();
    assert!(
        matches!(
            &budget.least_cost,
            Outcome::Unsatisfiable {
                rule: Filter::Budget,
                ..
            }
        ),
        "{budget}"
    );
    assert!(budget.cost_delta.is_none() && budget.to_string().contains("unsatisfiable by the budget rule"));
    let nowhere = asked(&world, &[Change::Rule(Rule::Residency(residency(&["CH"])))]).unwrap();
    let unplaced = &plan(&nowhere.least_cost).decision.placement.unplaced;
    assert_eq!((unplaced.len(), unplaced[0].filter), (5, Filter::Residency));
    assert!(
        nowhere.to_string().contains("no place by the residency rule"),
        "{nowhere}"
    );
    let mut only = world.clone();
    only.manifest.services[0].clouds.insert("beta".parse().unwrap());
    let error = asked(&only, &[Change::Rule(Rule::ForbidCloud("beta".parse().unwrap()))]).unwrap_err();
    assert_eq!(
        (error.class(), error.to_string().as_str()),
        (
            Class::Invalid,
            "obey the change `nothing may run on beta`: service `api` may be nowhere else"
        )
    );
}

#[test]
fn rules_are_obeyed_in_the_plan_that_follows() {
    let world = pair();
    let forbidden = asked(&world, &[Change::Rule(Rule::ForbidCloud("beta".parse().unwrap()))]).unwrap();
    assert_eq!(plan(&forbidden.least_moves).moves.len(), 5);
    let region = asked(&world, &[Change::Rule(Rule::ForbidRegion("beta/ams".parse().unwrap()))]).unwrap();
    assert_eq!(region.least_cost.total(), forbidden.least_cost.total());
    let spread = Rule::Spread {
        service: Some("api".parse().unwrap()),
        rule: spread(SpreadOver::Cloud, 1),
    };
    let answer = asked(&world, &[Change::Rule(spread)]).unwrap();
    let clouds = |p: &PlanAfter| {
        let machines = &p.decision.placement.machines;
        machines
            .iter()
            .map(|m| m.site.region.cloud.clone())
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    assert_eq!(clouds(plan(&answer.least_cost)), 2, "{answer}");
    let spot = Rule::Purchase {
        service: None,
        purchase: PurchasePreference::Spot,
    };
    let answer = asked(&world, &[Change::Rule(spot)]).unwrap();
    assert_eq!(
        plan(&answer.least_cost).decision.placement.unplaced[0].filter,
        Filter::Purchase
    );
    // Quotas are hard: with none of the cheap cloud the plan is elsewhere, and the checker agrees.
    let quota = Quota::new("beta/ams".parse().unwrap(), QuotaUnit::Vcpus, 0);
    let answer = asked(
        &world,
        &[
            Change::Outage("beta".parse().unwrap()),
            Change::Rule(Rule::Quota(quota)),
        ],
    )
    .unwrap();
    assert!(
        plan(&answer.least_cost).decision.placement.unplaced.is_empty(),
        "{answer}"
    );
}

#[test]
fn offers_come_and_go() {
    let world = pair();
    let gone = asked(&world, &[Change::RemoveOffers("beta".parse().unwrap())]).unwrap();
    assert!(plan(&gone.least_moves).moves.is_empty(), "what runs stays");
    let bargain = crate::world::offer("beta/ams", "bargain", 8, 32, Some(20_000), None);
    let answer = asked(&world, &[Change::AddOffers(vec![bargain])]).unwrap();
    assert_eq!(
        plan(&answer.least_cost).decision.placement.machines.len(),
        1,
        "{answer}"
    );
    assert!(answer.cost_delta.unwrap() < MicroUsd::ZERO);
    let error = asked(
        &world,
        &[Change::AddOffers(vec![crate::world::offer(
            "beta/none",
            "x",
            1,
            1,
            Some(20_000),
            None,
        )])],
    );
    assert!(matches!(error, Err(WhatIfError::Catalogue { .. })));
}

#[test]
fn what_nobody_knows_and_factors_that_are_none_are_typed_errors() {
    let text = |change: Change| {
        let error = asked(&pair(), &[change]).unwrap_err();
        format!("{:?}: {error}", error.class())
    };
    let factor = |factor| Change::Price {
        offers: "beta".parse().unwrap(),
        to: PriceChange::Factor(factor),
    };
    let growth = |factor| Change::Growth {
        service: None,
        of: GrowthOf::Replicas,
        factor,
    };
    insta::assert_snapshot!(text(factor(f64::NAN)), @"Invalid: take `NaN` as the factor of the change `beta/*/*/* costs NaN times as much`");
    insta::assert_snapshot!(text(factor(-1.0)), @"Invalid: take `-1` as the factor of the change `beta/*/*/* costs -1 times as much`");
    insta::assert_snapshot!(text(growth(0.0)), @"Invalid: take `0` as the factor of the change `the replicas of every service are 0 times as much`");
    insta::assert_snapshot!(text(growth(f64::INFINITY)), @"Invalid: take `inf` as the factor of the change `the replicas of every service are inf times as much`");
    insta::assert_snapshot!(text(growth(1e6)), @"Invalid: place `5000000` replicas: at most `10000` are accepted at once");
    insta::assert_snapshot!(text(Change::Outage("gamma".parse().unwrap())), @"NotFound: find what the change `gamma is gone` is about");
    insta::assert_snapshot!(text(Change::Outage("alpha/eu-1:eu-9z".parse().unwrap())), @"NotFound: find what the change `alpha/eu-1:eu-9z is gone` is about");
    insta::assert_snapshot!(text(Change::RemoveOffers("*/*/z9.*".parse().unwrap())), @"NotFound: find what the change `*/*/z9.*/* cannot be bought` is about");
    insta::assert_snapshot!(text(Change::Growth { service: Some("nobody".parse().unwrap()), of: GrowthOf::Traffic, factor: 2.0 }), @"NotFound: find what the change `the traffic of `nobody` are 2 times as much` is about");
    insta::assert_snapshot!(text(factor(1e6)).split(':').next().unwrap(), @"Invalid");
    let mut huge = pair();
    huge.manifest.services[0].resources.memory = Bytes::from_bytes(1 << 63);
    let doubled = asked(
        &huge,
        &[Change::Growth {
            service: None,
            of: GrowthOf::Resources,
            factor: 2.0,
        }],
    );
    assert!(matches!(doubled, Err(WhatIfError::Beyond { .. })));
    for bad in ["", "a/b/c/d/e", "aws//x", "aws/*/*/maybe", "AWS!"] {
        assert!(bad.parse::<Selector>().is_err(), "{bad}");
    }
    assert!("aws:zone".parse::<Outage>().is_err());
    assert_eq!("*/*/m*/spot".parse::<Selector>().unwrap().to_string(), "*/*/m*/spot");
}

#[test]
fn a_zone_that_is_gone_takes_only_what_is_in_it() {
    let mut world = World::new().with(vec![service("api", 2, "1", "1GiB")]);
    world.manifest.services[0].spread = vec![spread(SpreadOver::Zone, 1)];
    world.manifest.services[0].regions.insert("alpha/eu-1".parse().unwrap());
    let today = world.place(&Cheapest);
    let zone = today.machines[0].site.zone.clone().unwrap();
    let outage = Outage {
        cloud: "alpha".parse().unwrap(),
        region: Some("eu-1".parse().unwrap()),
        zone: Some(zone.clone()),
    };
    let answer = asked(&world, &[Change::Outage(outage)]).unwrap();
    let plan = plan(&answer.least_moves);
    assert_eq!(plan.moves.len(), 1, "{answer}");
    assert!(
        plan.decision
            .placement
            .machines
            .iter()
            .all(|m| m.site.zone.as_ref() != Some(&zone))
    );
}

#[test]
fn the_shop_without_its_region_and_with_triple_the_frontend() {
    let (manifest, snapshot, catalogue) = (shop(), Snapshot::empty(1, Timestamp::EPOCH), Catalogue::builtin());
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let config = PlaceConfig::new().with_work_max(300_000);
    let today = skyloom_scheduler::place(&problem, &Cheapest, &config).unwrap();
    let gone = Outage {
        cloud: today.machines[0].site.region.cloud.clone(),
        region: None,
        zone: None,
    };
    let grown = Change::Growth {
        service: Some("frontend".parse().unwrap()),
        of: GrowthOf::Replicas,
        factor: 3.0,
    };
    let answer = what_if(&problem, &Cheapest, &config, &[Change::Outage(gone.clone()), grown]).unwrap();
    let plan = plan(&answer.least_cost);
    assert_eq!(plan.decision.placement.assignments.len(), 15);
    assert!(
        plan.decision
            .placement
            .machines
            .iter()
            .all(|m| m.site.region.cloud != gone.cloud)
    );
    assert!(plan.decision.gap().is_some());
    let json = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<Consequences>(&json).unwrap(), answer);
    assert!(
        json.len() < 128 * 1024,
        "an answer over 1,627 offers stays small: {}",
        json.len()
    );
}

#[test]
fn a_plan_under_a_quota_passes_the_checker() {
    let mut world = pair();
    let quota = Quota::new("beta/ams".parse().unwrap(), QuotaUnit::Vcpus, 2);
    let answer = asked(&world, &[Change::Rule(Rule::Quota(quota.clone()))]).unwrap();
    let stays = plan(&answer.least_moves);
    assert!(stays.moves.is_empty(), "a quota takes nothing away that is there");
    world.manifest.source.clear();
    let catalogue = world.catalogue();
    let problem = world.problem(&catalogue);
    let config = PlaceConfig::new().with_quotas(vec![quota.clone()]);
    let placement = skyloom_scheduler::place(&problem, &Cheapest, &config).unwrap();
    assert_eq!(check_within(&problem, &[quota], &placement), []);
    assert!(placement.unplaced.is_empty());
}
