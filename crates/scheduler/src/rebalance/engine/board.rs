//! Which workload is on which node, and what moving one of them gives.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::loads::{Leaving, Loads};

/// A level this much over the ceiling is still at it: sums of shares are rounded.
const ROUNDING: f64 = 1e-9;

/// Changes of the root mean square below it are rounding, not evenness.
const NOISE: f64 = 1e-12;

/// Whose rules a search keeps, and what a move is worth besides evenness.
pub(crate) trait Rules {
    /// Names a rule in a report.
    type Rule: Copy + Ord;

    /// The rule that forbids a workload on a node as things are now; it is on `from`, and `to` is another node.
    fn reject(&mut self, workload: usize, from: usize, to: usize) -> Option<Self::Rule>;

    /// The rule of an overloaded receiver.
    fn overload(&self, workload: usize, to: usize) -> Self::Rule;

    /// Says that a workload has moved.
    fn moved(&mut self, workload: usize, from: usize, to: usize);

    /// What a move saves over the horizon besides evenness, in micro-USD; negative when it costs.
    fn saves(&mut self, workload: usize, from: usize, to: usize) -> f64;

    /// What a move costs, in micro-USD.
    fn cost(&self, workload: usize, from: usize, to: usize) -> f64;
}

/// What the caller wants of a search.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// What a fall of the root mean square from 1 to 0 is worth over the horizon, in micro-USD.
    pub(crate) value: f64,
    /// Saving over cost that a move must reach.
    pub(crate) threshold: f64,
    pub(crate) moves_max: usize,
    /// The only node that may receive.
    pub(crate) target: Option<usize>,
    /// Whether two workloads may change places, and moves be weighed several at a time.
    pub(crate) together: bool,
    /// Most of a receiver that may be used.
    pub(crate) ceiling: f64,
    /// The least saving that counts, in micro-USD.
    pub(crate) least: f64,
}

/// One workload from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) workload: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// What a hop, or several, would give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gain {
    /// Over the horizon, in micro-USD.
    pub(crate) saving: f64,
    pub(crate) cost: f64,
    pub(crate) rms_after: f64,
}

impl Gain {
    /// What is left of the saving when the cost counts as often as the threshold asks.
    pub(crate) fn net(&self, terms: &Terms) -> f64 {
        self.saving - terms.threshold * self.cost
    }

    /// Whether it is worth it.
    pub(crate) fn counts(&self, terms: &Terms) -> bool {
        self.saving >= terms.least && self.net(terms) >= 0.0
    }
}

/// A hop with its net, ordered by it; ties go to the lower workload and node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked {
    pub(crate) net: f64,
    pub(crate) hop: Hop,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |r: &Self| (r.hop.workload, r.hop.to);
        self.net.total_cmp(&other.net).then_with(|| key(other).cmp(&key(self)))
    }
}

/// An assignment with everything that weighing a move needs.
#[derive(Debug, Clone)]
pub(crate) struct Board<R> {
    pub(crate) rules: R,
    pub(crate) loads: Loads,
    /// Node of each workload.
    pub(crate) at: Vec<usize>,
    /// Workloads of each node.
    pub(crate) residents: Vec<Vec<usize>>,
    pub(crate) movable: Vec<bool>,
    /// Nodes that count, the least used first.
    order: BTreeSet<(u64, usize)>,
}

/// Bits of a number that is not negative, in its order.
fn key(level: f64) -> u64 {
    (level + 0.0).to_bits()
}

impl<R: Rules> Board<R> {
    /// A board over these parts; `loads` must know every node and what is on it.
    pub(crate) fn new(rules: R, mut loads: Loads, at: Vec<usize>, movable: Vec<bool>, nodes: usize) -> Self {
        loads.refresh();
        let mut residents = vec![Vec::new(); nodes];
        for (workload, node) in at.iter().enumerate() {
            residents[*node].push(workload);
        }
        let order = (0..nodes)
            .filter(|n| loads.counts(*n))
            .map(|n| (key(loads.level(n)), n))
            .collect();
        Self {
            rules,
            loads,
            at,
            residents,
            movable,
            order,
        }
    }

