//! Terms that our own policies share: GPU that waits for CPU, devices begun, and models that are asked for by name.
//!
//! Each is in thousandths of a device and is derived from the cluster and the expected pods, so that the weights between
//! them are pure numbers that need no tuning to a workload.

use super::{NodeView, World, real};

/// Points of the distribution of CPU per GPU at which a shortage is looked at.
const QUANTILES: u32 = 8;

/// What the expected pods do to a node's GPUs besides fitting on them.
#[derive(Debug, Clone, Default)]
pub(super) struct Outlook {
    /// Thousandths of GPU that a millicore carries, at each quantile of the expected GPU.
    per_millicore: Vec<f64>,
    /// Per model: share of its GPUs that pods which name it are expected to ask for, 0..=1.
    scarcity: Vec<f64>,
}

impl Outlook {
    /// `thrift`: which part of the CPU per GPU that pods ask for counts as needed.
    pub(super) fn new(world: &World<'_>, thrift: f64) -> Self {
        let with_gpu = world.pods.iter().filter(|pod| pod.ask.gpu() > 0);
        let weigh = |pod: &super::Typical| pod.count * f64::from(pod.ask.gpu());
        let mut ratios: Vec<(f64, f64)> = with_gpu
            .map(|pod| (real(pod.ask.cpu) / f64::from(pod.ask.gpu()), weigh(pod)))
            .collect();
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all: f64 = ratios.iter().map(|(_, gpu)| gpu).sum();
        let at = |quantile: u32| {
            let wanted = all * (f64::from(quantile) + 0.5) / f64::from(QUANTILES);
            let mut sum = 0.0;
            let reached = |(_, gpu): &&(f64, f64)| {
                sum += gpu;
                sum >= wanted
            };
            ratios
                .iter()
                .find(reached)
                .map(|(ratio, _)| 1.0 / (thrift * ratio).max(1e-9))
        };
        Self {
            per_millicore: (0..QUANTILES).filter_map(at).collect(),
            scarcity: scarcity(world),
        }
    }

    /// Free GPU for which there is no CPU, meant over the quantiles.
    #[inline]
    pub(super) fn shortage(&self, node: &NodeView<'_>, gpu: f64) -> f64 {
        let cpu = real(node.cpu);
        let short: f64 = self
            .per_millicore
            .iter()
            .map(|carried| (gpu - cpu * carried).max(0.0))
            .sum();
        short / f64::from(QUANTILES)
    }

    /// How much the GPUs of the node are asked for by name, 0..=1.
    #[inline]
    pub(super) fn scarcity(&self, node: &NodeView<'_>) -> f64 {
        self.scarcity[node.facts.model]
    }
}

/// Devices of which a part is taken.
#[inline]
pub(super) fn begun(node: &NodeView<'_>) -> f64 {
    let count: u32 = node
        .devices
        .iter()
        .map(|free| u32::from(*free > 0 && *free < 1000))
        .sum();
    f64::from(count)
}

/// Per model: what is asked for by name, were the whole demand as large as the cluster, over what there is. A pod that
/// names several models asks each for its part of their capacity.
fn scarcity(world: &World<'_>) -> Vec<f64> {
    let mut capacity = vec![0.0; world.models.len()];
    for (facts, count) in world.nodes {
        capacity[facts.model] += f64::from(facts.gpu) * f64::from(*count);
    }
    let all_capacity: f64 = capacity.iter().sum();
    let all_asked: f64 = world.pods.iter().map(|pod| pod.count * f64::from(pod.ask.gpu())).sum();
    let mut named = vec![0.0; world.models.len()];
    for pod in world.pods.iter().filter(|pod| pod.names_models) {
        let allowed = || (0..named.len()).filter(|model| pod.on_model[*model]);
        let room: f64 = allowed().map(|model| capacity[model]).sum();
        let asked = pod.count * f64::from(pod.ask.gpu()) / all_asked.max(1.0) * all_capacity;
        for model in allowed().collect::<Vec<_>>() {
            named[model] += asked * capacity[model] / room.max(1.0);
        }
    }
    let share = |(named, capacity): (&f64, &f64)| (named / capacity.max(1.0)).min(1.0);
    named.iter().zip(&capacity).map(share).collect()
}
