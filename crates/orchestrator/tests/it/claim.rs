//! Names that moved and things that are taken over: what runs, runs on; what differs is replaced; a crash or a failure at
//! any moment loses nothing.

use std::collections::BTreeMap;

use skyloom_core::{
    Action, Class, Import, Manifest, Moved, Placement, Plan, ReplicaId, ReplicaRange, ReplicaState, ResourceId,
    Snapshot,
};
use skyloom_orchestrator::{
    ClaimError, Claimed, Command, Found, FoundMachine, PlanRequest, SagaConfig, SagaStatus, claim, plan_for, verify,
};

use crate::fixture::{
    checked, empty, machine, manifest, name, needs, node, observed, place, replica, resource, service, snapshot, touch,
};
use crate::runner::{Fault, Runner};
use crate::world::{Thing, World};

fn range(text: &str) -> ReplicaRange {
    match text.split_once('/') {
        None => ReplicaRange::all(name(text)),
        Some((service, numbers)) => {
            let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let numbers = Some((first.parse().unwrap(), last.parse().unwrap()));
            let service = name(service);
            ReplicaRange { service, numbers }
        }
    }
}

fn moved(manifest: &mut Manifest, from: &str, to: &str) {
    let (from, to) = (range(from), range(to));
    manifest.moved.push(Moved { from, to, at: None });
}

/// Where each replica is, everything else is on `m`.
fn on_m(_: &ReplicaId) -> String {
    String::from("m")
}

fn placed(manifest: &Manifest, snapshot: &Snapshot) -> Placement {
    place(manifest, snapshot, |_| 16, on_m)
}

fn planned(manifest: &Manifest, there: &Snapshot, found: &[Found]) -> Plan {
    let Claimed { snapshot, claims, .. } = claim(manifest, there, found).unwrap();
    let placement = placed(manifest, &snapshot);
    let plan = plan_for(&PlanRequest::new(manifest, &placement, &snapshot).with_claims(&claims)).unwrap();
    assert_eq!(claims.uncovered(&plan), None);
    assert_eq!(
        verify(&plan, there),
        Ok(()),
        "it can be applied to the world it was made from"
    );
    plan
}

/// Without the first line, which holds the plan's digest.
fn steps_of(plan: &Plan) -> String {
    let text = plan.to_string();
    text.lines().skip(1).collect::<Vec<_>>().join("\n")
}

fn actions(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.action.to_string()).collect()
}

/// A world in which the manifest runs on machine `m`.
fn running(manifest: &Manifest) -> World {
    let mut world = World::default();
    let before = empty();
    let plan = planned(manifest, &before, &[]);
    let status = Runner::new(&plan, SagaConfig::new(), &mut world, 1).finish();
    assert_eq!(status, SagaStatus::Succeeded);
    world.new_plan();
    world
}

fn resources(world: &World) -> BTreeMap<String, ResourceId> {
    let named =
        |(id, spec, _): (&ResourceId, &skyloom_core::ReplicaSpec, ReplicaState)| (spec.replica.to_string(), id.clone());
    world.replicas().map(named).collect()
}

fn two_webs() -> Manifest {
    manifest(vec![
        needs(checked(service("web", 2)), "db", skyloom_core::Condition::Healthy, 0),
        checked(service("db", 1)),
    ])
}

/// The same with `web` called `front`.
fn renamed() -> Manifest {
    let mut new = two_webs();
    new.services[0].name = name("front");
    moved(&mut new, "web", "front");
    new
}

#[test]
fn a_service_under_a_new_name_is_renamed_and_runs_on() {
    let mut world = running(&two_webs());
    let before = resources(&world);
    let plan = planned(&renamed(), &world.snapshot(2), &[]);
    assert_eq!(
        actions(&plan),
        ["> web/0 becomes front/0 on m", "> web/1 becomes front/1 on m"]
    );
    assert_eq!(plan.price_before, plan.price_after);
    let status = Runner::new(&plan, SagaConfig::new(), &mut world, 7).finish();
    assert_eq!(status, SagaStatus::Succeeded);
    let after = resources(&world);
    assert_eq!(
        (&after["front/0"], &after["front/1"]),
        (&before["web/0"], &before["web/1"])
    );
    // The claim is still in the manifest and asks for nothing any more.
    let again = planned(&renamed(), &world.snapshot(3), &[]);
    assert!(again.is_empty(), "{again}");
}

