//! Fleets for manifests: valid by the checker of placements, between the bound and the exhaustive optimum, under every
//! rule.

use skyloom_core::*;
use skyloom_scheduler::fleet::{FleetOptions, ManifestFleet, ManifestFleetError, buy_for};
use skyloom_scheduler::{Cheapest, Effort, PlaceConfig, Problem, check, place};

use crate::oracle::optimum;
use crate::random_world::tiny;
use crate::world::*;

fn bought(world: &World) -> Result<ManifestFleet, ManifestFleetError> {
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    let fleet = buy_for(&problem, &FleetOptions::new(), &mut Effort::units(20_000))?;
    assert_eq!(check(&problem, &fleet.placement), [], "{world:#?}");
    assert!(fleet.lower_bound_per_month <= fleet.placement.cost.total_per_month);
    let again = buy_for(&problem, &FleetOptions::new(), &mut Effort::replayed(&fleet.effort))?;
    assert_eq!(fleet, again);
    Ok(fleet)
}

#[test]
fn the_bound_is_below_the_exhaustive_optimum_and_the_optimum_below_the_fleet() {
    let (mut complete, mut optimal, mut tight) = (0, 0, 0);
    for seed in 0..60 {
        let world = tiny(seed, 4);
        let Ok(fleet) = bought(&world) else { continue };
        if !fleet.placement.unplaced.is_empty() {
            continue;
        }
        complete += 1;
        let best = optimum(&world).unwrap();
        let bound = i128::from(fleet.lower_bound_per_month.as_micros());
        let total = i128::from(fleet.placement.cost.total_per_month.as_micros());
        assert!(bound <= best, "seed {seed}: {bound} is no bound of {best}");
        assert!(best <= total, "seed {seed}");
        optimal += u32::from(best == total);
        tight += u32::from(bound * 2 > best);
    }
    assert!(complete > 30, "{complete} of 60 worlds can be held");
    assert!(optimal * 20 > complete * 19, "{optimal} of {complete} are optimal");
    assert!(
        tight * 2 > complete,
        "{tight} of {complete} bounds are above half the optimum"
    );
}

/// Eight services of a hundred replicas in all, with traffic between them and every kind of rule.
fn shop() -> World {
    let mut services: Vec<ServiceSpec> = (0..8)
        .map(|i| {
            let cpu = ["250m", "500m", "1", "1500m"][i % 4];
            let memory = ["512MiB", "1GiB", "3GiB"][i % 3];
            service(&format!("s{i}"), 5 + 5 * (u32::try_from(i).unwrap() % 4), cpu, memory)
        })
        .collect();
    let need = |to: &str, volume: &str| EgressNeed {
        to: Link::Service(to.parse().unwrap()),
        per_month: volume.parse().unwrap(),
    };
    services[0].egress = vec![need("s1", "5000GiB"), need("s2", "200GiB")];
    services[3].egress = vec![need("s0", "20000GiB")];
    services[4].egress = vec![EgressNeed {
        to: Link::Internet,
        per_month: "900GiB".parse().unwrap(),
    }];
    services[1].anti_affinity = vec!["s1".parse().unwrap()];
    services[2].anti_affinity = vec!["s5".parse().unwrap()];
    services[6].spread = vec![spread(SpreadOver::Zone, 3)];
    services[7].latency = vec![latency("s6", 20)];
    services[5].affinity = vec![Affinity {
        service: "s4".parse().unwrap(),
        within: SpreadOver::Region,
    }];
    World::new().with(services)
}

#[test]
fn a_fleet_of_a_hundred_replicas_is_no_dearer_than_the_placement_and_nearly_proven() {
    let world = shop();
    let fleet = bought(&world).unwrap();
    assert_eq!(fleet.placement.unplaced, []);
    let placed = world.place(&Cheapest);
    assert!(fleet.placement.cost.total_per_month <= placed.cost.total_per_month);
    assert!(fleet.gap() < 0.25, "the gap is {}", fleet.gap());
    let replicas: u32 = fleet.choices.iter().flat_map(|c| &c.chosen).map(|(.., n)| n).sum();
    assert_eq!(u64::from(replicas), world.manifest.replica_count());
}

