//! The executor: what moves, what is verified, and what happens when the world moves meanwhile.

use std::num::NonZeroU32;
use std::sync::Mutex;

use futures::executor::block_on;
use skyloom_core::{Class, Timestamp};
use skyloom_sync::testkit::{Fault, FaultPlan, FaultyStore, Mutant, Mutation};
use skyloom_sync::{
    Action, BytesBody, Condition, ConflictCause, InMemory, InMemoryBase, Key, Metadata, Outcome, Phase, Side, Silent,
    Store, SyncConfig, SyncError, SyncEvent, SyncPlan, SyncReport, conflict_key, execute, sync, sync_observed, verify,
};

use crate::support::{World, fill, hash, key, mirror, read, texts, texts_of, two_way};

fn run(world: &World, plan: &SyncPlan, config: &SyncConfig) -> Result<SyncReport, SyncError> {
    let execution = execute(
        plan,
        &world.left,
        &world.right,
        &world.base,
        config,
        Timestamp::EPOCH,
        &Silent,
    );
    block_on(execution)
}

#[test]
fn only_the_change_moves() {
    let world = World::with(&[("a", "1234"), ("b", "12"), ("c/d", "")], &[]);
    let first = world.sync(&mirror()).unwrap();
    assert_eq!(
        (first.objects, first.copied, first.bytes_moved, first.verified),
        (3, 3, 6, 3)
    );
    assert!(first.is_complete());
    let second = world.sync(&mirror()).unwrap();
    assert_eq!((second.objects, second.copied, second.bytes_moved), (3, 0, 0));
    fill(&world.left, &[("b", "123")]);
    assert!(world.left.remove(&key("a")));
    let third = world.sync(&mirror()).unwrap();
    assert_eq!(
        (third.objects, third.copied, third.deleted, third.bytes_moved),
        (2, 1, 1, 3)
    );
    assert_eq!(texts(&world.right), texts_of(&[("b", "123"), ("c/d", "")]));
    assert!(
        block_on(verify(&world.left, &world.right, &mirror()))
            .unwrap()
            .is_equal()
    );
}

#[test]
fn the_dry_run_is_what_is_done() {
    let world = World::with(&[("a", "L"), ("b", "12")], &[("a", "R"), ("c", "345")]);
    let plan = world.prepare(&two_way()).unwrap();
    let before = world.contents();
    assert_eq!(world.contents(), before);
    let report = run(&world, &plan, &two_way()).unwrap();
    assert_eq!(report.copied, plan.operations.len() as u64);
    assert_eq!(
        (report.bytes_moved, &report.resolved),
        (plan.bytes_to_move, &plan.conflicts)
    );
    let copy = conflict_key(&key("a"), &hash("R")).unwrap().to_string();
    let expected = texts_of(&[("a", "L"), ("b", "12"), ("c", "345"), (&copy, "R")]);
    assert_eq!(world.contents(), (expected.clone(), expected));
    assert!(world.prepare(&two_way()).unwrap().is_settled());
}

#[test]
fn an_edit_between_plan_and_execution_is_a_conflict_and_stays() {
    let setup = || {
        let world = World::with(&[("k", "old")], &[]);
        world.sync(&mirror()).unwrap();
        world
    };
    // The destination was changed.
    let world = setup();
    fill(&world.left, &[("k", "new")]);
    let plan = world.prepare(&mirror()).unwrap();
    fill(&world.right, &[("k", "somebody's")]);
    let report = run(&world, &plan, &mirror()).unwrap();
    assert_eq!(report.conflicts[0].cause, ConflictCause::Destination(Side::Right));
    assert_eq!(texts(&world.right), texts_of(&[("k", "somebody's")]));
    // The source was changed.
    let world = setup();
    fill(&world.left, &[("k", "new")]);
    let plan = world.prepare(&mirror()).unwrap();
    fill(&world.left, &[("k", "newer")]);
    let report = run(&world, &plan, &mirror()).unwrap();
    assert_eq!(report.conflicts[0].cause, ConflictCause::Source(Side::Left));
    assert_eq!(texts(&world.right), texts_of(&[("k", "old")]));
    // What was to be deleted was changed; what was to be created appeared.
    let world = World::with(&[("k", "old"), ("stays", "")], &[]);
    world.sync(&mirror()).unwrap();
    world.left.remove(&key("k"));
    fill(&world.left, &[("n", "new")]);
    let plan = world.prepare(&mirror()).unwrap();
    fill(&world.right, &[("k", "edited"), ("n", "other")]);
    let report = run(&world, &plan, &mirror()).unwrap();
    assert_eq!((report.conflicts.len(), report.deleted, report.copied), (2, 0, 0));
    assert!(!report.is_complete());
    let right = texts(&world.right);
    assert_eq!(right, texts_of(&[("k", "edited"), ("n", "other"), ("stays", "")]));
    // And the next run loses nothing of it.
    let report = world.sync(&mirror()).unwrap();
    assert!(report.is_complete(), "{report:?}");
    let copy = conflict_key(&key("n"), &hash("other")).unwrap().to_string();
    assert_eq!(
        texts(&world.right),
        texts_of(&[("k", "edited"), ("n", "new"), ("stays", ""), (&copy, "other")])
    );
}

