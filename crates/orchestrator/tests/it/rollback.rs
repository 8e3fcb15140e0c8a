//! Failing, cancelling, and what is taken back and what stays.

use skyloom_core::{Action, Class, Condition, ReplicaState, StepId};
use skyloom_orchestrator::{Command, Event, OnCancel, SagaConfig, SagaStatus, StopCause, plan};

use crate::fixture::{machine, manifest, name, needs, observed, place, resource, service, snapshot, touch};
use crate::runner::{Fault, Runner, step_of};
use crate::saga::{MACHINE, REPLICA, shop_plan, small_plan};
use crate::scenario::scenario;
use crate::world::{Thing, World};

/// Every step that creates fails once for good: all is rolled back, with that step as cause. Every step that deletes
/// fails once for good: all else is done.
#[test]
fn every_step_fails_once() {
    for seed in 0..15 {
        let start = scenario(seed);
        for broken in &start.plan.steps {
            let mut world = start.world.clone();
            let id = broken.id;
            let faults = move |step, _, _: &Command| (step == id).then_some(Fault::Refused(Class::Invalid));
            let mut runner = Runner::new(&start.plan, SagaConfig::new(), &mut world, seed).with_faults(faults);
            let status = runner.finish();
            let deletes = matches!(
                broken.action,
                Action::DeleteReplica { .. } | Action::DeleteMachine { .. }
            );
            let awaits = matches!(broken.action, Action::AwaitReplica { .. });
            let waited_for = runner
                .log
                .iter()
                .any(|c| matches!(c, Command::AwaitReady { step, .. } if *step == id));
            match status {
                SagaStatus::Incomplete { left } if deletes => assert_eq!(left[0].step, id),
                SagaStatus::RolledBack { cause, .. } if !deletes => assert_eq!(cause.step, id),
                SagaStatus::Succeeded if awaits => assert!(!waited_for),
                other => panic!("step {id} of seed {seed}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_failed_plan_leaves_nothing_of_its_own() {
    let plan = shop_plan();
    let last = plan.steps.last().unwrap().id;
    let mut world = World::default();
    let faults = move |step, _, command: &Command| {
        (step == last && matches!(command, Command::AwaitReady { .. })).then_some(Fault::Refused(Class::Bug))
    };
    let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, 5).with_faults(faults);
    let status = runner.finish();
    assert!(matches!(&status, SagaStatus::RolledBack { cause, kept } if cause.step == last && kept.is_empty()));
    assert_eq!(runner.saga.progress().undone, 10);
    let undone: Vec<StepId> = runner
        .log
        .iter()
        .filter(|c| matches!(c, Command::Delete { .. }))
        .map(step_of)
        .collect();
    let position = |step: StepId| undone.iter().position(|s| *s == step).unwrap();
    for step in &plan.steps {
        for after in plan.all_after(step) {
            assert!(
                position(step.id) < position(after.step),
                "{} goes before {}",
                step.id,
                after.step
            );
        }
    }
    assert!(world.things.is_empty());
}

#[test]
fn what_cannot_be_undone_is_reported_with_all_that_carries_it() {
    let plan = small_plan();
    let mut world = World::default();
    let faults = |step, _, command: &Command| {
        (step == REPLICA && matches!(command, Command::AwaitReady { .. } | Command::Delete { .. }))
            .then_some(Fault::Refused(Class::Denied))
    };
    let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, 5).with_faults(faults);
    let SagaStatus::Stuck { cause, left } = runner.finish() else {
        panic!("not stuck")
    };
    assert!(matches!(cause, StopCause::Failed(failure) if failure.step == REPLICA));
    assert_eq!(left.iter().map(|f| f.step).collect::<Vec<_>>(), [MACHINE, REPLICA]);
    assert_eq!(world.things.len(), 2);
}

#[test]
fn cancelling_keeps_or_undoes_as_configured() {
    for (on_cancel, left) in [(OnCancel::Keep, 2), (OnCancel::Compensate, 0)] {
        let plan = small_plan();
        let mut world = World::default();
        let config = SagaConfig::new().with_on_cancel(on_cancel);
        let faults = |step, _, call: &Command| {
            (step == REPLICA && matches!(call, Command::AwaitReady { .. })).then_some(Fault::Silent)
        };
        let mut runner = Runner::new(&plan, config, &mut world, 5).with_faults(faults);
        while runner.saga.resources().len() < 2 {
            runner.step(usize::MAX);
        }
        runner.handle(Event::CancelRequested);
        runner.handle(Event::CancelRequested);
        let status = runner.finish();
        assert!(
            matches!(&status, SagaStatus::Cancelled { kept } if kept.len() == left),
            "{status:?}"
        );
        let stopped = runner.log.contains(&Command::StopAwaiting { step: REPLICA });
        assert!(stopped);
        runner.handle(Event::CancelRequested);
        assert_eq!(world.things.len(), left);
    }
}

/// An old replica had to go before its successor came; then something else failed. The successor stays.
#[test]
fn what_something_old_was_given_up_for_is_not_taken_back() {
    for max_surge in [0, 1] {
        let mut spec = service("a", 1);
        spec.rollout.max_surge = max_surge;
        let old = manifest(vec![spec.clone()]);
        let there = snapshot(&["m"], vec![observed(&old, "a/0", "m", ReplicaState::Healthy)]);
        touch(&mut spec, 2);
        let new = manifest(vec![spec, needs(service("b", 1), "a", Condition::Healthy, 0)]);
        let plan = plan(&new, &place(&new, &there, |_| 16, |_| String::from("m")), &there).unwrap();
        let of_b = plan
            .steps
            .iter()
            .find(|s| s.action.replica().is_some_and(|r| *r.service() == name("b")));
        let of_b = of_b.unwrap().id;
        let mut world = World::default();
        world.things.insert(resource("vm-m"), Thing::Machine(machine("m", 16)));
        // The failure comes last: everything else has been done by then.
        let faults = move |step, nth, call: &Command| match call {
            Command::Create { .. } if step == of_b && nth < 3 => Some(Fault::Refused(Class::Throttled)),
            Command::Create { .. } if step == of_b => Some(Fault::Refused(Class::Invalid)),
            _ => None,
        };
        let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, 1).with_faults(faults);
        let status = runner.finish();
        let replaced = |s: &&skyloom_core::Step| matches!(&s.action, Action::CreateReplica { spec } if spec.replica.to_string() == "a/0");
        let kept_step = plan.steps.iter().find(replaced).unwrap().id;
        assert!(
            matches!(&status, SagaStatus::RolledBack { kept, .. } if *kept == [kept_step]),
            "surge {max_surge}: {status:?}\n{plan}"
        );
        let left: Vec<String> = world.replicas().map(|(_, spec, _)| spec.replica.to_string()).collect();
        assert_eq!(left, ["a/0"]);
    }
}