    /// Adds an empty node, which does not count until it [enters](Self::enter).
    pub(crate) fn add_node(&mut self, capacity: &[u64]) -> usize {
        let node = self.residents.len();
        self.loads.add_node(capacity, &vec![0; capacity.len()], false);
        self.residents.push(Vec::new());
        node
    }

    /// A node counts from now on.
    pub(crate) fn enter(&mut self, node: usize) {
        self.loads.set_counted(node, true);
        self.order.insert((key(self.loads.level(node)), node));
    }

    /// A node counts no more.
    pub(crate) fn leave(&mut self, node: usize) {
        self.loads.set_counted(node, false);
        self.order.remove(&(key(self.loads.level(node)), node));
    }
    /// Nodes that count, the least used first.
    pub(crate) fn least_used(&self) -> impl Iterator<Item = usize> {
        self.order.iter().map(|(_, node)| *node)
    }

    /// Nodes that count, the most used first.
    pub(crate) fn most_used(&self) -> impl Iterator<Item = usize> {
        self.order.iter().rev().map(|(_, node)| *node)
    }

    /// Workloads of a node that may move, in rising order.
    pub(crate) fn movable_on(&self, node: usize) -> Vec<usize> {
        let mut list: Vec<usize> = self.residents[node]
            .iter()
            .copied()
            .filter(|w| self.movable[*w])
            .collect();
        list.sort_unstable();
        list
    }

    /// Moves a workload, allowed or not.
    pub(crate) fn shift(&mut self, workload: usize, to: usize) -> Hop {
        let from = self.at[workload];
        for node in [from, to] {
            self.order.remove(&(key(self.loads.level(node)), node));
        }
        self.rules.moved(workload, from, to);
        self.loads.shift(workload, from, to);
        let place = self.residents[from].iter().position(|w| *w == workload);
        place.map(|i| self.residents[from].swap_remove(i));
        self.residents[to].push(workload);
        self.at[workload] = to;
        for node in [from, to].into_iter().filter(|n| self.loads.counts(*n)) {
            self.order.insert((key(self.loads.level(node)), node));
        }
        Hop { workload, from, to }
    }

    /// The sums without a workload on its node.
    pub(crate) fn leaving(&self, workload: usize) -> Leaving {
        let from = self.at[workload];
        self.loads
            .leaving(from, self.loads.level_after(from, Some(workload), None))
    }

    /// What a move would give; `None` when it is there already.
    pub(crate) fn gain(&mut self, workload: usize, to: usize, rms: f64, terms: &Terms) -> Option<Gain> {
        let leaving = self.leaving(workload);
        self.gain_from(&leaving, workload, to, rms, terms)
    }

    /// As [`Board::gain`], when what leaving gives is known.
    pub(crate) fn gain_from(
        &mut self,
        leaving: &Leaving,
        workload: usize,
        to: usize,
        rms: f64,
        terms: &Terms,
    ) -> Option<Gain> {
        let from = self.at[workload];
        if from == to {
            return None;
        }
        let level = self.loads.level_after(to, None, Some(workload));
        let rms_after = self.loads.rms_after(leaving, to, level);
        Some(Gain {
            saving: terms.value * fall(rms, rms_after) + self.rules.saves(workload, from, to),
            cost: self.rules.cost(workload, from, to),
            rms_after,
        })
    }

    /// The rule that forbids a move now.
    pub(crate) fn forbidden(&mut self, workload: usize, to: usize, terms: &Terms) -> Option<R::Rule> {
        let from = self.at[workload];
        let full = self.loads.raw_after(to, None, Some(workload)) > terms.ceiling + ROUNDING;
        let overload = full.then(|| self.rules.overload(workload, to));
        overload.or_else(|| self.rules.reject(workload, from, to))
    }
}

/// How much evenness is gained; negative when it is lost.
pub(crate) fn fall(before: f64, after: f64) -> f64 {
    let fall = before - after;
    if fall.abs() < NOISE { 0.0 } else { fall }
}

/// What stood in the way when nothing was moved.
#[derive(Debug)]
pub(crate) struct Obstacles<Rule> {
    /// The allowed move with the best saving over cost.
    pub(crate) best: Option<Gain>,
    /// Moves worth it, by the rule that forbids them.
    pub(crate) rejected: BTreeMap<Rule, u32>,
}
