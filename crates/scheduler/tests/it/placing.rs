//! What placing does: the policies on machines that are there, healing, shares, ids, explanations.

use skyloom_core::*;
use skyloom_scheduler::{BestFit, Cheapest, LeastUtilised, Spread};

use crate::world::*;

/// Three machines, used to 50, 25 and 0 per cent of their processors by a service that stays.
fn three_machines() -> World {
    let nodes = vec![node("n-1", "eu-1a"), node("n-2", "eu-1b"), node("n-3", "eu-1c")];
    let mut world = World::new()
        .with(vec![service("old", 3, "1", "1GiB"), service("web", 1, "1", "1GiB")])
        .with_nodes(nodes);
    let request = world.manifest.services[0].resources;
    world.snapshot.replicas = vec![
        running("old/0", "n-1", request),
        running("old/1", "n-1", request),
        running("old/2", "n-2", request),
    ];
    world
}

#[test]
fn least_utilised_takes_the_least_loaded_and_best_fit_the_fullest() {
    let world = three_machines();
    assert_eq!(machine_of(&world.place(&LeastUtilised), "web/0").id.as_str(), "n-3");
    assert_eq!(machine_of(&world.place(&BestFit), "web/0").id.as_str(), "n-1");
}

#[test]
fn a_measured_utilisation_goes_before_what_is_requested() {
    let mut world = three_machines();
    world.snapshot.nodes[2].utilisation = Some(Ratio::new(0.9).unwrap());
    world.snapshot.nodes[0].utilisation = Some(Ratio::new(0.1).unwrap());
    assert_eq!(machine_of(&world.place(&LeastUtilised), "web/0").id.as_str(), "n-1");
}

#[test]
fn cheapest_joins_a_machine_that_others_pay_and_says_so() {
    let placement = three_machines().place(&Cheapest);
    let web = placement
        .explanations
        .iter()
        .find(|e| e.replica.to_string() == "web/0")
        .unwrap();
    insta::assert_snapshot!(web.because, @"it joins a machine that others pay, at no extra cost");
    assert!(["n-1", "n-2"].contains(&web.chosen.machine.as_ref().unwrap().as_str()));
    let old = &placement.explanations[0];
    insta::assert_snapshot!(old.because, @"it runs there already and still satisfies every rule");
}

#[test]
fn spread_uses_every_zone_before_any_twice() {
    let world = World::new().with(vec![service("web", 6, "500m", "512MiB")]);
    let placement = world.place(&Spread);
    let sites: std::collections::BTreeSet<String> = placement.machines.iter().map(|m| m.site.to_string()).collect();
    assert_eq!(sites.len(), 6, "{sites:?}");
}

#[test]
fn healing_places_only_what_is_missing() {
    let world = World::new().with(vec![service("db", 1, "2", "4GiB"), service("web", 3, "500m", "1GiB")]);
    let first = world.place(&Spread);
    let mut broken = world.after(&first);
    let lost = first
        .assignments
        .iter()
        .find(|a| a.replica.to_string() == "web/1")
        .unwrap();
    type Breaks = fn(&mut World, &Assignment);
    let rows: [(&str, Breaks); 3] = [
        ("its process died", |w, lost| {
            let replica = w
                .snapshot
                .replicas
                .iter_mut()
                .find(|r| r.replica == lost.replica)
                .unwrap();
            replica.state = ReplicaState::Failed;
        }),
        ("its machine is gone", |w, lost| {
            w.snapshot.nodes.retain(|n| n.machine.id != lost.machine)
        }),
        ("its machine is not ready", |w, lost| {
            w.snapshot
                .nodes
                .iter_mut()
                .find(|n| n.machine.id == lost.machine)
                .unwrap()
                .ready = false;
        }),
    ];
    for (what, breaks) in rows {
        let mut world = broken.clone();
        breaks(&mut world, lost);
        let healed = world.place(&Spread);
        assert_eq!(healed.unplaced, [], "{what}");
        for before in first.assignments.iter().filter(|a| a.machine != lost.machine) {
            assert!(healed.assignments.contains(before), "{what}: {} moved", before.replica);
        }
        if what != "its process died" {
            assert_ne!(machine_of(&healed, "web/1").id, lost.machine, "{what}");
        }
    }
    broken.snapshot.replicas.clear();
    assert_eq!(broken.place(&Spread).unplaced, []);
}

