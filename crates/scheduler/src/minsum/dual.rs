//! Moving costs between tables so that the sum of the least entries, a lower bound, grows; and dropping states by it.
//!
//! Sequential tree-reweighted message passing (Kolmogorov, TPAMI 2006; the form without explicit trees is his SRMP of
//! 2015, for pairs) with the nodes in their order and back. Our deviation: shares are whole numbers, rounded down, and
//! what is left stays at the node, so that all sums are kept exactly. Deciding when to stop is the search's.

use super::core::{Core, UNDECIDED};
use super::{FORBIDDEN, IMPOSSIBLE};

/// Goes once over all nodes, forwards or backwards, and gives the assignment that taking the best state of each node in
/// that order leads to. The lower bound is `core.constant` afterwards; it never falls.
pub(super) fn pass(core: &mut Core, forwards: bool) -> Vec<usize> {
    let count = core.unary.len();
    let mut states = vec![UNDECIDED; count];
    for step in 0..count {
        let node = if forwards { step } else { count - 1 - step };
        collect(core, node, forwards);
        states[node] = core.best_state(node, &states).0;
        share(core, node, forwards);
    }
    states
}

/// Pulls everything that can be said about `node` alone into its costs and what is common to all its states into the
/// constant: afterwards `unary[s]` is what choosing `s` adds to the bound at least.
pub(super) fn gather(core: &mut Core, node: usize) {
    let mut unary = std::mem::take(&mut core.unary[node]);
    for &joint in &core.of[node] {
        core.joints[joint].pull(node, &mut unary);
    }
    core.unary[node] = unary;
    normalise(core, node);
}

/// Pulls from the tables towards nodes already passed.
fn collect(core: &mut Core, node: usize, forwards: bool) {
    let mut unary = std::mem::take(&mut core.unary[node]);
    for &joint in &core.of[node] {
        if is_passed(node, core.joints[joint].other(node), forwards) {
            core.joints[joint].pull(node, &mut unary);
        }
    }
    core.unary[node] = unary;
    normalise(core, node);
}

const fn is_passed(node: usize, other: usize, forwards: bool) -> bool {
    if forwards { other < node } else { other > node }
}

fn normalise(core: &mut Core, node: usize) {
    let least = core.unary[node].iter().copied().min().unwrap_or(FORBIDDEN);
    if least >= IMPOSSIBLE {
        core.constant = FORBIDDEN;
        return;
    }
    core.constant += least;
    for cost in core.unary[node].iter_mut().filter(|cost| **cost < IMPOSSIBLE) {
        *cost -= least;
    }
}

/// Hands the node's costs on in equal shares to the tables towards nodes not yet passed. Where more tables were passed
/// than are to come, a share stays for each of the difference: that is the weight of chains which end here.
fn share(core: &mut Core, node: usize, forwards: bool) {
    let passed = |core: &Core, joint: usize| is_passed(node, core.joints[joint].other(node), forwards);
    let before = core.of[node].iter().filter(|j| passed(core, **j)).count();
    let after = core.of[node].len() - before;
    let shares = i64::try_from(before.max(after)).unwrap_or(i64::MAX);
    if after == 0 {
        return;
    }
    let parts: Vec<i64> = core.unary[node]
        .iter()
        .map(|cost| if *cost < IMPOSSIBLE { cost / shares } else { 0 })
        .collect();
    for &joint in &core.of[node] {
        let joint = &mut core.joints[joint];
        if is_passed(node, joint.other(node), forwards) {
            continue;
        }
        for ((moved, part), cost) in joint.from(node).iter_mut().zip(&parts).zip(&core.unary[node]) {
            *moved = if *cost < IMPOSSIBLE { *moved + part } else { FORBIDDEN };
        }
    }
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    for (cost, part) in core.unary[node].iter_mut().zip(&parts) {
        *cost -= part * after;
    }
}
