//! What the control plane has reached: which machines and replicas it made and where they are.
//!
//! Replaced as a whole, once per finished plan; the journal covers the time between.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use skyloom_core::{Action, Digest, Machine, MachineId, Manifest, Plan, ReplicaSpec, ResourceId, ServiceName, StepId};
use skyloom_orchestrator::Record;

use super::StoreError;
use super::atomic::{read_if_there, replace_file};

/// Version of the persisted form.
pub const STATE_VERSION: u32 = 1;

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
    /// The manifest in force, for healing and rebalancing.
    pub manifest: Option<Manifest>,
    /// Machines that exist.
    pub machines: BTreeMap<MachineId, KnownMachine>,
    /// Replicas that exist or should, by what the provider calls them: while one moves there are two of its name.
    pub replicas: BTreeMap<ResourceId, KnownReplica>,
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
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: STATE_VERSION,
            deployment: None,
            generation: 0,
            last_plan: None,
            manifest: None,
            machines: BTreeMap::new(),
            replicas: BTreeMap::new(),
        }
    }
}

impl State {
    /// Takes a durable record of a plan into account. State is the fold of records: what is not recorded is not known.
    pub fn record(&mut self, plan: &Plan, record: &Record) {
        match record {
            Record::Observed { step, resource, .. } => self.made(plan, *step, resource),
            Record::Gone { step } | Record::Compensated { step } => self.gone(plan, *step),
            _ => {}
        }
    }

    fn made(&mut self, plan: &Plan, step: StepId, resource: &ResourceId) {
        match plan.step(step).map(|step| &step.action) {
            Some(Action::CreateMachine { machine }) => {
                let known = KnownMachine {
                    machine: machine.clone(),
                    resource: resource.clone(),
                };
                self.machines.insert(machine.id.clone(), known);
            }
            Some(Action::CreateReplica { spec }) => {
                self.replicas
                    .insert(resource.clone(), KnownReplica { spec: spec.clone() });
            }
            _ => {}
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
            // Undone: what it had made is known under its own name.
            Some(Action::CreateMachine { machine }) => {
                self.machines.remove(&machine.id);
            }
            Some(Action::CreateReplica { spec }) => {
                self.replicas.retain(|_, known| known.spec != *spec);
            }
            _ => {}
        }
    }

    /// The state at `path`; the first one where there is none.
    ///
    /// # Errors
    /// [`StoreError::Format`] when it is damaged or of a later version; [`StoreError::Io`] otherwise.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let Some(bytes) = read_if_there(path)? else {
            return Ok(Self::default());
        };
        let format = |detail: String| StoreError::Format {
            path: path.to_owned(),
            detail,
        };
        let versioned: Versioned = serde_json::from_slice(&bytes).map_err(|error| format(error.to_string()))?;
        if versioned.version != STATE_VERSION {
            return Err(format(format!(
                "it has version {}, version {STATE_VERSION} is understood",
                versioned.version
            )));
        }
        serde_json::from_slice(&bytes).map_err(|error| format(error.to_string()))
    }

    /// Replaces the state at `path`.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the old state is then still there.
    ///
    /// # Panics
    /// Never: a state has a JSON form.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(self).expect("invariant: a state has a JSON form");
        replace_file(path, &json)
    }
}

/// The part that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}
