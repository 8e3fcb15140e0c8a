//! Making room by moving: a pod that fits nowhere gets a place when one or two others can stand elsewhere as well.
//!
//! Only pods without any rule about other pods are moved, so a move can break none. How many is bounded per placement and
//! in all, and the search looks at a bounded number of pods; it begins where the last one ended.

use super::candidates::Elsewhere;
use super::placer::{Moved, Placer};
use super::room::Devices;
use super::swap::Exchange;

/// Pods that one search looks at.
const LOOKS_MAX: usize = 50_000;
/// Candidates that are tried in earnest.
const TRIES_MAX: usize = 16;

/// A node and the pods to be moved off it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) cost: f64,
    pub(super) node: usize,
    /// Pods that find a place elsewhere.
    pub(super) slots: Vec<u32>,
    /// A pod that changes places with one elsewhere.
    pub(super) exchange: Option<(u32, u32)>,
}

impl Candidate {
    fn moves(&self) -> usize {
        self.slots.len() + 2 * usize::from(self.exchange.is_some())
    }
}

impl Placer {
    /// The place that is free after moves, which are made; `None`: there is no way within the bounds, nothing is changed.
    pub(super) fn make_room(&mut self, class: usize, moved: &mut Vec<Moved>) -> Option<(usize, Devices)> {
        if self.moves_left() == 0 || self.cached[class].stuck == Some(self.changes.end()) {
            return None;
        }
        if !self.policy.moves_for(&self.classes[class].ask()) {
            return None;
        }
        let mut candidates = self.candidates(class);
        candidates.sort_by(|a, b| {
            let size = a.moves().cmp(&b.moves());
            size.then(a.cost.total_cmp(&b.cost))
                .then(a.node.cmp(&b.node))
                .then_with(|| (&a.slots, a.exchange).cmp(&(&b.slots, b.exchange)))
        });
        let outer = self.journal.take();
        let place = candidates
            .iter()
            .take(TRIES_MAX)
            .find_map(|candidate| self.try_moves(class, candidate, moved));
        let inner = self.journal.take();
        self.journal = outer;
        if let (Some(journal), Some(inner)) = (&mut self.journal, inner) {
            journal.extend(inner);
        }
        match place {
            Some(_) => self.moved += moved.len() as u64,
            None => self.cached[class].stuck = Some(self.changes.end()),
        }
        place
    }

    /// Moves that may still be made for one placement.
    fn moves_left(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "the share is finite and not negative; a bound needs no exactness beyond 2^53"
        )]
        let allowed = (self.placements as f64 * self.moves.share_max) as u64;
        let left = allowed.saturating_sub(self.moved);
        self.moves
            .per_placement_max
            .min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// Lifts the pods, and gives the class its place and them others; takes everything back when that fails.
    fn try_moves(&mut self, class: usize, candidate: &Candidate, moved: &mut Vec<Moved>) -> Option<(usize, Devices)> {
        self.journal = Some(Vec::new());
        if let Some(pair) = candidate.exchange {
            return self.try_exchange(class, candidate.node, pair, moved);
        }
        let lifted: Vec<_> = candidate
            .slots
            .iter()
            .filter_map(|slot| Some((*slot, self.lift(*slot)?)))
            .collect();
        let done = self.devices_on(class, candidate.node).and_then(|devices| {
            // The newcomer stands there while the others look for places.
            let slot = self.pods.open();
            self.put(slot, class, candidate.node, devices, 0);
            let mut moves = Vec::new();
            for (other, pod) in &lifted {
                let Some((node, devices)) = self.choose(pod.class) else {
                    break;
                };
                self.put(*other, pod.class, node, devices, pod.gang);
                moves.push(Moved {
                    pod: self.pods.id(*other),
                    from: pod.node,
                    to: node,
                    devices,
                });
            }
            self.lift(slot);
            self.pods.close(slot);
            (moves.len() == lifted.len()).then_some((devices, moves))
        });
        match done {
            Some((devices, moves)) => {
                moved.extend(moves);
                Some((candidate.node, devices))
            }
            None => {
                self.undo(0);
                None
            }
        }
    }

    /// Two pods that take the same GPU change places.
    fn try_exchange(
        &mut self,
        class: usize,
        node: usize,
        pair: (u32, u32),
        moved: &mut Vec<Moved>,
    ) -> Option<(usize, Devices)> {
        let mut moves = Vec::new();
        let exchanged = self.exchange_pair(pair, &mut moves);
        let devices = if exchanged { self.devices_on(class, node) } else { None };
        if devices.is_some() {
            moved.extend(moves);
        } else {
            self.undo(0);
        }
        devices.map(|devices| (node, devices))
    }

    /// Whether the two could change places, which they did then.
    fn exchange_pair(&mut self, (slot, partner): (u32, u32), moves: &mut Vec<Moved>) -> bool {
        let (Some(one), Some(two)) = (self.lift(slot), self.lift(partner)) else {
            return false;
        };
        for (slot, pod, at) in [(slot, one, two), (partner, two, one)] {
            if !self.nodes.room(at.node).fits(&self.classes[pod.class]) {
                return false;
            }
            self.put(slot, pod.class, at.node, at.devices, pod.gang);
            moves.push(Moved {
                pod: self.pods.id(slot),
                from: pod.node,
                to: at.node,
                devices: at.devices,
            });
        }
        true
    }

    fn candidates(&mut self, class: usize) -> Vec<Candidate> {
        let count = self.nodes.len();
        let levels = self.rules.levels(&self.classes[class]);
        let mut elsewhere = Elsewhere::new(self.classes.len());
        let moves_max = self.moves_left();
        let (mut candidates, mut looks) = (Vec::new(), 0);
        let exchange = if moves_max > 1 {
            self.exchange()
        } else {
            Exchange::new()
        };
        for step in 0..count {
            let node = (self.search_from + step) % count;
            let barred = self.classes[class].barred[self.nodes.profile(node)].is_some();
            if barred || self.rules.first_broken(&self.classes[class], node, &levels).is_some() {
                continue;
            }
            if looks > LOOKS_MAX {
                self.search_from = node;
                break;
            }
            looks += self.nodes.residents[node].len() + 1;
            self.candidates_on(class, node, moves_max, &mut elsewhere, &mut candidates);
            self.exchanges_on(class, node, &exchange, &mut candidates);
        }
        candidates
    }
}
