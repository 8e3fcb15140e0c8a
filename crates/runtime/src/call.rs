//! One call to the outside each: create, look up, wait until ready, delete. Each ends as an event for the saga.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use skyloom_core::{
    Action, Class, HealthCheck, OperationId, Plan, ReplicaId, ResourceId, ServiceName, StepId, StopSpec, Token, Until,
};
use skyloom_orchestrator::Event;
use skyloom_provider::{
    Cause, CreateRequest, Driver, DriverError, Epoch, NewReplica, Resource, ResourceState, Retag, What, find_made,
};
use tokio::time::sleep;

use crate::endpoints::Endpoint;
use crate::env::{EnvError, References, render_all};
use crate::health::HealthTracker;
use crate::look::look;
use crate::probe::probe;
use crate::shared::Shared;

/// Longest time between two looks at a thing that is starting.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A call with what it needs.
#[derive(Debug)]
pub(crate) enum Call {
    Create {
        step: StepId,
        operation: OperationId,
        token: Token,
        machine: Option<ResourceId>,
    },
    Lookup {
        step: StepId,
        operation: OperationId,
        token: Token,
    },
    AwaitReady {
        step: StepId,
        resource: ResourceId,
        until: Until,
    },
    Delete {
        step: StepId,
        operation: OperationId,
        resource: ResourceId,
        stop: StopSpec,
    },
    Look {
        step: StepId,
        watched: Vec<(StepId, ResourceId)>,
        due: Vec<u32>,
    },
}

impl Call {
    pub(crate) const fn step(&self) -> StepId {
        match self {
            Self::Create { step, .. }
            | Self::Lookup { step, .. }
            | Self::AwaitReady { step, .. }
            | Self::Delete { step, .. }
            | Self::Look { step, .. } => *step,
        }
    }

    /// A word for people.
    pub(crate) const fn operation(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Lookup { .. } => "look_up",
            Self::AwaitReady { .. } => "await_ready",
            Self::Delete { .. } => "delete",
            Self::Look { .. } => "look",
        }
    }
}

/// A failed call, in the words of the saga.
pub(crate) struct Failed {
    class: Class,
    detail: String,
    fenced_by: Option<u64>,
}

impl From<DriverError> for Failed {
    fn from(error: DriverError) -> Self {
        let fenced_by = match error.cause {
            Cause::StaleEpoch { seen, .. } => Some(seen),
            _ => None,
        };
        Self {
            class: error.class(),
            detail: chain(&error),
            fenced_by,
        }
    }
}

impl Failed {
    pub(crate) fn new(class: Class, detail: impl Into<String>) -> Self {
        Self {
            class,
            detail: detail.into(),
            fenced_by: None,
        }
    }
}

/// Carries out a call and tells how it ended.
/// `jobs` are the services whose replicas may end with success, as the manifest has it: a plan that creates no dependent
/// of a job does not show that it is one.
pub(crate) async fn carry_out(
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    jobs: Arc<BTreeSet<ServiceName>>,
    call: Call,
) -> Event {
    let step = call.step();
    let Some((action, aside)) = plan.step(step).map(|step| (&step.action, step.aside)) else {
        return Event::CallFailed {
            step,
            class: Class::Bug,
            detail: "the plan has no such step".to_owned(),
        };
    };
    let ended = match call {
        Call::Create {
            operation,
            token,
            machine,
            ..
        } => create(&shared, action, operation, token, machine)
            .await
            .map(|resource| Event::Created { step, resource }),
        Call::Lookup { operation, token, .. } => look_up(&shared, action, &operation, &token)
            .await
            .map(|resource| Event::Found { step, resource }),
        Call::AwaitReady { resource, until, .. } => {
            let may_complete = replica_of(action).is_some_and(|(replica, _)| jobs.contains(replica.service()));
            await_ready(&shared, (action, aside), &resource, until, may_complete)
                .await
                .map(|until| Event::Ready { step, until })
        }
        Call::Delete {
            operation,
            resource,
            stop,
            ..
        } => undo(&shared, action, operation, &resource, stop)
            .await
            .map_err(Failed::from)
            .map(|()| Event::Gone { step }),
        Call::Look { watched, due, .. } => {
            let may_complete = matches!(action, Action::Gate { gate } if jobs.contains(&gate.service));
            look(&shared, &plan, step, (&watched, &due), may_complete).await
        }
    };
    ended.unwrap_or_else(|failed| match failed.fenced_by {
        Some(seen) => Event::Fenced { seen },
        None => Event::CallFailed {
            step,
            class: failed.class,
            detail: failed.detail,
        },
    })
}

