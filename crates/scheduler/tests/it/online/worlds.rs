//! Random small clusters and pods from a seed, with every kind of rule, and the audit of a placer's state.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::{
    Affinity, Bytes, Jurisdiction, MachineId, Millicores, Milligpus, Resources, ServiceName, Site, SpreadOver,
    SpreadRule, Taint, Toleration, ZoneName,
};
use skyloom_scheduler::online::*;

use crate::random_world::Dice;

pub(crate) const WORKLOADS: [&str; 3] = ["api", "db", "web"];

/// Cores, gibibytes, thousandths of GPU.
pub(crate) fn resources(cores: u64, gib: u64, milligpus: u64) -> Resources {
    Resources::new(Millicores::from_millicores(cores * 1000), Bytes::from_bytes(gib << 30))
        .with_gpu(Milligpus::from_milligpus(milligpus))
}

pub(crate) fn node(id: &str, cores: u64, gib: u64, milligpus: u64) -> NodeSpec {
    NodeSpec::new(MachineId::new(id).unwrap(), resources(cores, gib, milligpus))
}

pub(crate) fn pod(cores: u64, gib: u64, milligpus: u64) -> PodSpec {
    PodSpec::new(resources(cores, gib, milligpus))
}

pub(crate) fn placer(nodes: &[NodeSpec], policy: &str, config: &OnlineConfig) -> Placer {
    Placer::new(nodes.to_vec(), policy::by_name(policy).unwrap(), config).unwrap()
}

/// A cluster, kinds of pods, and quotas.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<NodeSpec>,
    pub(crate) pods: Vec<PodSpec>,
    pub(crate) quotas: Vec<Quota>,
}

impl Cluster {
    pub(crate) fn expected(&self) -> Vec<Expected> {
        let count = |rank: usize| u32::try_from(1 + rank * 3 % 7).unwrap();
        let kinds = self.pods.iter().enumerate();
        kinds
            .map(|(rank, pod)| Expected {
                pod: pod.clone(),
                count: count(rank),
            })
            .collect()
    }
}

/// Up to a dozen nodes and eight kinds of pods; `rules`: with rules about other pods.
pub(crate) fn cluster(seed: u64, rules: bool) -> Cluster {
    let mut dice = Dice::new(seed);
    let nodes = (0..2 + dice.roll(11)).map(|n| random_node(n, &mut dice)).collect();
    let pods = (0..2 + dice.roll(7)).map(|_| random_pod(&mut dice, rules)).collect();
    let quotas = vec![Quota {
        tenant: "small".to_owned(),
        max: resources(dice.roll(20), 64, 2000),
    }];
    Cluster { nodes, pods, quotas }
}

fn random_node(n: u64, dice: &mut Dice) -> NodeSpec {
    let gpus = [0, 0, 1000, 2000, 4000, 8000, 500, 2500][usize::try_from(dice.roll(8)).unwrap()];
    let mut node = node(&format!("node-{n:02}"), 2 + dice.roll(30), 4 + dice.roll(60), gpus);
    if gpus > 0 {
        node.gpu_model = (*dice.pick(&["A", "B", ""])).to_owned();
    }
    let zone = dice.pick(&["alpha/eu-1:a", "alpha/eu-1:b", "alpha/us-1:a", "beta/ams"]);
    let (region, zone) = zone.split_once(':').unwrap_or((zone, ""));
    if !dice.one_in(5) {
        node.site = Some(Site {
            region: region.parse().unwrap(),
            zone: (!zone.is_empty()).then(|| ZoneName::new(zone).unwrap()),
        });
    }
    if dice.one_in(2) {
        node.jurisdictions = [Jurisdiction::new(*dice.pick(&["EU", "US"])).unwrap()].into();
    }
    if dice.one_in(2) {
        node.labels
            .insert("disk".to_owned(), (*dice.pick(&["ssd", "hdd"])).to_owned());
    }
    if dice.one_in(5) {
        node.taints.push(Taint {
            key: "own".to_owned(),
            value: "team".to_owned(),
        });
    }
    if dice.one_in(2) {
        node.extra.insert("net".to_owned(), dice.roll(10));
    }
    if dice.one_in(2) {
        node.round_trip
            .insert("users".to_owned(), Duration::from_millis(dice.roll(40)));
    }
    if dice.one_in(2) {
        node.carbon_g_per_kwh = Some(u32::try_from(dice.roll(600)).unwrap());
    }
    node
}

