//! What a manifest claims of things that are there already: replicas under new names, and things to take over.
//!
//! A claim is laid over the snapshot before anything is decided: the scheduler then meets a replica of the new name where
//! the old one runs, and keeps it there like any other. The obvious design, deciding first and looking for a match
//! afterwards, would move what only changed its name.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{
    Action, Class, Import, Location, Machine, MachineId, Manifest, Node, ObservedReplica, OwnerTag, Plan, ReplicaId,
    ReplicaSpec, ReplicaState, ResourceId, Resources, RunSpec, ServiceName, ServiceSpec, Snapshot, StepId,
};
use thiserror::Error;

/// A thing at a provider that an import names, as it was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What the provider calls it.
    pub resource: ResourceId,
    /// Its name there.
    pub name: String,
    /// Whose it is; `None`: nobody's.
    pub owner: Option<OwnerTag>,
    /// How it is.
    pub state: ReplicaState,
    /// What it was given.
    pub request: Resources,
    /// What it runs; `None`: the provider cannot tell, and it is taken to be what the manifest says.
    pub run: Option<RunSpec>,
    /// The machine that carries it.
    pub machine: FoundMachine,
}

/// The machine that carries a thing to be taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundMachine {
    /// What it is; its id is used where this control plane does not know it yet.
    pub machine: Machine,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// Its name there.
    pub name: String,
    /// Whose it is; `None`: nobody's.
    pub owner: Option<OwnerTag>,
}

/// Why what a manifest claims cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Nothing of that id is there, and the replica does not run either.
    #[error("take over `{resource}` as `{replica}`{}: it is not there", line(*at))]
    NotThere {
        /// What it was to become.
        replica: ReplicaId,
        /// What the manifest names.
        resource: ResourceId,
        /// Where it was written.
        at: Option<Location>,
    },
    /// It belongs to another control plane than the manifest says.
    #[error("take over `{resource}` as `{replica}`{}: it belongs to `{owner}`; `taken_from` may name its owner", line(*at))]
    OtherOwner {
        /// What it was to become.
        replica: ReplicaId,
        /// What the manifest names, or the machine that carries it.
        resource: ResourceId,
        /// Whose it is.
        owner: OwnerTag,
        /// Where it was written.
        at: Option<Location>,
    },
    /// The replica runs already, and the thing is another one.
    #[error("take over `{resource}` as `{replica}`{}: `{replica}` runs already as `{by}`", line(*at))]
    Taken {
        /// What it was to become.
        replica: ReplicaId,
        /// What the manifest names.
        resource: ResourceId,
        /// What runs under the name.
        by: ResourceId,
        /// Where it was written.
        at: Option<Location>,
    },
    /// Two machines would have one id.
    #[error("take over machine `{resource}`: there is another machine `{machine}`")]
    MachineTaken {
        /// What the provider calls it.
        resource: ResourceId,
        /// The id.
        machine: MachineId,
    },
}

impl ClaimError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::NotThere { .. } => Class::NotFound,
            Self::OtherOwner { .. } => Class::Denied,
            Self::Taken { .. } | Self::MachineTaken { .. } => Class::Conflict,
        }
    }
}

fn line(at: Option<Location>) -> String {
    at.map(|at| format!(" (line {})", at.line)).unwrap_or_default()
}

/// A snapshot as the manifest names things, and what has to be done so that it becomes true.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Claimed {
    /// What placement and plan are made from.
    pub snapshot: Snapshot,
    /// What the plan has to claim.
    pub claims: Claims,
}

