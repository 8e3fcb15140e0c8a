//! Looking several moves ahead in small worlds: layers of assignments, one more move apart from the start each.
//!
//! While a layer has no more assignments than its width, all are kept: a search that never cut is exhaustive, and its
//! answer is the best within reach through allowed states. A layer that outgrows its width keeps its best (a beam).

use std::collections::BTreeMap;

use super::board::{Board, Gain, Hop, Rules, Terms, fall};
use super::{AHEAD_UNITS, Found};
use crate::effort::Effort;

/// A narrower beam is not worth it.
const WIDTH_MIN: u64 = 12;

/// Layers without a better assignment after which a beam ends.
const PATIENCE: u32 = 3;

/// Wider layers only cost memory.
const WIDTH_MAX: u64 = 4000;

/// An assignment that was reached.
#[derive(Debug, Clone)]
struct Reached {
    parent: usize,
    hop: Hop,
    /// Earned besides evenness on the way, less what was paid so often as the threshold asks.
    earned: f64,
    saved: f64,
    net: f64,
    saving: f64,
    depth: usize,
}

/// Width of the layers for this board; `None` when it is too large to look ahead.
pub(super) fn width<R: Rules>(board: &Board<R>, terms: &Terms) -> Option<u64> {
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let nodes = if terms.target.is_some() {
        1
    } else {
        board.least_used().count()
    };
    let workloads = board.movable.iter().filter(|m| **m).count();
    let per_layer = wide(nodes).saturating_mul(wide(workloads)).max(1);
    // Beyond as many moves as there are workloads, more depth only comes back.
    let width = AHEAD_UNITS / per_layer.saturating_mul(wide(depth(board, terms.moves_max)));
    (terms.together && width >= WIDTH_MIN).then_some(width.min(WIDTH_MAX))
}

/// Layers worth building: beyond a few moves more than there are workloads, more depth only comes back.
fn depth<R: Rules>(board: &Board<R>, moves_max: usize) -> usize {
    let workloads = board.movable.iter().filter(|m| **m).count();
    moves_max.min(workloads + 2).max(1)
}

/// The best sequence of at most `moves_max` moves, if one is worth it; the board is left as it is after it.
pub(super) fn best<R: Rules>(
    board: &mut Board<R>,
    terms: &Terms,
    moves_max: usize,
    width: u64,
    effort: &mut Effort<'_>,
) -> Found {
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    let mut tree = Tree::new(board);
    let mut layer: Vec<usize> = vec![0];
    let (mut cut, mut ended) = (false, false);
    let (mut best_net, mut idle) = (0.0, 0);
    for _ in 0..moves_max.min(depth(board, moves_max)) {
        let mut next = Vec::new();
        for &parent in &layer {
            if !effort.within(1.0) {
                ended = true;
                break;
            }
            tree.walk(board, parent);
            next.extend(tree.expand(board, terms, parent, effort));
        }
        if next.is_empty() || ended {
            break;
        }
        if next.len() > width {
            cut = true;
            next.sort_by(|a, b| tree.reached[*b].net.total_cmp(&tree.reached[*a].net).then(a.cmp(b)));
            next.truncate(width);
        }
        layer = next;
        let net = layer.iter().map(|i| tree.reached[*i].net).fold(best_net, f64::max);
        idle = if net > best_net { 0 } else { idle + 1 };
        best_net = net;
        if cut && idle >= PATIENCE {
            break;
        }
    }
    let best = tree.best(terms);
    tree.walk(board, best);
    Found {
        hops: tree.path(best),
        more: ended,
        exhaustive: !cut && !ended,
    }
}

/// All assignments that were reached, and where the board is among them.
struct Tree {
    reached: Vec<Reached>,
    seen: BTreeMap<Box<[u32]>, usize>,
    here: usize,
    rms: f64,
}

impl Tree {
    fn new<R: Rules>(board: &Board<R>) -> Self {
        let root = Reached {
            parent: 0,
            hop: Hop {
                workload: 0,
                from: 0,
                to: 0,
            },
            earned: 0.0,
            saved: 0.0,
            net: 0.0,
            saving: 0.0,
            depth: 0,
        };
        Self {
            reached: vec![root],
            seen: BTreeMap::from([(assignment(&board.at), 0)]),
            here: 0,
            rms: board.loads.rms(),
        }
    }

