//! Noisy neighbours: who suffers moves away, or who makes others suffer does, whichever leaves more.
//!
//! What a workload suffers is measured; where it is not, it is the part of its node's use that is over the ceiling. A
//! workload is noisy when it uses more than `burst` times its request, and the measured slow-downs on a node are put down
//! to its noisy workloads by how much of the node each takes beyond its request. Receivers are quiet: nobody on them
//! suffers, and what the newcomer really uses fits under the ceiling.

use std::collections::{BTreeMap, BinaryHeap};

use super::answer::{Refusal, Rule, Why};
use super::book::Book;
use super::index::{Index, used};
use super::plan::nothing_to_move;
use super::report::{Account, Draft};
use crate::effort::Effort;
use crate::formulas::{CostBenefit, as_f64, wide};
use crate::rebalance::engine::{Board, Gain, Hop, Ranked, Terms};

/// Receivers that are looked through for one workload.
const RECEIVERS_MAX: usize = 256;

/// What is noisy and who suffers, as things are now.
#[derive(Debug, Clone, Default)]
pub(super) struct Noise {
    /// What an hour of a workload that stands still is worth, over the horizon.
    value: f64,
    /// By workload: measured slow-down, when nothing had moved on its node; `None`: not measured.
    slowed: Vec<Option<f64>>,
    /// By workload and dimension: what is used beyond the request, of those that are noisy.
    excess: Vec<u64>,
    /// By workload: largest use over request.
    factor: Vec<f64>,
    /// By node: one over its capacity, by dimension.
    inverse: Vec<f64>,
    dims: usize,
    /// By node.
    of: Vec<NodeNoise>,
    ceiling: f64,
    /// Measured slow-downs up to this count as none.
    tolerance: f64,
}

#[derive(Debug, Clone, Copy)]
struct NodeNoise {
    /// Sum of the excess shares of its workloads.
    excess: f64,
    /// The part of the measured slow-downs that is left.
    left: f64,
    /// Workloads that are not measured.
    estimated: usize,
}

impl Noise {
    fn new(index: &Index<'_>, board: &Board<Book<'_>>, terms: &Terms, burst: f64, tolerance: f64) -> Self {
        let dims = index.dims();
        let mut noise = Self {
            value: terms.value,
            slowed: Vec::new(),
            excess: Vec::new(),
            factor: Vec::new(),
            inverse: index
                .nodes
                .iter()
                .flat_map(|n| n.capacity.iter().map(|c| 1.0 / wide((*c).max(1))))
                .collect(),
            dims,
            of: vec![
                NodeNoise {
                    excess: 0.0,
                    left: 1.0,
                    estimated: 0,
                };
                index.nodes.len()
            ],
            ceiling: terms.ceiling,
            tolerance,
        };
        for (number, workload) in index.workloads.iter().enumerate() {
            noise.slowed.push(workload.slowed);
            let pairs = used(workload).iter().zip(&workload.request);
            let ratio = |(uses, asks): (&u64, &u64)| {
                if *uses == 0 {
                    0.0
                } else {
                    wide(*uses) / wide((*asks).max(1))
                }
            };
            let factors: Vec<f64> = pairs.clone().map(ratio).collect();
            let over = pairs
                .zip(&factors)
                .map(|((uses, asks), f)| if *f > burst { uses.saturating_sub(*asks) } else { 0 });
            noise.excess.extend(over);
            noise.factor.push(factors.into_iter().fold(0.0, f64::max));
            let node = board.at[number];
            let excess = noise.excess_on(number, node);
            let of = &mut noise.of[node];
            of.excess += excess;
            of.estimated += usize::from(workload.slowed.is_none());
        }
        noise
    }

    /// The part of a node that a workload takes beyond its request, when it is noisy.
    fn excess_on(&self, workload: usize, node: usize) -> f64 {
        let shares =
            (0..self.dims).map(|d| wide(self.excess[workload * self.dims + d]) * self.inverse[node * self.dims + d]);
        shares.fold(0.0, f64::max)
    }

    /// How much each workload on a node at this use is slowed, where it is not measured.
    fn crowd(&self, raw: f64) -> f64 {
        if raw > self.ceiling + 1e-9 {
            (raw - self.ceiling) / raw
        } else {
            0.0
        }
    }

