//! Policies of online placement: what a place costs a pod, in numbers that an index can keep.
//!
//! A policy sees one node at a time and no other pod, so that its score of a node stays true until the node changes;
//! rules are asked elsewhere and cannot be softened here. One file per policy and one line in [`BUILTIN`].

mod ahead;
mod best;
mod fast;
mod fgd;
mod fills;
mod fitting;
mod fragments;
mod gpus;
mod random;

use std::fmt;

use super::Moves;
pub use super::nodes::Facts;

pub use best::Best;
pub use fast::Fast;
pub use fgd::Fgd;
pub use fitting::{BestFit, DotProduct, WorstFit};
pub use gpus::{GpuClustering, GpuPacking};
pub use random::Random;

/// What is free on a node.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct NodeView<'a> {
    /// Millicores.
    pub cpu: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Thousandths of each GPU device.
    pub devices: &'a [u16],
    /// What the node is.
    pub facts: &'a Facts,
    /// How many of its pods ask for which thousandths of GPU, sorted.
    pub asks: &'a [(u32, u32)],
}

impl<'a> NodeView<'a> {
    pub(super) const fn new(
        (cpu, memory): (u64, u64),
        devices: &'a [u16],
        facts: &'a Facts,
        asks: &'a [(u32, u32)],
    ) -> Self {
        Self {
            cpu,
            memory,
            devices,
            facts,
            asks,
        }
    }

    /// Thousandths of GPU.
    #[must_use]
    pub fn gpu(&self) -> u32 {
        self.devices.iter().map(|free| u32::from(*free)).sum()
    }
}

/// What a pod asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask {
    /// Millicores.
    pub cpu: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Thousandths of one GPU device; 0: no share.
    pub share: u16,
    /// Whole GPU devices.
    pub whole: u16,
}

impl Ask {
    /// Thousandths of GPU.
    #[must_use]
    pub fn gpu(&self) -> u32 {
        u32::from(self.share) + 1000 * u32::from(self.whole)
    }
}

/// One way of putting a pod on a node where it fits.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Trial<'a> {
    /// The node as it is.
    pub before: NodeView<'a>,
    /// [`Policy::value`] of it.
    pub value: f64,
    /// The node with the pod on it.
    pub after: NodeView<'a>,
    /// The pod.
    pub ask: Ask,
}

/// A kind of pods that is expected.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Typical {
    /// What it asks for.
    pub ask: Ask,
    /// Whether it may be on nodes of each model of [`World::models`].
    pub on_model: Vec<bool>,
    /// Whether it names the models.
    pub names_models: bool,
    /// How many are expected; whole numbers, of which only the proportions count.
    pub count: f64,
}

/// What a policy may know beforehand: the nodes when empty, and the pods that are expected, in no order of time.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct World<'a> {
    /// GPU models of the nodes, sorted; nodes without GPUs have the empty one.
    pub models: &'a [String],
    /// The kinds of nodes, and how many there are of each.
    pub nodes: &'a [(Facts, u32)],
    /// The kinds of pods, most frequent first.
    pub pods: &'a [Typical],
}

impl<'a> World<'a> {
    pub(super) const fn new(models: &'a [String], nodes: &'a [(Facts, u32)], pods: &'a [Typical]) -> Self {
        Self { models, nodes, pods }
    }
}

/// Which device serves a share, where several could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceRule {
    /// The one that is left fullest.
    Fullest,
    /// The one with the least [`Policy::cost`].
    LeastCost,
}

/// Which node is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// The one with the least [`Policy::cost`].
    LeastCost,
    /// Any on which the pod fits, each with equal chance, and so the device.
    AnyFitting,
}

/// How a place is chosen.
///
/// Implementors: `value` and `cost` depend on their arguments and on what was learnt only (a cache is allowed, a clock or
/// hidden counter is not), and are finite; what is not a number counts as the worst. Costs are compared in single
/// precision; ties go to the lowest node, then to the lowest device.
pub trait Policy: fmt::Debug {
    /// Name, as in the table.
    fn name(&self) -> &'static str;

    /// Takes note of the nodes and the expected pods; called before anything is scored, and again when a placer that was
    /// told nothing has learnt more. What was returned before does not count any more.
    fn learn(&mut self, _world: &World<'_>) {}

    /// Which device serves a share.
    fn device_rule(&self) -> DeviceRule {
        DeviceRule::Fullest
    }

    /// Which node is taken.
    fn pick(&self) -> Pick {
        Pick::LeastCost
    }

    /// How far pods may be moved to make room, unless the configuration says otherwise.
    fn moves(&self) -> Moves {
        Moves::NONE
    }

    /// Whether pods are moved to make room for one that asks for this.
    fn moves_for(&self, _ask: &Ask) -> bool {
        true
    }

    /// A number for what is free on a node, which the placer keeps and hands back in [`Trial::value`].
    fn value(&mut self, _node: &NodeView<'_>) -> f64 {
        0.0
    }

    /// What the place costs; lower is better.
    fn cost(&mut self, trial: &Trial<'_>) -> f64;
}

/// One line of [`BUILTIN`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Builtin {
    /// Name, equal to [`Policy::name`].
    pub name: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// Makes it.
    pub new: fn() -> Box<dyn Policy>,
}

/// All policies of this module, sorted by name. The line is the whole registration.
pub const BUILTIN: &[Builtin] = &[
    Builtin {
        name: "best",
        doc: "least GPU made useless, looking ahead by sampled fills of the node, and moving few pods to make room",
        new: || Box::new(Best::default()),
    },
    Builtin {
        name: "best_fit",
        doc: "the node that is left fullest in CPU and GPU",
        new: || Box::new(BestFit::default()),
    },
    Builtin {
        name: "dot_product",
        doc: "the node whose free CPU and GPU are least in line with what is asked",
        new: || Box::new(DotProduct::default()),
    },
    Builtin {
        name: "fast",
        doc: "least GPU made useless by shares, by want of CPU and by scarce models, from tables",
        new: || Box::new(Fast::default()),
    },
    Builtin {
        name: "fgd",
        doc: "fragmentation gradient descent as published: least growth of the GPU that expected pods cannot use",
        new: || Box::new(Fgd::default()),
    },
    Builtin {
        name: "gpu_clustering",
        doc: "nodes that hold pods of the same GPU ask, the fullest first",
        new: || Box::new(GpuClustering::default()),
    },
    Builtin {
        name: "gpu_packing",
        doc: "GPUs that are shared already, then nodes in use, then empty nodes",
        new: || Box::new(GpuPacking),
    },
    Builtin {
        name: "random",
        doc: "any node on which the pod fits, with equal chance; seeded",
        new: || Box::new(Random),
    },
    Builtin {
        name: "worst_fit",
        doc: "the node that is left emptiest in CPU and GPU",
        new: || Box::new(WorstFit::default()),
    },
];

/// The policy of that name; `None` when there is none.
#[must_use]
pub fn by_name(name: &str) -> Option<Box<dyn Policy>> {
    BUILTIN.iter().find(|b| b.name == name).map(|b| (b.new)())
}

/// An amount as a score sees it.
#[expect(clippy::cast_precision_loss, reason = "scores rank; beyond 2^53 neighbours may tie")]
pub(in crate::online) const fn real(amount: u64) -> f64 {
    amount as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_names_are_true() {
        assert!(BUILTIN.is_sorted_by_key(|b| b.name));
        for builtin in BUILTIN {
            assert_eq!((builtin.new)().name(), builtin.name);
            assert!(by_name(builtin.name).is_some());
        }
        assert!(by_name("no-such-policy").is_none());
    }
}
