//! Explanations: folded reasons that account for every option, and verdicts on any of them.

use std::collections::BTreeMap;

use skyloom_core::*;
use skyloom_scheduler::policy::BUILTIN;
use skyloom_scheduler::{
    Answer, Cheapest, PlaceConfig, Problem, Question, Quota, QuotaUnit, Verdict, Wanted, WhyError, check_within,
    decide, place, why,
};

use crate::random_world::tiny;
use crate::shop::shop;
use crate::world::{World, node, service, spread};

fn question(replica: &str, option: &str) -> Question {
    Question {
        replica: replica.parse().unwrap(),
        option: option.parse().unwrap(),
    }
}

#[test]
fn every_option_is_counted_once_and_every_class_of_replicas_is_there() {
    for seed in 0..40 {
        let world = tiny(seed, 8).with_nodes(vec![node("n-1", "eu-1a"), node("n-2", "eu-1b")]);
        let catalogue = world.catalogue();
        for builtin in BUILTIN {
            let policy = (builtin.new)(seed);
            let config = PlaceConfig::new().with_work_max(50_000);
            let decision = decide(&world.problem(&catalogue), policy.as_ref(), &config).unwrap();
            let replicas: u64 = decision.reasons.iter().map(|r| u64::from(r.replicas)).sum();
            assert_eq!(replicas, world.manifest.replica_count());
            for reasons in &decision.reasons {
                let rejected: u32 = reasons.rejected.values().map(|r| r.options).sum();
                // Machines that are there or open besides, and each way to buy, zones counted once.
                let ways = catalogue
                    .offers()
                    .iter()
                    .map(|o| u32::from(o.on_demand.is_some()) + u32::from(o.spot.is_some()));
                let to_buy: u32 = ways.sum();
                let all = reasons.feasible + rejected;
                assert!(
                    all >= to_buy + 2 && all <= to_buy + 2 + 8,
                    "{all} of {to_buy}: {reasons}"
                );
                assert_eq!(
                    reasons.chosen.is_some(),
                    reasons.feasible > 0 && !reasons.best.is_empty(),
                    "{reasons}"
                );
                assert!(!reasons.because.is_empty() && reasons.best.len() <= 4);
            }
        }
    }
}

#[test]
fn the_verdicts_agree_with_the_decision_and_its_folded_reasons() {
    for seed in 0..25 {
        let world = tiny(seed, 6).with_nodes(vec![node("n-1", "eu-1a")]);
        let catalogue = world.catalogue();
        let (problem, config) = (world.problem(&catalogue), PlaceConfig::new());
        for builtin in BUILTIN {
            let policy = (builtin.new)(seed);
            let decision = decide(&problem, policy.as_ref(), &config).unwrap();
            let placement = &decision.placement;
            let ask = |replica: &ReplicaId, option: Wanted| -> Answer {
                let question = Question {
                    replica: replica.clone(),
                    option,
                };
                why(&problem, policy.as_ref(), &config, placement, &question).unwrap()
            };
            for assignment in &placement.assignments {
                let answer = ask(&assignment.replica, Wanted::Machine(assignment.machine.clone()));
                assert!(
                    matches!(answer.verdict, Verdict::Chosen { .. }),
                    "{} {seed}: {answer}",
                    builtin.name
                );
            }
            for reasons in &decision.reasons {
                let mut counted: BTreeMap<Filter, u32> = BTreeMap::new();
                let mut feasible = 0;
                for offer in catalogue.offers() {
                    for purchase in [Purchase::OnDemand, Purchase::Spot]
                        .into_iter()
                        .filter(|p| offer.price(*p).is_some())
                    {
                        let option = Wanted::Offer {
                            region: offer.key.region.clone(),
                            zone: None,
                            instance: offer.key.instance.clone(),
                            purchase: Some(purchase),
                        };
                        match ask(&reasons.first, option).verdict {
                            Verdict::Rejected { filter, detail } => {
                                assert!(!detail.is_empty());
                                *counted.entry(filter).or_insert(0) += 1;
                            }
                            _ => feasible += 1,
                        }
                    }
                }
                assert!(feasible <= reasons.feasible, "{} {seed}", builtin.name);
                for (filter, count) in counted {
                    let folded = reasons.rejected.get(&filter).map_or(0, |r| r.options);
                    assert!(
                        count <= folded,
                        "{} {seed}: {count} by {filter}, folded {reasons}",
                        builtin.name
                    );
                }
            }
        }
    }
}

