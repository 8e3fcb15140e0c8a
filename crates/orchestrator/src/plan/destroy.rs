//! The plan that leaves nothing.

use std::collections::BTreeMap;

use skyloom_core::{Manifest, ObservedReplica, Plan, ServiceName, Snapshot};

use super::PlanError;
use super::entry::stop_of;
use super::steps::{Steps, Waits};
use super::write::Removal;
use crate::ServiceGraph;

/// Deletes every replica and every machine of a snapshot, in reverse dependency order. Without a manifest the order of
/// services is not known: all replicas go at the same time, each with the default grace.
///
/// # Errors
/// [`PlanError`] when the manifest's services have no order, when a live replica's machine is not in the snapshot, or
/// when the machines' prices cannot be summed.
pub fn destroy(deployment: &ServiceName, snapshot: &Snapshot, manifest: Option<&Manifest>) -> Result<Plan, PlanError> {
    let graph = manifest.map(ServiceGraph::build).transpose()?;
    let nodes: BTreeMap<_, _> = snapshot.nodes.iter().map(|n| (&n.machine.id, n)).collect();
    let mut left: BTreeMap<&ServiceName, Vec<&ObservedReplica>> = BTreeMap::new();
    for old in &snapshot.replicas {
        // A dead one without a machine went with it; a live one is an error that `delete_replica` reports.
        if old.state.is_live() || nodes.contains_key(&old.machine) {
            left.entry(old.replica.service()).or_default().push(old);
        }
    }
    let mut steps = Steps::new(&nodes);
    let mut removal = Removal::default();
    let why = "the deployment is destroyed";
    if let (Some(graph), Some(manifest)) = (&graph, manifest) {
        let services: BTreeMap<_, _> = manifest.services.iter().map(|s| (&s.name, s)).collect();
        for service in graph.order().rev() {
            let olds = left.remove(service).unwrap_or_default();
            let stop = stop_of(services.get(service).copied());
            removal.service(&mut steps, graph, service, &olds, &[], (why, stop, None))?;
        }
    }
    for old in left.into_values().flatten() {
        steps.delete_replica(old, stop_of(None), why.to_owned(), Waits::default())?;
    }
    for node in nodes.values() {
        steps.delete_machine(node, Waits::default())?;
    }
    steps.finish(deployment.clone(), snapshot.reference())
}
