//! Bound, drop, eliminate, branch: the search over what is left of a model without leaves.
//!
//! Depth first, the promising half first; what is open when the work ends gives the bound. Moving costs and eliminating
//! have rooms of their own.

use crate::effort::Effort;

use super::core::Core;
use super::dual::{gather, pass};
use super::eliminate::{eliminate, plan};
use super::{FORBIDDEN, IMPOSSIBLE, Limits};

/// Passes over a node of the search before its states are looked through; a pass goes once forwards and once back.
const PASSES_PER_ROUND: usize = 3;

/// Rounds without a dropped state and with little gain after which a node is branched.
const IDLE_ROUNDS_MAX: usize = 2;

/// Rounds at most, at the root and below it.
const ROUNDS_MAX: (usize, usize) = (40, 4);

/// Work of an elimination that is done at once, without improving the bound first.
const CHEAP_WORK: u64 = 200_000;

/// Nodes of the search that wait, at most; what is beyond is given up, and its bound stays.
const OPEN_NODES_MAX: usize = 4096;

/// What was found: the cheapest assignment below the limit, by the model's state numbers, and a lower bound.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) best: Option<(i64, Vec<usize>)>,
    pub(super) bound: i64,
    /// Lower bounds by state, as far as they are wanted.
    pub(super) marginals: Vec<Vec<i64>>,
}

/// The search's progress.
#[derive(Debug)]
struct Search<'a> {
    limits: &'a Limits,
    best: Option<(i64, Vec<usize>)>,
    /// Only what is cheaper than this matters.
    beat: i64,
}

/// What became of a node of the search.
enum Fate {
    /// Nothing in it can be better than what is known.
    Closed,
    /// Too wide still; its bound.
    Open(Core, i64),
}

/// The cheapest assignment that costs less than `beat`.
pub(super) fn minimise(core: Core, limits: &Limits, beat: i64, effort: &mut Effort<'_>) -> Found {
    let mut search = Search {
        limits,
        best: None,
        beat: beat.min(IMPOSSIBLE),
    };
    let mut core = core;
    let marginals = if limits.marginals {
        search.marginals(&mut core)
    } else {
        Vec::new()
    };
    let entries = entries(&core).max(1);
    let room = usize::try_from(limits.entries_max / entries).unwrap_or(usize::MAX);
    let open_max = room.clamp(2, OPEN_NODES_MAX);
    let mut stack = vec![(core, 0)];
    let mut abandoned = FORBIDDEN;
    let mut is_root = true;
    while let Some((core, bound)) = stack.pop() {
        if bound >= search.beat {
            continue;
        }
        if !is_root && (stack.len() >= open_max || !effort.within(1.0)) {
            abandoned = abandoned.min(bound);
            continue;
        }
        if let Fate::Open(core, bound) = search.examine(core, is_root, effort) {
            stack.extend(branches(core).into_iter().map(|core| (core, bound)));
        }
        is_root = false;
    }
    let best_cost = search.best.as_ref().map_or(search.beat, |(cost, _)| *cost);
    let bound = abandoned.min(best_cost);
    Found {
        bound: if search.best.is_none() && bound >= search.beat {
            FORBIDDEN
        } else {
            bound
        },
        best: search.best,
        marginals,
    }
}

fn entries(core: &Core) -> u64 {
    core.joints.iter().map(|joint| joint.table.len() as u64).sum()
}

