//! What stays, what comes, what goes: the comparison of what is wanted with what is there, before any order.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{
    Condition, Machine, MachineId, Manifest, Node, ObservedReplica, Placement, ReplicaId, ReplicaSpec, ReplicaState,
    ServiceName, ServiceSpec, Snapshot, Targets,
};

use super::PlanError;
use super::request::PlanRequest;
use super::target::Extent;

/// A wanted replica.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) spec: ReplicaSpec,
    /// The one that stays; `None`: one is created.
    pub(super) kept: Option<&'a ObservedReplica>,
    /// Others of the same name, which go.
    pub(super) olds: Vec<&'a ObservedReplica>,
}

/// The comparison.
#[derive(Debug)]
pub(super) struct Diff<'a> {
    pub(super) services: BTreeMap<&'a ServiceName, &'a ServiceSpec>,
    /// By service, in the order of replicas.
    pub(super) entries: BTreeMap<&'a ServiceName, Vec<Entry<'a>>>,
    /// Replicas that nobody asks for any more, in the snapshot's order.
    pub(super) unwanted: Vec<&'a ObservedReplica>,
    /// Machines that are there.
    pub(super) nodes: BTreeMap<&'a MachineId, &'a Node>,
    /// Machines that are wanted.
    pub(super) machines: BTreeMap<&'a MachineId, &'a Machine>,
    /// Services whose replicas may end with success.
    jobs: BTreeSet<&'a ServiceName>,
    /// What a partial plan is confined to.
    targets: Option<&'a Targets>,
    /// What a partial plan does not touch, in the snapshot's order.
    pub(super) left_alone: Vec<&'a ObservedReplica>,
}

impl<'a> Diff<'a> {
    pub(super) fn new(request: &PlanRequest<'a>) -> Result<Self, PlanError> {
        let PlanRequest {
            manifest,
            placement,
            snapshot,
            ..
        } = *request;
        let services: BTreeMap<_, _> = manifest.services.iter().map(|s| (&s.name, s)).collect();
        let nodes: BTreeMap<_, _> = snapshot.nodes.iter().map(|n| (&n.machine.id, n)).collect();
        let machines = wanted_machines(placement, &nodes)?;
        let mut diff = Self {
            jobs: jobs(manifest),
            entries: BTreeMap::new(),
            unwanted: Vec::new(),
            services,
            nodes,
            machines,
            targets: request.targets,
            left_alone: Vec::new(),
        };
        diff.compare(placement, snapshot)?;
        Ok(diff)
    }

    fn compare(&mut self, placement: &'a Placement, snapshot: &'a Snapshot) -> Result<(), PlanError> {
        let mut there: BTreeMap<&ReplicaId, Vec<&ObservedReplica>> = BTreeMap::new();
        for observed in &snapshot.replicas {
            if !self.nodes.contains_key(&observed.machine) {
                if observed.state.is_live() {
                    return Err(PlanError::UnknownMachine {
                        replica: observed.replica.clone(),
                        machine: observed.machine.clone(),
                    });
                }
                // It went with its machine: nothing is left to delete.
                continue;
            }
            there.entry(&observed.replica).or_default().push(observed);
        }
        let mut sorted: Vec<_> = placement.assignments.iter().collect();
        sorted.sort_by(|a, b| a.replica.cmp(&b.replica));
        for assignment in sorted {
            let replica = &assignment.replica;
            let service = *self
                .services
                .get(replica.service())
                .ok_or_else(|| PlanError::UnknownReplica {
                    replica: replica.clone(),
                })?;
            let machine = self
                .machines
                .get(&assignment.machine)
                .ok_or_else(|| PlanError::UnknownMachine {
                    replica: replica.clone(),
                    machine: assignment.machine.clone(),
                })?;
            let spec = ReplicaSpec {
                replica: replica.clone(),
                machine: assignment.machine.clone(),
                site: machine.site.clone(),
                request: assignment.request,
                run: service.run.clone(),
                health: service.health.clone(),
                stop: service.stop,
            };
            let entry = match self.extent(&service.name) {
                Extent::Whole => self.entry(service, spec, there.remove(replica).unwrap_or_default()),
                Extent::Missing => {
                    let there = there.remove(replica).unwrap_or_default();
                    self.as_it_is(service, spec, there)
                }
                Extent::Nothing => continue,
            };
            self.entries.entry(&service.name).or_default().push(entry);
        }
        self.check_counts()?;
        let rest = there.into_values().flatten();
        (self.unwanted, self.left_alone) = rest.partition(|old| self.extent(old.replica.service()) == Extent::Whole);
        Ok(())
    }

