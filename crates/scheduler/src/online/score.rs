//! What a place costs a class, device by device: the one computation that the index caches and a scan repeats.

use super::class::Class;
use super::nodes::Nodes;
use super::policy::{Ask, DeviceRule, NodeView, Policy, Trial};
use super::room::{DEVICES_MAX, Devices};

/// A node on which a class fits: what it costs there, and the devices to take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) cost: f64,
    pub(super) devices: Devices,
}

/// What is free on a node, as policies see it.
pub(super) fn view(nodes: &Nodes, node: usize) -> NodeView<'_> {
    let room = nodes.room(node);
    NodeView::new(
        (room.room.cpu, room.room.memory),
        room.devices,
        nodes.facts(node),
        &nodes.asks[node],
    )
}

/// `None`: the class is barred from the node or has no room on it. Rules about other pods are not asked.
///
/// `value` is what the policy makes of the node as it is.
pub(super) fn score(
    policy: &mut dyn Policy,
    carbon_weight: f64,
    nodes: &Nodes,
    class: &Class,
    node: usize,
    value: f64,
) -> Option<Place> {
    let room = nodes.room(node);
    if class.barred[nodes.profile(node)].is_some() || !room.fits(class) {
        return None;
    }
    let before = view(nodes, node);
    let mut scorer = Scorer {
        policy,
        before,
        value,
        ask: class.ask(),
    };
    let mut place = if class.share > 0 && scorer.policy.device_rule() == DeviceRule::LeastCost {
        scorer.each_device()
    } else {
        let devices = room.fullest(class);
        scorer.on(devices)
    };
    if carbon_weight > 0.0 {
        let grams = nodes.specs[node].carbon_g_per_kwh.unwrap_or(u32::MAX);
        place.cost += carbon_weight * f64::from(grams);
    }
    Some(place)
}

struct Scorer<'a> {
    policy: &'a mut dyn Policy,
    before: NodeView<'a>,
    value: f64,
    ask: Ask,
}

impl Scorer<'_> {
    /// The device with the least cost; devices with equal room cost the same, so one of them is asked.
    fn each_device(&mut self) -> Place {
        let devices = self.before.devices;
        let mut best: Option<Place> = None;
        for (device, free) in devices.iter().enumerate() {
            if *free < self.ask.share || devices[..device].contains(free) {
                continue;
            }
            let place = self.on(Devices::one(device));
            if best.is_none_or(|b| place.cost < b.cost) {
                best = Some(place);
            }
        }
        best.unwrap_or(Place {
            cost: f64::NAN,
            devices: Devices::NONE,
        })
    }

    #[inline]
    fn on(&mut self, devices: Devices) -> Place {
        let mut space = [0_u16; DEVICES_MAX];
        let after = &mut space[..self.before.devices.len()];
        after.copy_from_slice(self.before.devices);
        let each = if self.ask.whole > 0 { 1000 } else { self.ask.share };
        devices.iter().for_each(|device| after[device] -= each);
        let trial = Trial {
            before: self.before,
            value: self.value,
            after: NodeView {
                cpu: self.before.cpu - self.ask.cpu,
                memory: self.before.memory - self.ask.memory,
                devices: after,
                ..self.before
            },
            ask: self.ask,
        };
        Place {
            cost: self.policy.cost(&trial),
            devices,
        }
    }
}