fn driver<'a>(shared: &'a Shared, action: &Action) -> Result<&'a Arc<dyn Driver>, Failed> {
    let cloud = &action.site().region.cloud;
    let found = shared.drivers.for_cloud(cloud);
    found.ok_or_else(|| {
        Failed::new(
            Class::Unsupported,
            format!("no driver is registered for cloud `{cloud}`"),
        )
    })
}

async fn create(
    shared: &Shared,
    action: &Action,
    operation: OperationId,
    token: Token,
    machine: Option<ResourceId>,
) -> Result<ResourceId, Failed> {
    if let Some(claimed) = claim(shared, action, &operation, &token).await {
        return claimed;
    }
    let what = match action {
        Action::CreateMachine { machine } => What::Machine(machine.clone()),
        Action::CreateReplica { spec } => {
            let machine = machine.ok_or_else(|| Failed::new(Class::Bug, "the replica's machine is not known"))?;
            let data = |name: &skyloom_core::DataName| shared.data.location(name);
            let failed = |error: EnvError| Failed::new(error.class(), chain(&error));
            // The endpoints are given back at the end of this statement, before anybody is asked for a secret.
            let rendered = {
                let endpoints = shared.endpoints();
                let references = References {
                    endpoints: &endpoints,
                    data: &data,
                };
                render_all(spec, &references).map_err(failed)?
            };
            let env = rendered.resolve(&*shared.secrets).map_err(failed)?;
            What::Replica(Box::new(NewReplica {
                spec: spec.clone(),
                machine,
                env,
            }))
        }
        _ => return Err(Failed::new(Class::Bug, "the step creates nothing")),
    };
    let epoch = Epoch(shared.epoch());
    let request = CreateRequest {
        owner: shared.owner.clone(),
        operation,
        token,
        epoch,
        what,
    };
    let made = driver(shared, action)?.create(&request).await;
    made.map(|resource| resource.id).map_err(|error| {
        let failed = Failed::from(error);
        let detail = request.redact(failed.detail);
        Failed { detail, ..failed }
    })
}

/// Carries out a step that makes nothing: takes over, renames, or makes data sets equal; `None`: it is no such step.
async fn claim(
    shared: &Shared,
    action: &Action,
    operation: &OperationId,
    token: &Token,
) -> Option<Result<ResourceId, Failed>> {
    let ours = Some(shared.owner.clone());
    let (id, from, name) = match action {
        Action::RenameReplica { spec, resource, .. } => (resource, ours.clone(), spec.replica.to_string()),
        Action::AdoptReplica {
            spec,
            resource,
            taken_from,
            ..
        } => (resource, taken_from.clone(), spec.replica.to_string()),
        Action::AdoptMachine {
            machine,
            resource,
            taken_from,
            ..
        } => (resource, taken_from.clone(), machine.id.to_string()),
        Action::SyncData { data, .. } => return Some(make_equal(shared, data).await),
        _ => return None,
    };
    let request = Retag {
        id: id.clone(),
        from,
        to: ours,
        name,
        operation: operation.clone(),
        token: token.clone(),
        epoch: Epoch(shared.epoch()),
    };
    Some(retag(shared, action, request).await.map_err(Failed::from))
}