#[test]
fn answers_read_as_sentences() {
    let mut world = World::new().with(vec![service("api", 1, "1", "1GiB"), service("web", 2, "3", "1GiB")]);
    world.manifest.residency = crate::world::residency(&["EU"]);
    world.manifest.services[1].spread = vec![spread(SpreadOver::Cloud, 1)];
    let catalogue = world.catalogue();
    let (problem, config) = (world.problem(&catalogue), PlaceConfig::new());
    let placement = place(&problem, &Cheapest, &config).unwrap();
    let text = |replica: &str, option: &str| {
        let answer = why(&problem, &Cheapest, &config, &placement, &question(replica, option));
        answer.map_or_else(|error| format!("failed to {error}"), |answer| answer.to_string())
    };
    insta::assert_snapshot!(text("api/0", "alpha/us-1 s4"), @"api/0 cannot be on alpha/us-1:us-1a s4 on-demand 0.1368 USD/h by the residency rule: jurisdiction `US`, allowed `EU`");
    insta::assert_snapshot!(text("web/0", "beta/ams s2"), @"web/0 cannot be on beta/ams s2 on-demand 0.0722 USD/h by the cpu rule: asks for `3000m` cores, there is `2000m`");
    insta::assert_snapshot!(text("web/1", "beta/ams s4"), @"web/1 cannot be on beta/ams s4 on-demand 0.1444 USD/h by the spread rule: its domain holds as many more than the least used one as the rule allows");
    insta::assert_snapshot!(text("api/0", "alpha/eu-1:eu-1b m2 on-demand"), @"api/0 could be on alpha/eu-1:eu-1b m2 on-demand 0.124 USD/h, but it would add 90.52 USD per month, 90.52 USD more than the chosen one");
    insta::assert_snapshot!(text("api/0", "m-9-9"), @"failed to find `m-9-9` among the machines and offers");
    insta::assert_snapshot!(text("api/7", "beta/ams s4"), @"failed to find replica `api/7` in the manifest");
    for bad in ["", "a b c d", "nowhere s4", "aws/x y maybe"] {
        assert!(bad.parse::<Wanted>().is_err(), "{bad}");
    }
    for good in [
        "m-1-2",
        "aws/eu-west-1 m7g.large",
        "aws/eu-west-1:eu-west-1a m7g.large spot",
    ] {
        assert_eq!(good.parse::<Wanted>().unwrap().to_string(), good);
    }
}

#[test]
fn a_placement_of_another_problem_is_refused() {
    let world = World::new().with(vec![service("api", 2, "1", "1GiB")]);
    let catalogue = world.catalogue();
    let placement = world.place(&Cheapest);
    let mut other = world.clone();
    other.manifest.services[0].replicas = 1.try_into().unwrap();
    let asked = why(
        &other.problem(&catalogue),
        &Cheapest,
        &PlaceConfig::new(),
        &placement,
        &question("api/0", "beta/ams s4"),
    );
    assert!(matches!(asked, Err(WhyError::OtherProblem { .. })));
    let without = world.clone().without_offers();
    let empty = without.catalogue();
    let asked = why(
        &without.problem(&empty),
        &Cheapest,
        &PlaceConfig::new(),
        &placement,
        &question("api/0", "beta/ams s4"),
    );
    assert_eq!(asked.unwrap_err().class(), Class::Conflict);
}

#[test]
fn the_reasons_of_the_shop_stay_small_over_the_whole_catalogue() {
    let (manifest, snapshot, catalogue) = (shop(), Snapshot::empty(1, Timestamp::EPOCH), Catalogue::builtin());
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let decision = decide(&problem, &Cheapest, &PlaceConfig::new().with_work_max(300_000)).unwrap();
    let json = serde_json::to_string(&decision.reasons).unwrap();
    assert!(
        json.len() < 4000 * decision.reasons.len(),
        "{} bytes for {}",
        json.len(),
        decision.reasons.len()
    );
    let text: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    assert!(
        text.iter()
            .all(|t| t.contains("rejected by residency") && t.contains("because")),
        "{text:#?}"
    );
    assert_eq!(
        serde_json::from_str::<Vec<skyloom_scheduler::Reasons>>(&json).unwrap(),
        decision.reasons
    );
}