    /// What a workload suffers by measure when this part of it is left.
    fn measured(&self, workload: usize, left: f64) -> f64 {
        let slowed = self.slowed[workload].unwrap_or(0.0) * left;
        if slowed > self.tolerance { slowed } else { 0.0 }
    }

    /// Sum of all slow-downs on a node.
    fn on(&self, board: &Board<Book<'_>>, node: usize) -> f64 {
        let of = self.of[node];
        let measured = board.residents[node]
            .iter()
            .fold(0.0, |sum, w| sum + self.measured(*w, of.left));
        measured + as_f64(of.estimated) * self.crowd(board.loads.raw_after(node, None, None))
    }

    /// The part of the noise of its node that a workload makes.
    fn part(&self, workload: usize, node: usize) -> f64 {
        let excess = self.excess_on(workload, node);
        if excess > 0.0 {
            (excess / self.of[node].excess).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// What ends when a workload leaves its node: its own slow-down, and that of others.
    fn relief(&self, board: &Board<Book<'_>>, workload: usize) -> [f64; 2] {
        let node = board.at[workload];
        let of = self.of[node];
        let crowd = self.crowd(board.loads.raw_after(node, None, None));
        let crowd_after = self.crowd(board.loads.raw_after(node, Some(workload), None));
        let (measured, left_after) = (self.slowed[workload], of.left * (1.0 - self.part(workload, node)));
        let own = measured.map_or(crowd, |_| self.measured(workload, of.left));
        let estimated = as_f64(of.estimated - usize::from(measured.is_none())) * (crowd - crowd_after);
        let others = board.residents[node].iter().filter(|w| **w != workload);
        let ends = |sum: f64, w: &usize| sum + self.measured(*w, of.left) - self.measured(*w, left_after);
        [own, others.fold(estimated, ends)]
    }

    /// Moves a workload's noise; gives what that saves and why. To be asked while the board is as before.
    pub(super) fn moved(&mut self, board: &Board<Book<'_>>, hop: Hop) -> (f64, Why) {
        let Hop { workload, from, to } = hop;
        let [own, others] = self.relief(board, workload);
        let part = self.part(workload, from);
        let why = if others > own {
            Why::Noisy {
                factor: self.factor[workload],
                relieves: others,
            }
        } else {
            Why::Suffers { slowed: own }
        };
        let (leaves, joins) = (self.excess_on(workload, from), self.excess_on(workload, to));
        let measured = self.slowed[workload].map(|_| 0.0);
        let of = &mut self.of[from];
        of.excess = (of.excess - leaves).max(0.0);
        of.left *= 1.0 - part;
        of.estimated -= usize::from(measured.is_none());
        let of = &mut self.of[to];
        of.excess += joins;
        of.estimated += usize::from(measured.is_none());
        self.slowed[workload] = measured;
        (self.value * (own + others), why)
    }

    /// Measured slow-downs as they are now, by workload.
    pub(super) fn slowed(&self, board: &Board<Book<'_>>) -> Vec<Option<f64>> {
        let now = self.slowed.iter().zip(&board.at);
        now.map(|(slowed, node)| slowed.map(|s| s * self.of[*node].left))
            .collect()
    }
}

pub(super) fn draft<'a>(
    index: &Index<'a>,
    start: &Board<Book<'a>>,
    terms: &Terms,
    [burst, tolerance]: [f64; 2],
    effort: &mut Effort<'_>,
) -> Draft<'a> {
    if let Some(refusal) = nothing_to_move(start) {
        return Draft::refused(refusal);
    }
    let noise = Noise::new(index, start, terms, burst, tolerance);
    let mut quieting = Quieting {
        board: start.clone(),
        noise: noise.clone(),
        terms,
        best: None,
        rejected: BTreeMap::new(),
    };
    let (hops, more) = quieting.run(effort);
    let refusal = hops.is_empty().then(|| quieting.refusal(more));
    Draft {
        hops,
        account: Account::Noise(noise),
        more,
        refusal,
        ..Draft::default()
    }
}

