//! Choosing a node: the class's index is brought up to date, and its best node that no rule forbids is taken.

use std::cmp::Ordering;

use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::OnlineError;
use super::index::{NONE, Tournament, key};
use super::placer::{ClassId, Placer};
use super::policy::Pick;
use super::room::Devices;
use super::score::{score, view};

/// Draws before all fitting nodes are listed.
const DRAWS_MAX: usize = 64;

/// A node on which a class fits, as a scan sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fitting {
    /// Number of the node.
    pub node: usize,
    /// What the place costs; lower is better.
    pub cost: f64,
    /// The devices that would be taken.
    pub devices: Devices,
}

impl Placer {
    /// Every node on which the class fits as things are, the best first, by looking at every node and every rule anew:
    /// what the index must agree with. Costs as much as there are nodes.
    ///
    /// # Errors
    /// [`OnlineError::UnknownClass`].
    pub fn scan(&mut self, class: ClassId) -> Result<Vec<Fitting>, OnlineError> {
        self.known(class)?;
        let class = &self.classes[class.0];
        let levels = self.rules.levels(class);
        let mut fitting = Vec::new();
        for node in 0..self.nodes.len() {
            let value = self.policy.value(&view(&self.nodes, node));
            let place = score(
                self.policy.as_mut(),
                self.carbon_weight,
                &self.nodes,
                class,
                node,
                value,
            );
            let Some(place) = place else { continue };
            if self.rules.first_broken(class, node, &levels).is_none() {
                fitting.push(Fitting {
                    node,
                    cost: place.cost,
                    devices: place.devices,
                });
            }
        }
        fitting.sort_by(|a, b| key(a.cost).cmp(&key(b.cost)).then(Ordering::Equal));
        Ok(fitting)
    }

    /// The node and devices for one pod of the class; `None`: it fits nowhere as things are.
    pub(super) fn choose(&mut self, class: usize) -> Option<(usize, Devices)> {
        self.refresh(class);
        match self.policy.pick() {
            Pick::LeastCost => {
                let node = self.best_allowed(class)?;
                Some((node, self.devices_on(class, node)?))
            }
            Pick::AnyFitting => {
                let node = self.draw_node(class)?;
                Some((node, self.draw_devices(class, node)))
            }
        }
    }

    /// Brings the index of a class up to date.
    pub(super) fn refresh(&mut self, class: usize) {
        let cached = &mut self.cached[class];
        let class = &self.classes[class];
        let (nodes, policy, carbon_weight) = (&self.nodes, self.policy.as_mut(), self.carbon_weight);
        let mut key_of = |node: usize| {
            let place = score(policy, carbon_weight, nodes, class, node, nodes.entries[node].value);
            place.map_or(NONE, |place| key(place.cost))
        };
        match cached.seen.and_then(|seen| self.changes.since(seen)) {
            Some(changed) => changed.for_each(|node| cached.tree.set(node, key_of(node))),
            None => cached.tree = Tournament::build((0..nodes.len()).map(key_of)),
        }
        cached.seen = Some(self.changes.end());
    }

    fn best_allowed(&self, class: usize) -> Option<usize> {
        let tree = &self.cached[class].tree;
        let class = &self.classes[class];
        if !class.rules.ask() {
            return tree.best();
        }
        let levels = self.rules.levels(class);
        tree.ascending()
            .find(|node| self.rules.first_broken(class, *node, &levels).is_none())
    }

    /// The devices for a class on a node; `None`: it does not fit.
    pub(super) fn devices_on(&mut self, class: usize, node: usize) -> Option<Devices> {
        let value = self.nodes.entries[node].value;
        let class = &self.classes[class];
        score(
            self.policy.as_mut(),
            self.carbon_weight,
            &self.nodes,
            class,
            node,
            value,
        )
        .map(|place| place.devices)
    }

    fn draw_node(&mut self, class: usize) -> Option<usize> {
        self.cached[class].tree.best()?;
        let count = self.nodes.len();
        let levels = self.rules.levels(&self.classes[class]);
        for _ in 0..DRAWS_MAX {
            let node = self.below(count);
            if self.may(class, node, &levels) {
                return Some(node);
            }
        }
        let fitting: Vec<usize> = (0..count).filter(|node| self.may(class, *node, &levels)).collect();
        let drawn = self.below(fitting.len());
        fitting.get(drawn).copied()
    }

    fn may(&self, class: usize, node: usize, levels: &[u32]) -> bool {
        let fits = self.cached[class].tree.get(node) != NONE;
        fits && self.rules.first_broken(&self.classes[class], node, levels).is_none()
    }

    /// Any device that serves a share; whole devices are alike.
    fn draw_devices(&mut self, class: usize, node: usize) -> Devices {
        let class = &self.classes[class];
        let room = self.nodes.room(node);
        if class.share == 0 {
            return room.fullest(class);
        }
        let serving = (0..room.devices.len()).filter(|d| room.devices[*d] >= class.share);
        let serving: Vec<usize> = serving.collect();
        let drawn = self.below(serving.len());
        serving.get(drawn).map_or(Devices::NONE, |device| Devices::one(*device))
    }

    /// A number below `count`, each with equal chance; 0 when there is none.
    fn below(&mut self, count: usize) -> usize {
        let wide = u128::from(self.drawn.next_u64()) * count as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }
}