impl Search<'_> {
    fn offer(&mut self, core: &Core, states: &[usize]) {
        let cost = core.cost(states);
        if cost < self.beat {
            self.beat = cost;
            self.best = Some((cost, core.named(states)));
        }
    }

    fn examine(&mut self, mut core: Core, is_root: bool, effort: &mut Effort<'_>) -> Fate {
        let rounds = if is_root { ROUNDS_MAX.0 } else { ROUNDS_MAX.1 };
        let mut idle = 0;
        for round in 0..=rounds {
            if core.is_empty() || core.constant >= self.beat {
                return Fate::Closed;
            }
            let last = round == rounds || idle >= IDLE_ROUNDS_MAX || !effort.within(1.0);
            if let Some(plan) = plan(&core, self.limits).filter(|plan| last || plan.work <= CHEAP_WORK) {
                effort.spend(plan.work / 1000);
                if let Some((_, states)) = eliminate(&core, &plan) {
                    self.offer(&core, &states);
                }
                return Fate::Closed;
            }
            if last {
                break;
            }
            let before = core.constant;
            self.passes(&mut core);
            // Two looks at each entry per pass, and the planning of an elimination.
            effort.spend(entries(&core) * 5 * PASSES_PER_ROUND as u64 / 1000 + core.unary.len() as u64 / 4 + 1);
            let dropped = self.drop_useless(&mut core);
            let gained = core.constant - before > (self.beat - core.constant) / 20;
            idle = if dropped || gained { 0 } else { idle + 1 };
        }
        let bound = core.constant;
        Fate::Open(core, bound)
    }

    /// Lower bounds by state after one round of passes.
    fn marginals(&mut self, core: &mut Core) -> Vec<Vec<i64>> {
        let mut marginals: Vec<Vec<i64>> = core.all_states.iter().map(|count| vec![FORBIDDEN; *count]).collect();
        if !core.is_empty() {
            self.passes(core);
        }
        for (node, marginals) in marginals.iter_mut().enumerate() {
            gather(core, node);
            for (name, cost) in core.names[node].iter().zip(&core.unary[node]) {
                marginals[*name as usize] = core.constant.saturating_add(*cost).min(FORBIDDEN);
            }
        }
        marginals
    }

    /// One round of passes, with the assignments that they lead to.
    fn passes(&mut self, core: &mut Core) {
        for _ in 0..PASSES_PER_ROUND {
            for forwards in [true, false] {
                let mut states = pass(core, forwards);
                if core.constant >= self.beat {
                    return;
                }
                improve(core, &mut states);
                self.offer(core, &states);
            }
        }
    }

    /// Drops states that no assignment better than the best known has.
    fn drop_useless(&self, core: &mut Core) -> bool {
        for node in 0..core.unary.len() {
            gather(core, node);
            let room = self.beat - core.constant;
            for cost in core.unary[node].iter_mut().filter(|cost| **cost >= room) {
                *cost = FORBIDDEN;
            }
        }
        core.drop_states(&vec![None; core.unary.len()], FORBIDDEN)
    }
}

/// Moves single nodes to better states until none is left.
fn improve(core: &Core, states: &mut [usize]) {
    const SWEEPS_MAX: usize = 8;
    for _ in 0..SWEEPS_MAX {
        let mut changed = false;
        for node in 0..core.unary.len() {
            let (state, cost, present) = core.best_state(node, states);
            if cost < present {
                states[node] = state;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

/// Two halves of a node that is too wide: without and (to be looked at first) with the best state of one of its nodes. Of
/// the nodes with a choice, that with the most joints is taken, then that with the fewest states, then the first.
fn branches(core: Core) -> Vec<Core> {
    let open = (0..core.unary.len()).filter(|n| core.unary[*n].len() > 1);
    let choice = open.max_by_key(|n| {
        let joints = core.of[*n]
            .iter()
            .filter(|j| core.unary[core.joints[**j].other(*n)].len() > 1)
            .count();
        (joints, std::cmp::Reverse(core.unary[*n].len()), std::cmp::Reverse(*n))
    });
    let Some(node) = choice else {
        return vec![core];
    };
    let best = core.unary[node]
        .iter()
        .enumerate()
        .min_by_key(|(state, cost)| (**cost, *state));
    let state = best.map_or(0, |(state, _)| state);
    let half = |wanted: bool| {
        let mut half = core.clone();
        let mut only = vec![None; half.unary.len()];
        only[node] = Some((state, wanted));
        half.drop_states(&only, FORBIDDEN);
        half
    };
    vec![half(false), half(true)]
}