/// What a plan claims of things that are there; made by [`claim`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claims {
    pub(super) renamed: BTreeMap<ResourceId, ReplicaId>,
    pub(super) adopted: BTreeMap<ResourceId, Adopted>,
    pub(super) machines: BTreeMap<MachineId, AdoptedMachine>,
    /// Why a replica does not get the name that the manifest has for it.
    pub(super) kept_apart: BTreeMap<ResourceId, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adopted {
    pub(super) spec: ReplicaSpec,
    pub(super) taken_from: Option<OwnerTag>,
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct AdoptedMachine {
    pub(super) taken_from: Option<OwnerTag>,
    pub(super) name: String,
}

impl Claims {
    /// Whether nothing is claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.renamed.is_empty() && self.adopted.is_empty() && self.machines.is_empty()
    }

    /// The first step of a plan that takes over or renames what is not claimed: a plan is plain data and may have been
    /// forged.
    #[must_use]
    pub fn uncovered(&self, plan: &Plan) -> Option<StepId> {
        let covered = |action: &Action| match action {
            Action::RenameReplica { resource, was, .. } => self.renamed.get(resource) == Some(was),
            Action::AdoptReplica {
                resource, taken_from, ..
            } => {
                let adopted = self.adopted.get(resource);
                adopted.is_some_and(|adopted| adopted.taken_from == *taken_from)
            }
            Action::AdoptMachine {
                machine, taken_from, ..
            } => {
                let adopted = self.machines.get(&machine.id);
                adopted.is_some_and(|adopted| adopted.taken_from == *taken_from)
            }
            _ => true,
        };
        let step = plan.steps.iter().find(|step| !covered(&step.action))?;
        Some(step.id)
    }

    /// The name that a replica has in the world, whatever it is called in the claimed snapshot.
    pub(super) fn name_of<'a>(&'a self, observed: &'a ObservedReplica) -> &'a ReplicaId {
        self.renamed.get(&observed.resource).unwrap_or(&observed.replica)
    }
}

/// Lays a manifest's claims over a snapshot. `found` are the things that imports name, as they are at their providers; one
/// that is in the snapshot already need not be among them.
///
/// - A replica whose name is moved has its new name in the answer, if the manifest asks for that name and nobody has it.
///   Where its specification is the same but for the name, it counts as up to date: the plan only renames it.
/// - A thing to be taken over is in the answer as its replica, with the machine that carries it. Whether it is what the
///   manifest says (what it runs, as far as the provider can tell, and what it was given) decides whether the plan
///   replaces it afterwards.
/// - A claim that was carried out before, or whose old name is not there, asks for nothing.
///
/// # Errors
/// [`ClaimError`]: what an import names is not there, is somebody else's, or its name is taken.
pub fn claim(manifest: &Manifest, snapshot: &Snapshot, found: &[Found]) -> Result<Claimed, ClaimError> {
    let mut claimed = Claimed {
        snapshot: snapshot.clone(),
        claims: Claims::default(),
    };
    if manifest.moved.is_empty() && manifest.imports.is_empty() {
        return Ok(claimed);
    }
    let services: BTreeMap<&ServiceName, &ServiceSpec> = manifest.services.iter().map(|s| (&s.name, s)).collect();
    rename(manifest, &services, &mut claimed);
    for import in &manifest.imports {
        take(import, &services, found, &mut claimed)?;
    }
    let Snapshot { nodes, replicas, .. } = &mut claimed.snapshot;
    nodes.sort_by(|a, b| a.machine.id.cmp(&b.machine.id));
    replicas.sort_by(|a, b| (&a.replica, &a.resource).cmp(&(&b.replica, &b.resource)));
    Ok(claimed)
}

fn rename(manifest: &Manifest, services: &BTreeMap<&ServiceName, &ServiceSpec>, claimed: &mut Claimed) {
    let nodes: BTreeMap<MachineId, skyloom_core::Site> = claimed
        .snapshot
        .nodes
        .iter()
        .map(|node| (node.machine.id.clone(), node.machine.site.clone()))
        .collect();
    let new_name = |replica: &ReplicaId| {
        let mut name = replica.clone();
        // No chain of a checked manifest is longer than its moves; one built in code may be a loop.
        for _ in 0..=manifest.moved.len() {
            match manifest.moved.iter().find_map(|moved| moved.rename(&name)) {
                Some(next) => name = next,
                None => return (name != *replica).then_some(name),
            }
        }
        None
    };
    let mut taken: BTreeSet<ReplicaId> = claimed
        .snapshot
        .replicas
        .iter()
        .filter(|o| o.state.is_live() && new_name(&o.replica).is_none())
        .map(|o| o.replica.clone())
        .collect();
    for observed in &mut claimed.snapshot.replicas {
        let Some(name) = new_name(&observed.replica) else {
            continue;
        };
        let service = services.get(name.service()).copied();
        let Some(service) = service.filter(|service| name.index() < service.replicas.get()) else {
            continue;
        };
        if observed.state.is_live() && !taken.insert(name.clone()) {
            let why = format!("was to become `{name}`, which runs already");
            claimed.claims.kept_apart.insert(observed.resource.clone(), why);
            continue;
        }
        if let Some(site) = nodes.get(&observed.machine) {
            let spec = spec_of(service, name.clone(), observed, site.clone());
            let mut before = spec.clone();
            before.replica = observed.replica.clone();
            if before.digest() == observed.spec {
                observed.spec = spec.digest();
            }
        }
        let was = std::mem::replace(&mut observed.replica, name);
        claimed.claims.renamed.insert(observed.resource.clone(), was);
    }
}