    /// Moves from the root to an assignment.
    fn path(&self, mut index: usize) -> Vec<Hop> {
        let mut hops = Vec::new();
        while index != 0 {
            hops.push(self.reached[index].hop);
            index = self.reached[index].parent;
        }
        hops.reverse();
        hops
    }

    /// Brings the board to an assignment, through the last one both ways have in common.
    fn walk<R: Rules>(&mut self, board: &mut Board<R>, to: usize) {
        let mut ahead = Vec::new();
        let (mut up, mut target) = (self.here, to);
        while up != target {
            if self.reached[up].depth >= self.reached[target].depth {
                let hop = self.reached[up].hop;
                board.shift(hop.workload, hop.from);
                up = self.reached[up].parent;
            } else {
                ahead.push(self.reached[target].hop);
                target = self.reached[target].parent;
            }
        }
        for hop in ahead.into_iter().rev() {
            board.shift(hop.workload, hop.to);
        }
        self.here = to;
    }

    /// Assignments one allowed move from where the board is, as far as they are new.
    fn expand<R: Rules>(
        &mut self,
        board: &mut Board<R>,
        terms: &Terms,
        parent: usize,
        effort: &mut Effort<'_>,
    ) -> Vec<usize> {
        let nodes = super::greedy::receivers(board, terms, usize::MAX);
        let mut new = Vec::new();
        let mut key = assignment(&board.at);
        let rms = board.loads.rms();
        for workload in (0..board.at.len()).filter(|w| board.movable[*w]).collect::<Vec<_>>() {
            let from = board.at[workload];
            for &to in &nodes {
                effort.spend(1);
                let Some(gain) = board.gain(workload, to, rms, terms) else {
                    continue;
                };
                key[workload] = short(to);
                let known = self.seen.get(&key).copied();
                let better = |old: &Reached| {
                    old.depth == self.reached[parent].depth + 1 && self.earned(parent, &gain, rms, terms).0 > old.earned
                };
                let takes = known.is_none_or(|old| better(&self.reached[old]));
                if takes && board.forbidden(workload, to, terms).is_none() {
                    let reached = self.reach(parent, Hop { workload, from, to }, &gain, rms, terms);
                    match known {
                        Some(old) => self.reached[old] = reached,
                        None => {
                            self.seen.insert(key.clone(), self.reached.len());
                            new.push(self.reached.len());
                            self.reached.push(reached);
                        }
                    }
                }
            }
            key[workload] = short(from);
        }
        new
    }

    /// What is earned besides evenness up to and with a move: less its price, and without it.
    fn earned(&self, parent: usize, gain: &Gain, rms: f64, terms: &Terms) -> (f64, f64) {
        let saves = gain.saving - terms.value * fall(rms, gain.rms_after);
        let before = &self.reached[parent];
        (
            before.earned + saves - terms.threshold * gain.cost,
            before.saved + saves,
        )
    }

    fn reach(&self, parent: usize, hop: Hop, gain: &Gain, rms: f64, terms: &Terms) -> Reached {
        let (earned, saved) = self.earned(parent, gain, rms, terms);
        let even = terms.value * fall(self.rms, gain.rms_after);
        Reached {
            parent,
            hop,
            earned,
            saved,
            net: even + earned,
            saving: even + saved,
            depth: self.reached[parent].depth + 1,
        }
    }

    /// The assignment with the largest net that is worth it, the fewest moves first; the root when none is.
    fn best(&self, terms: &Terms) -> usize {
        let mut best = 0;
        for (index, reached) in self.reached.iter().enumerate().skip(1) {
            let gain = Gain {
                saving: reached.saving,
                cost: 0.0,
                rms_after: 0.0,
            };
            let worth = gain.counts(terms) && reached.net >= 0.0;
            let better = best == 0 || reached.net > self.reached[best].net;
            if worth && better {
                best = index;
            }
        }
        best
    }
}

fn assignment(at: &[usize]) -> Box<[u32]> {
    at.iter().map(|n| short(*n)).collect()
}

/// A node in few bytes; worlds that are looked ahead in are small.
fn short(node: usize) -> u32 {
    u32::try_from(node).unwrap_or(u32::MAX)
}