/// Copies and verifies; what the step "makes" is the equality of the copies, which has a name of its own.
async fn make_equal(shared: &Shared, data: &skyloom_core::DataName) -> Result<ResourceId, Failed> {
    let failed = |error: crate::data::DataError| Failed::new(error.class(), chain(&error));
    shared.data.sync_known(data, shared.now()).await.map_err(failed)?;
    let name = ResourceId::new(format!("data:{data}"));
    name.map_err(|error| Failed::new(Class::Bug, error.to_string()))
}

/// Gives a thing other marks. A driver that cannot is not asked where the owner stays: the name is the state's then.
async fn retag(shared: &Shared, action: &Action, request: Retag) -> Result<ResourceId, DriverError> {
    let cloud = &action.site().region.cloud;
    let unsupported = || DriverError::new("none", "retag", Cause::Unsupported).on(cloud);
    let driver = shared.drivers.for_cloud(cloud).ok_or_else(unsupported)?;
    if request.from == request.to && !driver.capabilities().adopt {
        return Ok(request.id);
    }
    driver.retag(&request).await.map(|resource| resource.id)
}

/// Deletes what a step is about; what it took over or renamed gets its old owner and name back instead.
pub(crate) async fn undo(
    shared: &Shared,
    action: &Action,
    operation: OperationId,
    resource: &ResourceId,
    stop: StopSpec,
) -> Result<(), DriverError> {
    let ours = Some(shared.owner.clone());
    let (to, name) = match action {
        Action::RenameReplica { was, .. } => (ours.clone(), was.to_string()),
        Action::AdoptReplica { taken_from, name, .. } | Action::AdoptMachine { taken_from, name, .. } => {
            (taken_from.clone(), name.clone())
        }
        _ => return delete(shared, action, resource, stop).await,
    };
    let invalid = |error: skyloom_core::IdError| {
        let detail = error.to_string();
        DriverError::new("none", "retag", Cause::Invalid { detail }).on(resource)
    };
    let request = Retag {
        id: resource.clone(),
        from: ours,
        to,
        name,
        token: Token::new(operation.as_str()).map_err(invalid)?,
        operation,
        epoch: Epoch(shared.epoch()),
    };
    retag(shared, action, request).await.map(drop)
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn look_up(
    shared: &Shared,
    action: &Action,
    operation: &OperationId,
    token: &Token,
) -> Result<Option<ResourceId>, Failed> {
    let driver = driver(shared, action)?;
    Ok(find_made(driver.as_ref(), &shared.owner, operation, token).await?)
}

/// Out of the endpoints first, then stopped and removed.
pub(crate) async fn delete(
    shared: &Shared,
    action: &Action,
    resource: &ResourceId,
    stop: StopSpec,
) -> Result<(), DriverError> {
    let was_listed = shared.endpoints().has(resource);
    match shared.leave_endpoints(resource).await {
        // Who has read the list just before may still be on his way.
        Ok(()) if was_listed => sleep(shared.config.drain_for).await,
        Ok(()) => {}
        // Callers may meet a closed port for a moment; that is no reason to keep a thing that is to go.
        Err(error) => tracing::error!(%error, "the endpoints could not be written"),
    }
    shared.forget_health(resource);
    let cloud = &action.site().region.cloud;
    let unsupported = || DriverError::new("none", "delete", Cause::Unsupported).on(cloud);
    let driver = shared.drivers.for_cloud(cloud).ok_or_else(unsupported)?;
    driver.delete(resource, stop, Epoch(shared.epoch())).await
}

/// The replica and health check that a step is about, for steps that wait for a replica.
const fn replica_of(action: &Action) -> Option<(&ReplicaId, Option<&HealthCheck>)> {
    match action {
        Action::CreateReplica { spec } => Some((&spec.replica, spec.health.as_ref())),
        Action::AwaitReplica { replica, health, .. } => Some((replica, health.as_ref())),
        _ => None,
    }
}

/// Looks again and again until the thing has reached the condition, and tells what it has reached: a job that is to
/// run may have completed before anybody saw it run. The end of the wait is the saga's to decide.
async fn await_ready(
    shared: &Shared,
    (action, aside): (&Action, bool),
    id: &ResourceId,
    until: Until,
    may_complete: bool,
) -> Result<Until, Failed> {
    let driver = driver(shared, action)?;
    let (replica, check) = replica_of(action).unzip();
    let check = check.flatten();
    let mut tracker = HealthTracker::default();
    let mut running_since = None;
    loop {
        let resource = match driver.get(id).await {
            Ok(resource) => resource,
            // An answer about something else says nothing about this one.
            Err(error) if error.class().is_retryable() || matches!(error.cause, Cause::OtherThing { .. }) => {
                crate::telemetry::read_again(error.class());
                sleep(LOOK_EVERY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match (&resource.state, until) {
            (ResourceState::Exited { code: Some(0) }, Until::Completed | Until::Done)
            | (ResourceState::Running, Until::Done) => return Ok(until),
            (ResourceState::Exited { code: Some(0) }, Until::Healthy) if may_complete => return Ok(Until::Completed),
            (ResourceState::Running, Until::Healthy) => {
                if is_healthy(driver.as_ref(), &resource, check, &mut tracker).await {
                    if let Some(replica) = replica {
                        let entered = shared.became_healthy(&resource, replica, tracker, aside).await;
                        entered.map_err(|error| Failed::new(error.class(), chain(&error)))?;
                    }
                    return Ok(until);
                }
                let since = *running_since.get_or_insert_with(|| shared.now());
                still_starting(&resource, check, &tracker, shared.now().saturating_since(since))?;
            }
            (ResourceState::Exited { code }, _) => {
                let how = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with code {code}"));
                return Err(Failed::new(
                    Class::Invalid,
                    format!("`{}` ended {how}; its log says more", resource.name),
                ));
            }
            (ResourceState::Evicted, _) => {
                return Err(Failed::new(
                    Class::Exhausted,
                    format!("`{}` was evicted", resource.name),
                ));
            }
            (ResourceState::Pending | ResourceState::Stopped | ResourceState::Running, _) => {}
        }
        sleep(check.map_or(LOOK_EVERY, |check| check.interval.min(LOOK_EVERY))).await;
    }
}

/// A replica that runs has `start_within` to become healthy; later it has failed to start.
fn still_starting(
    resource: &Resource,
    check: Option<&HealthCheck>,
    tracker: &HealthTracker,
    running: Duration,
) -> Result<(), Failed> {
    match check {
        Some(check) if running > check.start_within => {
            let problem = tracker.last_problem().unwrap_or("too few good answers in a row");
            let detail = format!(
                "`{}` was not healthy within {:?}: {problem}",
                resource.name, check.start_within
            );
            Err(Failed::new(Class::Invalid, detail))
        }
        _ => Ok(()),
    }
}

async fn is_healthy(
    driver: &dyn Driver,
    resource: &Resource,
    check: Option<&HealthCheck>,
    tracker: &mut HealthTracker,
) -> bool {
    let Some(check) = check else {
        tracker.record_running();
        return true;
    };
    tracker.record(probe(driver, resource, &check.probe, check.timeout).await, check);
    tracker.is_healthy()
}

impl Shared {
    /// Lets a replica into the endpoints, or beside them until a gate switches.
    async fn became_healthy(
        &self,
        resource: &Resource,
        replica: &ReplicaId,
        tracker: HealthTracker,
        aside: bool,
    ) -> Result<(), crate::store::StoreError> {
        match Endpoint::of(resource, replica) {
            Some(endpoint) if aside => self.endpoints().enter_aside(&resource.id, endpoint),
            Some(endpoint) => self.enter_endpoints(&resource.id, endpoint).await?,
            None => {}
        }
        self.set_health(&resource.id, tracker);
        self.recall.note(resource);
        self.tell(crate::event::Event::Healthy {
            replica: replica.clone(),
        });
        Ok(())
    }
}
