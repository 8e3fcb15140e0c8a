//! A crash after every record, a second one during the recovery, a lost answer at every call: the end is the same.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use skyloom_core::{Class, MachineId, Plan, ReplicaId, ReplicaState, StepId};
use skyloom_orchestrator::{Command, OnCancel, Record, Saga, SagaConfig, SagaStatus};

use crate::fixture::Dice;
use crate::runner::{Fault, Runner};
use crate::scenario::{Scenario, scenario};
use crate::world::{Thing, World, is_call};

fn config() -> SagaConfig {
    SagaConfig::new()
        .with_parallelism(std::num::NonZeroU32::new(3).unwrap())
        .with_consistency_window(Duration::from_secs(5))
}

/// What is there, without the provider's names for it.
fn content(world: &World) -> BTreeSet<(Option<ReplicaId>, MachineId)> {
    let content = world.things.values().map(|thing| match thing {
        Thing::Machine(machine) => (None, machine.id.clone()),
        Thing::Replica(spec, _) => (Some(spec.replica.clone()), spec.machine.clone()),
    });
    let all: Vec<_> = content.collect();
    let set: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(set.len(), all.len(), "I2: something is there twice: {all:?}");
    set
}

/// Nothing that the plan made is there without the saga knowing it, and nothing that it claims is absent.
fn assert_no_orphan(world: &World, saga: &Saga) {
    let known: BTreeSet<_> = saga.resources().into_values().collect();
    let made: BTreeSet<_> = world
        .made
        .values()
        .flatten()
        .filter(|id| world.things.contains_key(*id))
        .cloned()
        .collect();
    assert_eq!(made, known, "I1");
}