#[test]
fn chains_are_followed_to_their_end_and_ranges_keep_their_order() {
    let world = running(&two_webs());
    let mut new = two_webs();
    new.services[0].name = name("shown");
    moved(&mut new, "front", "shown");
    moved(&mut new, "web", "front");
    let chained = planned(&new, &world.snapshot(2), &[]);
    assert_eq!(
        actions(&chained),
        ["> web/0 becomes shown/0 on m", "> web/1 becomes shown/1 on m"]
    );
    // One of the two becomes a service of its own.
    let mut split = two_webs();
    split.services[0].replicas = std::num::NonZeroU32::MIN;
    let mut edge = split.services[0].clone();
    edge.name = name("edge");
    split.services.push(edge);
    moved(&mut split, "web/1", "edge/0");
    assert_eq!(
        actions(&planned(&split, &world.snapshot(2), &[])),
        ["> web/1 becomes edge/0 on m"]
    );
}

#[test]
fn what_differs_otherwise_is_replaced_and_says_why() {
    let world = running(&two_webs());
    let mut new = renamed();
    touch(&mut new.services[0], 2);
    let plan = planned(&new, &world.snapshot(2), &[]);
    insta::assert_snapshot!(steps_of(&plan), @r"
      #0  ~ front/0 on m    `web/0` has this name now and cannot be kept: the old one is out of date
      #1  - web/0 on m      is replaced by `front/0` [after #0 healthy]
      #2  ~ front/1 on m    `web/1` has this name now and cannot be kept: the old one is out of date [after #1]
      #3  - web/1 on m      is replaced by `front/1` [after #2 healthy]
    price 0.10 USD/h -> 0.10 USD/h (+0.00 USD/h)
    ");
}

#[test]
fn a_name_that_is_taken_is_not_given_twice() {
    let mut both = two_webs();
    let mut front = both.services[0].clone();
    front.name = name("front");
    both.services.push(front);
    let world = running(&both);
    let plan = planned(&renamed(), &world.snapshot(2), &[]);
    assert_eq!(actions(&plan), ["- web/0 on m", "- web/1 on m"]);
    assert_eq!(plan.steps[0].why, "was to become `front/0`, which runs already");
}

#[test]
fn a_failure_elsewhere_gives_names_and_owners_back() {
    let mut world = running(&two_webs());
    let foreign = foreign_world(&mut world);
    let before = world.clone();
    let mut new = renamed();
    new.services.push(service("extra", 1));
    new.services.push(service("old", 1));
    import(&mut new, "old/0", "i-1", Some("other"));
    let plan = planned(&new, &world.snapshot(2), &foreign);
    let doomed = plan
        .steps
        .iter()
        .find(|step| matches!(&step.action, Action::CreateReplica { .. }));
    let doomed = doomed.unwrap().id;
    let mut some_were_undone = false;
    for seed in 0..40 {
        let mut world = before.clone();
        let fails = move |step, _, command: &Command| {
            (step == doomed && matches!(command, Command::Create { .. })).then_some(Fault::Refused(Class::Invalid))
        };
        let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, seed).with_faults(fails);
        let status = runner.finish();
        assert!(matches!(status, SagaStatus::RolledBack { .. }), "{status:?}");
        let undone =
            |record: &skyloom_orchestrator::Record| matches!(record, skyloom_orchestrator::Record::Compensated { .. });
        some_were_undone |= runner.journal.iter().any(undone);
        assert_eq!(
            (&world.things, &world.foreign),
            (&before.things, &before.foreign),
            "seed {seed}"
        );
    }
    assert!(some_were_undone);
}

