//! Small worlds built in code: services, regions, offers, machines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skyloom_core::catalogue::{CatalogueParts, EgressRule, EgressScope, EgressTier, RegionPrefixes};
use skyloom_core::*;
use skyloom_scheduler::{PlaceConfig, Policy, Problem, check, place};

/// A problem with its parts owned.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) manifest: Manifest,
    pub(crate) snapshot: Snapshot,
    pub(crate) parts: CatalogueParts,
}

impl World {
    /// Two clouds in three EU and US regions, and nothing wanted yet.
    pub(crate) fn new() -> Self {
        let regions = vec![
            region("alpha/eu-1", &["DE", "EU"], (5011, 868), &["eu-1a", "eu-1b", "eu-1c"]),
            region("alpha/us-1", &["US"], (3904, -7749), &["us-1a", "us-1b"]),
            region("beta/ams", &["NL", "EU"], (5237, 490), &[]),
        ];
        let mut offers = Vec::new();
        for (place, factor) in [("alpha/eu-1", 100), ("alpha/us-1", 90), ("beta/ams", 95)] {
            for (instance, cores, gib) in [("s1", 1, 2), ("s2", 2, 4), ("s4", 4, 8), ("m2", 2, 16)] {
                let price = i64::from(cores) * 300 * factor + i64::from(gib) * 40 * factor;
                offers.push(offer(place, instance, cores, gib, Some(price), None));
            }
        }
        let egress = vec![
            egress_rule("alpha", EgressScope::InterZone, 10_000),
            egress_rule("alpha", EgressScope::InterRegion, 20_000),
            egress_rule("alpha", EgressScope::Internet, 90_000),
            egress_rule("beta", EgressScope::Internet, 10_000),
        ];
        Self {
            manifest: manifest("test", Vec::new()),
            snapshot: Snapshot::empty(1, Timestamp::from_secs(1_700_000_000)),
            parts: CatalogueParts {
                offers,
                regions,
                egress,
                sources: vec![catalogue::Source {
                    name: "test list".to_owned(),
                }],
            },
        }
    }

    pub(crate) fn with(mut self, services: Vec<ServiceSpec>) -> Self {
        self.manifest.services = services;
        self
    }

    pub(crate) fn with_nodes(mut self, nodes: Vec<Node>) -> Self {
        self.snapshot.nodes = nodes;
        self
    }

    /// Nothing can be bought.
    pub(crate) fn without_offers(mut self) -> Self {
        self.parts.offers.clear();
        self
    }

    pub(crate) fn catalogue(&self) -> Catalogue {
        Catalogue::new(self.parts.clone()).unwrap()
    }

    /// The question that this world asks; `catalogue` is its own.
    pub(crate) fn problem<'a>(&'a self, catalogue: &'a Catalogue) -> Problem<'a> {
        Problem {
            manifest: &self.manifest,
            snapshot: &self.snapshot,
            catalogue,
        }
    }

    /// Places by a policy; the checker must agree.
    pub(crate) fn place(&self, policy: &dyn Policy) -> Placement {
        let catalogue = self.catalogue();
        let problem = Problem {
            manifest: &self.manifest,
            snapshot: &self.snapshot,
            catalogue: &catalogue,
        };
        let placement = place(&problem, policy, &PlaceConfig::new()).unwrap();
        assert_eq!(check(&problem, &placement), [], "{} in {self:#?}", policy.name());
        placement
    }

    /// The world after a placement was carried out: its machines and replicas are there.
    pub(crate) fn after(&self, placement: &Placement) -> Self {
        let mut next = self.clone();
        next.snapshot.generation += 1;
        next.snapshot
            .nodes
            .retain(|n| placement.machines.iter().all(|m| m.id != n.machine.id));
        next.snapshot.nodes.extend(placement.machines.iter().map(|machine| {
            let known = self.snapshot.node(&machine.id).cloned();
            known.unwrap_or_else(|| node_of(machine.clone()))
        }));
        next.snapshot.nodes.sort_by(|a, b| a.machine.id.cmp(&b.machine.id));
        next.snapshot.replicas = placement
            .assignments
            .iter()
            .map(|a| running(&a.replica.to_string(), a.machine.as_str(), a.request))
            .collect();
        next
    }
}

pub(crate) fn manifest(name: &str, services: Vec<ServiceSpec>) -> Manifest {
    Manifest {
        name: name.parse().unwrap(),
        source: "test.toml".to_owned(),
        residency: Residency::default(),
        budget: None,
        revenue: None,
        services,
        data: Vec::new(),
        moved: Vec::new(),
        imports: Vec::new(),
    }
}

pub(crate) fn residency(allow: &[&str]) -> Residency {
    Residency {
        allow: allow.iter().map(|j| j.parse().unwrap()).collect(),
        deny: BTreeSet::new(),
        at: Some(Location { line: 5, column: 1 }),
    }
}

