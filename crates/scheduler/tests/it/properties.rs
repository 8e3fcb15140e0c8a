//! Properties of every policy of the table, over random worlds.

use std::collections::BTreeSet;

use proptest::prelude::*;
use skyloom_core::{Catalogue, Placement};
use skyloom_scheduler::policy::BUILTIN;
use skyloom_scheduler::{PlaceConfig, Policy, Problem, Random, check, place};

use crate::random_world::tiny;
use crate::world::{World, node};

fn placed(world: &World, catalogue: &Catalogue, policy: &dyn Policy) -> Placement {
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue,
    };
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
            prop_assert!(!unruled || moved.count() == 0, "{}", builtin.name);
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
