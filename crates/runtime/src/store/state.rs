//! What the control plane has reached: which machines and replicas it made and where they are.
//!
//! Replaced as a whole, once per finished plan; the journal covers the time between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Action, DataName, Digest, Gate, Machine, MachineId, Manifest, OperationId, Plan, ReplicaSpec, ResourceId,
    ServiceName, StepId, Timestamp,
};
use skyloom_orchestrator::{Failure, Record, SagaStatus, StopCause, Verdict, operation_id};

use super::StoreError;
use super::atomic::{read_if_there, replace_file};

/// Version of the persisted form.
pub const STATE_VERSION: u32 = 1;

/// What is wanted of a deployment after its last plan: whether anything may be repaired by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// The manifest is in force: what is lost is replaced.
    Up,
    /// Somebody stopped halfway, or it is not known how far things went: nothing is done until the next plan.
    #[default]
    Unsettled,
    /// It is being taken down; what is left waits for the next attempt.
    Down,
}

/// The reached state of one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of the form, [`STATE_VERSION`].
    pub version: u32,
    /// Deployment; `None` before the first plan.
    pub deployment: Option<ServiceName>,
    /// Counts finished plans, whatever their outcome.
    pub generation: u64,
    /// The last finished plan.
    pub last_plan: Option<Digest>,
    /// What is wanted of it.
    #[serde(default)]
    pub aim: Aim,
    /// The manifest of the last plan that took effect; in force while the aim is [`Aim::Up`].
    pub manifest: Option<Manifest>,
    /// Machines that exist.
    pub machines: BTreeMap<MachineId, KnownMachine>,
    /// Replicas that exist or should, by what the provider calls them: while one moves there are two of its name.
    pub replicas: BTreeMap<ResourceId, KnownReplica>,
    /// Creations of ended plans that nobody could find out about, by the operation that their thing would carry. Each is
    /// looked for before the next plan is made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub in_doubt: BTreeMap<OperationId, Action>,
    /// When the copies of each data set were last verified equal, at the earliest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub verified: BTreeMap<DataName, Timestamp>,
    /// Services that the last plan, being partial, has left otherwise than its manifest had them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_out: BTreeSet<ServiceName>,
    /// The way back that a failed plan has left to be made: the manifest in force is to be brought about again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverting: Option<Reverting>,
    /// What is being deleted again, while a plan is undone.
    #[serde(skip)]
    undoing: BTreeMap<StepId, ResourceId>,
}

/// A plan that failed, and from which the way back is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverting {
    /// The plan.
    pub plan: Digest,
    /// Why it failed.
    pub cause: Failure,
}

/// A machine that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownMachine {
    /// What it is, with the price that it was bought at.
    pub machine: Machine,
    /// What the provider calls it.
    pub resource: ResourceId,
}

/// A replica that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownReplica {
    /// What it was made from.
    pub spec: ReplicaSpec,
    /// Whether it is kept out of the endpoints: new and not let in yet, or old and let out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aside: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: STATE_VERSION,
            deployment: None,
            generation: 0,
            last_plan: None,
            aim: Aim::Unsettled,
            manifest: None,
            machines: BTreeMap::new(),
            replicas: BTreeMap::new(),
            in_doubt: BTreeMap::new(),
            verified: BTreeMap::new(),
            left_out: BTreeSet::new(),
            reverting: None,
            undoing: BTreeMap::new(),
        }
    }
}

impl State {
    /// Takes a durable record of a plan into account. State is the fold of records: what is not recorded is not known.
    pub fn record(&mut self, plan: &Plan, record: &Record) {
        match record {
            Record::Observed { step, resource, .. } => {
                if let Some(step) = plan.step(*step) {
                    self.made(&step.action, resource);
                    if let (true, Some(known)) = (step.aside, self.replicas.get_mut(resource)) {
                        known.aside = true;
                    }
                }
            }
            Record::Passed { step } => {
                if let Some(Action::Gate { gate }) = plan.step(*step).map(|step| &step.action) {
                    self.switch(plan, gate, true);
                }
            }
            Record::Failed {
                step,
                verdict: Verdict::InDoubt,
                ..
            } => {
                if let Some(known) = plan.step(*step) {
                    let operation = operation_id(&plan.id(), *step);
                    self.in_doubt.insert(operation, known.action.clone());
                }
            }
            Record::Gone { step } => self.gone(plan, *step),
            Record::CompensationIntent { step, resource, .. } => {
                self.undoing.insert(*step, resource.clone());
                let gates = plan.steps.iter().filter_map(|known| match &known.action {
                    Action::Gate { gate } if gate.watched.contains(step) => Some(gate),
                    _ => None,
                });
                gates.for_each(|gate| self.switch(plan, gate, false));
            }
            // By resource, not by name: while a replica is replaced there are two of its name.
            Record::Compensated { step } => {
                if let Some(resource) = self.undoing.remove(step) {
                    self.undone(plan.step(*step).map(|step| &step.action), &resource);
                }
            }
            _ => {}
        }
    }

