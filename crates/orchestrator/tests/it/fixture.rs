//! Small manifests, placements and snapshots, built in code.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use skyloom_core::{
    Assignment, Bytes, Condition, CostSummary, Dependency, Digest, HealthCheck, HealthProbe, Location, Machine,
    MachineId, Manifest, MicroUsdPerHour, Millicores, Node, ObservedReplica, Placement, PortSpec, Purchase,
    PurchasePreference, ReplicaId, ReplicaState, Residency, ResourceId, Resources, Rollout, RunSpec, ServiceName,
    ServiceSpec, Snapshot, StopSpec, Timestamp,
};

pub(crate) fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

pub(crate) fn machine_id(text: &str) -> MachineId {
    text.parse().unwrap()
}

pub(crate) fn resource(text: &str) -> ResourceId {
    text.parse().unwrap()
}

pub(crate) fn replica(text: &str) -> ReplicaId {
    text.parse().unwrap()
}

pub(crate) fn one_core() -> Resources {
    Resources::new(Millicores::from_cores(1), Bytes::from_gib(1))
}

pub(crate) fn service(text: &str, replicas: u32) -> ServiceSpec {
    ServiceSpec {
        name: name(text),
        at: None,
        replicas: NonZeroU32::new(replicas).unwrap(),
        resources: one_core(),
        purchase: PurchasePreference::Any,
        depends_on: Vec::new(),
        synced: Vec::new(),
        data: Vec::new(),
        latency: Vec::new(),
        egress: Vec::new(),
        spread: Vec::new(),
        affinity: Vec::new(),
        anti_affinity: Vec::new(),
        labels: BTreeMap::new(),
        tolerations: Vec::new(),
        clouds: BTreeSet::new(),
        regions: BTreeSet::new(),
        residency: None,
        revenue: None,
        run: RunSpec {
            ports: vec![PortSpec {
                name: "http".parse().unwrap(),
                protocol: skyloom_core::Protocol::Tcp,
                port: None,
            }],
            ..RunSpec::default()
        },
        health: None,
        stop: StopSpec::default(),
        rollout: Rollout::default(),
        drift: BTreeMap::new(),
    }
}

pub(crate) fn health() -> HealthCheck {
    HealthCheck {
        probe: HealthProbe::Tcp {
            port: "http".parse().unwrap(),
        },
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        healthy_after: NonZeroU32::MIN,
        unhealthy_after: NonZeroU32::MIN,
        start_within: Duration::from_secs(20),
    }
}

pub(crate) fn checked(mut spec: ServiceSpec) -> ServiceSpec {
    spec.health = Some(health());
    spec
}

pub(crate) fn needs(mut spec: ServiceSpec, other: &str, condition: Condition, line: u32) -> ServiceSpec {
    spec.depends_on.push(Dependency {
        service: name(other),
        condition,
        at: (line > 0).then_some(Location { line, column: 1 }),
    });
    spec
}

pub(crate) fn manifest(services: Vec<ServiceSpec>) -> Manifest {
    Manifest {
        name: name("shop"),
        source: String::from("shop.toml"),
        residency: Residency::default(),
        budget: None,
        revenue: None,
        services,
        data: Vec::new(),
        moved: Vec::new(),
        imports: Vec::new(),
    }
}

/// frontend x4 on backend x2 on database x1, all with health checks.
pub(crate) fn shop() -> Manifest {
    let backend = needs(checked(service("backend", 2)), "database", Condition::Healthy, 12);
    let frontend = needs(checked(service("frontend", 4)), "backend", Condition::Healthy, 20);
    manifest(vec![frontend, backend, checked(service("database", 1))])
}

pub(crate) fn machine(id: &str, cores: u32) -> Machine {
    Machine {
        id: machine_id(id),
        site: skyloom_core::Site {
            region: "aws/eu-central-1".parse().unwrap(),
            zone: None,
        },
        instance: "m5.large".parse().unwrap(),
        purchase: Purchase::OnDemand,
        price: MicroUsdPerHour::from_micros(100_000),
        price_as_of: "2026-11-01".parse().unwrap(),
        capacity: Resources::new(Millicores::from_cores(cores), Bytes::from_gib(cores)),
        arch: String::from("x86_64"),
    }
}

pub(crate) fn node(machine: Machine) -> Node {
    Node {
        resource: resource(&format!("vm-{}", machine.id)),
        machine,
        labels: BTreeMap::new(),
        taints: Vec::new(),
        ready: true,
        utilisation: None,
    }
}

/// A placement that puts each replica of the manifest on the machine that `on` names.
pub(crate) fn place(
    manifest: &Manifest,
    snapshot: &Snapshot,
    cores: impl Fn(&str) -> u32,
    on: impl Fn(&ReplicaId) -> String,
) -> Placement {
    let mut assignments = Vec::new();
    for service in &manifest.services {
        for index in 0..service.replicas.get() {
            let replica = ReplicaId::new(service.name.clone(), index);
            assignments.push(Assignment {
                machine: machine_id(&on(&replica)),
                replica,
                request: service.resources,
                share: MicroUsdPerHour::ZERO,
            });
        }
    }
    assignments.sort_by(|a, b| a.replica.cmp(&b.replica));
    let used: BTreeSet<_> = assignments.iter().map(|a| a.machine.to_string()).collect();
    Placement {
        snapshot: snapshot.reference(),
        policy: String::from("test"),
        machines: used.iter().map(|id| machine(id, cores(id))).collect(),
        assignments,
        unplaced: Vec::new(),
        explanations: Vec::new(),
        rejections: BTreeMap::new(),
        cost: CostSummary::default(),
    }
}

pub(crate) fn empty() -> Snapshot {
    Snapshot::empty(1, Timestamp::EPOCH)
}

/// A replica as it would be observed after a placement was carried out.
pub(crate) fn observed(manifest: &Manifest, id: &str, on: &str, state: ReplicaState) -> ObservedReplica {
    let replica = replica(id);
    let service = manifest.service(replica.service()).unwrap();
    let spec = skyloom_core::ReplicaSpec {
        machine: machine_id(on),
        site: machine(on, 1).site,
        request: service.resources,
        run: service.run.clone(),
        health: service.health.clone(),
        stop: service.stop,
        replica: replica.clone(),
    };
    ObservedReplica {
        resource: resource(&format!("r-{id}-{on}")),
        machine: spec.machine.clone(),
        request: spec.request,
        spec: spec.digest(),
        state,
        replica,
    }
}

/// A world of machines with 16 cores each.
pub(crate) fn snapshot(machines: &[&str], mut replicas: Vec<ObservedReplica>) -> Snapshot {
    replicas.sort_by(|a, b| (&a.replica, &a.resource).cmp(&(&b.replica, &b.resource)));
    Snapshot {
        nodes: machines.iter().map(|id| node(machine(id, 16))).collect(),
        replicas,
        ..empty()
    }
}

/// A change that makes running replicas out of date.
pub(crate) fn touch(spec: &mut ServiceSpec, version: u64) {
    spec.run.image = Some(format!("image:{}", Digest::of(&version).short()));
}

/// A small, portable stream of numbers for scenarios: SplitMix64 (Steele et al., OOPSLA 2014).
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }
}
