//! Pods on one node without which a newcomer would fit there: one, two, or as few more as a greedy choice finds.

use super::class::Class;
use super::migrate::Candidate;
use super::nodes::Nodes;
use super::placer::Placer;
use super::room::{DEVICE, Devices, Sketch};

/// A pod that has a place elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Movable {
    slot: u32,
    class: usize,
    devices: Devices,
    /// What the other place costs.
    cost: f64,
}

/// What the best place costs each class as things are, once it was asked; the inner `None`: there is none.
#[derive(Debug, Clone)]
pub(super) struct Elsewhere(Vec<Option<Option<f64>>>);

impl Elsewhere {
    pub(super) fn new(classes: usize) -> Self {
        Self(vec![None; classes])
    }
}

impl Placer {
    /// Adds single pods; if there are none, pairs; if there are none, one larger set of at most `moves_max`.
    pub(super) fn candidates_on(
        &mut self,
        newcomer: usize,
        node: usize,
        moves_max: usize,
        elsewhere: &mut Elsewhere,
        found: &mut Vec<Candidate>,
    ) {
        let movable = self.movable_on(node, elsewhere);
        let search = Search {
            classes: &self.classes,
            newcomer: &self.classes[newcomer],
            node,
            room: self.nodes.room(node).sketch(),
            movable: &movable,
        };
        if search.singles(found) || moves_max < 2 || search.pairs(found) {
            return;
        }
        found.extend(search.drain(&self.nodes, moves_max));
    }

    fn movable_on(&mut self, node: usize, elsewhere: &mut Elsewhere) -> Vec<Movable> {
        let mut movable = Vec::new();
        for at in 0..self.nodes.residents[node].len() {
            let slot = self.nodes.residents[node][at];
            let Some(pod) = self.pods.get(slot).copied() else {
                continue;
            };
            if !self.classes[pod.class].rules.are_none() {
                continue;
            }
            if let Some(cost) = self.cost_elsewhere(pod.class, elsewhere) {
                movable.push(Movable {
                    slot,
                    class: pod.class,
                    devices: pod.devices,
                    cost,
                });
            }
        }
        movable
    }

    fn cost_elsewhere(&mut self, class: usize, known: &mut Elsewhere) -> Option<f64> {
        if let Some(cost) = known.0[class] {
            return cost;
        }
        self.refresh(class);
        let tree = &self.cached[class].tree;
        let cost = tree.best().map(|node| tree.cost(node));
        known.0[class] = Some(cost);
        cost
    }
}

/// The search on one node.
struct Search<'a> {
    classes: &'a [Class],
    newcomer: &'a Class,
    node: usize,
    room: Sketch,
    movable: &'a [Movable],
}

impl Search<'_> {
    fn candidate(&self, pods: &[Movable]) -> Candidate {
        Candidate {
            cost: pods.iter().map(|pod| pod.cost).sum(),
            node: self.node,
            slots: pods.iter().map(|pod| pod.slot).collect(),
            exchange: None,
        }
    }

    /// Whether a pod like this one, with the same devices, comes earlier in the list.
    fn is_repeated(&self, at: usize) -> bool {
        let pod = &self.movable[at];
        let earlier = self.movable[..at].iter();
        earlier
            .clone()
            .any(|other| (other.class, other.devices) == (pod.class, pod.devices))
    }

    fn singles(&self, found: &mut Vec<Candidate>) -> bool {
        let before = found.len();
        for (at, pod) in self.movable.iter().enumerate() {
            let mut room = self.room.clone();
            room.give(&self.classes[pod.class], pod.devices);
            if room.as_ref().fits(self.newcomer) && !self.is_repeated(at) {
                found.push(self.candidate(&[*pod]));
            }
        }
        found.len() > before
    }

    fn pairs(&self, found: &mut Vec<Candidate>) -> bool {
        let before = found.len();
        for (at, one) in self.movable.iter().enumerate().filter(|(at, _)| !self.is_repeated(*at)) {
            let mut room = self.room.clone();
            room.give(&self.classes[one.class], one.devices);
            for two in &self.movable[at + 1..] {
                let mut room = room.clone();
                room.give(&self.classes[two.class], two.devices);
                if room.as_ref().fits(self.newcomer) {
                    found.push(self.candidate(&[*one, *two]));
                }
            }
        }
        found.len() > before
    }

    /// Clears the devices with fewest pods, and then takes the pods with most CPU, until the newcomer fits.
    fn drain(&self, nodes: &Nodes, moves_max: usize) -> Option<Candidate> {
        let devices = nodes.room(self.node).devices;
        let pods_on = |device: usize| {
            self.movable
                .iter()
                .filter(|pod| pod.devices.iter().any(|d| d == device))
                .count()
        };
        let mut order: Vec<(usize, usize)> = (0..devices.len()).map(|device| (pods_on(device), device)).collect();
        order.retain(|(_, device)| devices[*device] < DEVICE);
        order.sort_unstable();
        let mut left: Vec<Movable> = self.movable.to_vec();
        let (mut room, mut taken) = (self.room.clone(), Vec::new());
        let mut cleared = order.iter();
        while taken.len() <= moves_max && !room.as_ref().fits(self.newcomer) {
            let lacks_gpu = !room.as_ref().has_devices(self.newcomer);
            let next: Vec<Movable> = if lacks_gpu {
                let (_, device) = cleared.next()?;
                let on_it = left.iter().filter(|pod| pod.devices.iter().any(|d| d == *device));
                on_it.copied().collect()
            } else {
                let most = left
                    .iter()
                    .max_by_key(|pod| (self.classes[pod.class].cpu, std::cmp::Reverse(pod.slot)));
                vec![*most?]
            };
            for pod in next {
                room.give(&self.classes[pod.class], pod.devices);
                left.retain(|other| other.slot != pod.slot);
                taken.push(pod);
            }
        }
        (taken.len() <= moves_max).then(|| self.candidate(&taken))
    }
}