    fn entry(&self, service: &ServiceSpec, spec: ReplicaSpec, there: Vec<&'a ObservedReplica>) -> Entry<'a> {
        let digest = spec.digest();
        let job = self.jobs.contains(&service.name);
        let may_stay = |o: &&ObservedReplica| {
            o.machine == spec.machine
                && o.spec == digest
                && (is_sound(o.state) || job && o.state == ReplicaState::Completed)
        };
        let kept = there
            .iter()
            .copied()
            .filter(may_stay)
            .min_by_key(|o| (rank(o.state), &o.resource));
        let olds = there
            .into_iter()
            .filter(|o| kept.is_none_or(|k| k.resource != o.resource))
            .collect();
        Entry { spec, kept, olds }
    }

    pub(super) fn extent(&self, service: &ServiceName) -> Extent {
        Extent::of(self.targets, service)
    }

    /// As [`Self::entry`], but what runs stays, wherever and from whatever specification.
    fn as_it_is(&self, service: &ServiceSpec, mut spec: ReplicaSpec, there: Vec<&'a ObservedReplica>) -> Entry<'a> {
        let job = self.jobs.contains(&service.name);
        let serves = |o: &&ObservedReplica| is_sound(o.state) || job && o.state == ReplicaState::Completed;
        let best = there.iter().copied().filter(serves);
        let kept = best.min_by_key(|o| (rank(o.state), &o.resource));
        if let Some(kept) = kept {
            spec.machine = kept.machine.clone();
            if let Some(node) = self.nodes.get(&kept.machine) {
                spec.site = node.machine.site.clone();
            }
        }
        let olds = if kept.is_none() { there } else { Vec::new() };
        Entry { spec, kept, olds }
    }

    /// Every replica that the manifest asks for is there once, and no other.
    fn check_counts(&self) -> Result<(), PlanError> {
        for (name, service) in &self.services {
            if self.extent(name) == Extent::Nothing {
                continue;
            }
            let entries = self.entries.get(name).map_or(&[][..], Vec::as_slice);
            for expected in 0..service.replicas.get() {
                let found = entries.get(expected as usize).map(|entry| entry.spec.replica.index());
                match found {
                    Some(index) if index == expected => {}
                    Some(index) if index < expected => {
                        let replica = ReplicaId::new((*name).clone(), index);
                        return Err(PlanError::PlacedTwice { replica });
                    }
                    _ => {
                        let replica = ReplicaId::new((*name).clone(), expected);
                        return Err(PlanError::MissingReplica { replica });
                    }
                }
            }
            if let Some(extra) = entries.get(service.replicas.get() as usize) {
                let replica = extra.spec.replica.clone();
                let twice = replica.index() < service.replicas.get();
                return Err(if twice {
                    PlanError::PlacedTwice { replica }
                } else {
                    PlanError::UnknownReplica { replica }
                });
            }
        }
        Ok(())
    }
}

/// The services that are jobs, whose replicas may end with success: somebody waits for their completion, or they have
/// neither ports nor a health check, so that nothing says they should run for ever.
#[must_use]
pub fn jobs(manifest: &Manifest) -> BTreeSet<&ServiceName> {
    let edges = manifest.services.iter().flat_map(|s| &s.depends_on);
    let completed = edges
        .filter(|d| d.condition == Condition::Completed)
        .map(|d| &d.service);
    let silent = |service: &&ServiceSpec| service.health.is_none() && service.run.ports.is_empty();
    let silent = manifest.services.iter().filter(silent).map(|s| &s.name);
    completed.chain(silent).collect()
}

fn wanted_machines<'a>(
    placement: &'a Placement,
    nodes: &BTreeMap<&MachineId, &Node>,
) -> Result<BTreeMap<&'a MachineId, &'a Machine>, PlanError> {
    let mut machines = BTreeMap::new();
    for machine in &placement.machines {
        let same = |node: &&Node| {
            let there = &node.machine;
            there.site == machine.site && there.instance == machine.instance && there.purchase == machine.purchase
        };
        let differs = nodes.get(&machine.id).is_some_and(|node| !same(node));
        if differs || machines.insert(&machine.id, machine).is_some() {
            let machine = machine.id.clone();
            return Err(PlanError::OtherMachine { machine });
        }
    }
    Ok(machines)
}

/// Whether a replica in that state is worth keeping.
const fn is_sound(state: ReplicaState) -> bool {
    matches!(
        state,
        ReplicaState::Pending | ReplicaState::Started | ReplicaState::Healthy
    )
}

/// The best of several of one name stays.
const fn rank(state: ReplicaState) -> u8 {
    match state {
        ReplicaState::Completed => 0,
        ReplicaState::Healthy => 1,
        ReplicaState::Started => 2,
        _ => 3,
    }
}