#[test]
fn quotas_are_hard_count_what_is_there_and_say_what_is_left() {
    let mut world = World::new().with(vec![service("api", 4, "2", "2GiB")]);
    world.manifest.services[0].anti_affinity = vec!["api".parse().unwrap()];
    world.manifest.services[0].regions.insert("alpha/eu-1".parse().unwrap());
    let region: RegionKey = "alpha/eu-1".parse().unwrap();
    let catalogue = world.catalogue();
    let placed = |world: &World, quotas: Vec<Quota>| {
        let problem = world.problem(&catalogue);
        for builtin in BUILTIN {
            let config = PlaceConfig::new().with_quotas(quotas.clone());
            let placement = place(&problem, (builtin.new)(3).as_ref(), &config).unwrap();
            assert_eq!(check_within(&problem, &quotas, &placement), [], "{}", builtin.name);
        }
        decide(&problem, &Cheapest, &PlaceConfig::new().with_quotas(quotas)).unwrap()
    };
    let of = |unit, allowed| Quota::new(region.clone(), unit, allowed);
    // Four machines of two cores each are wanted.
    for (quota, unplaced) in [
        (of(QuotaUnit::Vcpus, 8), 0),
        (of(QuotaUnit::Vcpus, 7), 1),
        (of(QuotaUnit::Vcpus, 0), 4),
        (of(QuotaUnit::Machines, 3), 1),
        (of(QuotaUnit::Devices, 0), 0),
        (of(QuotaUnit::Vcpus, 0).with_purchase(Purchase::Spot), 0),
        (of(QuotaUnit::Vcpus, 1 << 63), 0),
    ] {
        let decision = placed(&world, vec![quota.clone()]);
        assert_eq!(decision.placement.unplaced.len(), unplaced, "{quota}");
        for left_out in &decision.placement.unplaced {
            assert_eq!(left_out.filter, Filter::Quota, "{left_out:?}");
            assert!(
                left_out.reason.contains("are left of the quota of"),
                "{}",
                left_out.reason
            );
        }
    }
    // Another family is free; machines that are there count.
    let no_s = of(QuotaUnit::Machines, 0).with_family("s");
    let decision = placed(&world, vec![no_s]);
    assert!(
        decision
            .placement
            .machines
            .iter()
            .all(|m| m.instance.as_str().starts_with('m'))
    );
    let there = world.clone().with_nodes(vec![node("n-1", "eu-1a")]);
    let decision = placed(&there, vec![of(QuotaUnit::Machines, 3)]);
    assert_eq!(
        decision.placement.unplaced.len(),
        1,
        "one is there and two may be bought"
    );
    // The checker finds a quota that was not kept.
    let unaware = world.place(&Cheapest);
    let broken = check_within(&world.problem(&catalogue), &[of(QuotaUnit::Vcpus, 7)], &unaware);
    assert!(
        broken
            .iter()
            .any(|v| v.to_string().contains("the quota is `7 vCPUs in alpha/eu-1`")),
        "{broken:?}"
    );
}

#[test]
fn a_region_without_quota_is_no_domain_to_spread_over() {
    let mut world = World::new().with(vec![service("api", 2, "1", "1GiB")]);
    world.manifest.services[0].spread = vec![spread(SpreadOver::Region, 1)];
    world.manifest.residency = crate::world::residency(&["EU"]);
    let catalogue = world.catalogue();
    let problem = world.problem(&catalogue);
    let quotas = vec![Quota::new("beta/ams".parse().unwrap(), QuotaUnit::Vcpus, 0)];
    let placement = place(&problem, &Cheapest, &PlaceConfig::new().with_quotas(quotas.clone())).unwrap();
    assert!(placement.unplaced.is_empty(), "{:?}", placement.unplaced);
    assert_eq!(check_within(&problem, &quotas, &placement), []);
}