/// A replica as its service has it, with what it was given.
pub(super) fn spec_of(
    service: &ServiceSpec,
    replica: ReplicaId,
    observed: &ObservedReplica,
    site: skyloom_core::Site,
) -> ReplicaSpec {
    ReplicaSpec {
        replica,
        machine: observed.machine.clone(),
        site,
        request: observed.request,
        run: service.run.clone(),
        health: service.health.clone(),
        stop: service.stop,
    }
}

fn take(
    import: &Import,
    services: &BTreeMap<&ServiceName, &ServiceSpec>,
    found: &[Found],
    claimed: &mut Claimed,
) -> Result<(), ClaimError> {
    let Import {
        replica,
        resource,
        taken_from,
        at,
        ..
    } = import;
    let there = &claimed.snapshot.replicas;
    if there.iter().any(|observed| observed.resource == *resource) {
        return Ok(());
    }
    let by = there.iter().find(|o| o.replica == *replica && o.state.is_live());
    let (Some(service), Some(found)) = (
        services.get(replica.service()),
        found.iter().find(|found| found.resource == *resource),
    ) else {
        // Taken over long ago and replaced since: nothing of that id is to be expected.
        return match by {
            Some(_) => Ok(()),
            None => Err(ClaimError::NotThere {
                replica: replica.clone(),
                resource: resource.clone(),
                at: *at,
            }),
        };
    };
    if let Some(by) = by {
        return Err(ClaimError::Taken {
            replica: replica.clone(),
            resource: resource.clone(),
            by: by.resource.clone(),
            at: *at,
        });
    }
    let allowed = |owner: &Option<OwnerTag>, resource: &ResourceId| match owner {
        Some(owner) if taken_from.as_ref() != Some(owner) => Err(ClaimError::OtherOwner {
            replica: replica.clone(),
            resource: resource.clone(),
            owner: owner.clone(),
            at: *at,
        }),
        _ => Ok(()),
    };
    allowed(&found.owner, &found.resource)?;
    let machine = match claimed
        .snapshot
        .nodes
        .iter()
        .find(|n| n.resource == found.machine.resource)
    {
        Some(node) => node.machine.clone(),
        None => {
            allowed(&found.machine.owner, &found.machine.resource)?;
            take_machine(&found.machine, claimed)?
        }
    };
    let spec = ReplicaSpec {
        replica: replica.clone(),
        machine: machine.id.clone(),
        site: machine.site,
        request: found.request,
        run: found.run.clone().unwrap_or_else(|| service.run.clone()),
        health: service.health.clone(),
        stop: service.stop,
    };
    claimed.snapshot.replicas.push(ObservedReplica {
        replica: replica.clone(),
        machine: machine.id,
        resource: resource.clone(),
        request: found.request,
        spec: spec.digest(),
        state: found.state,
    });
    let adopted = Adopted {
        spec,
        taken_from: found.owner.clone(),
        name: found.name.clone(),
    };
    claimed.claims.adopted.insert(resource.clone(), adopted);
    Ok(())
}

fn take_machine(found: &FoundMachine, claimed: &mut Claimed) -> Result<Machine, ClaimError> {
    if claimed.snapshot.node(&found.machine.id).is_some() {
        return Err(ClaimError::MachineTaken {
            resource: found.resource.clone(),
            machine: found.machine.id.clone(),
        });
    }
    claimed.snapshot.nodes.push(Node {
        machine: found.machine.clone(),
        resource: found.resource.clone(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        ready: true,
        utilisation: None,
    });
    let adopted = AdoptedMachine {
        taken_from: found.owner.clone(),
        name: found.name.clone(),
    };
    claimed.claims.machines.insert(found.machine.id.clone(), adopted);
    Ok(found.machine.clone())
}