/// A replica that served before still has a thing, unless its old one had to go first.
fn assert_served(before: &Scenario, world: &World) {
    let served = before
        .snapshot
        .replicas
        .iter()
        .filter(|o| o.state == ReplicaState::Healthy);
    for old in served {
        let wanted = before.placement.assignments.iter().any(|a| a.replica == old.replica);
        let there = world.replicas().any(|(_, spec, _)| spec.replica == old.replica);
        let deletes = |s: &&skyloom_core::Step| matches!(&s.action, skyloom_core::Action::DeleteReplica { resource, .. } if *resource == old.resource);
        let creates = |s: &&skyloom_core::Step| matches!(&s.action, skyloom_core::Action::CreateReplica { spec } if spec.replica == old.replica);
        let steps = &before.plan.steps;
        let old_first = match (steps.iter().find(deletes), steps.iter().find(creates)) {
            (Some(delete), Some(create)) => delete.id < create.id,
            _ => false,
        };
        assert!(!wanted || there || old_first, "I6: nothing is left of {}", old.replica);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    /// After a crash at every record and a second one in the recovery the end is that of an undisturbed run.
    #[test]
    fn a_crash_after_every_record_changes_nothing(seed: u64, order: u64) {
        let start = scenario(seed);
        let mut world = start.world.clone();
        let mut undisturbed = Runner::new(&start.plan, config(), &mut world, order);
        prop_assert_eq!(undisturbed.finish(), SagaStatus::Succeeded);
        let records = undisturbed.journal.len();
        let end = content(&world);
        for k in 0..=records {
            let mut world = start.world.clone();
            let mut runner = Runner::new(&start.plan, config(), &mut world, order);
            runner.crash_after(k);
            runner.resume(config());
            let again = k + 1 + runner.dice.below(6);
            runner.crash_after(again);
            runner.resume(config());
            prop_assert_eq!(runner.finish(), SagaStatus::Succeeded, "crash after {}", k);
            assert_no_orphan(runner.world, &runner.saga);
            prop_assert_eq!(content(&world), end.clone());
        }
    }

    /// A lost answer at any call is found out and nothing is made twice.
    #[test]
    fn a_lost_answer_at_every_call_changes_nothing(seed: u64, order: u64) {
        let start = scenario(seed);
        let mut world = start.world.clone();
        prop_assert_eq!(Runner::new(&start.plan, config(), &mut world, order).finish(), SagaStatus::Succeeded);
        let end = content(&world);
        for lost in start.plan.steps.iter().map(|s| s.id) {
            for fault in [Fault::Lost(Class::Transient), Fault::Silent, Fault::Refused(Class::Throttled)] {
                let mut world = start.world.clone();
                let mut runner = Runner::new(&start.plan, config(), &mut world, order)
                    .with_faults(move |step, nth, call| (step == lost && nth == 0 && is_call(call)).then_some(fault));
                prop_assert_eq!(runner.finish(), SagaStatus::Succeeded);
                assert_no_orphan(runner.world, &runner.saga);
                prop_assert_eq!(content(&world), end.clone());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Whatever fails, whenever the controller dies, whether somebody cancels: it ends, nothing is an orphan, nothing is
    /// there twice, nothing that served is taken away, and the next plan can be carried out.
    #[test]
    fn faults_and_crashes_at_random_end_well(seed: u64, order: u64, chance in 2usize..12) {
        let start = scenario(seed);
        let mut world = start.world.clone();
        let mut dice = Dice(order ^ 0x5eed);
        let compensate = dice.one_in(2);
        let config = config().with_on_cancel(if compensate { OnCancel::Compensate } else { OnCancel::Keep });
        let mut faulty = dice.clone();
        let faults = move |_: StepId, _: u32, _: &Command| {
            let fault = [
                Fault::Lost(Class::Transient),
                Fault::Lost(Class::Bug),
                Fault::Silent,
                Fault::Refused(Class::Transient),
                Fault::Refused(Class::Throttled),
                Fault::Refused(Class::Exhausted),
                Fault::Refused(Class::Bug),
                Fault::Refused(Class::Conflict),
            ][faulty.below(8)];
            faulty.one_in(chance).then_some(fault)
        };
        let mut runner = Runner::new(&start.plan, config, &mut world, order).with_faults(faults);
        for _ in 0..dice.below(4) {
            let at = runner.journal.len() + dice.below(20);
            runner.crash_after(at);
            runner.resume(config);
            if dice.one_in(4) {
                runner.handle(skyloom_orchestrator::Event::CancelRequested);
            }
        }
        let status = runner.finish();
        let doubt = matches!(status, SagaStatus::Stuck { .. });
        if !doubt {
            assert_no_orphan(runner.world, &runner.saga);
        }
        assert_served(&start, runner.world);
        let twice = Saga::resume(start.plan.clone(), config, 99, &runner.journal).unwrap();
        prop_assert_eq!(twice.status(), status, "an ended journal stays ended");
        recover(&start, &mut world, order);
    }

    /// The same events give the same commands, byte for byte.
    #[test]
    fn equal_events_give_equal_commands(seed: u64, order: u64) {
        let start = scenario(seed);
        let run = || {
            let mut world = start.world.clone();
            let mut runner = Runner::new(&start.plan, config(), &mut world, order);
            runner.crash_after(7);
            runner.resume(config());
            runner.finish();
            (runner.log, runner.journal)
        };
        let (first, second) = (run(), run());
        prop_assert_eq!(serde_json::to_string(&first.1).unwrap(), serde_json::to_string(&second.1).unwrap());
        prop_assert_eq!(first.0, second.0);
    }

    /// A journal cut anywhere is a journal; read back from its text it gives the same state.
    #[test]
    fn every_prefix_of_a_journal_resumes(seed: u64, order: u64) {
        let start = scenario(seed);
        let mut world = start.world.clone();
        let mut runner = Runner::new(&start.plan, config(), &mut world, order);
        runner.finish();
        let text = serde_json::to_string(&runner.journal).unwrap();
        let read: Vec<Record> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &runner.journal);
        for k in 0..=read.len() {
            prop_assert!(Saga::resume(start.plan.clone(), config(), 1, &read[..k]).is_ok());
        }
    }
}

/// With the faults off, a new plan from what is there reaches what was wanted.
fn recover(start: &Scenario, world: &mut World, order: u64) {
    world.new_plan();
    let there = world.snapshot(7);
    let mut placement = start.placement.clone();
    placement.snapshot = there.reference();
    let plan: Plan = skyloom_orchestrator::plan(&start.manifest, &placement, &there).unwrap();
    let status = Runner::new(&plan, config(), world, order).finish();
    assert_eq!(status, SagaStatus::Succeeded, "I5");
    let replicas: Vec<_> = content(world).into_iter().filter_map(|(replica, _)| replica).collect();
    let wanted: Vec<_> = placement.assignments.iter().map(|a| a.replica.clone()).collect();
    assert_eq!(replicas, wanted, "I5");
}

#[test]
fn a_crash_during_a_rollback_ends_in_the_same_rollback() {
    let start = scenario(11);
    let last = start
        .plan
        .steps
        .iter()
        .rfind(|s| matches!(s.action, skyloom_core::Action::CreateReplica { .. }))
        .unwrap()
        .id;
    let faults = move |step: StepId, _: u32, command: &Command| {
        (step == last && matches!(command, Command::Create { .. })).then_some(Fault::Refused(Class::Invalid))
    };
    let run = |crash: Option<usize>| {
        let mut world = start.world.clone();
        let mut runner = Runner::new(&start.plan, config(), &mut world, 3).with_faults(faults);
        if let Some(at) = crash {
            runner.crash_after(at);
            runner.resume(config());
        }
        let status = runner.finish();
        assert_no_orphan(runner.world, &runner.saga);
        let records = runner.journal.len();
        (status, records, content(&world))
    };
    let (status, records, end) = run(None);
    assert!(
        matches!(&status, SagaStatus::RolledBack { cause, .. } if cause.step == last),
        "{status:?}"
    );
    for at in 0..records {
        let (again, _, content) = run(Some(at));
        assert!(
            matches!(&again, SagaStatus::RolledBack { cause, .. } if cause.step == last),
            "{again:?}"
        );
        // A crash may come before an old replica is given up, so that more is undone; no replica is lost by it.
        let replicas = |content: &BTreeSet<(Option<ReplicaId>, MachineId)>| -> BTreeSet<_> {
            content.iter().filter_map(|(replica, _)| replica.clone()).collect()
        };
        let fewer: Vec<_> = replicas(&end).difference(&replicas(&content)).cloned().collect();
        assert_eq!(fewer, []);
    }
}
