//! The lower bound: never above the exhaustive optimum, and close to the cost where the problem is plain.

use skyloom_core::*;
use skyloom_scheduler::{Cheapest, PlaceConfig, Problem, decide};

use crate::oracle::optimum;
use crate::random_world::{Dice, tiny};
use crate::world::{World, node, running, service};

/// The bound of a decision that had no work to do well with, so that a bound above the optimum cannot hide behind a cost.
fn bound_and_cost(world: &World, units: u64) -> Option<(i128, i128)> {
    let catalogue = world.catalogue();
    let config = PlaceConfig::new().with_work_max(units);
    let found = decide(&world.problem(&catalogue), &Cheapest, &config).unwrap();
    let bound = i128::from(found.lower_bound.unwrap().total_per_month.as_micros());
    let cost = i128::from(found.placement.cost.total_per_month.as_micros());
    found.placement.unplaced.is_empty().then_some((bound, cost))
}

#[test]
fn the_bound_is_never_above_the_exhaustive_optimum() {
    let (mut solved, mut tight, mut dearer, mut gaps) = (0u32, 0u32, 0u32, Vec::new());
    for seed in 0..360 {
        let mut world = tiny(seed, 5);
        if seed % 3 == 2 {
            // Machines that are there are domains of their own to a spread over machines, which the oracle counts otherwise.
            let mut spreads = world.manifest.services.iter().flat_map(|s| &s.spread);
            if spreads.any(|rule| rule.over == SpreadOver::Machine) {
                continue;
            }
            world = world.with_nodes(vec![node("n-1", "eu-1a"), node("n-2", "eu-1b")]);
            world.snapshot.nodes[0].machine.price = MicroUsdPerHour::from_micros(20_000);
        }
        let Some((bound, cost)) = bound_and_cost(&world, 0) else {
            continue;
        };
        let Some(least) = optimum(&world) else { continue };
        assert!(
            bound <= least && least <= cost,
            "seed {seed}: {bound} <= {least} <= {cost}\n{world:#?}"
        );
        solved += 1;
        tight += u32::from((least - bound) * 1000 <= bound);
        dearer += u32::from(cost * 100 > least * 101);
        gaps.push(f64::from(
            u32::try_from((least - bound) * 10_000 / bound.max(1)).unwrap_or(u32::MAX),
        ));
    }
    gaps.sort_by(f64::total_cmp);
    let median = gaps[gaps.len() / 2];
    assert!(
        solved >= 200 && dearer >= 20,
        "{dearer} of {solved} costs leave room to see a bound that is too high"
    );
    // What is not tight has traffic or nearness between services of several replicas, on bills of a few dollars.
    assert!(
        f64::from(tight) >= 0.6 * f64::from(solved) && median < 10.0,
        "{tight} of {solved}, {median}"
    );
}

#[test]
fn with_much_that_stays_the_bound_is_below_what_a_long_search_finds() {
    let mut compared = 0;
    for seed in 0..150 {
        let world = tiny(seed, 8);
        let first = world.place(&Cheapest);
        let Some(lost) = first.machines.first() else { continue };
        let mut after = world.after(&first);
        after.snapshot.nodes.retain(|n| n.machine.id != lost.id);
        after.snapshot.replicas.retain(|r| r.machine != lost.id);
        // Without work the search is bad, and both have the same replicas that stay.
        if let (Some((bound, _)), Some((_, cost))) = (bound_and_cost(&after, 0), bound_and_cost(&after, 400_000)) {
            assert!(bound <= cost, "seed {seed}: {bound} above {cost}\n{after:#?}");
            compared += 1;
        }
    }
    assert!(compared >= 100, "{compared}");
}

/// A plain manifest of many replicas: no rule between services.
fn plain(seed: u64, replicas: u64) -> Manifest {
    let mut dice = Dice::new(seed);
    let mut left = replicas;
    let mut services = Vec::new();
    while left > 0 {
        let count = (1 + dice.roll(60)).min(left);
        left -= count;
        let cpu = dice.pick(&["100m", "250m", "500m", "1", "2", "3", "4"]);
        let memory = dice.pick(&["128MiB", "512MiB", "1GiB", "3GiB", "6GiB", "16GiB"]);
        let name = format!("s{}", services.len());
        services.push(service(&name, u32::try_from(count).unwrap(), cpu, memory));
    }
    let mut manifest = crate::world::manifest("plain", services);
    manifest.residency = crate::world::residency(&["EU"]);
    manifest
}

#[test]
fn plain_manifests_of_hundreds_are_close_to_their_bound() {
    let catalogue = Catalogue::builtin();
    let snapshot = Snapshot::empty(0, Timestamp::EPOCH);
    for (seed, replicas) in [(0, 100), (4, 260), (11, 300)] {
        let manifest = plain(seed, replicas);
        let problem = Problem {
            manifest: &manifest,
            snapshot: &snapshot,
            catalogue: &catalogue,
        };
        let config = PlaceConfig::new().with_work_max(1_000_000);
        let found = decide(&problem, &Cheapest, &config).unwrap();
        assert!(found.placement.unplaced.is_empty());
        let gap = found.gap().unwrap();
        assert!(
            gap < 0.03,
            "seed {seed}: {} at a gap of {gap}",
            found.placement.cost.total_per_month
        );
    }
}

#[test]
fn what_stays_is_paid_and_what_is_free_there_is_taken_off() {
    // Two machines run half full; what is added fits onto them, so that it costs nothing more.
    let mut world = World::new()
        .with(vec![service("api", 2, "2", "2GiB")])
        .with_nodes(vec![node("n-1", "eu-1a"), node("n-2", "eu-1b")]);
    let request = world.manifest.services[0].resources;
    world.snapshot.replicas = vec![running("api/0", "n-1", request), running("api/1", "n-2", request)];
    world.manifest.services.push(service("web", 2, "1", "1GiB"));
    let catalogue = world.catalogue();
    let problem = world.problem(&catalogue);
    let found = decide(&problem, &Cheapest, &PlaceConfig::new()).unwrap();
    assert_eq!(
        found.placement.cost.total_per_month,
        "146".parse().unwrap(),
        "two machines at 0.1 USD/h"
    );
    assert_eq!(found.gap(), Some(0.0));
    // Free to move, one machine would do for the two that run, and the bound knows it.
    let free = decide(&problem, &Cheapest, &PlaceConfig::new().with_moves(true)).unwrap();
    assert!(free.lower_bound.unwrap().total_per_month < found.lower_bound.unwrap().total_per_month);
    assert!(free.placement.cost.total_per_month <= found.placement.cost.total_per_month);
}

#[test]
fn the_shop_is_within_one_percent_of_its_bound() {
    let (manifest, snapshot, catalogue) = (
        crate::shop::shop(),
        Snapshot::empty(1, Timestamp::EPOCH),
        Catalogue::builtin(),
    );
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let found = decide(&problem, &Cheapest, &PlaceConfig::new()).unwrap();
    // Its database is an anchor: where it is, backends pay for traffic to it.
    assert!(
        found.gap().unwrap() < 0.01,
        "{:?} of {}",
        found.gap(),
        found.placement.cost.total_per_month
    );
}
