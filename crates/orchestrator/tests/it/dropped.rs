//! Services that the manifest does not have any more go in reverse dependency order of the manifest that had them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use skyloom_core::{Action, Condition, Manifest, Plan, ReplicaState, ServiceName, Step, StepId};
use skyloom_orchestrator::{PlanRequest, SagaConfig, SagaStatus, plan_for};

use crate::fixture::{Dice, empty, manifest, name, needs, observed, place, service, snapshot};
use crate::runner::Runner;
use crate::scenario::random_manifest;
use crate::world::World;

fn deletes(plan: &Plan, service: &str) -> Vec<StepId> {
    let is_it = |step: &&Step| matches!(&step.action, Action::DeleteReplica { replica, .. } if *replica.service() == name(service));
    plan.steps.iter().filter(is_it).map(|step| step.id).collect()
}

/// All steps that must have come before this one.
fn before(plan: &Plan, step: StepId) -> BTreeSet<StepId> {
    let mut all = BTreeSet::new();
    let mut open = vec![step];
    while let Some(step) = open.pop() {
        for after in plan.all_after(plan.step(step).unwrap()) {
            if all.insert(after.step) {
                open.push(after.step);
            }
        }
    }
    all
}

fn chain() -> Manifest {
    manifest(vec![
        service("db", 2),
        needs(service("api", 2), "db", Condition::Healthy, 0),
        needs(service("web", 1), "api", Condition::Healthy, 0),
    ])
}

fn there() -> skyloom_core::Snapshot {
    let ids = ["api/0", "api/1", "db/0", "db/1", "web/0"];
    let all = ids.map(|id| observed(&chain(), id, "m", ReplicaState::Healthy));
    snapshot(&["m"], all.to_vec())
}

#[test]
fn dropped_services_go_after_what_needed_them() {
    let wanted = manifest(vec![service("web", 1)]);
    let there = there();
    let placement = place(&wanted, &there, |_| 16, |_| String::from("m"));
    let old = chain();
    let plan = plan_for(&PlanRequest::new(&wanted, &placement, &there).with_previous(Some(&old))).unwrap();
    let (api, db) = (deletes(&plan, "api"), deletes(&plan, "db"));
    assert_eq!((api.len(), db.len()), (2, 2));
    for gone in &db {
        let first = before(&plan, *gone);
        assert!(api.iter().all(|api| first.contains(api)), "{plan}");
    }
    // Without the manifest before, the order is not known.
    let unknown = plan_for(&PlanRequest::new(&wanted, &placement, &there)).unwrap();
    assert!(
        unknown
            .steps
            .iter()
            .all(|step| step.after.is_empty() && step.after_all.is_empty())
    );
}

#[test]
fn what_needed_a_dropped_service_is_replaced_first() {
    let mut wanted = manifest(vec![service("web", 1)]);
    wanted.services[0].run.image = Some(String::from("web:alone"));
    let there = there();
    let placement = place(&wanted, &there, |_| 16, |_| String::from("m"));
    let old = chain();
    let plan = plan_for(&PlanRequest::new(&wanted, &placement, &there).with_previous(Some(&old))).unwrap();
    let web = deletes(&plan, "web");
    for gone in deletes(&plan, "api") {
        assert!(web.iter().all(|web| before(&plan, gone).contains(web)), "{plan}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// Whatever is dropped of a random deployment: no replica goes before all replicas of a dropped service that needed
    /// its service are gone, directly or through others, and the plan can be carried out.
    #[test]
    fn no_service_goes_before_what_needs_it(seed: u64, order: u64) {
        let mut dice = Dice(seed);
        let old = random_manifest(&mut dice);
        let mut world = World::default();
        let start = empty();
        let placement = place(&old, &start, |_| 64, |_| String::from("m"));
        let first = plan_for(&PlanRequest::new(&old, &placement, &start)).unwrap();
        prop_assert_eq!(Runner::new(&first, SagaConfig::new(), &mut world, order).finish(), SagaStatus::Succeeded);
        world.new_plan();
        let mut new = old.clone();
        let dropped: BTreeSet<ServiceName> =
            new.services.iter().filter(|_| dice.one_in(2)).map(|service| service.name.clone()).collect();
        new.services.retain(|service| !dropped.contains(&service.name));
        for service in &mut new.services {
            service.depends_on.retain(|dependency| !dropped.contains(&dependency.service));
        }
        let there = world.snapshot(2);
        let placement = place(&new, &there, |_| 64, |_| String::from("m"));
        let plan = plan_for(&PlanRequest::new(&new, &placement, &there).with_previous(Some(&old))).unwrap();
        for service in old.services.iter().filter(|service| dropped.contains(&service.name)) {
            for dependency in service.depends_on.iter().filter(|d| dropped.contains(&d.service)) {
                let first = deletes(&plan, service.name.as_str());
                for gone in deletes(&plan, dependency.service.as_str()) {
                    let before = before(&plan, gone);
                    prop_assert!(first.iter().all(|step| before.contains(step)), "{}", plan);
                }
            }
        }
        prop_assert_eq!(Runner::new(&plan, SagaConfig::new(), &mut world, order).finish(), SagaStatus::Succeeded);
        prop_assert_eq!(world.replicas().count() as u64, new.replica_count());
    }
}
