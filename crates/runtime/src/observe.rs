//! Observation: what providers say is there, joined with what the state knows, as a snapshot for the engines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use skyloom_core::{HealthProbe, Node, ObservedReplica, RegionKey, ReplicaState, ResourceId, Snapshot};
use skyloom_orchestrator::Contact;
use skyloom_orchestrator::{Drift, SeenCondition, SeenThing, Started, drift, for_planning};
use skyloom_provider::{Driver, Resource, ResourceState};

use crate::endpoints::Endpoint;
use crate::error::Error;
use crate::event::Event;
use crate::probe::probe;
use crate::reach::{Reach, ask_all};
use crate::shared::Shared;
use crate::store::{KnownReplica, State};
use crate::telemetry;

/// What was seen: the snapshot, and the replicas' resources behind it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// As plans are made from it: see [`for_planning`].
    pub(crate) snapshot: Snapshot,
    /// The replicas as they were found.
    pub(crate) found: Vec<ObservedReplica>,
    /// What was changed from outside.
    pub(crate) drifts: Vec<Drift>,
    /// What was seen of what the state knows; of what could not be asked for, what was seen last.
    pub(crate) resources: Arc<BTreeMap<ResourceId, Resource>>,
    /// Things with our owner tag that the state does not know: left by a crash that recovery has not seen, or by hand.
    pub(crate) strangers: Vec<Resource>,
    /// Things of the state about which there was no answer; in the snapshot they are as they were.
    pub(crate) silent: BTreeSet<ResourceId>,
    /// Regions in which something is silent, with what was said.
    pub(crate) unreachable: BTreeMap<RegionKey, String>,
    /// How each place answered.
    pub(crate) contacts: Vec<Contact>,
    /// Whether any provider has answered.
    pub(crate) witness: bool,
}

impl Seen {
    /// The part of the snapshot that could be asked for: what a teardown can take down. A machine that carries something
    /// which could not be asked for is not in it.
    pub(crate) fn reached(&self) -> Snapshot {
        let mut reached = self.snapshot.clone();
        let carries_silent: BTreeSet<_> = reached
            .replicas
            .iter()
            .filter(|replica| self.silent.contains(&replica.resource))
            .map(|replica| replica.machine.clone())
            .collect();
        reached
            .replicas
            .retain(|replica| !self.silent.contains(&replica.resource));
        let left: BTreeSet<_> = reached.replicas.iter().map(|replica| &replica.machine).collect();
        reached.nodes.retain(|node| {
            let asked = !self.silent.contains(&node.resource) && !carries_silent.contains(&node.machine.id);
            asked || left.contains(&node.machine.id)
        });
        reached
    }

    /// Refuses to go on with half a picture.
    pub(crate) fn whole(self) -> Result<Self, Error> {
        Error::refuse_unreachable(&self.unreachable)?;
        Ok(self)
    }
}

/// Looks at everything once: lists at every provider, probes what runs, keeps the endpoints true.
pub(crate) async fn observe(shared: &Shared, state: &State) -> Result<Seen, Error> {
    let (mut seen, known) = gather(shared, state).await;
    let looks = state
        .replicas
        .iter()
        .map(|(id, replica)| look(shared, id, replica, (known.get(id), seen.silent.contains(id))));
    let looks = join_all(looks).await;
    seen.snapshot.replicas = show(shared, state, looks)?;
    seen.finish(state);
    telemetry::leading(shared.epoch());
    telemetry::saw(&seen.found);
    Ok(seen)
}

/// Looks without touching anything: nobody is probed and the endpoints stay as they are. For whoever asks while a plan is
/// carried out, which looks after its replicas itself.
pub(crate) async fn glance(shared: &Shared, state: &State) -> Seen {
    let (mut seen, known) = gather(shared, state).await;
    seen.snapshot.replicas = state
        .replicas
        .iter()
        .map(|(id, replica)| {
            let resource = known.get(id);
            let running = matches!(resource.map(|r| &r.state), Some(ResourceState::Running));
            let state = match resource {
                Some(resource) if !running => provider_says(&resource.state).0,
                Some(_) if replica.spec.health.is_none() => ReplicaState::Healthy,
                None if !seen.silent.contains(id) => ReplicaState::Lost,
                _ => shared.health_of(id).state(),
            };
            observed(id, replica, state)
        })
        .collect();
    seen.finish(state);
    seen
}

impl Seen {
    /// Orders the replicas and shows them as plans are made from them.
    fn finish(&mut self, state: &State) {
        let replicas = &mut self.snapshot.replicas;
        replicas.sort_by(|a, b| (&a.replica, &a.resource).cmp(&(&b.replica, &b.resource)));
        self.found.clone_from(replicas);
        if let Some(manifest) = &state.manifest {
            self.snapshot = for_planning(manifest, &self.snapshot, &self.drifts);
        }
    }
}

