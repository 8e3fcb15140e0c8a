//! Plans for some services only: nothing else is touched, and the whole plan afterwards comes to the same world.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use skyloom_core::{
    Action, Class, Digest, MachineId, Manifest, Placement, Plan, ReplicaId, ReplicaState, ServiceName, Snapshot,
};
use skyloom_orchestrator::{
    PlanError, PlanRequest, SagaConfig, SagaStatus, TargetError, Targeted, confine, plan_for, verify,
};

use crate::fixture::{Dice, empty, manifest, name, needs, observed, place, service, shop, snapshot, touch};
use crate::runner::Runner;
use crate::scenario::{changed, damage, random_manifest, random_places};
use crate::world::{Thing, World};

/// Where everything goes: what is asked for by `then`, the rest stays where it is.
fn placed(
    manifest: &Manifest,
    there: &Snapshot,
    then: &BTreeMap<ReplicaId, String>,
    targets: Option<&BTreeSet<ServiceName>>,
) -> Placement {
    let on = |id: &ReplicaId| {
        let stays = there.replicas.iter().find(|o| o.replica == *id);
        let is_target = targets.is_none_or(|targets| targets.contains(id.service()));
        match stays.filter(|_| !is_target) {
            Some(observed) => observed.machine.to_string(),
            None => then.get(id).cloned().unwrap_or_else(|| String::from("m0")),
        }
    };
    place(manifest, there, |_| 64, on)
}

fn carry_out(plan: &Plan, world: &mut World, order: u64) {
    let status = Runner::new(plan, SagaConfig::new(), world, order).finish();
    assert_eq!(status, SagaStatus::Succeeded, "{plan}");
    world.new_plan();
}

/// What is there, without the provider's names for it.
fn content(world: &World) -> BTreeMap<(Option<ReplicaId>, MachineId), Option<Digest>> {
    let one = |thing: &Thing| match thing {
        Thing::Machine(machine) => ((None, machine.id.clone()), None),
        Thing::Replica(spec, _) => ((Some(spec.replica.clone()), spec.machine.clone()), Some(spec.digest())),
    };
    world.things.values().map(one).collect()
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::CreateReplica { .. } => "create",
        Action::DeleteReplica { .. } => "delete",
        Action::AwaitReplica { .. } => "await",
        _ => "other",
    }
}

fn about(plan: &Plan, services: &BTreeSet<ServiceName>) -> BTreeSet<(&'static str, ReplicaId)> {
    let replicas = plan.steps.iter().filter_map(|step| {
        let replica = step.action.replica()?;
        services
            .contains(replica.service())
            .then(|| (kind(&step.action), replica.clone()))
    });
    replicas.filter(|(kind, _)| *kind != "await").collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// A partial plan does to its targets what the whole plan does, creates of their needs only what does not serve, and
    /// touches nothing else; after it the whole plan comes to the same world as without it.
    #[test]
    fn a_partial_plan_is_a_part_of_the_whole(seed: u64, order: u64) {
        let mut dice = Dice(seed);
        let first = random_manifest(&mut dice);
        let mut world = World::default();
        let start = empty();
        let then = random_places(&first, &mut dice);
        let placement = placed(&first, &start, &then, None);
        carry_out(&plan_for(&PlanRequest::new(&first, &placement, &start)).unwrap(), &mut world, order);
        damage(&mut world, &mut dice);
        let second = changed(&first, &mut dice);
        let then = random_places(&second, &mut dice);
        let targets: BTreeSet<ServiceName> =
            [second.services[dice.below(second.services.len())].name.clone()].into();
        let there = world.snapshot(2);

        let Targeted { manifest: confined, targets: extent, .. } = confine(&second, Some(&first), &targets).unwrap();
        let placement = placed(&confined, &there, &then, Some(&targets));
        let request = PlanRequest::new(&confined, &placement, &there)
            .with_previous(Some(&first))
            .with_targets(Some(&extent));
        let part = plan_for(&request).unwrap();
        prop_assert_eq!(part.targets.as_ref(), Some(&extent));
        prop_assert_eq!(verify(&part, &there), Ok(()));

        let placement = placed(&second, &there, &then, None);
        let request = PlanRequest::new(&second, &placement, &there).with_previous(Some(&first));
        let whole = plan_for(&request).unwrap();
        prop_assert!(about(&part, &targets).is_subset(&about(&whole, &targets)), "{}\n{}", part, whole);
        for step in &part.steps {
            let Some(replica) = step.action.replica() else { continue };
            let is_need = extent.needs.contains(replica.service());
            prop_assert!(is_need || targets.contains(replica.service()), "{}", part);
            if is_need && matches!(step.action, Action::CreateReplica { .. }) {
                let serves = there.replicas.iter().any(|o| {
                    let sound = matches!(o.state, ReplicaState::Pending | ReplicaState::Started | ReplicaState::Healthy);
                    o.replica == *replica && sound
                });
                prop_assert!(!serves, "{} runs: {}", replica, part);
            }
        }

        let mut directly = world.clone();
        carry_out(&whole, &mut directly, order);
        carry_out(&part, &mut world, order);
        let there = world.snapshot(3);
        let placement = placed(&second, &there, &then, None);
        let request = PlanRequest::new(&second, &placement, &there).with_previous(Some(&confined));
        carry_out(&plan_for(&request).unwrap(), &mut world, order);
        prop_assert_eq!(content(&world), content(&directly));
    }
}

