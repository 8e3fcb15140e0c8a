//! The lower bound: never above the exhaustive optimum, and close to the cost where the problem is plain.

use skyloom_core::*;
use skyloom_scheduler::{Cheapest, PlaceConfig, Problem, decide};

use crate::oracle::optimum;
use crate::random_world::{Dice, tiny};
use crate::world::service;

#[test]
fn the_bound_is_never_above_the_exhaustive_optimum() {
    let (mut solved, mut tight, mut gaps) = (0u32, 0u32, Vec::new());
    for seed in 0..250 {
        let world = tiny(seed, 5);
        let catalogue = world.catalogue();
        let problem = Problem {
            manifest: &world.manifest,
            snapshot: &world.snapshot,
            catalogue: &catalogue,
        };
        let found = decide(&problem, &Cheapest, &PlaceConfig::new()).unwrap();
        let bound = found.lower_bound.unwrap().total_per_month;
        assert!(bound <= found.placement.cost.total_per_month, "seed {seed}");
        if !found.placement.unplaced.is_empty() {
            continue;
        }
        if let Some(least) = optimum(&world) {
            let bound = i128::from(bound.as_micros());
            assert!(
                bound <= least,
                "seed {seed}: {bound} above the optimum {least}\n{world:#?}"
            );
            solved += 1;
            tight += u32::from((least - bound) * 1000 <= bound);
            gaps.push(found.gap().unwrap_or(1.0));
        }
    }
    gaps.sort_by(f64::total_cmp);
    println!(
        "{solved} solved, {tight} within 0.1 %, median {:?}, 90 % {:?}, worst {:?}",
        gaps[gaps.len() / 2],
        gaps[gaps.len() * 9 / 10],
        gaps.last()
    );
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
    for seed in 0..6 {
        let manifest = plain(seed, 100 + 40 * seed);
        let problem = Problem {
            manifest: &manifest,
            snapshot: &snapshot,
            catalogue: &catalogue,
        };
        #[expect(clippy::disallowed_types, reason = "x")]
        let started = std::time::Instant::now();
        let found = decide(&problem, &Cheapest, &PlaceConfig::new()).unwrap();
        assert!(found.placement.unplaced.is_empty());
        println!(
            "{:?} seed {seed}: {} replicas of {} services on {} machines, {} gap {:?} work {} {}",
            started.elapsed(),
            manifest.replica_count(),
            manifest.services.len(),
            found.placement.machines.len(),
            found.placement.cost.total_per_month,
            found.gap(),
            found.work_done,
            found.work_exhausted
        );
    }
}