    /// Lets the new ones of a gate into the endpoints and the old ones out; or, when it is undone, the other way.
    fn switch(&mut self, plan: &Plan, gate: &Gate, forth: bool) {
        if gate.switch_from.is_empty() {
            return;
        }
        let made = |step: &StepId| plan.step(*step).and_then(|step| step.action.replica());
        let new: BTreeSet<_> = gate.watched.iter().filter_map(made).collect();
        for (resource, known) in &mut self.replicas {
            if gate.switch_from.contains(resource) {
                known.aside = forth;
            } else if new.contains(&known.spec.replica) {
                known.aside = !forth;
            }
        }
    }

    /// What is kept out of the endpoints.
    #[must_use]
    pub fn aside(&self) -> BTreeSet<ResourceId> {
        let aside = self.replicas.iter().filter(|(_, known)| known.aside);
        aside.map(|(resource, _)| resource.clone()).collect()
    }

    /// Takes in what a creation that was in doubt has made after all; `false`: nothing of that operation was in doubt.
    pub fn adopt(&mut self, operation: &OperationId, resource: &ResourceId) -> bool {
        let Some(action) = self.in_doubt.remove(operation) else {
            return false;
        };
        self.made(&action, resource);
        true
    }

    fn made(&mut self, action: &Action, resource: &ResourceId) {
        match action {
            Action::CreateMachine { machine } | Action::AdoptMachine { machine, .. } => {
                let known = KnownMachine {
                    machine: machine.clone(),
                    resource: resource.clone(),
                };
                self.machines.insert(machine.id.clone(), known);
            }
            Action::SyncData { data, planned_at, .. } => {
                self.verified.insert(data.clone(), *planned_at);
            }
            Action::CreateReplica { spec } | Action::RenameReplica { spec, .. } | Action::AdoptReplica { spec, .. } => {
                let known = KnownReplica {
                    spec: spec.clone(),
                    aside: false,
                };
                self.replicas.insert(resource.clone(), known);
            }
            _ => {}
        }
    }

    /// What was made is gone; what was taken over is not ours any more; what was renamed has its old name again.
    fn undone(&mut self, action: Option<&Action>, resource: &ResourceId) {
        if let Some(Action::RenameReplica { spec, was, .. }) = action {
            let mut spec = spec.clone();
            spec.replica = was.clone();
            let known = KnownReplica { spec, aside: false };
            self.replicas.insert(resource.clone(), known);
            return;
        }
        self.replicas.remove(resource);
        // By its name: a pass over all machines for each step of a large plan would be a pass too many.
        if let Some(Action::CreateMachine { machine } | Action::AdoptMachine { machine, .. }) = action
            && let Some(known) = self.machines.get(&machine.id)
            && known.resource == *resource
        {
            self.machines.remove(&machine.id);
        }
    }

    fn gone(&mut self, plan: &Plan, step: StepId) {
        match plan.step(step).map(|step| &step.action) {
            Some(Action::DeleteReplica { resource, .. }) => {
                self.replicas.remove(resource);
            }
            Some(Action::DeleteMachine { machine, .. }) => {
                self.machines.remove(machine);
            }
            _ => {}
        }
    }

    /// The manifest, if what is lost is to be replaced.
    #[must_use]
    pub fn manifest_in_force(&self) -> Option<&Manifest> {
        self.manifest.as_ref().filter(|_| self.aim == Aim::Up)
    }

