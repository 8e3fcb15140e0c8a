//! Calls at the simulated cloud, one at a time: the seam at which mutants break what goes out.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use skyloom_core::{
    Action, Millionths, OperationId, OwnerTag, Plan, ResourceId, Secret, ServiceName, StepId, StopSpec, Token, Until,
};
use skyloom_orchestrator::{Command, Event};
use skyloom_provider::sim::SimCloud;
use skyloom_provider::{
    Cause, CreateRequest, Driver, DriverError, Epoch, NewReplica, Operation, Resource, ResourceState, What, find_made,
};

use super::dice::Dice;
use super::mutant::Mutant;
use super::script::NO_GOOD;

/// Whose things these are.
pub(super) fn owner() -> OwnerTag {
    OwnerTag::new("matrix").expect("invariant: a name")
}

/// The cloud as one controller reaches it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Port<'a> {
    pub(super) cloud: &'a SimCloud,
    pub(super) secret: &'a str,
    pub(super) talkative: bool,
    pub(super) mutant: Option<Mutant>,
    pub(super) epoch: u64,
    /// What every metric is, in millionths.
    pub(super) metric: i64,
    /// Services whose replicas may end with success.
    pub(super) jobs: &'a BTreeSet<ServiceName>,
}

/// The simulated cloud answers at once.
fn now<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never()
        .expect("invariant: a simulated call waits for nothing")
}

impl Port<'_> {
    /// Carries a call out; `None`: what is waited for has not come yet.
    pub(super) fn call(&self, plan: &Plan, command: &Command, dice: &mut Dice) -> Option<Event> {
        let step = step_of(command)?;
        let action = &plan.step(step)?.action;
        let ended = match command {
            Command::Create {
                operation,
                token,
                machine,
                ..
            } => self
                .create(action, operation, token, machine.clone(), dice)
                .map(|resource| Event::Created { step, resource }),
            Command::Lookup { operation, token, .. } => self
                .look_up(operation, token)
                .map(|resource| Event::Found { step, resource })
                .map_err(told),
            Command::AwaitReady { resource, until, .. } => {
                return self.look(action, resource, *until).transpose_event(step);
            }
            Command::Delete { resource, stop, .. } => self
                .delete(resource, *stop)
                .map(|()| Event::Gone { step })
                .map_err(told),
            Command::Look { watched, due, .. } => return Some(self.watch(plan, step, watched, due)),
            Command::Record { .. } | Command::StopAwaiting { .. } => return None,
        };
        Some(ended.unwrap_or_else(|failed| failed.event(step)))
    }

    fn epoch(&self) -> Epoch {
        let forged = self.mutant == Some(Mutant::ForgedEpoch);
        Epoch(if forged { u64::MAX } else { self.epoch })
    }

    fn create(
        &self,
        action: &Action,
        operation: &OperationId,
        token: &Token,
        machine: Option<ResourceId>,
        dice: &mut Dice,
    ) -> Result<ResourceId, Failed> {
        let what = match (action, machine) {
            (Action::CreateMachine { machine }, _) => What::Machine(machine.clone()),
            (Action::CreateReplica { spec }, Some(machine)) => What::Replica(Box::new(NewReplica {
                spec: spec.clone(),
                machine,
                env: BTreeMap::from([(String::from("KEY"), Secret::new(self.secret.to_owned()))]),
            })),
            _ => return Err(Failed::new(skyloom_core::Class::Bug, "nothing to create, or nowhere")),
        };
        let token = match self.mutant {
            Some(Mutant::FreshTokens) => Token::new(format!("fresh-{:x}", dice.draw())).expect("invariant: a name"),
            Some(Mutant::TokenReuse) => Token::new("always").expect("invariant: a name"),
            _ => token.clone(),
        };
        let request = CreateRequest {
            owner: owner(),
            operation: operation.clone(),
            token,
            epoch: self.epoch(),
            what,
        };
        if self.talkative && matches!(request.what, What::Replica(_)) && dice.one_in(6) {
            let detail = format!("environment was KEY={}", self.secret);
            self.cloud.fail_next(Operation::Create, Cause::Unavailable { detail });
        }
        now(self.cloud.create(&request))
            .map(|resource| resource.id)
            .map_err(|error| {
                let failed = told(error);
                if self.mutant == Some(Mutant::SecretsTold) {
                    return failed;
                }
                let detail = request.redact(failed.detail);
                Failed { detail, ..failed }
            })
    }

    fn is_job(&self, action: &Action) -> bool {
        action
            .replica()
            .is_some_and(|replica| self.jobs.contains(replica.service()))
    }

    fn look_up(&self, operation: &OperationId, token: &Token) -> Result<Option<ResourceId>, DriverError> {
        if self.mutant == Some(Mutant::BlindLookup) {
            return Ok(None);
        }
        now(find_made(self.cloud, &owner(), operation, token))
    }

    pub(super) fn delete(&self, resource: &ResourceId, stop: StopSpec) -> Result<(), DriverError> {
        now(self.cloud.delete(resource, stop, self.epoch()))
    }

    pub(super) fn get(&self, resource: &ResourceId) -> Result<Resource, DriverError> {
        now(self.cloud.get(resource))
    }

    pub(super) fn list(&self) -> Result<Vec<Resource>, DriverError> {
        now(self.cloud.list(&owner()))
    }

    /// Looks whether a condition is reached: the runtime's `await_ready`, one look of it.
    fn look(&self, action: &Action, id: &ResourceId, until: Until) -> Look {
        if self.mutant == Some(Mutant::EarlyReady) {
            return Look::Reached(until);
        }
        let resource = match self.get(id) {
            Ok(resource) => resource,
            Err(error) if error.class().is_retryable() => return Look::NotYet,
            Err(error) => return Look::Failed(told(error)),
        };
        match (&resource.state, until) {
            (ResourceState::Exited { code: Some(0) }, Until::Completed | Until::Done)
            | (ResourceState::Running, Until::Done | Until::Healthy) => Look::Reached(until),
            (ResourceState::Exited { code: Some(0) }, Until::Healthy) if self.is_job(action) => {
                Look::Reached(Until::Completed)
            }
            (ResourceState::Exited { .. }, _) => Look::Failed(Failed::new(skyloom_core::Class::Invalid, "it ended")),
            (ResourceState::Evicted, _) => Look::Failed(Failed::new(skyloom_core::Class::Exhausted, "it was evicted")),
            _ => Look::NotYet,
        }
    }
}