fn random_pod(dice: &mut Dice, rules: bool) -> PodSpec {
    let gpu = [0, 0, 1000, 2000, 100, 250, 470, 810][usize::try_from(dice.roll(8)).unwrap()];
    let mut pod = pod(dice.roll(9), dice.roll(12), gpu);
    pod.priority = i32::try_from(dice.roll(4)).unwrap();
    match dice.roll(14) {
        0 => pod.gpu_models = ["A".to_owned()].into(),
        1 => {
            pod.labels.insert("disk".to_owned(), "ssd".to_owned());
        }
        2 => pod.tolerations.push(Toleration {
            key: "own".to_owned(),
            value: None,
        }),
        3 => {
            pod.extra.insert("net".to_owned(), dice.roll(4));
        }
        4 => {
            pod.round_trip_max.insert("users".to_owned(), Duration::from_millis(20));
        }
        5 => pod.carbon_g_per_kwh_max = Some(300),
        6 => pod.residency.allow = [Jurisdiction::new("EU").unwrap()].into(),
        7 => pod.tenant = Some("small".to_owned()),
        _ => {}
    }
    if rules {
        pod.workload = Some(ServiceName::new(*dice.pick(&WORKLOADS)).unwrap());
        let within = *dice.pick(&[
            SpreadOver::Machine,
            SpreadOver::Zone,
            SpreadOver::Region,
            SpreadOver::Cloud,
        ]);
        let other = Affinity {
            service: ServiceName::new(*dice.pick(&WORKLOADS)).unwrap(),
            within,
        };
        match dice.roll(5) {
            0 => pod.affinity.push(other),
            1 => pod.anti_affinity.push(other),
            2 => pod.spread.push(SpreadRule {
                over: within,
                max_skew: u32::try_from(1 + dice.roll(2)).unwrap().try_into().unwrap(),
            }),
            _ => {}
        }
    }
    pod
}

/// What the independent checker says of a placer's state, and whether what is free and what is taken make up each node.
/// `fresh`: a pod that was placed last.
pub(crate) fn assert_sound(placer: &Placer, cluster: &Cluster, fresh: Option<PodId>, context: &str) {
    let standing = placer.standing();
    let claim = |standing: &Standing| (placer.spec(standing.class).unwrap().clone(), standing.node.clone());
    let owned: Vec<(PodSpec, MachineId)> = standing.iter().map(claim).collect();
    let claims: Vec<Claim<'_>> = owned
        .iter()
        .zip(&standing)
        .map(|((pod, node), standing)| Claim {
            pod,
            node,
            devices: standing.devices.iter().collect(),
        })
        .collect();
    let fresh: Vec<usize> = standing.iter().position(|s| Some(s.pod) == fresh).into_iter().collect();
    let faults = audit(&cluster.nodes, &cluster.quotas, &claims, &fresh);
    assert!(faults.is_empty(), "{context}: {faults:?}");
    assert_conserved(placer, &claims, context);
}

fn assert_conserved(placer: &Placer, claims: &[Claim<'_>], context: &str) {
    let mut taken: BTreeMap<&MachineId, (u64, u64, BTreeMap<usize, u64>)> = BTreeMap::new();
    for claim in claims {
        let (cpu, memory, devices) = taken.entry(claim.node).or_default();
        *cpu += claim.pod.request.cpu.as_millicores();
        *memory += claim.pod.request.memory.as_bytes();
        for device in &claim.devices {
            *devices.entry(*device).or_default() += claim.pod.request.gpu.as_milligpus().min(1000);
        }
    }
    for number in 0.. {
        let Some(node) = placer.node(number) else { break };
        let (cpu, memory, _, devices) = placer.free(number).unwrap();
        let none = (0, 0, BTreeMap::new());
        let (cpu_taken, memory_taken, devices_taken) = taken.get(&node.id).unwrap_or(&none);
        assert_eq!(
            cpu + cpu_taken,
            node.capacity.cpu.as_millicores(),
            "{context}: {}",
            node.id
        );
        assert_eq!(
            memory + memory_taken,
            node.capacity.memory.as_bytes(),
            "{context}: {}",
            node.id
        );
        let gpu: u64 = devices.iter().map(|d| u64::from(*d)).sum::<u64>() + devices_taken.values().sum::<u64>();
        assert_eq!(gpu, node.capacity.gpu.as_milligpus(), "{context}: {}", node.id);
    }
}