#[test]
fn a_content_that_lost_its_conflict_copy_is_not_replaced() {
    let world = World::with(&[("k", "L")], &[("k", "R")]);
    let plan = world.prepare(&two_way()).unwrap();
    let copy = conflict_key(&key("k"), &hash("R")).unwrap();
    // Somebody takes the name of the copy.
    world.right.insert(copy.clone(), *b"taken");
    let report = run(&world, &plan, &two_way()).unwrap();
    assert_eq!((report.conflicts.len(), report.not_started.len()), (1, 1));
    assert_eq!(read(&world.right, "k").unwrap(), b"R");
    assert_eq!(read(&world.right, copy.as_str()).unwrap(), b"taken");
}

#[test]
fn a_plan_is_refused_when_the_base_has_moved_on() {
    let world = World::with(&[("a", "1")], &[]);
    let old = world.prepare(&mirror()).unwrap();
    fill(&world.left, &[("b", "2")]);
    world.sync(&mirror()).unwrap();
    let error = run(&world, &old, &mirror()).unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    insta::assert_snapshot!(error, @"carry out an outdated plan: the merge base has changed since");
    let other = World::new();
    let swapped = block_on(execute(
        &old,
        &world.right,
        &world.left,
        &other.base,
        &mirror(),
        Timestamp::EPOCH,
        &Silent,
    ));
    assert!(matches!(swapped, Err(SyncError::Outdated { .. })));
}

#[test]
fn the_same_plan_can_be_carried_out_again() {
    let world = World::with(&[("a", "1"), ("b", "2")], &[]);
    let plan = world.prepare(&mirror()).unwrap();
    run(&world, &plan, &mirror()).unwrap();
    let again = run(&world, &plan, &mirror()).unwrap();
    assert_eq!((again.copied, again.already_done, again.bytes_moved), (0, 2, 0));
    assert!(again.is_complete());
}

#[test]
fn bytes_that_arrive_damaged_are_sent_again() {
    let left = InMemory::new("left");
    fill(&left, &[("a", "content")]);
    let right = Mutant::new(InMemory::new("right"), Mutation::DamagesFirstPut);
    let base = InMemoryBase::new();
    let report = block_on(sync(&left, &right, &base, &mirror(), Timestamp::EPOCH)).unwrap();
    assert!(report.is_complete());
    assert_eq!((report.copied, read(&right, "a").unwrap()), (1, b"content".to_vec()));
}

#[test]
fn bytes_that_never_arrive_whole_are_a_failure() {
    let left = InMemory::new("left");
    fill(&left, &[("a", "content")]);
    let right = Mutant::new(InMemory::new("right"), Mutation::TearsBodies);
    let base = InMemoryBase::new();
    let report = block_on(sync(&left, &right, &base, &mirror(), Timestamp::EPOCH)).unwrap();
    assert_eq!((report.copied, report.verified, report.objects), (0, 0, 0));
    assert_eq!(report.failures[0].class, Class::Bug);
    let found = block_on(verify(&left, &right, &mirror())).unwrap();
    assert_eq!((found.is_equal(), found.different), (false, vec![key("a")]));
}

#[test]
fn a_full_destination_ends_the_copies_and_loses_nothing() {
    let objects = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
    let left = InMemory::new("left");
    fill(&left, &objects);
    // The first call lists, the first copy is a write and three reads to verify it; then the disk is full.
    let plan = FaultPlan::with_class(5, Fault::CrashBefore, Class::Exhausted);
    let right = FaultyStore::new(InMemory::new("right"), plan);
    let base = InMemoryBase::new();
    let config = mirror().with_concurrency(NonZeroU32::MIN);
    let report = block_on(sync(&left, &right, &base, &config, Timestamp::EPOCH)).unwrap();
    assert_eq!(
        (
            report.copied,
            report.objects,
            report.failures.len(),
            report.not_started.len()
        ),
        (1, 1, 1, 2)
    );
    assert_eq!(report.failures[0].class, Class::Exhausted);
    insta::assert_snapshot!(report.failures[0].error, @"write `b` in store `right` (exhausted): an injected fault");
    assert!(!report.is_complete());
}

#[test]
fn metadata_travels_along() {
    let world = World::new();
    let metadata = Metadata::new().with("owner", "shop").unwrap();
    let mut body = BytesBody::new(*b"x");
    block_on(world.left.put(&key("a"), &mut body, &Condition::IfAbsent, &metadata)).unwrap();
    world.sync(&mirror()).unwrap();
    assert_eq!(block_on(world.right.head(&key("a"))).unwrap().metadata, metadata);
}