#[test]
fn a_crash_after_every_record_ends_the_same() {
    let mut world = running(&two_webs());
    let foreign = foreign_world(&mut world);
    let before = world.clone();
    let mut new = renamed();
    new.services.push(service("old", 1));
    import(&mut new, "old/0", "i-1", Some("other"));
    let plan = planned(&new, &world.snapshot(2), &foreign);
    let mut whole = before.clone();
    let mut runner = Runner::new(&plan, SagaConfig::new(), &mut whole, 3);
    assert_eq!(runner.finish(), SagaStatus::Succeeded);
    let records = runner.journal.len();
    for k in 0..=records {
        for seed in 0..4 {
            let mut world = before.clone();
            let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, seed);
            runner.crash_after(k);
            runner.resume(SagaConfig::new());
            assert_eq!(runner.finish(), SagaStatus::Succeeded, "after {k} records");
            assert_eq!(
                (&world.things, &world.foreign),
                (&whole.things, &whole.foreign),
                "after {k} records"
            );
        }
    }
}

fn import(manifest: &mut Manifest, id: &str, thing: &str, taken_from: Option<&str>) {
    manifest.imports.push(Import {
        replica: replica(id),
        resource: resource(thing),
        cloud: None,
        taken_from: taken_from.map(|owner| owner.parse().unwrap()),
        at: Some(skyloom_core::Location { line: 9, column: 3 }),
    });
}

/// What runs somewhere as `legacy`: the thing `i-1` on the machine `i-m`, which belong to `other`.
fn found() -> Found {
    let old = service("old", 1);
    let owner = Some("other".parse().unwrap());
    Found {
        resource: resource("i-1"),
        name: String::from("legacy"),
        owner: owner.clone(),
        state: ReplicaState::Started,
        request: old.resources,
        run: Some(old.run),
        machine: FoundMachine {
            machine: machine("i-m", 16),
            resource: resource("i-m"),
            name: String::from("legacy-vm"),
            owner,
        },
    }
}

fn foreign_world(world: &mut World) -> Vec<Found> {
    let found = found();
    let spec = skyloom_core::ReplicaSpec {
        replica: replica("old/0"),
        machine: found.machine.machine.id.clone(),
        site: found.machine.machine.site.clone(),
        request: found.request,
        run: found.run.clone().unwrap(),
        health: None,
        stop: skyloom_core::StopSpec::default(),
    };
    let thing = Thing::Replica(spec.into(), ReplicaState::Started);
    world.foreign.insert(found.resource.clone(), thing);
    world.foreign.insert(
        found.machine.resource.clone(),
        Thing::Machine(found.machine.machine.clone()),
    );
    vec![found]
}

/// A plan in which each replica stays where it is found.
fn taking(manifest: &Manifest, there: &Snapshot, found: &[Found]) -> Plan {
    let Claimed { snapshot, claims, .. } = claim(manifest, there, found).unwrap();
    let on = |id: &ReplicaId| {
        let there = snapshot.replicas.iter().find(|o| o.replica == *id);
        there.map_or_else(|| String::from("m"), |o| o.machine.to_string())
    };
    let placement = place(manifest, &snapshot, |_| 16, on);
    plan_for(&PlanRequest::new(manifest, &placement, &snapshot).with_claims(&claims)).unwrap()
}

