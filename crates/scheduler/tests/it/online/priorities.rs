//! Preemption: the cheapest victims of lower priority, and only when nothing else helps.

use std::collections::BTreeSet;

use skyloom_scheduler::online::*;

use super::worlds::{cluster, node, placer, pod};
use crate::random_world::Dice;

fn with_priority(mut pod: PodSpec, priority: i32) -> PodSpec {
    pod.priority = priority;
    pod
}

#[test]
fn the_lowest_and_fewest_victims_fall() {
    let nodes = [node("a", 8, 8, 0), node("b", 8, 8, 0)];
    let mut placer = placer(&nodes, "worst_fit", &OnlineConfig::new(0).with_preempt(true));
    let mut place = |cores, priority| {
        let class = placer.class(&with_priority(pod(cores, 1, 0), priority)).unwrap();
        placer.place(class).unwrap().placed().cloned()
    };
    // Worst fit puts them on a, b, then fills both.
    let first = place(5, 2).unwrap();
    let second = place(5, 1).unwrap();
    let third = place(3, 0).unwrap();
    let fourth = place(3, 0).unwrap();
    assert_eq!((first.node, second.node), (0, 1));
    // Two pods of priority 0 are on two nodes; one of them makes room for 3.
    let small = place(3, 1).unwrap();
    assert_eq!(small.evicted, [third.pod]);
    // Priority 1 on b falls before priority 2 on a, together with the 0 beside it.
    let large = place(8, 3).unwrap();
    let victims: BTreeSet<PodId> = large.evicted.iter().copied().collect();
    assert_eq!((large.node, victims), (1, [second.pod, fourth.pod].into()));
    assert_eq!(place(8, 2), None, "nobody on a is below");
}

#[test]
fn victims_are_lower_needed_and_gone() {
    let mut pushed = 0;
    for seed in 0..150 {
        let world = cluster(seed, false);
        let config = OnlineConfig::new(seed).with_preempt(true).with_moves(Moves::NONE);
        let mut placer = placer(&world.nodes, "fast", &config);
        let classes: Vec<ClassId> = world.pods.iter().map(|pod| placer.class(pod).unwrap()).collect();
        let mut dice = Dice::new(seed);
        for _ in 0..60 {
            let class = *dice.pick(&classes);
            let before = placer.standing();
            let fits = !placer.scan(class).unwrap().is_empty();
            let Outcome::Placed(placed) = placer.place(class).unwrap() else {
                continue;
            };
            assert!(placed.evicted.is_empty() || !fits, "world {seed}");
            let priority = placer.spec(class).unwrap().priority;
            for victim in &placed.evicted {
                let was = before.iter().find(|standing| standing.pod == *victim).unwrap();
                assert!(placer.spec(was.class).unwrap().priority < priority, "world {seed}");
                assert_eq!(placer.whereabouts(*victim), None);
                // None was pushed out in vain: it does not fit beside the newcomer.
                let beside = placer.scan(was.class).unwrap();
                assert!(beside.iter().all(|fitting| fitting.node != placed.node), "world {seed}");
                pushed += 1;
            }
        }
    }
    assert!(pushed > 100, "only {pushed} were pushed out");
}
