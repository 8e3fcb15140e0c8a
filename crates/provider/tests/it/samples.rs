//! Requests and clouds that the tests share.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use skyloom_core::{
    Bytes, Machine, Millicores, OwnerTag, PortSpec, Protocol, Purchase, ReplicaSpec, ResourceId, Resources, RunSpec,
    Secret, Site, StopSpec, Timestamp,
};
use skyloom_provider::sim::{Delay, SimCloud, SimConfig};
use skyloom_provider::{CreateRequest, Driver, Epoch, NewReplica, Resource, What};

pub(crate) const REGION: &str = "aws/eu-central-1";
pub(crate) const EPOCH: Epoch = Epoch(1);
pub(crate) const STOP: StopSpec = StopSpec {
    grace: Duration::from_secs(10),
};

pub(crate) fn start() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

pub(crate) fn config(seed: u64) -> SimConfig {
    // Sums are checked by hand, so without the minimum; `money` has tests of it.
    SimConfig::new(seed, start()).with_minimum_charge(Duration::ZERO)
}

/// A configuration in which everything is done and seen at once.
pub(crate) fn immediate(seed: u64) -> SimConfig {
    config(seed)
        .with_machine_start(Delay::NONE)
        .with_replica_start(Delay::NONE)
        .with_consistency_window(Duration::ZERO)
}

pub(crate) fn owner() -> OwnerTag {
    "shop".parse().unwrap()
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A machine of two cores at 0.36 USD/h: 100 micro-dollars per second.
pub(crate) fn machine(id: &str) -> Machine {
    Machine {
        id: id.parse().unwrap(),
        site: Site {
            region: REGION.parse().unwrap(),
            zone: None,
        },
        instance: "m5.large".parse().unwrap(),
        purchase: Purchase::OnDemand,
        price: "0.36".parse().unwrap(),
        price_as_of: "2026-11-01".parse().unwrap(),
        capacity: Resources::new(Millicores::from_cores(2), Bytes::from_gib(8)),
        arch: String::new(),
    }
}

pub(crate) fn buy(machine: Machine, token: &str) -> CreateRequest {
    CreateRequest {
        owner: owner(),
        operation: format!("op-{}", machine.id).parse().unwrap(),
        token: token.parse().unwrap(),
        epoch: EPOCH,
        what: What::Machine(machine),
    }
}

/// A replica of half a core with one port, on machine `machine`, which the cloud calls `on`.
pub(crate) fn place(replica: &str, machine: &str, on: &ResourceId, token: &str) -> CreateRequest {
    place_program(replica, machine, on, token, "serve")
}

pub(crate) fn place_program(
    replica: &str,
    machine: &str,
    on: &ResourceId,
    token: &str,
    program: &str,
) -> CreateRequest {
    let port = PortSpec {
        name: "http".parse().unwrap(),
        protocol: Protocol::Tcp,
        port: None,
    };
    let spec = ReplicaSpec {
        replica: replica.parse().unwrap(),
        machine: machine.parse().unwrap(),
        site: Site {
            region: REGION.parse().unwrap(),
            zone: None,
        },
        request: Resources::new(Millicores::from_millicores(500), Bytes::from_gib(1)),
        run: RunSpec {
            command: vec![program.to_owned()],
            ports: vec![port],
            ..RunSpec::default()
        },
        health: None,
        stop: STOP,
    };
    let env = BTreeMap::from([("PASSWORD".to_owned(), Secret::new("hunter2".to_owned()))]);
    let new = NewReplica {
        spec,
        machine: on.clone(),
        env,
    };
    CreateRequest {
        owner: owner(),
        operation: format!("op-{replica}").parse().unwrap(),
        token: token.parse().unwrap(),
        epoch: EPOCH,
        what: What::Replica(Box::new(new)),
    }
}

/// A machine `m` and a replica `web/0` on it, both running.
pub(crate) fn shop(config: SimConfig) -> (SimCloud, Resource, Resource) {
    let cloud = SimCloud::new(config);
    let on = block_on(cloud.create(&buy(machine("m"), "t-m"))).unwrap();
    let web = block_on(cloud.create(&place("web/0", "m", &on.id, "t-web"))).unwrap();
    cloud.advance(seconds(300));
    let [on, web] = [on.id, web.id].map(|id| block_on(cloud.get(&id)).unwrap());
    (cloud, on, web)
}
