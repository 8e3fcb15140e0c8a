//! A simulated cloud behind the driver trait.
//!
//! Calls return at once: nothing here waits, spawns or reads a clock, so that any runtime, or none, can drive it. The
//! obvious design, futures that sleep until virtual time comes, would tie it to one runtime and let a forgotten
//! `advance` hang a test.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{OwnerTag, ResourceId, StopSpec, Token};

use super::config::SimConfig;
use super::create::{MACHINE_QUOTA, vcpu_quota_name};
use super::mutate::{Mutation, Waits};
use super::state::State;
use super::thing::ReplicaBody;
use crate::{
    Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Inspected, Kind, Operation, Quota,
    Resource, ResourceState, Retag, Usage,
};

/// A cloud without a cloud: machines and replicas that exist only in memory, on a clock that its owner moves.
///
/// Clones share one cloud. See the [module](super) for what it does, and [`SimConfig`] for its settings.
///
/// The clock moves in [`SimCloud::advance`], [`SimCloud::advance_to_next`], and by the time of a graceful stop in
/// `delete` and `stop` of a running replica, which have to wait for it as a real driver does.
#[derive(Clone)]
pub struct SimCloud {
    shared: Arc<Shared>,
}

struct Shared {
    capabilities: Capabilities,
    state: Mutex<State>,
}

impl fmt::Debug for SimCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("SimCloud")
            .field("name", &self.shared.capabilities.name)
            .field("now", &state.now)
            .field("things", &state.things.len())
            .finish_non_exhaustive()
    }
}

impl SimCloud {
    /// An empty cloud.
    #[must_use]
    pub fn new(config: SimConfig) -> Self {
        let capabilities = Capabilities {
            name: config.name.clone(),
            kinds: vec![Kind::Machine, Kind::Replica],
            clouds: config.clouds.clone(),
            consistency_window: config.consistency_window,
            logs: true,
            usage: true,
            exec: true,
            stop_start: true,
            rehearsal: true,
            adopt: true,
        };
        Self::of(capabilities, State::new(config))
    }

    pub(super) fn of(capabilities: Capabilities, state: State) -> Self {
        let state = Mutex::new(state);
        Self {
            shared: Arc::new(Shared { capabilities, state }),
        }
    }

    /// The state, whole even after a panic elsewhere: no method leaves it half changed.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, operation: Operation, subject: impl ToString, cause: Cause) -> DriverError {
        DriverError::new(&self.shared.capabilities.name, operation.name(), cause).on(subject)
    }

    /// A call that changes nothing.
    fn read<T>(
        &self,
        operation: Operation,
        subject: impl ToString,
        look: impl FnOnce(&State) -> Result<T, Cause>,
    ) -> Result<T, DriverError> {
        let mut state = self.state();
        let admitted = state.admit(operation, Some(subject.to_string()), None);
        let lose_reply = admitted.as_ref().is_ok_and(|admitted| admitted.lose_reply);
        let result = admitted.and_then(|_| look(&state));
        let result = state.answer(operation, lose_reply, result);
        result.map_err(|cause| self.failed(operation, subject, cause))
    }

    /// A call that changes something.
    fn mutate(&self, mutation: Mutation) -> Result<Option<Resource>, DriverError> {
        let operation = mutation.operation();
        let mut state = self.state();
        let admitted = state.admit(operation, Some(mutation.subject()), Some(mutation.epoch()));
        let (lose_reply, repeat) = admitted.as_ref().map_or((false, false), |a| (a.lose_reply, a.repeat));
        let result = admitted
            .and_then(|_| state.reach(&mutation))
            .and_then(|()| state.apply(&mutation, Waits::Yes))
            .map(|made| made.map(|resource| state.mixed_up(resource)));
        state.log_mix_up(result.as_ref().ok().and_then(Option::as_ref));
        // What was refused leaves nothing behind, whatever the network does with it.
        let repeat = repeat && result.is_ok();
        let result = state.answer(operation, lose_reply, result);
        let subject = match (&mutation, &result) {
            (Mutation::Create(request), Err(Cause::NotFound)) => missing_for(request),
            _ => mutation.subject(),
        };
        if repeat {
            state.repeat_later(mutation);
        }
        result.map_err(|cause| self.failed(operation, subject, cause))
    }
}