#[test]
fn identical_edits_on_both_sides_are_no_conflict() {
    let world = World::with(&[("a", "old")], &[]);
    world.sync(&two_way()).unwrap();
    fill(&world.left, &[("a", "same"), ("b", "same")]);
    fill(&world.right, &[("a", "same"), ("b", "same")]);
    let report = world.sync(&two_way()).unwrap();
    assert_eq!((report.copied, report.resolved.len(), report.objects), (0, 0, 2));
    // The base knows: a delete after that is a delete.
    world.left.remove(&key("b"));
    assert_eq!(world.sync(&two_way()).unwrap().deleted, 1);
}

#[test]
fn any_number_of_replicas_make_one_conflict_copy_of_a_content() {
    let stores = ["1", "2", "3"].map(InMemory::new);
    for (n, store) in stores.iter().enumerate() {
        fill(store, &[("k", if n == 0 { "one" } else { "two" })]);
    }
    let bases = [(0, 1), (1, 2), (0, 2)].map(|pair| (pair, InMemoryBase::new()));
    for _ in 0..3 {
        for ((a, b), base) in &bases {
            block_on(sync(&stores[*a], &stores[*b], base, &two_way(), Timestamp::EPOCH)).unwrap();
        }
    }
    let copy = conflict_key(&key("k"), &hash("two")).unwrap().to_string();
    for store in &stores {
        let found = texts(store);
        assert!(
            found.len() == 2 && found.values().any(|text| text == "one"),
            "{found:?}"
        );
        assert_eq!(found.get(&copy).map(String::as_str), Some("two"));
    }
}

#[test]
fn operations_of_a_phase_may_run_in_any_order() {
    let outcome = |rotate: usize| {
        let world = World::with(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")], &[]);
        world.sync(&two_way()).unwrap();
        fill(&world.left, &[("a", "L"), ("f", "6"), ("g", "7")]);
        fill(&world.right, &[("a", "R"), ("b", "R")]);
        for name in ["c", "d"] {
            world.right.remove(&key(name));
        }
        let mut plan = world.prepare(&two_way()).unwrap();
        for phase in Phase::ALL {
            let from = plan.operations.partition_point(|op| op.phase < phase);
            let to = plan.operations.partition_point(|op| op.phase <= phase);
            let slice = &mut plan.operations[from..to];
            slice.rotate_left(rotate % slice.len().max(1));
            if rotate % 2 == 1 {
                slice.reverse();
            }
        }
        // The order is not part of what the base compares.
        let report = run(&world, &plan, &two_way()).unwrap();
        assert!(report.is_complete());
        world.contents()
    };
    let expected = outcome(0);
    for rotate in 1..8 {
        assert_eq!(outcome(rotate), expected);
    }
}

#[test]
fn events_tell_the_whole_story() {
    let world = World::with(&[("a", "12345")], &[]);
    let events = Mutex::new(Vec::new());
    let observer = |event: &SyncEvent| events.lock().unwrap().push(event.clone());
    let now = Timestamp::from_secs(7);
    let config = mirror();
    let run = sync_observed(&world.left, &world.right, &world.base, &config, now, &observer);
    let report = block_on(run).unwrap();
    assert_eq!(report.at, now);
    let events = events.into_inner().unwrap();
    let moved: u64 = events
        .iter()
        .map(|e| {
            if let SyncEvent::Moved { bytes, .. } = e {
                *bytes
            } else {
                0
            }
        })
        .sum();
    assert_eq!(moved, 5);
    assert!(matches!(events[0], SyncEvent::Scanned { objects: 1, .. }));
    assert!(events.iter().any(|e| matches!(
        e,
        SyncEvent::Finished {
            outcome: Outcome::Done,
            ..
        }
    )));
    assert!(matches!(events.last(), Some(SyncEvent::BaseSaved { objects: 1 })));
}

#[test]
fn a_synchronisation_may_move_between_threads_and_stores_may_be_shared() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let world = World::with(&[("a", "1")], &[]);
    let config = mirror();
    let future = is_send(sync(&world.left, &world.right, &world.base, &config, Timestamp::EPOCH));
    block_on(future).unwrap();
    let future = is_send(verify(&world.left, &world.right, &config));
    assert!(block_on(future).unwrap().is_equal());
}

#[test]
fn copies_name_the_content_they_carry() {
    let world = World::with(&[("a", "content")], &[]);
    let plan = world.prepare(&mirror()).unwrap();
    let Action::Copy {
        hash: planned, size, ..
    } = &plan.operations[0].action
    else {
        unreachable!()
    };
    assert_eq!((*planned, *size), (hash("content"), 7));
    let keys: Vec<&Key> = plan.operations.iter().map(|op| op.action.target().1).collect();
    assert_eq!(keys, [&key("a")]);
}
