//! Properties of every policy of the table, over random worlds.

use std::collections::BTreeSet;

use proptest::prelude::*;
use skyloom_core::{Catalogue, MicroUsdPerHour, Placement};
use skyloom_scheduler::policy::{BUILTIN, Builtin};
use skyloom_scheduler::record::{PolicyName, Record, record, replay};
use skyloom_scheduler::{
    Decision, Effort, PlaceConfig, Policy, Problem, Quota, QuotaUnit, Random, check, check_within, decide, place,
};

use crate::random_world::{Dice, tiny};
use crate::world::{World, node, offer};

fn placed(world: &World, catalogue: &Catalogue, policy: &dyn Policy) -> Placement {
    let problem = world.problem(catalogue);
    place(&problem, policy, &PlaceConfig::new().with_work_max(200_000)).unwrap()
}

/// A random world, in two of three cases with machines that are there.
fn world(seed: u64) -> World {
    let world = tiny(seed, 8);
    match seed % 3 {
        0 => world,
        1 => world.with_nodes(vec![node("n-1", "eu-1a"), node("n-2", "eu-1b")]),
        _ => world
            .with_nodes(vec![node("n-1", "eu-1a"), node("n-2", "eu-1b")])
            .without_offers(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_placement_passes_the_checker_and_accounts_for_every_replica(seed in 0u64..1_000_000) {
        let world = world(seed);
        let catalogue = world.catalogue();
        let problem = Problem { manifest: &world.manifest, snapshot: &world.snapshot, catalogue: &catalogue };
        for builtin in BUILTIN {
            let placement = placed(&world, &catalogue, (builtin.new)(seed).as_ref());
            prop_assert_eq!(check(&problem, &placement), [], "{}", builtin.name);
            let asked = world.manifest.replica_count();
            prop_assert_eq!((placement.assignments.len() + placement.unplaced.len()) as u64, asked);
            prop_assert_eq!(placement.explanations.len(), placement.assignments.len());
            for unplaced in &placement.unplaced {
                prop_assert!(!unplaced.reason.is_empty());
            }
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter_and_runs_repeat(seed in 0u64..1_000_000) {
        let world = world(seed);
        let mut turned = world.clone();
        turned.manifest.services.reverse();
        turned.snapshot.nodes.reverse();
        turned.parts.offers.reverse();
        turned.parts.regions.reverse();
        let (catalogue, turned_catalogue) = (world.catalogue(), turned.catalogue());
        for builtin in BUILTIN {
            let policy = (builtin.new)(seed);
            let one = placed(&world, &catalogue, policy.as_ref());
            prop_assert_eq!(&one, &placed(&world, &catalogue, policy.as_ref()));
            let mut other = placed(&turned, &turned_catalogue, policy.as_ref());
            // The name of a snapshot is the digest of its bytes as given.
            other.snapshot = one.snapshot;
            prop_assert_eq!(one, other, "{}", builtin.name);
        }
    }

    #[test]
    fn residency_is_never_violated(seed in 0u64..1_000_000) {
        let mut world = world(seed);
        world.manifest.residency = crate::world::residency(&["EU"]);
        let catalogue = world.catalogue();
        for builtin in BUILTIN {
            let placement = placed(&world, &catalogue, (builtin.new)(seed).as_ref());
            for machine in &placement.machines {
                let laws = &catalogue.region(&machine.site.region).unwrap().jurisdictions;
                prop_assert!(laws.iter().any(|j| j.as_str() == "EU"), "{}", machine.site);
            }
        }
    }

    #[test]
    fn a_placement_carried_out_is_placed_again_as_it_is(seed in 0u64..1_000_000) {
        let world = world(seed);
        let catalogue = world.catalogue();
        for builtin in BUILTIN {
            let policy = (builtin.new)(seed);
            let first = placed(&world, &catalogue, policy.as_ref());
            if !first.unplaced.is_empty() {
                continue;
            }
            let second = placed(&world.after(&first), &catalogue, policy.as_ref());
            prop_assert_eq!(&first.assignments, &second.assignments, "{}", builtin.name);
            prop_assert_eq!(&first.machines, &second.machines);
            prop_assert_eq!(first.cost, second.cost);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn losing_a_machine_heals_within_the_rules_and_moves_nothing_that_has_none(seed in 0u64..1_000_000) {
        let world = world(seed);
        let catalogue = world.catalogue();
        let unruled = world.manifest.services.iter().all(|s| {
            s.spread.is_empty() && s.affinity.is_empty() && s.latency.is_empty() && s.anti_affinity.is_empty()
        });
        for builtin in BUILTIN {
            let policy = (builtin.new)(seed);
            let first = placed(&world, &catalogue, policy.as_ref());
            let Some(lost) = first.machines.first() else { continue };
            let mut after = world.after(&first);
            after.snapshot.nodes.retain(|n| n.machine.id != lost.id);
            let problem = Problem { manifest: &after.manifest, snapshot: &after.snapshot, catalogue: &catalogue };
            let healed = placed(&after, &catalogue, policy.as_ref());
            prop_assert_eq!(check(&problem, &healed), [], "{}", builtin.name);
            let stayed = first.assignments.iter().filter(|a| a.machine != lost.id);
            let moved = stayed.filter(|a| healed.assignments.iter().all(|h| h.replica != a.replica || h.machine != a.machine));
            // Where not everything can be bought, what runs may have to make room: a place weighs more than staying.
            let mut bare = world.clone();
            bare.snapshot.nodes.clear();
            let buyable = placed(&bare, &catalogue, policy.as_ref()).unplaced.is_empty();
            prop_assert!(!unruled || !buyable || moved.count() == 0, "{}", builtin.name);
        }
    }
}

/// A world, a policy and what it decided under quotas, for the table of properties.
struct Case {
    seed: u64,
    world: World,
    builtin: &'static Builtin,
    config: PlaceConfig,
    decision: Decision,
}

impl Case {
    fn new(seed: u64, builtin: &'static Builtin) -> Self {
        let world = world(seed);
        let mut dice = Dice::new(seed);
        let quotas = ["alpha/eu-1", "beta/ams", "alpha/us-1"]
            .into_iter()
            .filter_map(|region| {
                let unit = *dice.pick(&[QuotaUnit::Vcpus, QuotaUnit::Machines, QuotaUnit::Devices]);
                let quota = Quota::new(region.parse().unwrap(), unit, dice.roll(8));
                dice.one_in(2).then_some(quota)
            });
        let config = PlaceConfig::new().with_work_max(50_000).with_quotas(quotas.collect());
        let decision = decided(&world, builtin, seed, &config);
        Self {
            seed,
            world,
            builtin,
            config,
            decision,
        }
    }
}

fn decided(world: &World, builtin: &Builtin, seed: u64, config: &PlaceConfig) -> Decision {
    let catalogue = world.catalogue();
    let problem = world.problem(&catalogue);
    decide(&problem, (builtin.new)(seed).as_ref(), config).unwrap()
}

/// A name, which reads as a sentence, and whether it holds.
type Property = (&'static str, fn(&Case) -> bool);

/// What holds for every policy. The line is the whole registration.
const PROPERTIES: &[Property] = &[
    (
        "every placement passes the independent checker, quotas included",
        |case| {
            let catalogue = case.world.catalogue();
            let problem = case.world.problem(&catalogue);
            check_within(&problem, &case.config.quotas, &case.decision.placement).is_empty()
        },
    ),
    ("every replica is placed once or has a reason", |case| {
        let placement = &case.decision.placement;
        let all = placement.assignments.len() + placement.unplaced.len();
        let reasons: u64 = case.decision.reasons.iter().map(|r| u64::from(r.replicas)).sum();
        let told = placement.unplaced.iter().all(|u| !u.reason.is_empty());
        all as u64 == case.world.manifest.replica_count() && reasons == all as u64 && told
    }),
    ("what replicas pay is what machines cost", |case| {
        let placement = &case.decision.placement;
        let shares = MicroUsdPerHour::checked_sum(placement.assignments.iter().map(|a| a.share));
        shares == Some(placement.cost.machines_per_hour)
    }),
    ("the order of the input does not matter", |case| {
        let mut turned = case.world.clone();
        turned.manifest.services.reverse();
        turned.snapshot.nodes.reverse();
        turned.parts.offers.reverse();
        turned.parts.regions.reverse();
        let mut config = case.config.clone();
        config.quotas.reverse();
        let mut other = decided(&turned, case.builtin, case.seed, &config);
        other.placement.snapshot = case.decision.placement.snapshot;
        other == case.decision
    }),
    ("it is made again from its record to the last byte", |case| {
        let catalogue = case.world.catalogue();
        let problem = case.world.problem(&catalogue);
        let policy = PolicyName {
            name: case.builtin.name.to_owned(),
            seed: case.seed,
        };
        let mut effort = Effort::units(case.config.work_max);
        let written = record(&problem, &policy, &case.config, &mut effort).unwrap().to_json();
        replay(&Record::from_json(&written).unwrap()).is_ok_and(|again| again == case.decision)
    }),
    ("a bound is at most the cost, whoever decided", |case| {
        let total = case.decision.placement.cost.total_per_month;
        let minimises = (case.builtin.new)(case.seed).minimises_cost();
        case.decision
            .lower_bound
            .is_none_or(|bound| bound.total_per_month <= total)
            && case.decision.lower_bound.is_some() == minimises
    }),
    (
        "one more offer gives no bound above what was found without it",
        |case| {
            let mut more = case.world.clone();
            more.parts
                .offers
                .push(offer("beta/ams", "extra", 2, 4, Some(30_000), None));
            let richer = decided(&more, case.builtin, case.seed, &case.config);
            let complete = case.decision.placement.unplaced.is_empty() && richer.placement.unplaced.is_empty();
            // A rule of even spreading may ask for more once there is one more place to spread over.
            let even = case.world.manifest.services.iter().any(|s| !s.spread.is_empty());
            let found = case.decision.placement.cost.total_per_month;
            !complete || even || richer.lower_bound.is_none_or(|bound| bound.total_per_month <= found)
        },
    ),
    ("no quota is no rule: without it as many are placed, or more", |case| {
        let free = decided(
            &case.world,
            case.builtin,
            case.seed,
            &case.config.clone().with_quotas(Vec::new()),
        );
        // Where rules tie replicas together, a greedy order may be luckier under a quota.
        let ruled = case.world.manifest.services.iter().any(|s| {
            !(s.spread.is_empty() && s.affinity.is_empty() && s.latency.is_empty() && s.anti_affinity.is_empty())
        });
        ruled || free.placement.unplaced.len() <= case.decision.placement.unplaced.len()
    }),
    ("free to move, it moves nothing when nothing has changed", |case| {
        let placement = &case.decision.placement;
        let (complete, minimises) = (
            placement.unplaced.is_empty(),
            (case.builtin.new)(case.seed).minimises_cost(),
        );
        if !(complete && minimises && case.config.quotas.is_empty()) {
            return true;
        }
        let after = case.world.after(placement);
        let config = case.config.clone().with_moves(true);
        let again = decided(&after, case.builtin, case.seed, &config);
        let same = again.placement.assignments == placement.assignments;
        same || again.placement.cost.total_per_month < placement.cost.total_per_month
    }),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_policy_has_every_property_of_the_table(seed in 0u64..1_000_000) {
        for builtin in BUILTIN {
            let case = Case::new(seed, builtin);
            for (name, holds) in PROPERTIES {
                prop_assert!(holds(&case), "{}: {name}\n{:#?}", builtin.name, case.world);
            }
        }
    }
}

#[test]
fn random_repeats_by_seed_and_differs_by_seed() {
    let nodes = (1..=6).map(|n| node(&format!("n-{n}"), "eu-1a")).collect();
    let world = World::new()
        .with(vec![crate::world::service("web", 6, "500m", "512MiB")])
        .with_nodes(nodes);
    let at = |seed| crate::world::lines(&world.place(&Random { seed }));
    assert_eq!(at(1), at(1));
    let different: BTreeSet<String> = (0..8).map(at).collect();
    assert!(different.len() >= 7, "{different:#?}");
}
