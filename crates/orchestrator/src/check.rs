//! Whether a plan still fits the world, and what moved when it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Action, Class, MachineId, ObservedReplica, Plan, Precondition, ReplicaId, ReplicaState, ResourceId, Snapshot,
};
use thiserror::Error;

/// Changes that an error prints; it carries all of them.
const PRINTED_MAX: usize = 5;

/// A plan that must not be carried out: the world has moved since it was made.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("apply a plan of generation {planned} to generation {current}: {}", moved(changes))]
#[non_exhaustive]
pub struct StalePlan {
    /// The generation it was made from.
    pub planned: u64,
    /// The generation of the world.
    pub current: u64,
    /// What moved, as far as it can be told, sorted.
    pub changes: Vec<Change>,
}

impl StalePlan {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Conflict
    }
}

/// One difference between two observations of the world. Measurements are none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// A machine is there that was not.
    MachineAppeared {
        /// Which.
        machine: MachineId,
    },
    /// A machine is not there any more.
    MachineGone {
        /// Which.
        machine: MachineId,
    },
    /// A machine is another thing at the provider, costs something else, carries other labels or taints, or takes new
    /// replicas where it did not, or the other way round.
    MachineChanged {
        /// Which.
        machine: MachineId,
    },
    /// A replica is there that was not.
    ReplicaAppeared {
        /// Which.
        replica: ReplicaId,
        /// What the provider calls it.
        resource: ResourceId,
        /// Where it runs.
        machine: MachineId,
    },
    /// A replica is not there any more.
    ReplicaGone {
        /// Which.
        replica: ReplicaId,
        /// What the provider called it.
        resource: ResourceId,
    },
    /// A replica is in another state.
    ReplicaState {
        /// Which.
        replica: ReplicaId,
        /// What the provider calls it.
        resource: ResourceId,
        /// How it was.
        from: ReplicaState,
        /// How it is.
        to: ReplicaState,
    },
    /// A replica is said to run elsewhere, from another specification or with another request.
    ReplicaChanged {
        /// Which.
        replica: ReplicaId,
        /// What the provider calls it.
        resource: ResourceId,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MachineAppeared { machine } => write!(f, "machine `{machine}` has appeared"),
            Self::MachineGone { machine } => write!(f, "machine `{machine}` is gone"),
            Self::MachineChanged { machine } => write!(f, "machine `{machine}` has changed"),
            Self::ReplicaAppeared { replica, machine, .. } => write!(f, "`{replica}` has appeared on `{machine}`"),
            Self::ReplicaGone { replica, resource } => write!(f, "`{replica}` (`{resource}`) is gone"),
            Self::ReplicaState { replica, from, to, .. } => {
                write!(f, "`{replica}` was {} and is {}", state_text(*from), state_text(*to))
            }
            Self::ReplicaChanged { replica, .. } => write!(f, "`{replica}` has changed"),
        }
    }
}

/// What is different in `new`, sorted. When it was taken and what was measured is no difference.
#[must_use]
pub fn diff(old: &Snapshot, new: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    let nodes = |snapshot: &'_ Snapshot| -> BTreeMap<MachineId, usize> {
        snapshot
            .nodes
            .iter()
            .enumerate()
            .map(|(i, n)| (n.machine.id.clone(), i))
            .collect()
    };
    let (before, after) = (nodes(old), nodes(new));
    for (machine, i) in &before {
        let machine = machine.clone();
        match after.get(&machine) {
            None => changes.push(Change::MachineGone { machine }),
            Some(j) => {
                let mut there = new.nodes[*j].clone();
                there.utilisation = old.nodes[*i].utilisation;
                if there != old.nodes[*i] {
                    changes.push(Change::MachineChanged { machine });
                }
            }
        }
    }
    let appeared = after.keys().filter(|machine| !before.contains_key(*machine));
    changes.extend(appeared.map(|machine| Change::MachineAppeared {
        machine: machine.clone(),
    }));
    replica_changes(old, new, &mut changes);
    changes.sort_unstable();
    changes
}

/// Whether a plan may be carried out: the world is of the generation it was made from, and nothing contradicts what its
/// steps presuppose. Measurements may differ. A plan is refused for another generation even where nothing contradicts
/// it: it was decided from what is not true any more.
///
/// # Errors
/// [`StalePlan`] names what contradicts the plan. To have all that moved named, see [`verify_from`].
pub fn verify(plan: &Plan, current: &Snapshot) -> Result<(), StalePlan> {
    refuse(plan, current, contradictions(plan, current))
}

/// As [`verify`], for who still has the snapshot that the plan was made from: names all that moved since.
///
/// # Errors
/// [`StalePlan`]. When `planned` is not the plan's snapshot, it names what contradicts the plan only.
pub fn verify_from(plan: &Plan, planned: &Snapshot, current: &Snapshot) -> Result<(), StalePlan> {
    let Err(mut stale) = verify(plan, current) else {
        return Ok(());
    };
    if planned.reference() == plan.snapshot {
        stale.changes.extend(diff(planned, current));
        stale.changes.sort_unstable();
        stale.changes.dedup();
    }
    Err(stale)
}