/// What a creation did not find: the machine.
fn missing_for(request: &CreateRequest) -> String {
    match &request.what {
        crate::What::Machine(machine) => machine.id.to_string(),
        crate::What::Replica(new) => new.machine.to_string(),
    }
}

/// The replica of this id; a machine has no logs, usage or commands.
fn replica<'a>(state: &'a State, id: &ResourceId) -> Result<(&'a ResourceState, &'a ReplicaBody), Cause> {
    let thing = state.look(id)?;
    let body = thing.replica().ok_or(Cause::Unsupported)?;
    Ok((&thing.resource.state, body))
}

/// Runs a command where a replica runs. It ends at once, or not before `timeout`: nobody waits here.
fn exec(state: &State, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, Cause> {
    let (is, _) = replica(state, id)?;
    if *is != ResourceState::Running {
        let detail = format!("`{id}` does not run");
        return Err(Cause::Invalid { detail });
    }
    let Some(name) = command.first() else {
        let detail = "the command is empty".to_owned();
        return Err(Cause::Invalid { detail });
    };
    let Some(program) = state.config.programs.get(name) else {
        return Ok(ExecOutput {
            code: Some(0),
            output: String::new(),
        });
    };
    if program.runs_for.is_none_or(|runs_for| runs_for > timeout) {
        return Err(Cause::Timeout { after: timeout });
    }
    Ok(ExecOutput {
        code: Some(program.exit_code),
        output: program.prints.iter().map(|line| format!("{line}\n")).collect(),
    })
}

/// All quotas with what is in use, sorted by name.
fn quotas(state: &State) -> Vec<Quota> {
    let machines = state.config.machine_quota.map(|allowed| Quota {
        name: MACHINE_QUOTA.to_owned(),
        used: state.machines_in_use(),
        allowed,
    });
    let vcpus = state.config.vcpu_quotas.iter().map(|(region, allowed)| Quota {
        name: vcpu_quota_name(region),
        used: state.vcpus_in_use(region),
        allowed: *allowed,
    });
    machines.into_iter().chain(vcpus).collect()
}

#[async_trait]
impl Driver for SimCloud {
    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        let made = self.mutate(Mutation::Create(Box::new(request.clone())))?;
        made.ok_or_else(|| {
            let detail = "a creation without a thing".to_owned();
            self.failed(Operation::Create, request.name(), Cause::Unexpected { detail })
        })
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        self.read(Operation::Get, id, |state| {
            Ok(state.mixed_up(state.look(id)?.resource.clone()))
        })
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        self.read(Operation::List, owner, |state| state.list(owner))
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        self.read(Operation::FindByToken, token, |state| state.find_by_token(owner, token))
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        let id = id.clone();
        self.mutate(Mutation::Delete { id, stop, epoch }).map(drop)
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        let id = id.clone();
        self.mutate(Mutation::Stop { id, stop, epoch }).map(drop)
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        let id = id.clone();
        self.mutate(Mutation::Start { id, epoch }).map(drop)
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        self.read(Operation::Logs, id, |state| {
            let (_, body) = replica(state, id)?;
            let older = body.log.len().saturating_sub(lines);
            Ok(body.log.iter().skip(older).cloned().collect())
        })
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.read(Operation::Usage, id, |state| {
            let (_, body) = replica(state, id)?;
            Ok(body.usage(state.now, state.provider_clock()))
        })
    }

    async fn exec(&self, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, DriverError> {
        self.read(Operation::Exec, id, |state| exec(state, id, command, timeout))
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        let name = &self.shared.capabilities.name;
        self.read(Operation::Quotas, name, |state| Ok(quotas(state)))
    }

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        self.read(Operation::Inspect, id, |state| Ok(state.look(id)?.inspected()))
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        self.read(Operation::Others, owner, |state| state.others(owner))
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        let retagged = self.mutate(Mutation::Retag(Box::new(request.clone())))?;
        retagged.ok_or_else(|| {
            let detail = "a thing without a thing".to_owned();
            self.failed(Operation::Retag, &request.id, Cause::Unexpected { detail })
        })
    }
}