/// Asks for everything, and joins it with what the state knows; the snapshot has no replicas yet.
async fn gather(shared: &Shared, state: &State) -> (Seen, Arc<BTreeMap<ResourceId, Resource>>) {
    let mut reach = ask_all(shared, state).await;
    let contacts = reach.contacts(state);
    let machines: BTreeSet<&ResourceId> = state.machines.values().map(|known| &known.resource).collect();
    let strangers: Vec<ResourceId> = reach
        .resources
        .keys()
        .filter(|id| !state.replicas.contains_key(*id) && !machines.contains(id))
        .cloned()
        .collect();
    let strangers: Vec<Resource> = strangers.iter().filter_map(|id| reach.resources.remove(id)).collect();
    let drifts = changes(shared, state, &reach.resources, &strangers);
    let Reach {
        mut resources,
        silent,
        unreachable,
        witness,
        ..
    } = reach;
    if !silent.is_empty() {
        let before = shared.recall.seen();
        let remembered = silent.iter().filter_map(|id| before.get(id));
        resources.extend(remembered.map(|resource| (resource.id.clone(), resource.clone())));
    }
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
    let snapshot = Snapshot {
        generation: state.generation,
        taken_at: shared.now(),
        nodes: nodes.collect(),
        replicas: Vec::new(),
    };
    let resources = Arc::new(resources);
    shared.recall.set_seen(Arc::clone(&resources));
    let seen = Seen {
        snapshot,
        found: Vec::new(),
        drifts,
        resources: Arc::clone(&resources),
        strangers,
        silent,
        unreachable,
        contacts,
        witness,
    };
    (seen, resources)
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

/// One replica: its state by the provider and by its own answers; `resource` with whether it is only what was seen last.
async fn look(
    shared: &Shared,
    id: &ResourceId,
    known: &KnownReplica,
    (resource, silent): (Option<&Resource>, bool),
) -> Look {
    let before = shared.health_of(id);
    let (state, problem) = match resource {
        // Nobody was asked since we began: it is there, and nobody is sent to it.
        None if silent => (ReplicaState::Started, "its provider does not answer".to_owned()),
        None => (ReplicaState::Lost, "the provider does not know it any more".to_owned()),
        Some(_) if silent && !asks_replica(known) => (before.state(), "its provider does not answer".to_owned()),
        Some(resource) => match &resource.state {
            ResourceState::Running => running(shared, known, resource).await,
            other => provider_says(other),
        },
    };
    let is_healthy = state == ReplicaState::Healthy;
    if !state.is_live() {
        shared.forget_health(id);
    }
    let is_out = shared
        .recall
        .out()
        .iter()
        .any(|place| place.covers_site(&known.spec.site));
    Look {
        endpoint: resource
            .filter(|_| is_healthy && !is_out)
            .and_then(|resource| Endpoint::of(resource, &known.spec.replica)),
        lost: (!is_healthy && before.is_healthy()).then(|| Event::Lost {
            replica: known.spec.replica.clone(),
            resource: id.clone(),
            detail: problem,
        }),
        observed: observed(id, known, state),
    }
}

fn observed(id: &ResourceId, known: &KnownReplica, state: ReplicaState) -> ObservedReplica {
    ObservedReplica {
        replica: known.spec.replica.clone(),
        machine: known.spec.machine.clone(),
        resource: id.clone(),
        request: known.spec.request,
        spec: known.spec.digest(),
        state,
    }
}

/// Whether the replica itself is asked how it is, and not its provider.
fn asks_replica(known: &KnownReplica) -> bool {
    let probe = known.spec.health.as_ref().map(|check| &check.probe);
    matches!(probe, Some(HealthProbe::Http { .. } | HealthProbe::Tcp { .. }))
}

/// What a state means that is no running one; one that runs may still be anything.
fn provider_says(state: &ResourceState) -> (ReplicaState, String) {
    match state {
        ResourceState::Running => (ReplicaState::Started, String::new()),
        ResourceState::Pending => (ReplicaState::Pending, String::new()),
        ResourceState::Stopped => (ReplicaState::Failed, "it is stopped".to_owned()),
        ResourceState::Evicted => (ReplicaState::Failed, "it was evicted".to_owned()),
        ResourceState::Exited { code: Some(0) } => (ReplicaState::Completed, "it ended with success".to_owned()),
        ResourceState::Exited { code } => {
            let how = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with code {code}"));
            (ReplicaState::Failed, format!("it ended {how}"))
        }
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