impl Port<'_> {
    /// One look at the new replicas of a gate.
    fn watch(&self, plan: &Plan, step: StepId, watched: &[(StepId, ResourceId)], due: &[u32]) -> Event {
        let ignored = self.mutant == Some(Mutant::AnalysisIgnored);
        let action = |step: StepId| plan.step(step).map(|step| &step.action);
        let may_complete = matches!(action(step), Some(Action::Gate { gate }) if self.jobs.contains(&gate.service));
        let is_no_good = |step: &StepId| match action(*step) {
            Some(Action::CreateReplica { spec }) => spec.run.image.as_deref() == Some(NO_GOOD),
            _ => false,
        };
        let bad = !ignored && watched.iter().any(|(step, _)| is_no_good(step));
        let mut sick = None;
        for (_, id) in watched.iter().filter(|_| !ignored) {
            match self.get(id).map(|resource| resource.state) {
                Ok(ResourceState::Running) => {}
                Ok(ResourceState::Exited { code: Some(0) }) if may_complete => {}
                Ok(state) => sick = Some(format!("{id} is {state:?}")),
                Err(error) if error.class().is_retryable() => return told(error).event(step),
                Err(error) => sick = Some(error.to_string()),
            }
        }
        let value = Millionths::from_millionths(if bad { self.metric } else { 0 });
        let measured = due.iter().map(|analysis| (*analysis, value)).collect();
        Event::Looked { step, sick, measured }
    }
}

enum Look {
    NotYet,
    Reached(Until),
    Failed(Failed),
}

impl Look {
    fn transpose_event(self, step: StepId) -> Option<Event> {
        match self {
            Self::NotYet => None,
            Self::Reached(until) => Some(Event::Ready { step, until }),
            Self::Failed(failed) => Some(failed.event(step)),
        }
    }
}

/// A failed call in the words of a saga.
struct Failed {
    class: skyloom_core::Class,
    detail: String,
    fenced_by: Option<u64>,
}

impl Failed {
    fn new(class: skyloom_core::Class, detail: &str) -> Self {
        Self {
            class,
            detail: detail.to_owned(),
            fenced_by: None,
        }
    }

    fn event(self, step: StepId) -> Event {
        let (class, detail) = (self.class, self.detail);
        match self.fenced_by {
            Some(seen) => Event::Fenced { seen },
            None => Event::CallFailed { step, class, detail },
        }
    }
}

fn told(error: DriverError) -> Failed {
    let fenced_by = match error.cause {
        Cause::StaleEpoch { seen, .. } => Some(seen),
        _ => None,
    };
    Failed {
        class: error.class(),
        detail: error.to_string(),
        fenced_by,
    }
}

pub(super) const fn step_of(command: &Command) -> Option<StepId> {
    match command {
        Command::Create { step, .. }
        | Command::Lookup { step, .. }
        | Command::AwaitReady { step, .. }
        | Command::Look { step, .. }
        | Command::StopAwaiting { step }
        | Command::Delete { step, .. } => Some(*step),
        Command::Record { .. } => None,
    }
}
