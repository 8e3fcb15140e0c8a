//! Gangs: all members or none, and no trace of an attempt.

use skyloom_scheduler::online::*;

use super::worlds::{assert_sound, cluster, node, placer, pod};
use crate::random_world::Dice;

#[test]
fn a_gang_is_placed_whole_or_leaves_no_trace() {
    let (mut whole, mut refused) = (0, 0);
    for seed in 0..200 {
        let world = cluster(seed, seed % 2 == 0);
        let moves = Moves {
            per_placement_max: 2,
            share_max: 0.5,
        };
        let config = OnlineConfig::new(seed)
            .with_quotas(world.quotas.clone())
            .with_expected(world.expected())
            .with_moves(moves)
            .with_preempt(seed % 3 == 0);
        let policy = ["best", "fast", "random", "fgd"][usize::try_from(seed % 4).unwrap()];
        let mut placer = placer(&world.nodes, policy, &config);
        let classes: Vec<ClassId> = world.pods.iter().map(|pod| placer.class(pod).unwrap()).collect();
        let mut dice = Dice::new(seed);
        for _ in 0..12 {
            let members: Vec<ClassId> = (0..1 + dice.roll(5)).map(|_| *dice.pick(&classes)).collect();
            let before = (placer.standing(), placer.placements(), placer.moves_made());
            let free: Vec<_> = (0..world.nodes.len()).map(|n| placer.free(n)).collect();
            match placer.place_gang(&members).unwrap() {
                GangOutcome::Placed(placed) => {
                    let standing: Vec<_> = placed.iter().map(|p| placer.whereabouts(p.pod)).collect();
                    assert!(standing.iter().all(Option::is_some) && placed.len() == members.len());
                    whole += 1;
                }
                GangOutcome::Refused { member } => {
                    assert!(member < members.len());
                    assert_eq!((placer.standing(), placer.placements(), placer.moves_made()), before);
                    let now: Vec<_> = (0..world.nodes.len()).map(|n| placer.free(n)).collect();
                    assert_eq!(now, free);
                    refused += 1;
                }
            }
            assert_sound(&placer, &world, None, &format!("world {seed}"));
        }
    }
    assert!(whole > 200 && refused > 200, "{whole} whole, {refused} refused");
}

#[test]
fn a_gang_falls_together_and_never_to_its_equals() {
    let nodes = [node("a", 4, 4, 0), node("b", 4, 4, 0)];
    let mut placer = placer(&nodes, "best_fit", &OnlineConfig::new(0).with_preempt(true));
    let member = placer.class(&pod(4, 1, 0)).unwrap();
    let GangOutcome::Placed(gang) = placer.place_gang(&[member, member]).unwrap() else {
        panic!("there is room")
    };
    let mut urgent = pod(4, 2, 0);
    assert_eq!(
        placer.place_gang(&[member]).unwrap(),
        GangOutcome::Refused { member: 0 }
    );
    urgent.priority = 1;
    let urgent = placer.class(&urgent).unwrap();
    let outcome = placer.place(urgent).unwrap();
    let evicted = &outcome.placed().unwrap().evicted;
    assert_eq!(*evicted, [gang[0].pod, gang[1].pod]);
    assert_eq!(placer.standing().len(), 1);
}