#[test]
fn traffic_draws_a_fleet_to_its_data_when_it_costs_more_than_the_machines_save() {
    let data = |region: &str| DataSpec {
        name: "lake".parse().unwrap(),
        at: None,
        class: DataClass::Internal,
        replicas: vec![DataReplica {
            region: region.parse().unwrap(),
            at: None,
        }],
        sync: None,
        backup: None,
    };
    for (volume, expected) in [("1GiB", "alpha/us-1"), ("900000GiB", "alpha/eu-1")] {
        let mut world = World::new().with(vec![service("etl", 20, "1", "1GiB")]);
        world.manifest.data = vec![data("alpha/eu-1")];
        world.manifest.services[0].egress = vec![EgressNeed {
            to: Link::Data("lake".parse().unwrap()),
            per_month: volume.parse().unwrap(),
        }];
        let fleet = bought(&world).unwrap();
        let regions: Vec<String> = fleet
            .placement
            .machines
            .iter()
            .map(|m| m.site.region.to_string())
            .collect();
        assert!(regions.iter().all(|region| region == expected), "{volume}: {regions:?}");
        assert!(fleet.gap() < 0.05, "{volume}: {}", fleet.gap());
    }
}

#[test]
fn hard_rules_stop_a_fleet_with_their_name() {
    let mut world = shop();
    world.manifest.budget = Some(Budget {
        per_month: MicroUsd::from_micros(1_000_000),
        at: None,
    });
    let refused = bought(&world).unwrap_err();
    assert_eq!(refused.class(), Class::Exhausted);
    assert!(
        refused.to_string().contains("it is proven that none costs less"),
        "{refused}"
    );
    let mut nowhere = shop();
    nowhere.manifest.residency = residency(&["JP"]);
    let fleet = bought(&nowhere).unwrap();
    assert_eq!(fleet.placement.machines, []);
    assert_eq!(fleet.placement.unplaced.len() as u64, nowhere.manifest.replica_count());
    // Two services have to be near others and say that those have no place.
    let at_root = fleet
        .placement
        .unplaced
        .iter()
        .filter(|u| u.filter == Filter::Residency)
        .count();
    assert!(at_root > 50, "{at_root} say residency");
    assert!(
        fleet
            .choices
            .iter()
            .all(|c| c.feasible == 0 && c.rejected[&Filter::Residency] > 0)
    );
    assert_eq!(fleet.lower_bound_per_month, MicroUsd::ZERO);
}

#[test]
fn machines_that_are_there_are_used_once_and_paid() {
    let world = World::new().with(vec![service("api", 3, "1", "1GiB")]);
    let first = bought(&world).unwrap();
    let mut there = world.after(&first.placement);
    there.snapshot.replicas.clear();
    let second = bought(&there).unwrap();
    assert_eq!(
        first.placement.cost.total_per_month,
        second.placement.cost.total_per_month
    );
    let free = there.without_offers();
    let third = bought(&free).unwrap();
    assert_eq!(third.placement.unplaced, []);
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let mut twice = World::new().with(vec![service("api", 1, "1", "1GiB"), service("api", 1, "1", "1GiB")]);
    assert!(matches!(bought(&twice), Err(ManifestFleetError::Place(_))));
    twice.manifest.services.truncate(1);
    let catalogue = twice.catalogue();
    let problem = Problem {
        manifest: &twice.manifest,
        snapshot: &twice.snapshot,
        catalogue: &catalogue,
    };
    let none = FleetOptions::new().with_replicas_max(0);
    assert!(buy_for(&problem, &none, &mut Effort::units(10)).is_err());
    assert!(place(&problem, &Cheapest, &PlaceConfig::new()).is_ok());
}
