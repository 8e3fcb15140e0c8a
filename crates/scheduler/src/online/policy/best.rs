//! Best: the least GPU made useless, with a look ahead and, where nothing fits, a bounded number of moves.
//!
//! What a node's free GPU is worth is judged by what would become of it: fills of the node with expected pods say how
//! much would stay stranded, which sees combinations (a share of 810 thousandths leaves what only few can use) where
//! fragments see one pod at a time. The other terms decide between places that the fills find alike. Pods are moved when
//! one fits nowhere: large asks need whole nodes, which no order of arrival keeps free for them, and CPU lies in pieces.
//!
//! All terms are thousandths of a device, and the weights are pure numbers; what differs between clusters and workloads
//! comes from the [`World`].

use super::ahead::{Outlook, begun};
use super::fills::Fills;
use super::fragments::Fragments;
use super::{Ask, DeviceRule, NodeView, Policy, Trial, World, real};
use crate::online::Moves;

/// GPU that stays stranded after fills.
const STRANDED: f64 = 8.0;
/// Fragments of the node; kinds of pods weigh by number and the root of their GPU, since many small pods find a place
/// more easily than one large.
const FRAGMENTS: f64 = 0.5;
/// GPU that waits for CPU.
const SHORTAGE: f64 = 0.1;
/// Part of the CPU per GPU asked for that counts as needed.
const THRIFT: f64 = 0.7;
/// A device begun.
const BEGUN: f64 = 20.0;
/// A node begun: whole nodes are kept for those who need them.
const OPENED: f64 = 600.0;
/// What free GPU of a model is worth that is wholly asked for by name.
const SCARCE: f64 = 2.0;
/// Moves: a node may be drained for one large pod.
const MOVES: Moves = Moves {
    per_placement_max: 12,
    share_max: 0.1,
};

/// Where CPU is expected to be as scarce as GPU, pods are moved for one with GPU that asks for at most so many times the
/// usual CPU per GPU: gathering CPU for others would take it from pods without GPU.
const MODEST: f64 = 1.25;

/// CPU is as scarce as GPU when its expected demand over capacity is at least this part of GPU's.
const AS_SCARCE: f64 = 0.95;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Best {
    fragments: Fragments,
    outlook: Outlook,
    fills: Fills,
    /// Most millicores per thousandth of GPU of a pod for which others are moved.
    modest_cpu: f64,
}

impl Policy for Best {
    fn name(&self) -> &'static str {
        "best"
    }

    fn learn(&mut self, world: &World<'_>) {
        self.fragments = Fragments::new(world, |pod| pod.count * libm::sqrt(f64::from(pod.ask.gpu()) / 1000.0));
        self.outlook = Outlook::new(world, THRIFT);
        self.fills = Fills::new(world);
        self.modest_cpu = modest_cpu(world);
    }

    fn device_rule(&self) -> DeviceRule {
        DeviceRule::LeastCost
    }

    fn moves(&self) -> Moves {
        MOVES
    }

    fn moves_for(&self, ask: &Ask) -> bool {
        ask.gpu() == 0 || real(ask.cpu) <= self.modest_cpu * f64::from(ask.gpu())
    }

    fn value(&mut self, node: &NodeView<'_>) -> f64 {
        let gpu = f64::from(node.gpu());
        let opened = node.cpu < node.facts.cpu || node.gpu() < node.facts.gpu;
        STRANDED * self.fills.stranded(node)
            + FRAGMENTS * self.fragments.of(node) / self.fragments.total.max(1.0)
            + SHORTAGE * self.outlook.shortage(node, gpu)
            + BEGUN * begun(node)
            + if opened { OPENED } else { 0.0 }
            - SCARCE * self.outlook.scarcity(node) * gpu
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        self.value(&trial.after) - trial.value
    }
}

/// See [`MODEST`].
fn modest_cpu(world: &World<'_>) -> f64 {
    let kinds = world.nodes.iter();
    let (cpu, gpu) = kinds.fold((0.0, 0.0), |(cpu, gpu), (facts, count)| {
        let count = f64::from(*count);
        (cpu + count * real(facts.cpu), gpu + count * f64::from(facts.gpu))
    });
    let (mut cpu_asked, mut cpu_with_gpu, mut gpu_asked) = (0.0, 0.0, 0.0);
    for pod in world.pods {
        let cpu = pod.count * real(pod.ask.cpu);
        cpu_asked += cpu;
        gpu_asked += pod.count * f64::from(pod.ask.gpu());
        cpu_with_gpu += if pod.ask.gpu() > 0 { cpu } else { 0.0 };
    }
    // In products, so that nothing is divided by what may be zero.
    let cpu_is_scarce = cpu_asked * gpu >= AS_SCARCE * gpu_asked * cpu;
    if cpu_is_scarce && gpu_asked > 0.0 {
        MODEST * cpu_with_gpu / gpu_asked
    } else {
        f64::INFINITY
    }
}
