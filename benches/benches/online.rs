//! Online placement: places given per second over the number of nodes, by every policy of the table.
//!
//! Workload: nodes of four kinds in equal parts (96 cores with 8 GPUs, 104 with 2, 64 with 4, 32 without), 1,000 to
//! 100,000 of them; 24 kinds of pods (1 to 32 cores; none, a share, one, two or eight GPUs), drawn evenly with seed 1. Two
//! pods per node have come before; each measured turn places one pod and lets the oldest go. Result: time per turn; if it
//! grew as the nodes do, the last row of a policy would be a hundred times the first.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use std::collections::VecDeque;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use skyloom::core::{Bytes, MachineId, Millicores, Milligpus, Resources};
use skyloom::scheduler::online::{ClassId, NodeSpec, OnlineConfig, Placer, PodId, PodSpec, policy};

/// Order of arrival; any will do.
const SEED: u64 = 1;
/// Nodes; CI measures nothing and takes the first only.
const NODES: [usize; 3] = [1_000, 10_000, 100_000];

fn resources(cores: u32, gib: u32, milligpus: u64) -> Resources {
    let gpu = Milligpus::from_milligpus(milligpus);
    Resources::new(Millicores::from_cores(cores), Bytes::from_gib(gib)).with_gpu(gpu)
}

fn nodes(count: usize) -> Vec<NodeSpec> {
    let kinds = [
        (96, 384, 8, "A"),
        (104, 512, 2, "B"),
        (64, 256, 4, "C"),
        (32, 128, 0, ""),
    ];
    let node = |n: usize| {
        let (cores, gib, gpus, model) = kinds[n % kinds.len()];
        let id = MachineId::new(format!("node-{n:06}")).unwrap();
        NodeSpec::new(id, resources(cores, gib, gpus * 1000)).with_gpu_model(model)
    };
    (0..count).map(node).collect()
}

fn kinds_of_pods() -> Vec<PodSpec> {
    let gpus = [0, 110, 230, 470, 810, 1000, 2000, 8000];
    let pod = |n: usize| {
        let cores = [1, 4, 8][n / gpus.len()] * if gpus[n % gpus.len()] >= 2000 { 4 } else { 1 };
        PodSpec::new(resources(cores, cores * 4, gpus[n % gpus.len()]))
    };
    (0..3 * gpus.len()).map(pod).collect()
}

/// A cluster in use, with the pods in it, oldest first.
struct Running {
    placer: Placer,
    classes: Vec<ClassId>,
    pods: VecDeque<PodId>,
    state: u64,
}

impl Running {
    fn new(nodes: Vec<NodeSpec>, policy: &str) -> Self {
        let count = nodes.len();
        let mut placer = Placer::new(nodes, policy::by_name(policy).unwrap(), &OnlineConfig::new(SEED)).unwrap();
        let classes = kinds_of_pods().iter().map(|pod| placer.class(pod).unwrap()).collect();
        let mut running = Self {
            placer,
            classes,
            pods: VecDeque::new(),
            state: SEED,
        };
        (0..count * 2).for_each(|_| running.come());
        running
    }

    fn come(&mut self) {
        // Knuth's MMIX generator; the high bits are good enough to draw a kind of pod.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let kind = usize::try_from(self.state >> 33).unwrap() % self.classes.len();
        let outcome = self.placer.place(self.classes[kind]).unwrap();
        self.pods.extend(outcome.placed().map(|placed| placed.pod));
    }

    fn turn(&mut self) {
        self.come();
        if let Some(oldest) = self.pods.pop_front() {
            self.placer.release(oldest).unwrap();
        }
    }
}

fn growth(c: &mut Criterion) {
    // Test mode proves that it runs; building large clusters for that would cost minutes.
    let testing = std::env::args().any(|argument| argument == "--test");
    let sizes = if testing { &NODES[..1] } else { &NODES[..] };
    for builtin in policy::BUILTIN {
        let mut group = c.benchmark_group(format!("online/{}", builtin.name));
        group.sample_size(10);
        for count in sizes {
            let mut running = Running::new(nodes(*count), builtin.name);
            group.bench_function(BenchmarkId::from_parameter(count), |b| b.iter(|| running.turn()));
        }
        group.finish();
    }
}

criterion_group!(benches, growth);
criterion_main!(benches);
