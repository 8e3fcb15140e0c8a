//! Properties of every policy of the table over random worlds.

use skyloom_scheduler::online::policy::{BUILTIN, Pick};
use skyloom_scheduler::online::*;

use super::worlds::{Cluster, assert_sound, cluster, placer};
use crate::random_world::Dice;

const WORLDS: u64 = 30;
const STEPS: u64 = 50;

/// Random pods come and go; `each` is asked with the placer before a pod is placed, and with what became of it.
fn play(
    cluster: &Cluster,
    policy: &str,
    config: &OnlineConfig,
    seed: u64,
    mut each: impl FnMut(&mut Placer, ClassId, &mut dyn FnMut(&mut Placer) -> Outcome),
) -> Placer {
    let mut placer = placer(&cluster.nodes, policy, config);
    let classes: Vec<ClassId> = cluster.pods.iter().map(|pod| placer.class(pod).unwrap()).collect();
    let mut dice = Dice::new(seed ^ 0xabcd);
    for _ in 0..STEPS {
        if dice.one_in(4) {
            let standing = placer.standing();
            if !standing.is_empty() {
                placer.release(dice.pick(&standing).pod).unwrap();
            }
        } else {
            let class = *dice.pick(&classes);
            each(&mut placer, class, &mut |placer| placer.place(class).unwrap());
        }
    }
    placer
}

/// The set-ups that matter: told what to expect or not.
fn configs(cluster: &Cluster, seed: u64) -> [OnlineConfig; 2] {
    let untold = OnlineConfig::new(seed).with_quotas(cluster.quotas.clone());
    [
        untold
            .clone()
            .with_expected(cluster.expected())
            .with_carbon_weight(0.25),
        untold,
    ]
}

#[test]
fn the_index_decides_as_a_scan_of_every_node_does() {
    let mut compared = 0;
    for builtin in BUILTIN {
        let draws = (builtin.new)().pick() == Pick::AnyFitting;
        for seed in 0..WORLDS {
            let world = cluster(seed, seed % 2 == 0);
            for config in configs(&world, seed) {
                let config = config.with_moves(Moves::NONE);
                play(&world, builtin.name, &config, seed, |placer, class, place| {
                    let context = format!("{} in world {seed}", builtin.name);
                    // Quotas are no business of a scan.
                    let over_quota = placer.explain(class).unwrap().totals().contains_key(&Filter::Quota);
                    let scanned = placer.scan(class).unwrap();
                    let outcome = place(placer);
                    // A policy that learns from this very pod scores anew.
                    let learnt = config.expected.is_empty();
                    match outcome {
                        Outcome::Refused => assert!(scanned.is_empty() || over_quota, "{context}"),
                        Outcome::Placed(placed) if draws || learnt => {
                            assert!(scanned.iter().any(|fitting| fitting.node == placed.node), "{context}");
                        }
                        Outcome::Placed(placed) => {
                            let best = scanned.first().map(|best| (best.node, best.devices));
                            assert_eq!(Some((placed.node, placed.devices)), best, "{context}");
                            compared += 1;
                        }
                    }
                });
            }
        }
    }
    assert!(compared > 3000, "only {compared} decisions were compared");
}

#[test]
fn every_state_satisfies_the_independent_checker() {
    for builtin in BUILTIN {
        for seed in 0..WORLDS {
            let world = cluster(seed, true);
            let moves = Moves {
                per_placement_max: 2,
                share_max: 0.5,
            };
            for config in configs(&world, seed) {
                let config = config.with_moves(moves).with_preempt(seed % 3 == 0);
                play(&world, builtin.name, &config, seed, |placer, _, place| {
                    let fresh = place(placer).placed().map(|placed| placed.pod);
                    assert_sound(placer, &world, fresh, &format!("{} in world {seed}", builtin.name));
                });
            }
        }
    }
}

#[test]
fn the_order_of_the_nodes_does_not_matter() {
    for builtin in BUILTIN {
        for seed in 0..WORLDS {
            let world = cluster(seed, true);
            let mut turned = world.clone();
            turned.nodes.reverse();
            turned.nodes.rotate_left(1);
            let [config, _] = configs(&world, seed);
            let stand = |world| play(world, builtin.name, &config, seed, |p, _, place| drop(place(p))).standing();
            assert_eq!(stand(&world), stand(&turned), "{} in world {seed}", builtin.name);
        }
    }
}

#[test]
fn moves_stay_within_their_bounds_and_place_more() {
    let (mut with, mut without, mut made) = (0, 0, 0);
    for seed in 0..400 {
        let world = cluster(seed, false);
        let bounds = Moves {
            per_placement_max: 2,
            share_max: 0.3,
        };
        let [config, _] = configs(&world, seed);
        let moving = play(
            &world,
            "best",
            &config.clone().with_moves(bounds),
            seed,
            |placer, _, place| {
                let before: Vec<Standing> = placer.standing();
                if let Outcome::Placed(placed) = place(placer) {
                    assert!(placed.moved.len() <= 2);
                    for moved in &placed.moved {
                        let was = before.iter().find(|standing| standing.pod == moved.pod).unwrap();
                        assert_eq!(placer.node(moved.from).unwrap().id, was.node);
                        assert_eq!(placer.whereabouts(moved.pod), Some((moved.to, moved.devices)));
                    }
                    assert!(placer.scan(placer.standing()[0].class).is_ok());
                }
            },
        );
        assert!(moving.moves_made() * 10 <= moving.placements() * 3, "world {seed}");
        made += moving.moves_made();
        with += moving.placements();
        let still = config.with_moves(Moves::NONE);
        without += play(&world, "best", &still, seed, |placer, _, place| drop(place(placer))).placements();
    }
    assert!(
        made > 50 && with > without,
        "{made} moves, {with} placements against {without}"
    );
}

#[test]
fn a_batch_takes_the_hardest_first_and_answers_in_order() {
    let nodes = [super::worlds::node("n", 8, 8, 1000)];
    let mut placer = placer(&nodes, "best_fit", &OnlineConfig::new(0));
    let share = placer.class(&super::worlds::pod(1, 1, 500)).unwrap();
    let whole = placer.class(&super::worlds::pod(1, 1, 1000)).unwrap();
    let outcomes = placer.place_batch(&[share, whole, share]).unwrap();
    let placed: Vec<bool> = outcomes.iter().map(|outcome| outcome.placed().is_some()).collect();
    assert_eq!(placed, [false, true, false]);
}
