//! The pure engines one after the other, on the same random manifests: decide, check, plan, and plan again. Each engine
//! has its own properties beside it; here is what only holds when they agree on what the data between them means.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use skyloom_core::{
    Action, Catalogue, Manifest, Node, ObservedReplica, Placement, Plan, ReplicaState, Snapshot, Timestamp,
};
use skyloom_orchestrator::plan;
use skyloom_scheduler::{BestFit, Cheapest, PlaceConfig, Policy, Problem, Spread, check, place};
use skyloom_testkit::{catalogue, manifests, order_violations};

/// Enough to decide these manifests well; the time of a test run is bounded by it.
const WORK_MAX: u64 = 50_000;

fn policies() -> [Box<dyn Policy>; 3] {
    [Box::new(Cheapest), Box::new(BestFit), Box::new(Spread)]
}

fn placed(manifest: &Manifest, snapshot: &Snapshot, catalogue: &Catalogue, policy: &dyn Policy) -> Placement {
    let problem = Problem {
        manifest,
        snapshot,
        catalogue,
    };
    let placement = place(&problem, policy, &PlaceConfig::new().with_work_max(WORK_MAX)).unwrap();
    assert_eq!(check(&problem, &placement), [], "{}", policy.name());
    placement
}

/// The world as the steps leave it, carried out to the letter in their order.
fn carried_out(plan: &Plan, before: &Snapshot) -> Snapshot {
    let mut nodes: BTreeMap<_, _> = before.nodes.iter().map(|n| (n.machine.id.clone(), n.clone())).collect();
    let mut replicas: BTreeMap<_, _> = before
        .replicas
        .iter()
        .map(|r| (r.resource.clone(), r.clone()))
        .collect();
    for step in &plan.steps {
        let resource = format!("step-{}-{}", before.generation, step.id.0).parse().unwrap();
        match &step.action {
            Action::CreateMachine { machine } => {
                let node = Node {
                    resource,
                    machine: machine.clone(),
                    labels: BTreeMap::new(),
                    taints: Vec::new(),
                    ready: true,
                    utilisation: None,
                };
                assert!(nodes.insert(machine.id.clone(), node).is_none(), "{} twice", machine.id);
            }
            Action::CreateReplica { spec } => {
                assert!(
                    nodes.contains_key(&spec.machine),
                    "{} without its machine",
                    spec.replica
                );
                let replica = ObservedReplica {
                    replica: spec.replica.clone(),
                    machine: spec.machine.clone(),
                    request: spec.request,
                    spec: spec.digest(),
                    state: ReplicaState::Healthy,
                    resource: resource.clone(),
                };
                replicas.insert(resource, replica);
            }
            Action::DeleteReplica { resource, .. } => assert!(replicas.remove(resource).is_some()),
            Action::DeleteMachine { machine, .. } => assert!(nodes.remove(machine).is_some()),
            Action::AwaitReplica { .. } | Action::Gate { .. } => {}
            // A manifest without claims and data sets plans nothing else.
            other => assert_eq!(other.to_string(), ""),
        }
    }
    let mut replicas: Vec<ObservedReplica> = replicas.into_values().collect();
    replicas.sort_by(|a, b| (&a.replica, &a.resource).cmp(&(&b.replica, &b.resource)));
    Snapshot {
        generation: before.generation + 1,
        taken_at: before.taken_at,
        nodes: nodes.into_values().collect(),
        replicas,
    }
}

/// A job that others wait for has ended with success, everything else is healthy.
fn with_ended_jobs(mut snapshot: Snapshot, manifest: &Manifest) -> Snapshot {
    let awaited: BTreeSet<_> = manifest
        .services
        .iter()
        .flat_map(|service| &service.depends_on)
        .filter(|dependency| dependency.condition == skyloom_core::Condition::Completed)
        .map(|dependency| dependency.service.clone())
        .collect();
    for replica in &mut snapshot.replicas {
        if awaited.contains(replica.replica.service()) {
            replica.state = ReplicaState::Completed;
        }
    }
    snapshot
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_deployment_is_decided_soundly_ordered_by_its_dependencies_and_then_finished(manifest in manifests()) {
        let catalogue = catalogue();
        let empty = Snapshot::empty(1, Timestamp::EPOCH);
        for policy in policies() {
            let placement = placed(&manifest, &empty, &catalogue, policy.as_ref());
            prop_assert_eq!(&placement.unplaced, &[], "{}", policy.name());
            let first = plan(&manifest, &placement, &empty).unwrap();
            prop_assert_eq!(order_violations(&manifest, &first), Vec::<String>::new());
            prop_assert_eq!(first.price_after, placement.cost.machines_per_hour, "planned and decided cost are one");

            let after = carried_out(&first, &empty);
            prop_assert_eq!(after.replicas.len() as u64, manifest.replica_count());
            let after = with_ended_jobs(after, &manifest);
            let same = Placement { snapshot: after.reference(), ..placement };
            let second = plan(&manifest, &same, &after).unwrap();
            prop_assert!(second.is_empty(), "{}: {}", policy.name(), second);
        }
    }

    #[test]
    fn deciding_again_on_what_was_carried_out_changes_nothing(manifest in manifests()) {
        let catalogue = catalogue();
        let empty = Snapshot::empty(1, Timestamp::EPOCH);
        for policy in policies() {
            let first = placed(&manifest, &empty, &catalogue, policy.as_ref());
            let after = carried_out(&plan(&manifest, &first, &empty).unwrap(), &empty);
            let again = placed(&manifest, &after, &catalogue, policy.as_ref());
            prop_assert!(plan(&manifest, &again, &after).unwrap().steps.iter().all(|step| {
                matches!(step.action, Action::AwaitReplica { .. })
            }), "{}", policy.name());
        }
    }

    /// The oracle is no yes-man: a replica that waits for nothing is found out, and one that waits for its machine alone
    /// is found out exactly when its service has dependencies.
    #[test]
    fn an_order_without_edges_is_found_out(manifest in manifests()) {
        let empty = Snapshot::empty(1, Timestamp::EPOCH);
        let placement = placed(&manifest, &empty, &catalogue(), &BestFit);
        let good = plan(&manifest, &placement, &empty).unwrap();
        for (position, step) in good.steps.iter().enumerate() {
            let Action::CreateReplica { spec } = &step.action else { continue };
            let mut loose = good.clone();
            loose.steps[position].after.clear();
            loose.steps[position].after_all.clear();
            prop_assert!(!order_violations(&manifest, &loose).is_empty(), "{}", spec.replica);

            let is_machine = |id| matches!(good.step(id).unwrap().action, Action::CreateMachine { .. });
            let machines = good.all_after(step).into_iter().filter(|after| is_machine(after.step));
            loose.steps[position].after = machines.collect();
            // A plan may leave the machine to the dependencies: their replicas can wait for the same one.
            let waits_for_its_machine = !loose.steps[position].after.is_empty();
            let depends = !manifest.service(spec.replica.service()).unwrap().depends_on.is_empty();
            let found = !order_violations(&manifest, &loose).is_empty();
            prop_assert_eq!(found, depends || !waits_for_its_machine, "{}", spec.replica);
        }
    }
}