/// The shop with a new image for every service.
fn new_shop() -> Manifest {
    let mut new = shop();
    for service in &mut new.services {
        touch(service, 9);
    }
    new
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<ServiceName> {
    names.map(name).into()
}

#[test]
fn what_is_left_out_is_told() {
    let (old, new) = (shop(), new_shop());
    let confined = confine(&new, Some(&old), &names(["backend"])).unwrap();
    assert_eq!(confined.targets.needs, names(["database"]));
    assert_eq!(confined.targets.left_out, names(["database", "frontend"]));
    let image = |manifest: &Manifest, service: &str| manifest.service(&name(service)).unwrap().run.image.clone();
    assert_eq!(image(&confined.manifest, "backend"), image(&new, "backend"));
    assert_eq!(image(&confined.manifest, "database"), image(&old, "database"));
    assert_eq!(image(&confined.manifest, "frontend"), image(&old, "frontend"));
    let ids = [
        "backend/0",
        "backend/1",
        "database/0",
        "frontend/0",
        "frontend/1",
        "frontend/2",
        "frontend/3",
    ];
    let there = snapshot(
        &["m"],
        ids.map(|id| observed(&old, id, "m", ReplicaState::Healthy)).to_vec(),
    );
    let placement = place(&confined.manifest, &there, |_| 16, |_| String::from("m"));
    let request = PlanRequest::new(&confined.manifest, &placement, &there).with_targets(Some(&confined.targets));
    let plan = plan_for(&request).unwrap();
    let text = plan.to_string();
    let second = text.lines().nth(1).unwrap();
    assert_eq!(
        second,
        "  partial: only backend, and what is missing of database; left as it is: database, frontend"
    );
    assert_eq!(plan.steps.len(), 4, "{plan}");
}

#[test]
fn before_anything_runs_the_needs_come_too_and_nothing_else() {
    let wanted = shop();
    let confined = confine(&wanted, None, &names(["backend"])).unwrap();
    let services: Vec<&str> = confined.manifest.services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(services, ["backend", "database"]);
    assert_eq!(confined.targets.left_out, names(["frontend"]));
    let there = empty();
    let placement = place(&confined.manifest, &there, |_| 16, |_| String::from("m"));
    let request = PlanRequest::new(&confined.manifest, &placement, &there).with_targets(Some(&confined.targets));
    assert_eq!(plan_for(&request).unwrap().steps.len(), 1 + 3);
}

#[test]
fn bad_targets_are_named() {
    let wanted = shop();
    let none = confine(&wanted, None, &BTreeSet::new()).unwrap_err();
    assert_eq!((none.clone(), none.class()), (TargetError::None, Class::Invalid));
    let unknown = confine(&wanted, None, &names(["fronted"])).unwrap_err();
    insta::assert_snapshot!(unknown, @"plan for `fronted` only: the manifest has no such service");
}

#[test]
fn room_that_others_would_have_to_make_is_none() {
    let old = manifest(vec![service("a", 2), service("b", 1)]);
    let mut new = old.clone();
    new.services[1].replicas = std::num::NonZeroU32::new(3).unwrap();
    let ids = ["a/0", "a/1", "b/0"];
    let mut there = snapshot(
        &["m"],
        ids.map(|id| observed(&old, id, "m", ReplicaState::Healthy)).to_vec(),
    );
    there.nodes[0].machine = crate::fixture::machine("m", 4);
    let confined = confine(&new, Some(&old), &names(["b"])).unwrap();
    let placement = place(&confined.manifest, &there, |_| 4, |_| String::from("m"));
    let request = PlanRequest::new(&confined.manifest, &placement, &there).with_targets(Some(&confined.targets));
    let error = plan_for(&request).unwrap_err();
    assert!(
        matches!(error, PlanError::Target(TargetError::NoRoom { .. })),
        "{error}"
    );
    assert_eq!(error.class(), Class::Exhausted);
}

#[test]
fn a_dependent_is_not_touched_even_when_it_is_sick() {
    let old = manifest(vec![
        service("db", 1),
        needs(service("web", 1), "db", skyloom_core::Condition::Healthy, 0),
    ]);
    let mut new = old.clone();
    touch(&mut new.services[0], 3);
    let there = snapshot(
        &["m"],
        vec![
            observed(&old, "db/0", "m", ReplicaState::Healthy),
            observed(&old, "web/0", "m", ReplicaState::Unhealthy),
        ],
    );
    let confined = confine(&new, Some(&old), &names(["db"])).unwrap();
    let placement = place(&confined.manifest, &there, |_| 16, |_| String::from("m"));
    let request = PlanRequest::new(&confined.manifest, &placement, &there).with_targets(Some(&confined.targets));
    let plan = plan_for(&request).unwrap();
    let services: BTreeSet<_> = plan
        .steps
        .iter()
        .filter_map(|s| s.action.replica())
        .map(ReplicaId::service)
        .collect();
    assert_eq!(services, [&name("db")].into());
}