fn refuse(plan: &Plan, current: &Snapshot, changes: Vec<Change>) -> Result<(), StalePlan> {
    if plan.snapshot.generation == current.generation && changes.is_empty() {
        return Ok(());
    }
    Err(StalePlan {
        planned: plan.snapshot.generation,
        current: current.generation,
        changes,
    })
}

fn contradictions(plan: &Plan, current: &Snapshot) -> Vec<Change> {
    let nodes: BTreeMap<_, _> = current.nodes.iter().map(|n| (&n.machine.id, &n.resource)).collect();
    let mut replicas: BTreeMap<&ReplicaId, Vec<&ObservedReplica>> = BTreeMap::new();
    for observed in current.replicas.iter().filter(|o| o.state.is_live()) {
        replicas.entry(&observed.replica).or_default().push(observed);
    }
    let live = |replica| replicas.get(replica).map_or(&[][..], Vec::as_slice);
    // By what the provider calls it: names may be about to change, and what is taken over is in no snapshot of ours.
    let mut there: BTreeSet<&ResourceId> = replicas.values().flatten().map(|o| &o.resource).collect();
    let mut adopted: BTreeSet<&MachineId> = BTreeSet::new();
    for step in &plan.steps {
        match &step.action {
            Action::AdoptReplica { resource, .. } => {
                there.insert(resource);
            }
            Action::AdoptMachine { machine, .. } => {
                adopted.insert(&machine.id);
            }
            _ => {}
        }
    }
    // What the plan knows of: old replicas that it replaces, deletes or waits for.
    let known: BTreeSet<&ResourceId> = plan.steps.iter().filter_map(known_resource).collect();
    let mut changes = BTreeSet::new();
    for step in &plan.steps {
        match &step.action {
            Action::CreateMachine { machine } if nodes.contains_key(&machine.id) => {
                changes.insert(Change::MachineAppeared {
                    machine: machine.id.clone(),
                });
            }
            Action::CreateReplica { spec } => {
                let surprising = live(&spec.replica).iter().filter(|o| !known.contains(&o.resource));
                changes.extend(surprising.map(|o| Change::ReplicaAppeared {
                    replica: o.replica.clone(),
                    resource: o.resource.clone(),
                    machine: o.machine.clone(),
                }));
            }
            Action::AwaitReplica { replica, resource, .. }
            | Action::RenameReplica {
                was: replica, resource, ..
            } if !there.contains(resource) => {
                changes.insert(Change::ReplicaGone {
                    replica: replica.clone(),
                    resource: resource.clone(),
                });
            }
            _ => {}
        }
    }
    for (machine, resource) in &plan.machines {
        let machine = machine.clone();
        match nodes.get(&machine) {
            None if adopted.contains(&machine) => false,
            None => changes.insert(Change::MachineGone { machine }),
            Some(there) if *there != resource => changes.insert(Change::MachineChanged { machine }),
            Some(_) => false,
        };
    }
    changes.into_iter().collect()
}

const fn known_resource(step: &skyloom_core::Step) -> Option<&ResourceId> {
    match &step.precondition {
        Precondition::Absent | Precondition::Anything | Precondition::Always => None,
        Precondition::AbsentBut { resource }
        | Precondition::Claimable { resource }
        | Precondition::PresentOrGone { resource } => Some(resource),
    }
}

fn replica_changes(old: &Snapshot, new: &Snapshot, changes: &mut Vec<Change>) {
    let keyed = |snapshot: &'_ Snapshot| -> BTreeMap<(ReplicaId, ResourceId), ObservedReplica> {
        let key = |o: &ObservedReplica| (o.replica.clone(), o.resource.clone());
        snapshot.replicas.iter().map(|o| (key(o), o.clone())).collect()
    };
    let (before, after) = (keyed(old), keyed(new));
    for (key, was) in &before {
        let (replica, resource) = key.clone();
        match after.get(key) {
            None => changes.push(Change::ReplicaGone { replica, resource }),
            Some(is) if is.state != was.state => changes.push(Change::ReplicaState {
                replica,
                resource,
                from: was.state,
                to: is.state,
            }),
            Some(is) if is != was => changes.push(Change::ReplicaChanged { replica, resource }),
            Some(_) => {}
        }
    }
    for ((replica, resource), is) in after {
        if !before.contains_key(&(replica.clone(), resource.clone())) {
            let machine = is.machine;
            changes.push(Change::ReplicaAppeared {
                replica,
                resource,
                machine,
            });
        }
    }
}

fn moved(changes: &[Change]) -> String {
    if changes.is_empty() {
        return String::from(
            "nothing that the plan touches has moved, but it was decided from what is not true any more",
        );
    }
    let mut parts: Vec<String> = changes.iter().take(PRINTED_MAX).map(ToString::to_string).collect();
    if changes.len() > PRINTED_MAX {
        parts.push(format!("{} more", changes.len() - PRINTED_MAX));
    }
    parts.join(", ")
}

pub(crate) const fn state_text(state: ReplicaState) -> &'static str {
    match state {
        ReplicaState::Pending => "pending",
        ReplicaState::Started => "started",
        ReplicaState::Healthy => "healthy",
        ReplicaState::Unhealthy => "unhealthy",
        ReplicaState::Completed => "completed",
        ReplicaState::Failed => "failed",
        ReplicaState::Lost => "lost",
    }
}