#[test]
fn what_no_longer_satisfies_its_rules_is_placed_again() {
    let world = World::new().with(vec![service("web", 2, "500m", "1GiB")]);
    let mut second = world.after(&world.place(&Cheapest));
    assert_eq!(second.snapshot.nodes[0].machine.site.region.region.as_str(), "us-1");
    second.manifest.residency = residency(&["EU"]);
    let moved = second.place(&Cheapest);
    assert_eq!(moved.unplaced, []);
    assert!(moved.machines.iter().all(|m| m.site.region.region.as_str() != "us-1"));
    // New machines never take the id of one that was there.
    assert!(
        moved.machines.iter().all(|m| m.id.as_str().starts_with("m-2-")),
        "{}",
        lines(&moved)
    );
}

#[test]
fn replicas_of_services_that_are_gone_take_room_until_they_are_stopped() {
    let mut world = World::new()
        .with(vec![service("web", 1, "3", "1GiB")])
        .with_nodes(vec![node("n-1", "eu-1a")])
        .without_offers();
    let request = Resources::new("2".parse().unwrap(), "1GiB".parse().unwrap());
    world.snapshot.replicas = vec![running("gone/0", "n-1", request)];
    let full = world.place(&Cheapest);
    assert_eq!(full.unplaced[0].filter, Filter::Cpu);
    insta::assert_snapshot!(full.unplaced[0].reason, @"no option is left for 3 cpu, 1GiB: asks for `3000m` cores, there is `2000m`; rejected 1 by cpu");
    world.snapshot.replicas[0].state = ReplicaState::Lost;
    assert_eq!(world.place(&Cheapest).unplaced, []);
}

#[test]
fn shares_of_a_machine_sum_to_its_price() {
    let world = World::new().with(vec![
        service("a", 3, "300m", "100MiB"),
        service("b", 2, "100m", "700MiB"),
    ]);
    let placement = world.place(&Cheapest);
    for machine in &placement.machines {
        let shares = placement
            .assignments
            .iter()
            .filter(|a| a.machine == machine.id)
            .map(|a| a.share);
        assert_eq!(MicroUsdPerHour::checked_sum(shares), Some(machine.price));
    }
}

#[test]
fn spot_is_taken_where_it_is_accepted_and_cheaper() {
    let mut world = World::new().with(vec![service("a", 1, "1", "1GiB"), service("b", 1, "1", "1GiB")]);
    world.manifest.services[1].purchase = PurchasePreference::OnDemand;
    world.parts.offers[0].spot = Some(price(10_000));
    let placement = world.place(&Cheapest);
    assert_eq!(machine_of(&placement, "a/0").purchase, Purchase::Spot);
    assert_eq!(machine_of(&placement, "b/0").purchase, Purchase::OnDemand);
}

#[test]
fn egress_decides_against_the_cheaper_region_when_traffic_is_dear() {
    let mut db = service("db", 1, "1", "2GiB");
    db.clouds.insert("beta".parse().unwrap());
    let mut api = service("api", 1, "1", "2GiB");
    let world = |api: &ServiceSpec| World::new().with(vec![db.clone(), api.clone()]).place(&Cheapest);
    assert_eq!(machine_of(&world(&api), "api/0").site.region.region.as_str(), "us-1");
    api.egress = vec![egress("db", "1000GiB")];
    let near = world(&api);
    assert_eq!(machine_of(&near, "api/0").site.region.region.as_str(), "ams");
    assert_eq!(near.cost.egress_per_month, MicroUsd::ZERO);
}
