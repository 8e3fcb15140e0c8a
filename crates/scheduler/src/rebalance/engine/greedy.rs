//! Steepest descent: always the move that gives most, as long as one is worth it.
//!
//! Nodes wait in a heap by the best that moving one of their workloads would give. A move changes two nodes, and with
//! them, a little, what all others would give; so the first of the heap is weighed anew, and taken when it is still
//! first. When no single move is left, two workloads may change places.

use std::collections::BinaryHeap;

use super::Found;
use super::board::{Board, Gain, Hop, Obstacles, Ranked, Rules, Terms};
use super::swap;
use crate::effort::Effort;
use crate::formulas::as_f64;

/// Receivers that are weighed for a workload: the least used give most.
const RECEIVERS: usize = 16;

/// Receivers that are looked through when rules forbid those.
const RECEIVERS_MAX: usize = 64;

/// A move is taken at once when it gives this part of what the next in the heap gave when it was weighed last: most of
/// the heap is a little stale after every move, and weighing it all anew would find hardly more.
const CLOSE_ENOUGH: f64 = 0.95;

/// Nodes above which a world is large.
const LARGE: usize = 48;

/// Nodes from either end of the order that a refusal looks at.
const WITNESSES: usize = 32;

/// The best allowed move of a workload, if one is worth it.
pub(super) fn best_hop<R: Rules>(
    board: &mut Board<R>,
    terms: &Terms,
    workload: usize,
    receivers: &[usize],
    rms: f64,
) -> Option<Ranked> {
    let from = board.at[workload];
    let mut best: Option<Ranked> = None;
    let mut stopped = false;
    let leaving = board.leaving(workload);
    for (number, &to) in receivers.iter().enumerate() {
        if number >= RECEIVERS && (best.is_some() || !stopped) {
            break;
        }
        let Some(gain) = board.gain_from(&leaving, workload, to, rms, terms) else {
            continue;
        };
        let ranked = Ranked {
            net: gain.net(terms),
            hop: Hop { workload, from, to },
        };
        if !gain.counts(terms) || best.is_some_and(|b| b >= ranked) {
            continue;
        }
        if board.forbidden(workload, to, terms).is_some() {
            stopped = true;
        } else {
            best = Some(ranked);
        }
    }
    best
}

/// Nodes that may receive, the least used first.
pub(super) fn receivers<R: Rules>(board: &Board<R>, terms: &Terms, max: usize) -> Vec<usize> {
    match terms.target {
        Some(target) => vec![target],
        None => board.least_used().take(max).collect(),
    }
}

fn best_of<R: Rules>(
    board: &mut Board<R>,
    terms: &Terms,
    node: usize,
    receivers: &[usize],
    rms: f64,
) -> Option<Ranked> {
    let workloads = board.movable_on(node);
    workloads
        .into_iter()
        .filter_map(|w| best_hop(board, terms, w, receivers, rms))
        .max()
}

/// Moves until none is worth it, or `moves_max` are made, or effort ends.
pub(super) fn descend<R: Rules>(
    board: &mut Board<R>,
    terms: &Terms,
    moves_max: usize,
    effort: &mut Effort<'_>,
) -> Found {
    let mut found = Found::default();
    loop {
        board.loads.refresh();
        if !effort.within(1.0) {
            found.more = true;
            return found;
        }
        let before = found.hops.len();
        let terms = &worthwhile(board, terms);
        let heap = fill(board, terms);
        effort.spend(u64::try_from(board.at.len()).unwrap_or(u64::MAX));
        if before >= moves_max {
            found.more = !heap.is_empty();
            return found;
        }
        drain(board, terms, heap, moves_max, effort, &mut found.hops);
        if found.hops.len() == before && terms.together {
            swap::exchange(board, terms, moves_max - before, &mut found);
        }
        if found.hops.len() == before {
            return found;
        }
    }
}

/// Terms under which a move must take a good part of what an average node adds to the imbalance, and of what a node
/// that is a little off adds: without it, a large world would be polished by thousands of moves that no one could
/// measure. Both are falls of the sum of `LB_i²`, turned into falls of its root mean.
fn worthwhile<R: Rules>(board: &Board<R>, terms: &Terms) -> Terms {
    /// A quarter of what an average node adds.
    const PART: f64 = 0.25;
    /// What a node with an `LB` of 1/32 adds.
    const OFF: f64 = 1.0 / 1024.0;
    let nodes = board.least_used().count();
    let rms = board.loads.rms().max(1e-9);
    let fall = (PART * rms * rms).max(OFF) / (2.0 * rms * as_f64(nodes.max(1)));
    let least = terms.value * fall;
    Terms {
        least: if nodes > LARGE {
            terms.least.max(least)
        } else {
            terms.least
        },
        ..terms.clone()
    }
}

/// Every node with a move that is worth it.
fn fill<R: Rules>(board: &mut Board<R>, terms: &Terms) -> BinaryHeap<Ranked> {
    let receivers = receivers(board, terms, RECEIVERS_MAX);
    let rms = board.loads.rms();
    let nodes = 0..board.residents.len();
    nodes
        .filter_map(|n| best_of(board, terms, n, &receivers, rms))
        .collect()
}

fn drain<R: Rules>(
    board: &mut Board<R>,
    terms: &Terms,
    mut heap: BinaryHeap<Ranked>,
    moves_max: usize,
    effort: &mut Effort<'_>,
    hops: &mut Vec<Hop>,
) {
    let mut to_nodes = receivers(board, terms, RECEIVERS_MAX);
    let mut rms = board.loads.rms();
    while let Some(first) = heap.pop() {
        let source = first.hop.from;
        let Some(now) = best_of(board, terms, source, &to_nodes, rms) else {
            continue;
        };
        if heap.peek().is_some_and(|next| now.net < CLOSE_ENOUGH * next.net) {
            heap.push(now);
            continue;
        }
        hops.push(board.shift(now.hop.workload, now.hop.to));
        effort.spend(1);
        if hops.len() >= moves_max || !effort.within(1.0) {
            return;
        }
        to_nodes = receivers(board, terms, RECEIVERS_MAX);
        rms = board.loads.rms();
        // Both ends may give again; what they give is weighed when their turn comes.
        heap.push(now);
        heap.push(Ranked {
            hop: Hop {
                from: now.hop.to,
                ..now.hop
            },
            ..now
        });
    }
}

/// What stood in the way: the moves between the most and the least used nodes.
pub(crate) fn obstacles<R: Rules>(board: &mut Board<R>, terms: &Terms) -> Obstacles<R::Rule> {
    let mut obstacles = Obstacles {
        best: None,
        rejected: std::collections::BTreeMap::new(),
    };
    let rms = board.loads.rms();
    let to_nodes = receivers(board, terms, WITNESSES);
    let sources: Vec<usize> = board.most_used().take(WITNESSES).collect();
    for source in sources {
        for workload in board.movable_on(source) {
            for &to in &to_nodes {
                let Some(gain) = board.gain(workload, to, rms, terms).filter(|g| g.saving >= 1.0) else {
                    continue;
                };
                if let Some(rule) = board.forbidden(workload, to, terms) {
                    *obstacles.rejected.entry(rule).or_insert(0) += 1;
                } else if obstacles.best.is_none_or(|best| ratio(&gain) < ratio(&best)) {
                    obstacles.best = Some(gain);
                }
            }
        }
    }
    obstacles
}

fn ratio(gain: &Gain) -> f64 {
    gain.cost / gain.saving
}
