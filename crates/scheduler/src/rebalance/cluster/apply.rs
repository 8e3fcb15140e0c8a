//! The cluster after a plan, as it would be measured if everything goes as planned.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::MachineId;

use super::answer::Plan;
use super::describe::{Cluster, Node};
use super::settings::{Goal, Settings};

/// The cluster with the moves of a plan made, its machines bought and its nodes given back. Moves of workloads that the
/// cluster does not have change nothing.
#[must_use]
pub fn apply(cluster: &Cluster, settings: &Settings, plan: &Plan) -> Cluster {
    let mut after = cluster.clone();
    let offers = match &settings.goal {
        Goal::Consolidate { offers } => offers.as_slice(),
        Goal::Balance { .. } | Goal::Neighbours { .. } => &[],
    };
    for bought in &plan.bought {
        if let Some(offer) = offers.iter().find(|o| o.id == bought.offer) {
            let mut node = Node::new(bought.node.clone(), offer.capacity.clone());
            node.price = bought.price;
            node.domains = offer.domains.clone();
            node.labels = offer.labels.clone();
            node.taints = offer.taints.clone();
            after.nodes.push(node);
        }
    }
    after.nodes.retain(|n| !plan.given_back.iter().any(|g| g.node == n.id));
    let there: BTreeSet<&MachineId> = after.nodes.iter().map(|n| &n.id).collect();
    let ends: BTreeMap<_, _> = plan.moves.iter().map(|m| (&m.workload, &m.to)).collect();
    for workload in &mut after.workloads {
        if let Some(node) = ends.get(&workload.id) {
            workload.node = (*node).clone();
        }
        if let Some(slowed) = plan.slowed_after.get(&workload.id) {
            workload.slowed = Some(*slowed);
        }
        if let Some(allowed) = &mut workload.nodes {
            allowed.retain(|id| there.contains(id));
        }
    }
    after
}
