//! The world as a plan may see it while parts of it are out of reach.
//!
//! The scheduler and the planner know nothing of this: they are given a snapshot in which nothing can be decided about
//! what cannot be reached. So no rule of theirs has to be repeated here, and none of their steps can end up there.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{MachineId, Node, ObservedReplica, ReplicaId, ReplicaState, ResourceId, Resources, Snapshot};

use super::Place;

/// What is out of reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutOfReach {
    /// Places that are lost: nothing in them is counted on.
    pub lost: BTreeSet<Place>,
    /// Things elsewhere that could not be asked for in this look: they count as they were.
    pub silent: BTreeSet<ResourceId>,
    /// Replicas of lost places for which there is no other place: they count as if they were still there, so that the
    /// others can be brought up without them.
    pub stranded: BTreeSet<ReplicaId>,
}

impl OutOfReach {
    /// Whether everything is in reach.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.silent.is_empty()
    }

    /// Whether a place that is lost has this machine.
    #[must_use]
    pub fn is_lost(&self, node: &Node) -> bool {
        self.lost.iter().any(|place| place.covers_site(&node.machine.site))
    }
}

/// What of a snapshot a plan may count on.
///
/// - What is in a lost place is not there, so everything in it is brought up elsewhere, and no step touches it; what is
///   stranded is there and well, with exactly as much room as it takes.
/// - A replica that could not be asked for is well, so that it stays as it is; where its machine could not be asked for
///   either, that machine has exactly as much room as it needs, so that nothing new goes there. A machine that nobody is
///   known to use is not there, so that it is not given back. Of a replica that is seen elsewhere too, the one in sight
///   counts.
///
/// Nothing else changes, and nothing at all when everything is in reach.
#[must_use]
pub fn shield(snapshot: &Snapshot, out: &OutOfReach) -> Snapshot {
    if out.is_empty() {
        return snapshot.clone();
    }
    let nodes: BTreeMap<&MachineId, &Node> = snapshot.nodes.iter().map(|node| (&node.machine.id, node)).collect();
    let is_lost = |replica: &ObservedReplica| nodes.get(&replica.machine).is_some_and(|node| out.is_lost(node));
    let in_sight = |replica: &&ObservedReplica| {
        replica.state.is_live() && !is_lost(replica) && !out.silent.contains(&replica.resource)
    };
    let seen: BTreeSet<&ReplicaId> = snapshot.replicas.iter().filter(in_sight).map(|r| &r.replica).collect();
    let mut shown = BTreeSet::new();
    let mut replicas = Vec::new();
    for replica in &snapshot.replicas {
        let lost = is_lost(replica);
        if !lost && !out.silent.contains(&replica.resource) {
            replicas.push(replica.clone());
            continue;
        }
        // One of each name, and none that is seen elsewhere.
        let counts = !lost || out.stranded.contains(&replica.replica);
        if counts && !seen.contains(&replica.replica) && shown.insert(&replica.replica) {
            replicas.push(ObservedReplica {
                state: ReplicaState::Healthy,
                ..replica.clone()
            });
        }
    }
    let nodes = snapshot
        .nodes
        .iter()
        .filter_map(|node| show(node, &replicas, out))
        .collect();
    Snapshot {
        generation: snapshot.generation,
        taken_at: snapshot.taken_at,
        nodes,
        replicas,
    }
}

fn show(node: &Node, replicas: &[ObservedReplica], out: &OutOfReach) -> Option<Node> {
    if !out.is_lost(node) && !out.silent.contains(&node.resource) {
        return Some(node.clone());
    }
    let on_it = replicas.iter().filter(|replica| replica.machine == node.machine.id);
    let requests: Vec<Resources> = on_it.map(|replica| replica.request).collect();
    if requests.is_empty() {
        return None;
    }
    let sum = requests
        .iter()
        .try_fold(Resources::ZERO, |sum, request| sum.checked_add(request));
    let mut node = node.clone();
    node.ready = true;
    node.machine.capacity = sum.unwrap_or(node.machine.capacity);
    Some(node)
}