#[test]
fn what_is_as_the_manifest_says_is_taken_over_and_runs_on() {
    let mut wanted = manifest(vec![service("old", 1)]);
    import(&mut wanted, "old/0", "i-1", Some("other"));
    let mut world = World::default();
    let found = foreign_world(&mut world);
    let plan = taking(&wanted, &world.snapshot(1), &found);
    insta::assert_snapshot!(steps_of(&plan), @r"
      #0  > i-m becomes machine i-m (aws/eu-central-1 m5.large 0.10 USD/h)  +0.10 USD/h  carries what is taken over
      #1  > i-1 becomes old/0 on i-m                                                     is that of `other` and what the manifest says: it runs on [after #0]
    price 0.00 USD/h -> 0.10 USD/h (+0.10 USD/h)
    ");
    assert_eq!(verify(&plan, &world.snapshot(1)), Ok(()));
    let status = Runner::new(&plan, SagaConfig::new(), &mut world, 1).finish();
    assert_eq!(status, SagaStatus::Succeeded);
    assert!(world.foreign.is_empty() && world.things.contains_key(&resource("i-1")));
    let again = taking(&wanted, &world.snapshot(2), &[]);
    assert!(again.is_empty(), "{again}");
}

#[test]
fn what_differs_is_taken_over_first_and_replaced_then() {
    let mut wanted = manifest(vec![service("old", 1)]);
    touch(&mut wanted.services[0], 4);
    import(&mut wanted, "old/0", "i-1", Some("other"));
    let mut world = World::default();
    let found = foreign_world(&mut world);
    let plan = taking(&wanted, &world.snapshot(1), &found);
    assert_eq!(
        plan.steps[1].why,
        "is that of `other` and not what the manifest says (image): it is replaced"
    );
    let status = Runner::new(&plan, SagaConfig::new(), &mut world, 2).finish();
    assert_eq!(status, SagaStatus::Succeeded);
    assert!(world.foreign.is_empty() && !world.things.contains_key(&resource("i-1")));
    assert!(taking(&wanted, &world.snapshot(2), &[]).is_empty());
    // What cannot be compared is taken to be right.
    let mut unknown = found.clone();
    unknown[0].run = None;
    let trusting = taking(&wanted, &empty(), &unknown);
    assert_eq!(trusting.steps.len(), 2, "{trusting}");
}

#[test]
fn what_cannot_be_taken_is_named_with_its_line() {
    let mut wanted = manifest(vec![service("old", 1)]);
    import(&mut wanted, "old/0", "i-1", None);
    let text = |found: &[Found], there: &Snapshot| claim(&wanted, there, found).unwrap_err().to_string();
    insta::assert_snapshot!(text(&[], &empty()), @"take over `i-1` as `old/0` (line 9): it is not there");
    insta::assert_snapshot!(text(&[found()], &empty()), @"take over `i-1` as `old/0` (line 9): it belongs to `other`; `taken_from` may name its owner");
    let there = snapshot(&["m"], vec![observed(&wanted, "old/0", "m", ReplicaState::Healthy)]);
    insta::assert_snapshot!(text(&[found()], &there), @"take over `i-1` as `old/0` (line 9): `old/0` runs already as `r-old/0-m`");
    let mut nobodys = found();
    nobodys.owner = None;
    let error = claim(&wanted, &empty(), std::slice::from_ref(&nobodys)).unwrap_err();
    assert!(
        matches!(&error, ClaimError::OtherOwner { resource: id, .. } if *id == resource("i-m")),
        "{error}"
    );
    assert_eq!(error.class(), Class::Denied);
    nobodys.machine.owner = None;
    assert!(claim(&wanted, &empty(), std::slice::from_ref(&nobodys)).is_ok());
    let taken = Snapshot {
        nodes: vec![node(machine("i-m", 4))],
        ..empty()
    };
    insta::assert_snapshot!(claim(&wanted, &taken, &[nobodys]).unwrap_err(), @"take over machine `i-m`: there is another machine `i-m`");
}

#[test]
fn a_world_that_moved_makes_claims_stale() {
    let world = running(&two_webs());
    let there = world.snapshot(2);
    let plan = planned(&renamed(), &there, &[]);
    let mut gone = there.clone();
    let web_0 = gone
        .replicas
        .iter()
        .position(|o| o.replica == replica("web/0"))
        .unwrap();
    gone.replicas.remove(web_0);
    let stale = verify(&plan, &gone).unwrap_err().to_string();
    assert!(stale.contains("`web/0` (") && stale.ends_with("is gone"), "{stale}");
}

#[test]
fn a_forged_claim_is_found() {
    let world = running(&two_webs());
    let there = world.snapshot(2);
    let mut forged = planned(&renamed(), &there, &[]);
    let claimed = claim(&renamed(), &there, &[]).unwrap();
    if let Action::RenameReplica { resource: id, .. } = &mut forged.steps[1].action {
        *id = resource("another");
    }
    assert_eq!(claimed.claims.uncovered(&forged), Some(forged.steps[1].id));
}
