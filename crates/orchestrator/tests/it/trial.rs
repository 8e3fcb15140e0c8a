//! Gates while a plan is carried out, and the way back after one that failed.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_core::{
    Analysis, CanaryStep, Limit, Manifest, Millionths, Plan, ReplicaState, RolloutStrategy, Share, Snapshot,
};
use skyloom_orchestrator::{Record, SagaConfig, SagaStatus, displaced, jobs_are_done, plan, way_back};

use crate::fixture::{checked, machine, manifest, observed, place, resource, service, snapshot, touch};
use crate::runner::Runner;
use crate::world::{Thing, World};

/// Three replicas, one after the other, each stage judged twice, one bad measurement put up with.
fn judged() -> (Manifest, Snapshot, World, Plan, Manifest) {
    let mut spec = checked(service("a", 3));
    let old = manifest(vec![spec.clone()]);
    spec.rollout.strategy = RolloutStrategy::Canary;
    spec.rollout.steps = [33, 66]
        .map(|percent| CanaryStep {
            replicas: Share::Percent(percent),
            pause: Duration::from_secs(3),
        })
        .to_vec();
    spec.rollout.analysis = vec![Analysis {
        metric: String::from("errors"),
        limit: Limit::Below(Millionths::from_millionths(10_000)),
        over: Duration::from_secs(9),
        interval: Duration::from_secs(3),
        failures: 1,
    }];
    touch(&mut spec, 2);
    let new = manifest(vec![spec]);
    let mut world = World::default();
    world.things.insert(resource("vm-m"), Thing::Machine(machine("m", 16)));
    let there: Vec<_> = (0..3)
        .map(|i| observed(&old, &format!("a/{i}"), "m", ReplicaState::Healthy))
        .collect();
    for replica in &there {
        let service = old.service(replica.replica.service()).unwrap();
        let spec = skyloom_core::ReplicaSpec {
            replica: replica.replica.clone(),
            machine: replica.machine.clone(),
            site: machine("m", 1).site,
            request: service.resources,
            run: service.run.clone(),
            health: service.health.clone(),
            stop: service.stop,
        };
        world.things.insert(
            replica.resource.clone(),
            Thing::Replica(Box::new(spec), ReplicaState::Healthy),
        );
    }
    let there = snapshot(&["m"], there);
    let plan = plan(&new, &place(&new, &there, |_| 16, |_| String::from("m")), &there).unwrap();
    (old, there, world, plan, new)
}

#[test]
fn a_gate_takes_its_time_and_a_good_canary_goes_all_the_way() {
    let (.., mut world, plan, new) = judged();
    let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, 5);
    assert_eq!(runner.finish(), SagaStatus::Succeeded);
    let opened: Vec<_> = runner
        .journal
        .iter()
        .filter(|record| matches!(record, Record::GateOpened { .. }))
        .collect();
    let measured = runner
        .journal
        .iter()
        .filter(|record| matches!(record, Record::Measured { good: true, .. }));
    assert_eq!((opened.len(), measured.count()), (2, 6));
    // Two gates of nine seconds, one after the other.
    assert!(runner.now.saturating_since(skyloom_core::Timestamp::EPOCH) >= Duration::from_secs(18));
    assert!(displaced(&new, &world.snapshot(2)).is_empty());
}

/// Bad measurements, and none at all, refuse; the way back restores what was, whatever the order of answers, and never
/// takes more than one of three away.
#[test]
fn a_bad_canary_is_refused_and_the_way_back_restores_what_was() {
    for (measurement, order) in [(Some(20_000), 1), (None, 2)] {
        let (old, _, mut world, plan, _) = judged();
        let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, order);
        runner.measurement = measurement.map(Millionths::from_millionths);
        let status = runner.finish();
        let SagaStatus::RolledBack { cause, kept } = status else {
            panic!("{status:?}")
        };
        assert!(
            cause.detail.contains("`errors` was not below 0.01 in 2 of 2"),
            "{}",
            cause.detail
        );
        assert_eq!(kept.len(), 1, "the first canary, for which an old one was given up");
        let there = jobs_are_done(&old, &world.snapshot(3));
        let gone: Vec<String> = displaced(&old, &there).iter().map(ToString::to_string).collect();
        assert_eq!(gone, ["a/0"]);
        let back = way_back(&old);
        let back =
            skyloom_orchestrator::plan(&back, &place(&old, &there, |_| 16, |_| String::from("m")), &there).unwrap();
        world.new_plan();
        let mut runner = Runner::new(&back, SagaConfig::new(), &mut world, order);
        assert_eq!(runner.finish(), SagaStatus::Succeeded);
        assert!(displaced(&old, &world.snapshot(4)).is_empty());
        assert_eq!(world.replicas().count(), 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// After a crash at any record a gate goes on with the measurements that are left, and forgets no bad one.
    #[test]
    fn a_crash_forgets_no_measurement(order: u64, bad: bool) {
        let (.., start, plan, _) = judged();
        let run = |crash: Option<usize>| {
            let mut world = start.clone();
            let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, order);
            runner.measurement = Some(Millionths::from_millionths(if bad { 20_000 } else { 0 }));
            if let Some(at) = crash {
                runner.crash_after(at);
                runner.resume(SagaConfig::new());
            }
            let status = runner.finish();
            let measured = runner.journal.iter().filter(|r| matches!(r, Record::Measured { .. })).count();
            (matches!(status, SagaStatus::Succeeded), measured, runner.journal.len())
        };
        let (succeeded, measured, records) = run(None);
        prop_assert_eq!(succeeded, !bad);
        for at in 0..records {
            let (again, same, _) = run(Some(at));
            prop_assert_eq!((again, same), (succeeded, measured), "crash after {}", at);
        }
    }

    /// A way back has neither pauses nor measurements, and keeps the bounds.
    #[test]
    fn a_way_back_tries_nothing(seed: u64) {
        let before = crate::scenario::scenario(seed).manifest;
        for (back, was) in way_back(&before).services.iter().zip(&before.services) {
            let (back, was) = (&back.rollout, &was.rollout);
            prop_assert!(back.steps.is_empty() && back.analysis.is_empty() && back.keep.is_zero());
            prop_assert_eq!((back.max_surge, back.max_unavailable, back.ready_for), (was.max_surge, was.max_unavailable, was.ready_for));
        }
    }
}

/// Plans and journals of before gates were known are read, and have the ids that they had.
#[test]
fn a_plan_of_before_is_read_and_keeps_its_id() {
    let old = r#"{"version":1,"deployment":"shop","snapshot":{"generation":1,"digest":"d"},"steps":[],"price_before":0,"price_after":0}"#;
    let digest = skyloom_core::Digest::of(&1).to_string();
    let old = old.replace("\"d\"", &format!("\"{digest}\""));
    let plan: Plan = serde_json::from_str(&old).unwrap();
    assert_eq!(serde_json::to_string(&plan).unwrap(), old);
    let (.., plan, _) = judged();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap().id(), plan.id());
    let creation = plan
        .steps
        .iter()
        .find(|s| s.action.to_string() == "+ a/0 on m")
        .unwrap();
    let step = serde_json::to_string(creation).unwrap();
    assert!(!step.contains("\"aside\"") && !step.contains("\"within\""), "{step}");
}
