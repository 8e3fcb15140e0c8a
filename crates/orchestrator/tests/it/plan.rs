//! Plans for particular worlds, as people read them; their errors; their size.

use skyloom_core::{
    Action, Class, Condition, Filter, Manifest, Plan, ReplicaId, ReplicaState, RolloutStrategy, Snapshot, Unplaced,
    Until,
};
use skyloom_orchestrator::{PlanError, Saga, SagaConfig, destroy, plan, render_mermaid};

use crate::fixture::{
    checked, empty, machine_id, manifest, name, needs, observed, place, replica, service, shop, snapshot, touch,
};

/// Everything on one machine `m` with 16 cores.
fn on_m(manifest: &Manifest, there: &Snapshot) -> Plan {
    plan(manifest, &place(manifest, there, |_| 16, |_| String::from("m")), there).unwrap()
}

/// The plan's table without its first line, which carries a digest.
fn table(plan: &Plan) -> String {
    plan.to_string().split_once('\n').unwrap().1.to_owned()
}

#[test]
fn the_shop_from_nothing() {
    let shop = shop();
    let before = empty();
    let on = |r: &ReplicaId| {
        String::from(if r.service().as_str() == "frontend" {
            "web"
        } else {
            "core"
        })
    };
    let plan = plan(&shop, &place(&shop, &before, |_| 8, on), &before).unwrap();
    insta::assert_snapshot!(table(&plan), @"
      #0  + machine core (aws/eu-central-1 m5.large 0.10 USD/h)  +0.10 USD/h  replicas are placed on it
      #1  + machine web (aws/eu-central-1 m5.large 0.10 USD/h)   +0.10 USD/h  replicas are placed on it
      #2  + database/0 on core                                                does not run yet [after #0 healthy]
      #3  + backend/0 on core                                                 does not run yet [after #0 healthy, database healthy]
      #4  + backend/1 on core                                                 does not run yet [after #0 healthy, database healthy]
      #5  + frontend/0 on web                                                 does not run yet [after #1 healthy, backend healthy]
      #6  + frontend/1 on web                                                 does not run yet [after #1 healthy, backend healthy]
      #7  + frontend/2 on web                                                 does not run yet [after #1 healthy, backend healthy]
      #8  + frontend/3 on web                                                 does not run yet [after #1 healthy, backend healthy]
    price 0.00 USD/h -> 0.20 USD/h (+0.20 USD/h)
    ");
    let head = plan.to_string();
    assert!(head.starts_with(&format!("plan {} of shop from generation 1\n", plan.id().short())));
    let picture = render_mermaid(&plan);
    assert!(
        picture.contains("s2[\"#2 + database/0 on core\"]:::create") && picture.contains("b0 --> s3"),
        "{picture}"
    );
}

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let shop = shop();
    let ids = [
        "backend/0",
        "backend/1",
        "database/0",
        "frontend/0",
        "frontend/1",
        "frontend/2",
        "frontend/3",
    ];
    let there = ids
        .iter()
        .map(|id| observed(&shop, id, "m", ReplicaState::Healthy))
        .collect();
    let plan = on_m(&shop, &snapshot(&["m"], there));
    assert!(plan.is_empty() && plan.barriers.is_empty());
    assert_eq!(
        table(&plan),
        "  nothing to do\nprice 0.10 USD/h -> 0.10 USD/h (+0.00 USD/h)"
    );
}

