//! How a deployment is, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;
use skyloom_core::{
    InstanceType, MachineId, MicroUsdPerHour, PortName, ReplicaId, ReplicaState, ResourceId, ServiceName, Site,
};

use super::failover::PlaceStatus;
use crate::observe::Seen;
use crate::store::State;
use skyloom_orchestrator::Drift;

/// How a deployment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Which; `None` before the first plan and after the last replica is gone.
    pub deployment: Option<ServiceName>,
    /// Counts finished plans.
    pub generation: u64,
    /// Machines, sorted by id.
    pub machines: Vec<MachineStatus>,
    /// Replicas, sorted by id.
    pub replicas: Vec<ReplicaStatus>,
    /// Price of all machines, as they were bought.
    pub price: MicroUsdPerHour,
    /// Services that the last plan, being partial, has left otherwise than its manifest had them.
    pub left_out: BTreeSet<ServiceName>,
    /// Things at providers that carry our owner tag and that nothing here knows.
    pub strangers: Vec<ResourceId>,
    /// Places that are out or do not answer, sorted.
    pub places: Vec<PlaceStatus>,
    /// What was changed from outside and is not ignored, sorted.
    pub drifts: Vec<Drift>,
}

/// How a machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineStatus {
    /// Which.
    pub id: MachineId,
    /// Where.
    pub site: Site,
    /// Its type.
    pub instance: InstanceType,
    /// What it costs.
    pub price: MicroUsdPerHour,
    /// Whether it is there and running.
    pub ready: bool,
}

/// How a replica is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaStatus {
    /// Which.
    pub replica: ReplicaId,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// Where it runs.
    pub machine: MachineId,
    /// How it is.
    pub state: ReplicaState,
    /// Where its ports are.
    pub endpoints: BTreeMap<PortName, SocketAddr>,
}

impl Status {
    pub(super) fn of(state: &State, seen: &Seen, places: Vec<PlaceStatus>) -> Self {
        let machines: Vec<MachineStatus> = seen
            .snapshot
            .nodes
            .iter()
            .map(|node| MachineStatus {
                id: node.machine.id.clone(),
                site: node.machine.site.clone(),
                instance: node.machine.instance.clone(),
                price: node.machine.price,
                ready: node.ready,
            })
            .collect();
        let replicas = seen.found.iter().map(|replica| ReplicaStatus {
            replica: replica.replica.clone(),
            resource: replica.resource.clone(),
            machine: replica.machine.clone(),
            state: replica.state,
            endpoints: seen
                .resources
                .get(&replica.resource)
                .map(|r| r.endpoints.clone())
                .unwrap_or_default(),
        });
        let price = MicroUsdPerHour::checked_sum(machines.iter().map(|machine| machine.price));
        Self {
            deployment: state.deployment.clone(),
            generation: state.generation,
            replicas: replicas.collect(),
            price: price.unwrap_or(MicroUsdPerHour::MAX),
            machines,
            left_out: state.left_out.clone(),
            strangers: seen.strangers.iter().map(|resource| resource.id.clone()).collect(),
            places,
            drifts: seen.drifts.clone(),
        }
    }

    /// Replicas that are healthy.
    #[must_use]
    pub fn healthy(&self) -> usize {
        self.replicas
            .iter()
            .filter(|replica| replica.state == ReplicaState::Healthy)
            .count()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.deployment.as_ref().map_or("nothing", ServiceName::as_str);
        writeln!(
            f,
            "{name}, generation {}: {} of {} replicas healthy on {} machines, {}",
            self.generation,
            self.healthy(),
            self.replicas.len(),
            self.machines.len(),
            self.price
        )?;
        if !self.left_out.is_empty() {
            let names: Vec<&str> = self.left_out.iter().map(ServiceName::as_str).collect();
            writeln!(f, "  partly applied; left as it was: {}", names.join(", "))?;
        }
        for replica in &self.replicas {
            let addresses: Vec<String> = replica.endpoints.values().map(ToString::to_string).collect();
            writeln!(
                f,
                "  {:<16} {:<10?} {:<24} {}",
                replica.replica,
                replica.state,
                replica.machine,
                addresses.join(" ")
            )?;
        }
        for place in &self.places {
            let problem = place.problem.as_deref().unwrap_or("answers");
            writeln!(f, "  {} is {:?}: {problem}", place.place, place.standing)?;
        }
        Ok(())
    }
}
