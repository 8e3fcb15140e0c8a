//! Properties of every plan, over random worlds.

use proptest::prelude::*;
use skyloom_core::{Action, Manifest, MicroUsdPerHour, Plan, ReplicaState};
use skyloom_orchestrator::{SagaConfig, SagaStatus, destroy, plan, verify};

use crate::fixture::Dice;
use crate::runner::Runner;
use crate::scenario::{Scenario, scenario};

fn shuffled(manifest: &Manifest, seed: u64) -> Manifest {
    let mut dice = Dice(seed);
    let mut manifest = manifest.clone();
    for i in (1..manifest.services.len()).rev() {
        manifest.services.swap(i, dice.below(i + 1));
    }
    manifest
}

fn json(plan: &Plan) -> String {
    serde_json::to_string(plan).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the order of answers, carrying the plan out respects every edge and every capacity (the world asserts
    /// both), reaches the placement, and leaves nothing for a second plan.
    #[test]
    fn a_plan_carried_out_leaves_nothing_to_plan(seed: u64, order: u64) {
        let Scenario { mut world, manifest, placement, plan: first, .. } = scenario(seed);
        let status = Runner::new(&first, SagaConfig::new(), &mut world, order).finish();
        prop_assert_eq!(status, SagaStatus::Succeeded);
        let wanted: Vec<_> = placement.assignments.iter().map(|a| (a.replica.clone(), a.machine.clone())).collect();
        let mut there: Vec<_> = world.replicas().map(|(_, s, _)| (s.replica.clone(), s.machine.clone())).collect();
        there.sort();
        prop_assert_eq!(there, wanted);
        let after = world.snapshot(3);
        let mut again = placement;
        again.snapshot = after.reference();
        let second = plan(&manifest, &again, &after).unwrap();
        prop_assert!(second.is_empty(), "{}", second);
        prop_assert_eq!(second.price_before, first.price_after);
    }

    /// Equal input gives equal bytes, also with the services in another order.
    #[test]
    fn the_order_of_services_does_not_matter(seed: u64, order: u64) {
        let s = scenario(seed);
        let again = plan(&shuffled(&s.manifest, order), &s.placement, &s.snapshot).unwrap();
        prop_assert_eq!(json(&again), json(&s.plan));
        prop_assert_eq!(again.id(), s.plan.id());
        prop_assert_eq!(serde_json::from_str::<Plan>(&json(&s.plan)).unwrap(), s.plan);
    }

    /// Every step is at its position and waits for earlier ones only; prices add up; the snapshot it was made from
    /// passes.
    #[test]
    fn a_plan_holds_together(seed: u64) {
        let Scenario { plan, snapshot, .. } = scenario(seed);
        let mut price = plan.price_before;
        for (position, step) in plan.steps.iter().enumerate() {
            prop_assert_eq!(step.id.0 as usize, position);
            prop_assert!(plan.all_after(step).iter().all(|after| after.step < step.id));
            price = price.checked_add(step.price_after).unwrap().checked_sub(step.price_before).unwrap();
        }
        prop_assert_eq!(price, plan.price_after);
        prop_assert_eq!(verify(&plan, &snapshot), Ok(()));
    }

    /// Destroying leaves nothing, and no replica goes before all that depends on it.
    #[test]
    fn destroying_leaves_nothing(seed: u64, order: u64) {
        let Scenario { mut world, snapshot, manifest, .. } = scenario(seed);
        let plan = destroy(&manifest.name, &snapshot, Some(&manifest)).unwrap();
        for step in &plan.steps {
            let Action::DeleteReplica { replica, .. } = &step.action else { continue };
            let before = plan.all_after(step);
            for other in &plan.steps {
                let Action::DeleteReplica { replica: dependent, .. } = &other.action else { continue };
                let depends = manifest.service(dependent.service())
                    .is_some_and(|s| s.depends_on.iter().any(|d| d.service == *replica.service()));
                if depends && manifest.service(replica.service()).is_some() {
                    prop_assert!(before.iter().any(|a| a.step == other.id), "{} before {}", replica, dependent);
                }
            }
        }
        let status = Runner::new(&plan, SagaConfig::new(), &mut world, order).finish();
        prop_assert_eq!(status, SagaStatus::Succeeded);
        prop_assert!(world.things.is_empty());
        prop_assert_eq!(plan.price_after, MicroUsdPerHour::ZERO);
    }

    /// A healthy replica that stays wanted where it is, unchanged, is not touched.
    #[test]
    fn what_is_as_wanted_is_left_alone(seed: u64) {
        let Scenario { plan, snapshot, placement, manifest, .. } = scenario(seed);
        for step in &plan.steps {
            let Action::CreateReplica { spec } = &step.action else { continue };
            let same = snapshot.replicas.iter().find(|o| {
                o.replica == spec.replica && o.machine == spec.machine && o.spec == spec.digest()
                    && o.state == ReplicaState::Healthy
            });
            prop_assert!(same.is_none(), "{} is created beside {:?}", spec.replica, same);
        }
        prop_assert!(placement.assignments.len() as u64 == manifest.replica_count());
    }
}