#[test]
fn a_failed_replica_is_replaced_and_a_started_dependency_waited_for() {
    let shop = shop();
    let mut there = vec![
        observed(&shop, "database/0", "m", ReplicaState::Started),
        observed(&shop, "backend/0", "m", ReplicaState::Failed),
        observed(&shop, "backend/1", "m", ReplicaState::Healthy),
    ];
    there.extend((0..4).map(|i| observed(&shop, &format!("frontend/{i}"), "m", ReplicaState::Healthy)));
    insta::assert_snapshot!(table(&on_m(&shop, &snapshot(&["m"], there))), @"
      #0  = database/0 on m    runs already; later steps wait for it
      #1  ~ backend/0 on m     the old one has failed [after database healthy]
      #2  - backend/0 on m     is replaced [after #1 healthy]
    price 0.10 USD/h -> 0.10 USD/h (+0.00 USD/h)
    ");
}

#[test]
fn a_move_creates_before_it_deletes_and_gives_the_machine_back() {
    let manifest = manifest(vec![checked(service("a", 1)), service("b", 1)]);
    let there = vec![
        observed(&manifest, "a/0", "old", ReplicaState::Healthy),
        observed(&manifest, "b/0", "old", ReplicaState::Healthy),
    ];
    let there = snapshot(&["old"], there);
    let plan = plan(
        &manifest,
        &place(&manifest, &there, |_| 16, |_| String::from("new")),
        &there,
    )
    .unwrap();
    insta::assert_snapshot!(table(&plan), @"
      #0  + machine new (aws/eu-central-1 m5.large 0.10 USD/h)  +0.10 USD/h  replicas are placed on it
      #1  ~ a/0 on new                                                       moves from old [after #0 healthy]
      #2  - a/0 on old                                                       moves to new [after #1 healthy]
      #3  ~ b/0 on new                                                       moves from old [after #0 healthy]
      #4  - b/0 on old                                                       moves to new [after #3 healthy]
      #5  - machine old                                         -0.10 USD/h  nobody uses it any more [after #2, #4, all that is new ready]
    price 0.10 USD/h -> 0.10 USD/h (+0.00 USD/h)
    ");
}

/// The order of creations (`+`) and deletions (`-`) of `a/0`, `a/1`, `a/2` when its image changes.
fn rollout(change: impl Fn(&mut skyloom_core::ServiceSpec), cores: u32) -> String {
    let mut spec = checked(service("a", 3));
    change(&mut spec);
    let old = manifest(vec![spec.clone()]);
    let there = (0..3)
        .map(|i| observed(&old, &format!("a/{i}"), "m", ReplicaState::Healthy))
        .collect();
    let mut there = snapshot(&["m"], there);
    there.nodes[0].machine = crate::fixture::machine("m", cores);
    touch(&mut spec, 2);
    let plan = plan(
        &manifest(vec![spec]),
        &place(&old, &there, |_| cores, |_| String::from("m")),
        &there,
    )
    .unwrap();
    let line = |step: &skyloom_core::Step| {
        let after: Vec<String> = plan.all_after(step).iter().map(|a| a.step.0.to_string()).collect();
        let what = match &step.action {
            Action::Gate { gate } => format!("?{}s", gate.length().as_secs()),
            Action::CreateReplica { spec } => format!("+{}", spec.replica.index()),
            action => format!("-{}", action.replica().unwrap().index()),
        };
        format!("{what}({})", after.join(","))
    };
    plan.steps.iter().map(line).collect::<Vec<_>>().join(" ")
}

#[test]
fn rollouts_keep_their_limits() {
    let with = |strategy, max_surge, max_unavailable| {
        move |spec: &mut skyloom_core::ServiceSpec| {
            spec.rollout = skyloom_core::Rollout {
                strategy,
                max_surge,
                max_unavailable,
                ..skyloom_core::Rollout::default()
            };
        }
    };
    use RolloutStrategy::{BlueGreen, Canary, Rolling};
    let fixed_port = |spec: &mut skyloom_core::ServiceSpec| spec.run.ports[0].port = std::num::NonZeroU16::new(80);
    assert_eq!(rollout(with(Rolling, 1, 0), 16), "+0() -0(0) +1(1) -1(2) +2(3) -2(4)");
    assert_eq!(rollout(with(Rolling, 2, 0), 16), "+0() -0(0) +1() -1(2) +2(1) -2(4)");
    assert_eq!(rollout(with(Rolling, 0, 1), 16), "-0() +0(0) -1(1) +1(2) -2(3) +2(4)");
    assert_eq!(rollout(with(Rolling, 0, 2), 16), "-0() +0(0) -1() +1(2) -2(1) +2(4)");
    assert_eq!(rollout(with(Canary, 3, 0), 16), "+0() -0(0) +1(1) -1(2) +2() -2(4)");
    assert_eq!(
        rollout(with(BlueGreen, 0, 0), 16),
        "+0() +1() +2() ?0s(0,1,2) -0(0,1,2,3) -1(0,1,2,3) -2(0,1,2,3)"
    );
    // No room side by side, or a port that only one can have: the old one goes first.
    assert_eq!(rollout(with(Rolling, 1, 1), 5), "-0() +0(0) -1(1) +1(2) -2(3) +2(4)");
    assert_eq!(rollout(fixed_port, 16), "-0() +0(0) -1(1) +1(2) -2(3) +2(4)");
}

#[test]
fn what_is_new_is_tried_before_more_of_it_comes() {
    use skyloom_core::{Analysis, CanaryStep, Limit, Millionths, Share};
    let seconds = std::time::Duration::from_secs;
    let step = |percent, pause| CanaryStep {
        replicas: Share::Percent(percent),
        pause: seconds(pause),
    };
    let judged = Analysis {
        metric: String::from("errors"),
        limit: Limit::Below(Millionths::from_millionths(1)),
        over: seconds(30),
        interval: seconds(10),
        failures: 0,
    };
    // Healthy for five seconds, then the old one goes, then the next comes.
    let patient = |spec: &mut skyloom_core::ServiceSpec| spec.rollout.ready_for = seconds(5);
    assert_eq!(
        rollout(patient, 16),
        "+0() ?5s(0) -0(1) +1(2) ?5s(3) -1(4) +2(5) ?5s(6) -2(7)"
    );
    // A third, a minute; two thirds, as long as the measurements take; the rest.
    let staged = |spec: &mut skyloom_core::ServiceSpec| {
        spec.rollout.strategy = RolloutStrategy::Canary;
        spec.rollout.steps = vec![step(10, 60), step(60, 7)];
        spec.rollout.analysis = vec![judged.clone()];
    };
    assert_eq!(
        rollout(staged, 16),
        "+0() -0(0) ?60s(0) +1(1,2) -1(3) ?30s(2,3) +2(4,5) -2(6)"
    );
    // All new ones, judged, then switched, then the old ones are kept for a while.
    let switched = |spec: &mut skyloom_core::ServiceSpec| {
        spec.rollout.strategy = RolloutStrategy::BlueGreen;
        spec.rollout.keep = seconds(9);
        spec.rollout.analysis = vec![judged.clone()];
    };
    assert_eq!(
        rollout(switched, 16),
        "+0() +1() +2() ?30s(0,1,2) ?9s(3) -0(0,1,2,4) -1(0,1,2,4) -2(0,1,2,4)"
    );
}

/// What serves goes first only when what does not serve has been repaired: never more are missing than may be.
#[test]
fn what_is_broken_is_repaired_before_anything_goes_first() {
    let mut spec = checked(service("a", 3));
    spec.rollout.max_surge = 0;
    let old = manifest(vec![spec.clone()]);
    let states = [ReplicaState::Healthy, ReplicaState::Healthy, ReplicaState::Failed];
    let there = (0..3)
        .map(|i| observed(&old, &format!("a/{i}"), "m", states[i]))
        .collect();
    let there = snapshot(&["m"], there);
    touch(&mut spec, 2);
    let plan = on_m(&manifest(vec![spec]), &there);
    let first = plan
        .steps
        .iter()
        .position(|s| s.action.to_string() == "- a/0 on m")
        .unwrap();
    let repaired = plan.all_after(&plan.steps[first]);
    let of = |step: skyloom_core::StepId| plan.step(step).unwrap().action.to_string();
    assert!(repaired.iter().any(|a| of(a.step) == "+ a/2 on m"), "{plan}");
}

#[test]
fn a_full_machine_is_cleared_before_something_new_comes() {
    let old = manifest(vec![service("a", 2), service("b", 1)]);
    let there = ["a/0", "a/1"]
        .map(|id| observed(&old, id, "m", ReplicaState::Healthy))
        .to_vec();
    let mut there = snapshot(&["m", "n"], there);
    there
        .nodes
        .iter_mut()
        .for_each(|n| n.machine = crate::fixture::machine(n.machine.id.as_str(), 2));
    let on = |r: &ReplicaId| String::from(if *r == replica("a/0") { "n" } else { "m" });
    let plan = plan(&old, &place(&old, &there, |_| 2, on), &there).unwrap();
    insta::assert_snapshot!(table(&plan), @"
      #0  - a/0 on m    makes room on m
      #1  ~ a/0 on n    moves from m
      #2  + b/0 on m    does not run yet [after m cleared]
    price 0.20 USD/h -> 0.20 USD/h (+0.00 USD/h)
    ");
}

#[test]
fn what_nobody_asks_for_goes_last_dependents_first() {
    let old = shop();
    let ids = ["backend/0", "backend/1", "database/0", "frontend/0"];
    let mut there: Vec<_> = ids
        .iter()
        .map(|id| observed(&old, id, "m", ReplicaState::Healthy))
        .collect();
    let extra = manifest(vec![service("stale", 1)]);
    there.push(observed(&extra, "stale/0", "m", ReplicaState::Started));
    let mut fewer = old.clone();
    fewer
        .services
        .iter_mut()
        .for_each(|s| s.replicas = std::num::NonZeroU32::MIN);
    let there = snapshot(&["m"], there);
    insta::assert_snapshot!(table(&on_m(&fewer, &there)), @"
      #0  - backend/1 on m    more than the manifest asks for
      #1  - stale/0 on m      its service is not in the manifest any more
    price 0.10 USD/h -> 0.10 USD/h (+0.00 USD/h)
    ");
    let all = destroy(&name("shop"), &there, Some(&old)).unwrap();
    insta::assert_snapshot!(table(&all), @"
      #0  - frontend/0 on m               the deployment is destroyed
      #1  - backend/0 on m                the deployment is destroyed [after frontend removed]
      #2  - backend/1 on m                the deployment is destroyed [after frontend removed]
      #3  - database/0 on m               the deployment is destroyed [after backend removed]
      #4  - stale/0 on m                  the deployment is destroyed
      #5  - machine m        -0.10 USD/h  nobody uses it any more [after #0, #1, #2, #3, #4]
    price 0.10 USD/h -> 0.00 USD/h (-0.10 USD/h)
    ");
    assert_eq!(destroy(&name("shop"), &there, None).unwrap().steps.len(), 6);
}

#[test]
fn of_two_of_one_name_the_better_stays() {
    let manifest = manifest(vec![checked(service("a", 1))]);
    let mut there = vec![
        observed(&manifest, "a/0", "m", ReplicaState::Started),
        observed(&manifest, "a/0", "m", ReplicaState::Healthy),
    ];
    there[1].resource = crate::fixture::resource("z-better");
    let plan = on_m(&manifest, &snapshot(&["m"], there));
    assert_eq!(plan.steps.len(), 1);
    assert!(matches!(&plan.steps[0].action, Action::DeleteReplica { resource, .. } if resource.as_str() == "r-a/0-m"));
}

#[test]
fn a_finished_job_is_left_alone_and_a_running_one_waited_for() {
    let mut job = service("job", 1);
    job.run.ports.clear();
    let manifest = manifest(vec![job, needs(service("web", 1), "job", Condition::Completed, 0)]);
    let at = |state| {
        on_m(
            &manifest,
            &snapshot(&["m"], vec![observed(&manifest, "job/0", "m", state)]),
        )
    };
    let done = at(ReplicaState::Completed);
    assert_eq!(done.steps.len(), 1);
    assert!(done.all_after(&done.steps[0]).is_empty());
    let running = at(ReplicaState::Started);
    assert!(matches!(running.steps[0].action, Action::AwaitReplica { .. }));
    assert_eq!(running.all_after(&running.steps[1])[0].until, Until::Completed);
}

#[test]
fn errors_are_typed_and_say_what_is_wrong() {
    let shop = shop();
    let there = snapshot(&["m"], vec![]);
    let good = place(&shop, &there, |_| 16, |_| String::from("m"));
    let error = |change: &dyn Fn(&mut skyloom_core::Placement)| {
        let mut placement = good.clone();
        change(&mut placement);
        plan(&shop, &placement, &there).unwrap_err()
    };
    let unplaced = error(&|p| {
        p.unplaced.push(Unplaced {
            replica: replica("frontend/3"),
            filter: Filter::Cpu,
            reason: String::from("1 core does not fit"),
            rejected: std::collections::BTreeMap::new(),
        });
    });
    assert_eq!(unplaced.class(), Class::Exhausted);
    insta::assert_snapshot!(unplaced, @"plan a placement with 1 replica unplaced: `frontend/3` (cpu: 1 core does not fit)");
    let stale = error(&|p| p.snapshot.generation = 7);
    assert!(matches!(stale, PlanError::OtherSnapshot { .. }) && stale.class() == Class::Conflict);
    assert!(matches!(
        error(&|p| p.snapshot.digest = skyloom_core::Digest::of("x")),
        PlanError::OtherSnapshot { .. }
    ));
    let missing = error(&|p| drop(p.assignments.remove(1)));
    assert_eq!(
        missing,
        PlanError::MissingReplica {
            replica: replica("backend/1")
        }
    );
    let twice = error(&|p| p.assignments.push(p.assignments[0].clone()));
    assert_eq!(
        twice,
        PlanError::PlacedTwice {
            replica: replica("backend/0")
        }
    );
    let last_twice = error(&|p| p.assignments.push(p.assignments[6].clone()));
    assert_eq!(
        last_twice,
        PlanError::PlacedTwice {
            replica: replica("frontend/3")
        }
    );
    let renamed = |to: &'static str| error(&move |p| p.assignments[6].replica = replica(to));
    assert_eq!(
        renamed("nobody/0"),
        PlanError::UnknownReplica {
            replica: replica("nobody/0")
        }
    );
    let extra = error(&|p| {
        let mut more = p.assignments[6].clone();
        more.replica = replica("frontend/4");
        p.assignments.push(more);
    });
    assert_eq!(
        extra,
        PlanError::UnknownReplica {
            replica: replica("frontend/4")
        }
    );
    let nowhere = error(&|p| p.assignments[0].machine = machine_id("nowhere"));
    assert!(matches!(nowhere, PlanError::UnknownMachine { .. }));
    let other = error(&|p| p.machines[0].instance = "other".parse().unwrap());
    assert!(matches!(other, PlanError::OtherMachine { .. }));
    let looping = manifest(vec![needs(service("a", 1), "a", Condition::Started, 3)]);
    let error = plan(&looping, &good, &there).unwrap_err();
    insta::assert_snapshot!(error, @"order the services of `shop.toml`: `a` (shop.toml:3:1) needs `a`");
}

#[test]
fn a_live_replica_on_an_unknown_machine_is_an_error_and_a_dead_one_went_with_it() {
    let manifest = manifest(vec![service("a", 1)]);
    let at = |state| snapshot(&["m"], vec![observed(&manifest, "a/0", "gone", state)]);
    let dead = on_m(&manifest, &at(ReplicaState::Lost));
    assert_eq!(dead.steps.len(), 1);
    let live = at(ReplicaState::Healthy);
    let placement = place(&manifest, &live, |_| 16, |_| String::from("m"));
    assert!(matches!(
        plan(&manifest, &placement, &live),
        Err(PlanError::UnknownMachine { .. })
    ));
    assert!(destroy(&name("shop"), &live, None).is_err());
}

#[test]
fn edges_grow_with_replicas_and_not_with_their_product() {
    let many = needs(checked(service("b", 2_000)), "a", Condition::Healthy, 0);
    let manifest = manifest(vec![checked(service("a", 2_000)), many]);
    let before = snapshot(&["m"], vec![]);
    let placement = place(&manifest, &before, |_| 16, |_| String::from("m"));
    let plan = plan(&manifest, &placement, &before).unwrap();
    let edges = |after: usize, all: usize| after + all;
    let steps: usize = plan.steps.iter().map(|s| edges(s.after.len(), s.after_all.len())).sum();
    let barriers: usize = plan
        .barriers
        .iter()
        .map(|b| edges(b.after.len(), b.after_all.len()))
        .sum();
    assert!(steps + barriers < 10_000, "{steps} + {barriers}");
    assert_eq!(plan.all_after(plan.steps.last().unwrap()).len(), 2_000);
    let saga = Saga::new(plan, SagaConfig::new(), 1).unwrap();
    assert_eq!(saga.progress().total, 4_000);
}