    /// Counts a finished plan and draws the consequence of its outcome. `manifest` is what the plan was to bring about;
    /// `None` when it was to take everything down.
    pub fn settle(&mut self, plan: &Plan, manifest: Option<Manifest>, status: &SagaStatus) {
        self.generation = self.generation.saturating_add(1);
        self.last_plan = Some(plan.id());
        self.undoing.clear();
        let is_teardown = manifest.is_none();
        let took_effect = matches!(status, SagaStatus::Succeeded | SagaStatus::Incomplete { .. });
        if took_effect {
            let left_out = plan.targets.as_ref().map(|targets| &targets.left_out);
            self.left_out = left_out.cloned().unwrap_or_default();
        }
        let was_way_back = self.reverting.take().is_some() && !is_teardown;
        match status {
            // All that was to be there is there, or all is gone.
            SagaStatus::Succeeded if is_teardown => {
                (self.deployment, self.manifest, self.aim) = (None, None, Aim::Unsettled);
            }
            SagaStatus::Succeeded => (self.manifest, self.aim) = (manifest, Aim::Up),
            SagaStatus::Incomplete { .. } if !is_teardown => (self.manifest, self.aim) = (manifest, Aim::Up),
            // The way back did not lead there: somebody has to look.
            _ if was_way_back => self.aim = Aim::Unsettled,
            // The old manifest stays in force: the new one did not work.
            SagaStatus::RolledBack { .. } => {}
            SagaStatus::Stuck {
                cause: StopCause::Failed(_),
                ..
            } if !is_teardown => {}
            // A teardown that was begun is not undone by anybody but the next plan.
            _ if is_teardown => self.aim = Aim::Down,
            SagaStatus::Cancelled { .. } | SagaStatus::Stuck { .. } | SagaStatus::Incomplete { .. } => {
                (self.manifest, self.aim) = (manifest, Aim::Unsettled);
            }
            SagaStatus::Running
            | SagaStatus::Stopping { .. }
            | SagaStatus::Compensating { .. }
            | SagaStatus::Halted { .. } => self.aim = Aim::Unsettled,
        }
        let nothing_left = self.replicas.is_empty() && self.machines.is_empty();
        if nothing_left && self.manifest.is_none() {
            self.deployment = None;
        } else {
            // What is left is somebody's, so that it can be taken down.
            self.deployment = Some(plan.deployment.clone());
        }
    }

    /// The way back that a plan's end calls for: it failed on the way from the manifest in force to another one. Ask
    /// before [`State::settle`], and keep the answer in [`State::reverting`] with it, so that a crash between the two
    /// plans loses nothing. A plan that is itself a way back, or that only repairs, calls for none: neither ever loops.
    #[must_use]
    pub fn must_revert(&self, plan: &Plan, manifest: Option<&Manifest>, status: &SagaStatus) -> Option<Reverting> {
        let cause = match status {
            SagaStatus::RolledBack { cause, .. } => cause,
            SagaStatus::Stuck {
                cause: StopCause::Failed(cause),
                ..
            } => cause,
            _ => return None,
        };
        let (old, new) = (self.manifest.as_ref()?, manifest?);
        let changed = old.clone().without_locations() != new.clone().without_locations();
        (changed && self.reverting.is_none() && self.aim == Aim::Up).then(|| Reverting {
            plan: plan.id(),
            cause: cause.clone(),
        })
    }

    /// The state at `path`; the first one where there is none.
    ///
    /// # Errors
    /// [`StoreError::Version`] when it is of a later version, [`StoreError::Format`] when it is damaged;
    /// [`StoreError::Io`] otherwise. The file is left as it is.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let Some(bytes) = read_if_there(path)? else {
            return Ok(Self::default());
        };
        if let Ok(Versioned { version: found }) = serde_json::from_slice(&bytes)
            && found > STATE_VERSION
        {
            let understood = STATE_VERSION;
            return Err(StoreError::Version {
                path: path.to_owned(),
                found,
                understood,
            });
        }
        Self::from_bytes(&bytes).map_err(|detail| StoreError::Format {
            path: path.to_owned(),
            detail,
        })
    }

    /// The state in these bytes.
    ///
    /// # Errors
    /// What was found and what is understood: the bytes are damaged, or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let versioned: Versioned = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if versioned.version != STATE_VERSION {
            let version = versioned.version;
            return Err(format!(
                "it has version {version}, version {STATE_VERSION} is understood"
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// The bytes that [`State::from_bytes`] reads.
    ///
    /// # Panics
    /// Never: a state has a JSON form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("invariant: a state has a JSON form")
    }

    /// Replaces the state at `path`; a control plane writes through its store instead.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the old state is then still there.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        replace_file(path, &self.to_bytes())
    }
}

/// The part that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}