struct Quieting<'t, 'a> {
    board: Board<Book<'a>>,
    noise: Noise,
    terms: &'t Terms,
    /// The best cost over saving that was too much.
    best: Option<f64>,
    rejected: BTreeMap<Rule, u32>,
}

impl Quieting<'_, '_> {
    fn run(&mut self, effort: &mut Effort<'_>) -> (Vec<Hop>, bool) {
        let mut hops = Vec::new();
        loop {
            // A move can make room for one that was stuck: all nodes are asked again until none has a move.
            let heap: BinaryHeap<Ranked> = (0..self.board.residents.len())
                .filter_map(|n| self.best_of(n))
                .collect();
            if heap.is_empty() {
                return (hops, false);
            }
            if !self.drain(heap, effort, &mut hops) {
                return (hops, true);
            }
        }
    }

    /// Makes the moves of these nodes, the best first; `false`: moves or effort ended.
    fn drain(&mut self, mut heap: BinaryHeap<Ranked>, effort: &mut Effort<'_>, hops: &mut Vec<Hop>) -> bool {
        while let Some(first) = heap.pop() {
            // Receivers fill up: what was best may not be any more.
            let Some(now) = self.best_of(first.hop.from) else {
                continue;
            };
            if heap.peek().is_some_and(|next| *next > now) {
                heap.push(now);
                continue;
            }
            if hops.len() >= self.terms.moves_max || !effort.within(1.0) {
                return false;
            }
            effort.spend(1);
            self.noise.moved(&self.board, now.hop);
            hops.push(self.board.shift(now.hop.workload, now.hop.to));
            heap.extend(self.best_of(first.hop.from));
        }
        true
    }

    /// The move away from a node that leaves most.
    fn best_of(&mut self, node: usize) -> Option<Ranked> {
        if self.noise.on(&self.board, node) <= 0.0 {
            return None;
        }
        let mut ranked: Vec<Ranked> = Vec::new();
        for workload in self.board.movable_on(node) {
            let relief = self.noise.relief(&self.board, workload);
            let gain = Gain {
                saving: self.noise.value * (relief[0] + relief[1]),
                cost: self.board.rules.move_cost(workload),
                rms_after: 0.0,
            };
            if gain.saving < 1.0 {
                continue;
            }
            if gain.counts(self.terms) {
                let hop = Hop {
                    workload,
                    from: node,
                    to: node,
                };
                ranked.push(Ranked {
                    net: gain.net(self.terms),
                    hop,
                });
            } else {
                let ratio = gain.cost / gain.saving;
                self.best = Some(self.best.map_or(ratio, |best| best.min(ratio)));
            }
        }
        ranked.sort_by(|a, b| b.cmp(a));
        ranked.into_iter().find_map(|ranked| {
            let to = self.receiver(ranked.hop.workload)?;
            Some(Ranked {
                hop: Hop { to, ..ranked.hop },
                ..ranked
            })
        })
    }

    /// The least used quiet node that may take a workload.
    fn receiver(&mut self, workload: usize) -> Option<usize> {
        let from = self.board.at[workload];
        let nodes: Vec<usize> = self
            .board
            .least_used()
            .filter(|n| *n != from)
            .take(RECEIVERS_MAX)
            .collect();
        for node in nodes {
            if self.noise.on(&self.board, node) > 0.0 {
                continue;
            }
            match self.board.forbidden(workload, node, self.terms) {
                None => return Some(node),
                Some(rule) => *self.rejected.entry(rule).or_insert(0) += 1,
            }
        }
        None
    }

    fn refusal(&self, more: bool) -> Refusal {
        if more {
            return Refusal::TooManyMoves {
                moves_max: u32::try_from(self.terms.moves_max).unwrap_or(u32::MAX),
            };
        }
        if !self.rejected.is_empty() {
            return Refusal::Forbidden {
                rejected: self.rejected.clone(),
            };
        }
        match self.best {
            Some(best) => Refusal::NotWorthIt {
                best: CostBenefit::Ratio(best),
                threshold: self.terms.threshold,
            },
            None => Refusal::NothingToGain {
                rms: self.board.loads.rms(),
            },
        }
    }
}
