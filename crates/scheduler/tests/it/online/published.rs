//! Figures in print: the replay of the openb trace, with the protocol of its authors, on their default list.
//!
//! Origin: mean of 10 seeds of the published results of Weng et al. (USENIX ATC 2023), GPUs allocated when 130% of them
//! have been asked for. Tolerance: one point, for one seed here against the mean there. The trace is not part of the
//! project; where it is absent the test says that it was skipped.

use std::fs;
use std::path::{Path, PathBuf};

use skyloom_core::{Bytes, MachineId, Millicores, Milligpus, Resources};
use skyloom_scheduler::online::*;

use super::worlds::placer;
use crate::random_world::Dice;

#[expect(
    clippy::disallowed_methods,
    reason = "the trace is read by the test, not by the engine"
)]
fn table(name: &str) -> Option<Vec<Vec<String>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/traces/openb");
    let path: PathBuf = folder.join(name);
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: `{}` is not there", path.display());
        return None;
    };
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    Some(text.lines().skip(1).map(fields).collect())
}

fn request(cpu: &str, memory: &str, milligpus: u64) -> Resources {
    let memory: u64 = memory.parse().unwrap();
    Resources::new(
        Millicores::from_millicores(cpu.parse().unwrap()),
        Bytes::from_bytes(memory << 20),
    )
    .with_gpu(Milligpus::from_milligpus(milligpus))
}

#[test]
fn the_published_allocations_are_met_within_a_point() {
    let (nodes, pods) = (
        table("openb_node_list_gpu_node.csv"),
        table("openb_pod_list_default.csv"),
    );
    let (Some(nodes), Some(pods)) = (nodes, pods) else {
        return;
    };
    let number = |text: &String| text.parse::<u64>().unwrap();
    let node = |row: &Vec<String>| {
        let capacity = request(&row[1], &row[2], number(&row[3]) * 1000);
        NodeSpec::new(MachineId::new(row[0].as_str()).unwrap(), capacity).with_gpu_model(row[4].as_str())
    };
    let nodes: Vec<NodeSpec> = nodes.iter().map(node).collect();
    let pod = |row: &Vec<String>| {
        let mut pod = PodSpec::new(request(&row[1], &row[2], number(&row[3]) * number(&row[4])));
        pod.gpu_models = row[5].split('|').filter(|m| !m.is_empty()).map(str::to_owned).collect();
        pod
    };
    let pods: Vec<PodSpec> = pods.iter().map(pod).collect();
    let rows = [
        ("random", 87.47),
        ("dot_product", 90.85),
        ("best_fit", 93.08),
        ("fgd", 95.39),
    ];
    for (policy, published) in rows {
        let allocated = replay(&nodes, &pods, policy);
        assert!(
            (allocated - published).abs() < 1.0,
            "{policy}: {allocated:.2}, published {published}"
        );
    }
    assert!(replay(&nodes, &pods, "fast") > 95.39, "better than what is published");
}

/// Percent of the GPUs allocated at the end.
fn replay(nodes: &[NodeSpec], pods: &[PodSpec], policy: &str) -> f64 {
    let mut dice = Dice::new(1);
    let mut expected: Vec<Expected> = Vec::new();
    let mut sorted: Vec<&PodSpec> = pods.iter().collect();
    sorted.sort_by_key(|pod| format!("{pod:?}"));
    for pod in sorted {
        match expected.last_mut().filter(|kind| kind.pod == *pod) {
            Some(kind) => kind.count += 1,
            None => expected.push(Expected {
                pod: pod.clone(),
                count: 1,
            }),
        }
    }
    let mut placer = placer(nodes, policy, &OnlineConfig::new(1).with_expected(expected));
    let classes: Vec<ClassId> = pods.iter().map(|pod| placer.class(pod).unwrap()).collect();
    let capacity: u64 = nodes.iter().map(|node| node.capacity.gpu.as_milligpus()).sum();
    let (mut asked, mut allocated) = (0, 0);
    let mut order: Vec<usize> = (0..pods.len()).collect();
    let mut below = |count: usize| usize::try_from(dice.roll(count as u64)).unwrap();
    (1..order.len())
        .rev()
        .for_each(|last| order.swap(last, below(last + 1)));
    let mut position = 0;
    while asked * 10 < capacity * 13 {
        let rank = order.get(position).copied().unwrap_or_else(|| below(pods.len()));
        position += 1;
        let gpu = pods[rank].request.gpu.as_milligpus();
        asked += gpu;
        if placer.place(classes[rank]).unwrap().placed().is_some() {
            allocated += gpu;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "thousandths of thousands of GPUs")]
    let share = allocated as f64 / capacity as f64;
    share * 100.0
}
