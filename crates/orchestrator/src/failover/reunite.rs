//! Bringing together what came back with what was made in its place.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use skyloom_core::{MachineId, ObservedReplica, ReplicaId, ReplicaState, ResourceId, Snapshot};

use super::{Failback, Place};

/// A replica that is there twice: in a place that is back, and elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Double {
    /// Which.
    pub replica: ReplicaId,
    /// The one that came back, as its provider calls it.
    pub recovered: ResourceId,
    /// Whether it is healthy.
    pub is_well: bool,
    /// The one that was made in its place.
    pub replacement: ResourceId,
}

/// The replicas that are there twice because a place is back, sorted by replica; of several recovered ones of a name the
/// healthiest, of several replacements the first.
#[must_use]
pub fn doubles(snapshot: &Snapshot, place: &Place) -> Vec<Double> {
    let inside = inside(snapshot, place);
    let live = |replica: &&ObservedReplica| replica.state.is_live();
    let mut found: Vec<Double> = Vec::new();
    for replacement in snapshot.replicas.iter().filter(live) {
        if inside.contains(&replacement.machine) || found.iter().any(|double| double.replica == replacement.replica) {
            continue;
        }
        let recovered = snapshot
            .replicas
            .iter()
            .filter(live)
            .filter(|other| other.replica == replacement.replica && inside.contains(&other.machine));
        if let Some(recovered) = recovered.min_by_key(|other| (other.state != ReplicaState::Healthy, &other.resource)) {
            found.push(Double {
                replica: replacement.replica.clone(),
                recovered: recovered.resource.clone(),
                is_well: recovered.state == ReplicaState::Healthy,
                replacement: replacement.resource.clone(),
            });
        }
    }
    found.sort_by(|a, b| a.replica.cmp(&b.replica));
    found
}

/// The snapshot without those of each double that are to leave: what the decision about the place that is back is made
/// from. The plan is made from the whole snapshot, so that what leaves is deleted then.
///
/// [`Failback::Auto`]: a recovered replica that is healthy stays and its replacement leaves; one that is not well leaves.
/// Otherwise the replacements stay.
#[must_use]
pub fn without_leaving(snapshot: &Snapshot, place: &Place, failback: Failback) -> Snapshot {
    let inside = inside(snapshot, place);
    let doubles = doubles(snapshot, place);
    let leaves = |replica: &ObservedReplica| {
        let Some(double) = doubles.iter().find(|double| double.replica == replica.replica) else {
            return false;
        };
        if failback == Failback::Auto && double.is_well {
            replica.resource != double.recovered
        } else {
            inside.contains(&replica.machine)
        }
    };
    let mut staying = snapshot.clone();
    staying.replicas.retain(|replica| !leaves(replica));
    staying
}

fn inside(snapshot: &Snapshot, place: &Place) -> BTreeSet<MachineId> {
    let there = snapshot
        .nodes
        .iter()
        .filter(|node| place.covers_site(&node.machine.site));
    there.map(|node| node.machine.id.clone()).collect()
}
