//! Observation: what providers say is there, joined with what the state knows, as a snapshot for the engines.

use std::collections::BTreeMap;

use futures::future::join_all;
use skyloom_core::{Class, Node, ObservedReplica, ReplicaState, ResourceId, Snapshot};
use skyloom_orchestrator::{Drift, SeenCondition, SeenThing, Started, drift, for_planning};
use skyloom_provider::{Driver, Resource, ResourceState};

use crate::drivers::retry;
use crate::endpoints::Endpoint;
use crate::error::Error;
use crate::event::Event;
use crate::probe::probe;
use crate::shared::Shared;
use crate::store::{KnownReplica, State};

/// What was seen: the snapshot, and the replicas' resources behind it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// As plans are made from it: see [`for_planning`].
    pub(crate) snapshot: Snapshot,
    /// The replicas as they were found.
    pub(crate) found: Vec<ObservedReplica>,
    /// What was changed from outside.
    pub(crate) drifts: Vec<Drift>,
    pub(crate) resources: BTreeMap<ResourceId, Resource>,
    /// Things with our owner tag that the state does not know: left by a crash that recovery has not seen, or by hand.
    pub(crate) strangers: Vec<Resource>,
}

/// Looks at everything once: lists at every provider, probes what runs, keeps the endpoints true.
pub(crate) async fn observe(shared: &Shared, state: &State) -> Result<Seen, Error> {
    let listed = shared.drivers.list(&shared.owner, &shared.config.saga.retry).await?;
    let mut resources: BTreeMap<ResourceId, Resource> = listed.into_iter().map(|r| (r.id.clone(), r)).collect();
    let strangers: Vec<ResourceId> = resources
        .keys()
        .filter(|id| !state.replicas.contains_key(*id) && !state.machines.values().any(|m| m.resource == **id))
        .cloned()
        .collect();
    let strangers: Vec<Resource> = strangers.iter().filter_map(|id| resources.remove(id)).collect();
    look_up_unlisted(shared, state, &mut resources).await?;
    let nodes = state.machines.values().map(|known| Node {
        machine: known.machine.clone(),
        resource: known.resource.clone(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        ready: matches!(
            resources.get(&known.resource).map(|r| &r.state),
            Some(ResourceState::Running)
        ),
        utilisation: None,
    });
    let nodes = nodes.collect();
    let looks = state
        .replicas
        .iter()
        .map(|(id, known)| look(shared, id, known, resources.get(id)));
    let looks = join_all(looks).await;
    let mut replicas = show(shared, state, looks)?;
    replicas.sort_by(|a, b| (&a.replica, &a.resource).cmp(&(&b.replica, &b.resource)));
    let snapshot = Snapshot {
        generation: state.generation,
        taken_at: shared.now(),
        nodes,
        replicas,
    };
    let (found, drifts) = (
        snapshot.replicas.clone(),
        changes(shared, state, &resources, &strangers),
    );
    let snapshot = match &state.manifest {
        Some(manifest) => for_planning(manifest, &snapshot, &drifts),
        None => snapshot,
    };
    Ok(Seen {
        snapshot,
        found,
        drifts,
        resources,
        strangers,
    })
}

/// What was changed from outside, by what was just seen.
fn changes(
    shared: &Shared,
    state: &State,
    resources: &BTreeMap<ResourceId, Resource>,
    strangers: &[Resource],
) -> Vec<Drift> {
    let Some(manifest) = &state.manifest else {
        return Vec::new();
    };
    let seen = resources.values().chain(strangers).map(|resource| SeenThing {
        resource: resource.id.clone(),
        name: resource.name.clone(),
        is_ours: resource.owner == shared.owner,
        condition: match resource.state {
            ResourceState::Pending | ResourceState::Running => SeenCondition::Up,
            ResourceState::Stopped | ResourceState::Evicted => SeenCondition::Stopped,
            ResourceState::Exited { code: Some(0) } => SeenCondition::Completed,
            ResourceState::Exited { .. } => SeenCondition::Ended,
        },
        attributes: resource.observed.clone(),
    });
    let replicas = state.replicas.iter().map(|(id, known)| (id.clone(), &known.spec));
    let machines = state
        .machines
        .values()
        .map(|known| (known.resource.clone(), &known.machine));
    let started = Started {
        manifest,
        replicas: &replicas.collect(),
        machines: &machines.collect(),
    };
    drift(&started, &seen.collect::<Vec<_>>())
}

/// A listing may lag behind what was just made, so what it does not show is asked for by id before it counts as lost.
async fn look_up_unlisted(
    shared: &Shared,
    state: &State,
    resources: &mut BTreeMap<ResourceId, Resource>,
) -> Result<(), Error> {
    let replicas = state.replicas.iter().map(|(id, known)| (id, &known.spec.site));
    let machines = state
        .machines
        .values()
        .map(|known| (&known.resource, &known.machine.site));
    for (id, site) in replicas.chain(machines) {
        if resources.contains_key(id) {
            continue;
        }
        let Some(driver) = shared.drivers.for_cloud(&site.region.cloud) else {
            continue;
        };
        match retry(&shared.config.saga.retry, || driver.get(id)).await {
            Ok(resource) => {
                resources.insert(id.clone(), resource);
            }
            Err(error) if error.class() == Class::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What a look at one replica gives.
struct Look {
    observed: ObservedReplica,
    /// Its place in the endpoints, if it is healthy.
    endpoint: Option<Endpoint>,
    /// What to tell if it was healthy until now.
    lost: Option<Event>,
}

/// Makes the endpoints what the looks have shown, all at once: nobody reads a list in which some were not looked at yet.
fn show(shared: &Shared, state: &State, looks: Vec<Look>) -> Result<Vec<ObservedReplica>, Error> {
    let of_replicas = state.replicas.values().map(|known| known.spec.replica.service());
    let wanted = state.manifest.iter().flat_map(|manifest| &manifest.services);
    let services = of_replicas.chain(wanted.map(|service| &service.name)).cloned();
    let (mut healthy, mut aside) = (BTreeMap::new(), BTreeMap::new());
    let mut events = Vec::new();
    let mut replicas = Vec::new();
    for look in looks {
        if let Some(endpoint) = look.endpoint {
            let id = look.observed.resource.clone();
            let hidden = state.replicas.get(&id).is_some_and(|known| known.aside);
            let list = if hidden { &mut aside } else { &mut healthy };
            list.insert(id, endpoint);
        }
        events.extend(look.lost);
        replicas.push(look.observed);
    }
    let shown = {
        let mut endpoints = shared.endpoints();
        endpoints.set_aside(aside);
        endpoints.set_all(services, healthy)
    };
    // Told even when the list could not be written: the next look does not find them healthy until now any more.
    events.into_iter().for_each(|event| shared.tell(event));
    shown?;
    Ok(replicas)
}

/// One replica: its state by the provider and by its own answers.
async fn look(shared: &Shared, id: &ResourceId, known: &KnownReplica, resource: Option<&Resource>) -> Look {
    let before = shared.health_of(id);
    let (state, problem) = match resource {
        None => (ReplicaState::Lost, "the provider does not know it any more".to_owned()),
        Some(resource) => state_of(shared, known, resource).await,
    };
    let is_healthy = state == ReplicaState::Healthy;
    if !state.is_live() {
        shared.forget_health(id);
    }
    Look {
        endpoint: resource
            .filter(|_| is_healthy)
            .and_then(|resource| Endpoint::of(resource, &known.spec.replica)),
        lost: (!is_healthy && before.is_healthy()).then(|| Event::Lost {
            replica: known.spec.replica.clone(),
            resource: id.clone(),
            detail: problem,
        }),
        observed: ObservedReplica {
            replica: known.spec.replica.clone(),
            machine: known.spec.machine.clone(),
            resource: id.clone(),
            request: known.spec.request,
            spec: known.spec.digest(),
            state,
        },
    }
}

async fn state_of(shared: &Shared, known: &KnownReplica, resource: &Resource) -> (ReplicaState, String) {
    match &resource.state {
        ResourceState::Pending => (ReplicaState::Pending, String::new()),
        ResourceState::Stopped => (ReplicaState::Failed, "it is stopped".to_owned()),
        ResourceState::Evicted => (ReplicaState::Failed, "it was evicted".to_owned()),
        ResourceState::Exited { code: Some(0) } => (ReplicaState::Completed, "it ended with success".to_owned()),
        ResourceState::Exited { code } => {
            let how = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with code {code}"));
            (ReplicaState::Failed, format!("it ended {how}"))
        }
        ResourceState::Running => running(shared, known, resource).await,
    }
}

/// A running replica is as its answers say; without a check it is healthy.
async fn running(shared: &Shared, known: &KnownReplica, resource: &Resource) -> (ReplicaState, String) {
    let mut tracker = shared.health_of(&resource.id);
    let Some(check) = &known.spec.health else {
        tracker.record_running();
        shared.set_health(&resource.id, tracker);
        return (ReplicaState::Healthy, String::new());
    };
    let Some(driver) = shared.drivers.for_cloud(&resource.site.region.cloud) else {
        return (ReplicaState::Started, "no driver".to_owned());
    };
    let driver: &dyn Driver = driver.as_ref();
    let now = shared.now();
    // However often somebody looks, a replica is asked once per interval, so that the counts mean what the manifest says.
    if tracker.is_due(now, check) {
        let result = probe(driver, resource, &check.probe, check.timeout).await;
        tracker.record_at(now, result, check);
        shared.set_health(&resource.id, tracker.clone());
    }
    let problem = tracker.last_problem().unwrap_or_default().to_owned();
    (tracker.state_at(now, resource.created_at, check), problem)
}
