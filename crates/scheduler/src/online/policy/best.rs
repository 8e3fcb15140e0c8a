//! Best: the least GPU made useless, with a look ahead and, where nothing fits, a bounded number of moves.

use super::ahead::{Outlook, begun};
use super::fills::Fills;
use super::fragments::Fragments;
use super::{DeviceRule, NodeView, Policy, Trial, World, real};
use crate::online::Moves;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Best {
    fragments: Fragments,
    outlook: Outlook,
    fills: Fills,
}

impl Policy for Best {
    fn name(&self) -> &'static str {
        "best"
    }

    fn learn(&mut self, world: &World<'_>) {
        self.fragments = Fragments::new(world, |pod| pod.count * libm::sqrt(f64::from(pod.ask.gpu()) / 1000.0));
        self.outlook = Outlook::new(world, 0.7);
        self.fills = Fills::new(world);
    }

    fn device_rule(&self) -> DeviceRule {
        DeviceRule::LeastCost
    }

    fn moves(&self) -> Moves {
        Moves {
            per_placement_max: 12,
            share_max: 0.08,
        }
    }

    fn value(&mut self, node: &NodeView<'_>) -> f64 {
        let gpu = f64::from(node.gpu());
        let opened = real(node.facts.cpu) > real(node.cpu) || node.facts.gpu > node.gpu();
        0.25 * self.fragments.of(node) / self.fragments.total.max(1.0)
            + 0.1 * self.outlook.shortage(node, gpu)
            + 20.0 * begun(node)
            + if opened { 70.0 } else { 0.0 }
            - 2.0 * self.outlook.scarcity(node) * gpu
            + 4.0 * self.fills.stranded(node)
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        self.value(&trial.after) - trial.value
    }
}
