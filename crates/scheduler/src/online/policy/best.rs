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

/// Pods are moved for one that asks for at most so many times the usual CPU: what CPU is gathered serves more pods then.
const MODEST: f64 = 1.5;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Best {
    fragments: Fragments,
    outlook: Outlook,
    fills: Fills,
    usual: Usual,
}

/// CPU that expected pods ask for in the mean.
#[derive(Debug, Clone, Copy, Default)]
struct Usual {
    /// Millicores of a pod without GPU.
    plain: f64,
    /// Millicores per thousandth of GPU.
    per_gpu: f64,
}

impl Usual {
    fn of(world: &World<'_>) -> Self {
        let mean = |with_gpu: bool, amount: fn(&Ask) -> f64| {
            let kinds = world.pods.iter().filter(|pod| (pod.ask.gpu() > 0) == with_gpu);
            let (cpu, all) = kinds.fold((0.0, 0.0), |(cpu, all), pod| {
                (cpu + pod.count * real(pod.ask.cpu), all + pod.count * amount(&pod.ask))
            });
            cpu / f64::max(all, 1.0)
        };
        Self {
            plain: mean(false, |_| 1.0),
            per_gpu: mean(true, |ask| f64::from(ask.gpu())),
        }
    }
}

impl Policy for Best {
    fn name(&self) -> &'static str {
        "best"
    }

    fn learn(&mut self, world: &World<'_>) {
        self.fragments = Fragments::new(world, |pod| pod.count * libm::sqrt(f64::from(pod.ask.gpu()) / 1000.0));
        self.outlook = Outlook::new(world, THRIFT);
        self.fills = Fills::new(world);
        self.usual = Usual::of(world);
    }

    fn device_rule(&self) -> DeviceRule {
        DeviceRule::LeastCost
    }

    fn moves(&self) -> Moves {
        MOVES
    }

    fn moves_for(&self, ask: &Ask) -> bool {
        let usual = if ask.gpu() > 0 {
            self.usual.per_gpu * f64::from(ask.gpu()) * MODEST
        } else {
            self.usual.plain
        };
        real(ask.cpu) <= usual
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
