//! Fast: the least GPU made useless, judged by tables alone.
//!
//! Fragmentation gradient descent (see [`super::Fgd`]) asks which pods fit on a node one at a time. Three things it does
//! not see strand GPUs as well: CPU used up beside free GPUs, devices begun, and models that some pods insist on given to
//! pods that do not. Each is a term here; all are looked up, none is searched.

use super::ahead::{Outlook, begun};
use super::fragments::Fragments;
use super::{DeviceRule, NodeView, Policy, Trial, World};

/// Weight of GPU that waits for CPU: it may still be served by a frugal pod.
const SHORTAGE: f64 = 0.5;
/// Part of the CPU per GPU asked for that counts as needed.
const THRIFT: f64 = 0.8;
/// A device begun, in thousandths of a device.
const BEGUN: f64 = 50.0;
/// What free GPU of a model is worth that is wholly asked for by name.
const SCARCE: f64 = 0.3;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Fast {
    fragments: Fragments,
    outlook: Outlook,
}

impl Policy for Fast {
    fn name(&self) -> &'static str {
        "fast"
    }

    fn learn(&mut self, world: &World<'_>) {
        self.fragments = Fragments::new(world, |pod| pod.count);
        self.outlook = Outlook::new(world, THRIFT);
    }

    fn device_rule(&self) -> DeviceRule {
        DeviceRule::LeastCost
    }

    fn value(&mut self, node: &NodeView<'_>) -> f64 {
        let gpu = f64::from(node.gpu());
        self.fragments.of(node) / self.fragments.total.max(1.0)
            + SHORTAGE * self.outlook.shortage(node, gpu)
            + BEGUN * begun(node)
            - SCARCE * self.outlook.scarcity(node) * gpu
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        self.value(&trial.after) - trial.value
    }
}