/// A service without any rule.
pub(crate) fn service(name: &str, replicas: u32, cpu: &str, memory: &str) -> ServiceSpec {
    ServiceSpec {
        name: name.parse().unwrap(),
        at: None,
        replicas: replicas.try_into().unwrap(),
        resources: Resources::new(cpu.parse().unwrap(), memory.parse().unwrap()),
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
        run: RunSpec::default(),
        health: None,
        stop: StopSpec::default(),
        rollout: Rollout::default(),
        drift: BTreeMap::new(),
    }
}

pub(crate) fn latency(to: &str, ms: u64) -> LatencyLimit {
    LatencyLimit {
        to: Link::Service(to.parse().unwrap()),
        max: Duration::from_millis(ms),
        at: None,
    }
}

pub(crate) fn egress(to: &str, volume: &str) -> EgressNeed {
    EgressNeed {
        to: Link::Service(to.parse().unwrap()),
        per_month: volume.parse().unwrap(),
    }
}

pub(crate) fn spread(over: SpreadOver, max_skew: u32) -> SpreadRule {
    SpreadRule {
        over,
        max_skew: max_skew.try_into().unwrap(),
    }
}

pub(crate) fn region(key: &str, laws: &[&str], (lat, lon): (i32, i32), zones: &[&str]) -> RegionInfo {
    RegionInfo {
        key: key.parse().unwrap(),
        jurisdictions: laws.iter().map(|j| j.parse().unwrap()).collect(),
        location: Some(GeoPoint {
            lat_centidegrees: lat,
            lon_centidegrees: lon,
        }),
        zones: zones.iter().map(|z| z.parse().unwrap()).collect(),
    }
}

pub(crate) fn price(micros: i64) -> catalogue::Price {
    catalogue::Price {
        per_hour: MicroUsdPerHour::from_micros(micros),
        as_of: "2026-06-18".parse().unwrap(),
        source: catalogue::SourceId(0),
    }
}

pub(crate) fn offer(
    place: &str,
    instance: &str,
    cores: u32,
    gib: u32,
    on_demand: Option<i64>,
    spot: Option<i64>,
) -> Offer {
    Offer {
        key: OfferKey {
            region: place.parse().unwrap(),
            instance: instance.parse().unwrap(),
            zone: None,
        },
        vcpus: Millicores::from_cores(cores),
        capacity: Resources::new(Millicores::from_cores(cores), Bytes::from_gib(gib)).with_disk(Bytes::from_gib(1000)),
        arch: "x86_64".to_owned(),
        accelerator: None,
        on_demand: on_demand.map(price),
        spot: spot.map(price),
    }
}

pub(crate) fn egress_rule(cloud: &str, scope: EgressScope, micros_per_gib: i64) -> EgressRule {
    EgressRule {
        from: cloud.parse().unwrap(),
        scope,
        from_regions: RegionPrefixes::ALL,
        to_regions: RegionPrefixes::ALL,
        tiers: vec![EgressTier {
            up_to: None,
            per_gib: MicroUsd::from_micros(micros_per_gib),
        }],
        as_of: "2026-06-18".parse().unwrap(),
        source: catalogue::SourceId(0),
    }
}

/// A ready machine of 4 cores and 8 GiB in `alpha/eu-1`.
pub(crate) fn node(id: &str, zone: &str) -> Node {
    node_of(Machine {
        id: id.parse().unwrap(),
        site: Site {
            region: "alpha/eu-1".parse().unwrap(),
            zone: Some(zone.parse().unwrap()),
        },
        instance: "own".parse().unwrap(),
        purchase: Purchase::OnDemand,
        price: MicroUsdPerHour::from_micros(100_000),
        price_as_of: "2026-06-18".parse().unwrap(),
        capacity: Resources::new(Millicores::from_cores(4), Bytes::from_gib(8)).with_disk(Bytes::from_gib(100)),
        arch: "x86_64".to_owned(),
    })
}

pub(crate) fn node_of(machine: Machine) -> Node {
    Node {
        resource: format!("r-{}", machine.id).parse().unwrap(),
        machine,
        labels: BTreeMap::new(),
        taints: Vec::new(),
        ready: true,
        utilisation: None,
    }
}

pub(crate) fn running(replica: &str, machine: &str, request: Resources) -> ObservedReplica {
    ObservedReplica {
        replica: replica.parse().unwrap(),
        machine: machine.parse().unwrap(),
        resource: format!("r-{}", replica.replace('/', "-")).parse().unwrap(),
        request,
        spec: Digest::of_bytes(b"spec"),
        state: ReplicaState::Healthy,
    }
}

/// Where each replica is: `backend/0 -> alpha/eu-1:eu-1a s2`, one per line.
pub(crate) fn lines(placement: &Placement) -> String {
    let line = |a: &Assignment| {
        let machine = placement.machines.iter().find(|m| m.id == a.machine).unwrap();
        format!("{} -> {} {} {}", a.replica, machine.id, machine.site, machine.instance)
    };
    placement.assignments.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(crate) fn machine_of<'p>(placement: &'p Placement, replica: &str) -> &'p Machine {
    let assignment = placement
        .assignments
        .iter()
        .find(|a| a.replica.to_string() == replica)
        .unwrap();
    placement.machines.iter().find(|m| m.id == assignment.machine).unwrap()
}
