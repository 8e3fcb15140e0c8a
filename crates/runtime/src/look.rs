//! One look at the new replicas of a gate: whether all are healthy, and what metrics say.

use skyloom_core::{Action, Class, Gate, Millionths, Plan, ReplicaSpec, ReplicaState, ResourceId, StepId};
use skyloom_orchestrator::Event;
use skyloom_provider::{Driver, Resource, ResourceState};

use crate::analysis::{METRIC_MEMORY, METRIC_UNHEALTHY, Measure, MeasuredReplica};
use crate::call::Failed;
use crate::probe::probe;
use crate::shared::Shared;

/// A replica as it was found.
struct Found {
    replica: MeasuredReplica,
    /// Whether its last answer was bad.
    ailing: bool,
    memory_bytes: Option<u64>,
}

/// Looks at every watched replica once, then measures what is due.
pub(crate) async fn look(
    shared: &Shared,
    plan: &Plan,
    step: StepId,
    (watched, due): (&[(StepId, ResourceId)], &[u32]),
    may_complete: bool,
) -> Result<Event, Failed> {
    let Some(Action::Gate { gate }) = plan.step(step).map(|step| &step.action) else {
        return Err(Failed::new(Class::Bug, "the step is no gate"));
    };
    let with_memory = due.iter().any(|i| metric(gate, *i) == Some(METRIC_MEMORY));
    let mut found = Vec::with_capacity(watched.len());
    for (made_by, id) in watched {
        let Some(Action::CreateReplica { spec }) = plan.step(*made_by).map(|step| &step.action) else {
            continue;
        };
        match look_at(shared, spec, id, may_complete, with_memory).await? {
            Ok(one) => found.extend(one),
            Err(detail) => {
                let (sick, measured) = (Some(detail), Vec::new());
                return Ok(Event::Looked { step, sick, measured });
            }
        }
    }
    found.sort_by(|a, b| a.replica.cmp(&b.replica));
    let mut measured = Vec::new();
    for i in due {
        if let Some(metric) = metric(gate, *i)
            && let Some(value) = measure(shared, gate, metric, &found).await
        {
            measured.push((*i, value));
        }
    }
    let sick = None;
    Ok(Event::Looked { step, sick, measured })
}

fn metric(gate: &Gate, analysis: u32) -> Option<&str> {
    gate.analysis.get(analysis as usize).map(|a| a.metric.as_str())
}

/// `Ok(Err(_))`: it is sick, and why. `Ok(Ok(None))`: a job that has ended with success.
async fn look_at(
    shared: &Shared,
    spec: &ReplicaSpec,
    id: &ResourceId,
    may_complete: bool,
    with_memory: bool,
) -> Result<Result<Option<Found>, String>, Failed> {
    let cloud = &spec.site.region.cloud;
    let driver = shared.drivers.for_cloud(cloud).ok_or_else(|| {
        Failed::new(
            Class::Unsupported,
            format!("no driver is registered for cloud `{cloud}`"),
        )
    })?;
    let resource = match driver.get(id).await {
        Ok(resource) => resource,
        Err(error) if error.class() == Class::NotFound => return Ok(Err(format!("`{}` is gone", spec.replica))),
        Err(error) => return Err(error.into()),
    };
    match &resource.state {
        ResourceState::Running => {}
        ResourceState::Exited { code: Some(0) } if may_complete => return Ok(Ok(None)),
        other => return Ok(Err(format!("`{}` was healthy and is {other:?} now", spec.replica))),
    }
    let ailing = match health(shared, driver.as_ref(), spec, &resource).await {
        (ReplicaState::Healthy, problem) => problem.is_some(),
        (ReplicaState::Unhealthy, problem) => {
            let problem = problem.unwrap_or_default();
            return Ok(Err(format!("`{}` is unhealthy: {problem}", spec.replica)));
        }
        _ => {
            let detail = format!("`{}` has not answered well yet", spec.replica);
            return Err(Failed::new(Class::Transient, detail));
        }
    };
    let usage = if with_memory { driver.usage(id).await.ok() } else { None };
    Ok(Ok(Some(Found {
        replica: MeasuredReplica {
            replica: spec.replica.clone(),
            resource: id.clone(),
            endpoints: resource.endpoints.clone(),
        },
        ailing,
        memory_bytes: usage.map(|usage| usage.memory.as_bytes()),
    })))
}

/// The state by its own answers, and the last bad one since it became healthy.
async fn health(
    shared: &Shared,
    driver: &dyn Driver,
    spec: &ReplicaSpec,
    resource: &Resource,
) -> (ReplicaState, Option<String>) {
    let mut tracker = shared.health_of(&resource.id);
    let Some(check) = &spec.health else {
        return (ReplicaState::Healthy, None);
    };
    let now = shared.now();
    if tracker.is_due(now, check) {
        let result = probe(driver, resource, &check.probe, check.timeout).await;
        tracker.record_at(now, result, check);
        shared.set_health(&resource.id, tracker.clone());
    }
    let problem = tracker.last_problem().map(str::to_owned);
    (tracker.state_at(now, resource.created_at, check), problem)
}

async fn measure(shared: &Shared, gate: &Gate, metric: &str, found: &[Found]) -> Option<Millionths> {
    let measure = Measure {
        metric: metric.to_owned(),
        service: gate.service.clone(),
        replicas: found.iter().map(|found| found.replica.clone()).collect(),
    };
    let own = match metric {
        METRIC_UNHEALTHY => share(found.iter().filter(|found| found.ailing).count(), found.len()),
        METRIC_MEMORY => found
            .iter()
            .filter_map(|found| found.memory_bytes)
            .max()
            .and_then(whole),
        _ => None,
    };
    match shared.sources.measure(&measure).await {
        None => own,
        value => value,
    }
}

fn share(part: usize, all: usize) -> Option<Millionths> {
    let millionths = (part as u64).checked_mul(1_000_000)?.checked_div(all as u64)?;
    i64::try_from(millionths).ok().map(Millionths::from_millionths)
}

fn whole(amount: u64) -> Option<Millionths> {
    let millionths = i64::try_from(amount).ok()?.checked_mul(1_000_000)?;
    Some(Millionths::from_millionths(millionths))
}
