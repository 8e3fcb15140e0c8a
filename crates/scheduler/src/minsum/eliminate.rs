//! Exact elimination: a variable and all tables that name it give way to one table over its neighbours.
//!
//! Equal to dynamic programming over the tree decomposition that the order stands for; greedy by least table, which finds
//! the best order for chains, trees, ladders and series-parallel graphs. Whether it is affordable is known before it is
//! done ([`plan`]). Bounds do not belong here.

use std::collections::BTreeSet;

use super::core::Core;
use super::{FORBIDDEN, IMPOSSIBLE, Limits};

/// An order of elimination that keeps within limits, and how many entries it looks at.
#[derive(Debug)]
pub(super) struct Plan {
    order: Vec<usize>,
    pub(super) work: u64,
}

/// The greedy order; `None` where it would make too large a table or too much work.
pub(super) fn plan(core: &Core, limits: &Limits) -> Option<Plan> {
    let sizes: Vec<u64> = core.unary.iter().map(|costs| costs.len() as u64).collect();
    let mut neighbours: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); sizes.len()];
    for joint in &core.joints {
        neighbours[joint.a].insert(joint.b);
        neighbours[joint.b].insert(joint.a);
    }
    let entries = |scope: &BTreeSet<usize>| scope.iter().map(|v| sizes[*v]).fold(1u64, u64::saturating_mul);
    let mut queue: BTreeSet<(u64, usize)> = neighbours.iter().map(&entries).zip(0..).collect();
    let mut order = Vec::with_capacity(sizes.len());
    let mut work = 0u64;
    while let Some((table, node)) = queue.pop_first() {
        work = work.saturating_add(table.saturating_mul(sizes[node]));
        if table > limits.table_entries_max || work > limits.elimination_max {
            return None;
        }
        order.push(node);
        let scope = std::mem::take(&mut neighbours[node]);
        for &other in &scope {
            queue.remove(&(entries(&neighbours[other]), other));
            neighbours[other].remove(&node);
            neighbours[other].extend(scope.iter().filter(|n| **n != other));
            queue.insert((entries(&neighbours[other]), other));
        }
    }
    Some(Plan { order, work })
}

/// Costs over some nodes, the states of the first outermost.
#[derive(Debug)]
struct Factor {
    scope: Vec<usize>,
    table: Vec<i64>,
}

/// The best state of an eliminated node for each assignment of its scope.
#[derive(Debug)]
struct Decision {
    node: usize,
    scope: Vec<usize>,
    choices: Vec<u32>,
}

/// The least cost and an assignment (state positions) that has it; `None`: everything is forbidden.
pub(super) fn eliminate(core: &Core, plan: &Plan) -> Option<(i64, Vec<usize>)> {
    let mut factors: Vec<Option<Factor>> = Vec::with_capacity(core.unary.len() * 2 + core.joints.len());
    let mut naming: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); core.unary.len()];
    let add = |factors: &mut Vec<Option<Factor>>, naming: &mut Vec<BTreeSet<usize>>, factor: Factor| {
        for &node in &factor.scope {
            naming[node].insert(factors.len());
        }
        factors.push(Some(factor));
    };
    for (node, costs) in core.unary.iter().enumerate() {
        let (scope, table) = (vec![node], costs.clone());
        add(&mut factors, &mut naming, Factor { scope, table });
    }
    for joint in &core.joints {
        let mut table = joint.table.clone();
        for (row, moved) in table.chunks_exact_mut(joint.from_b.len().max(1)).zip(&joint.from_a) {
            for (cost, other) in row.iter_mut().zip(&joint.from_b) {
                *cost = (*cost + moved + other).min(FORBIDDEN);
            }
        }
        let scope = vec![joint.a, joint.b];
        add(&mut factors, &mut naming, Factor { scope, table });
    }
    let mut constant = core.constant;
    let mut decisions = Vec::with_capacity(plan.order.len());
    for &node in &plan.order {
        let mut involved = Vec::new();
        for index in std::mem::take(&mut naming[node]) {
            let factor = factors[index].take();
            for other in factor.iter().flat_map(|f| &f.scope).filter(|other| **other != node) {
                naming[*other].remove(&index);
            }
            involved.extend(factor);
        }
        let (factor, choices) = fold(core, node, &involved);
        decisions.push(Decision {
            node,
            scope: factor.scope.clone(),
            choices,
        });
        if factor.scope.is_empty() {
            constant = constant.saturating_add(factor.table[0]);
        } else {
            add(&mut factors, &mut naming, factor);
        }
    }
    (constant < IMPOSSIBLE).then(|| (constant, decide(core, &decisions)))
}

fn decide(core: &Core, decisions: &[Decision]) -> Vec<usize> {
    let mut states = vec![0; core.unary.len()];
    for decision in decisions.iter().rev() {
        let at = decision
            .scope
            .iter()
            .fold(0, |at, n| at * core.unary[*n].len() + states[*n]);
        states[decision.node] = decision.choices[at] as usize;
    }
    states
}

/// Adds the factors up and takes the least over `node`.
fn fold(core: &Core, node: usize, involved: &[Factor]) -> (Factor, Vec<u32>) {
    let scope: BTreeSet<usize> = involved
        .iter()
        .flat_map(|f| &f.scope)
        .copied()
        .filter(|n| *n != node)
        .collect();
    let scope: Vec<usize> = scope.into_iter().collect();
    let size = |n: &usize| core.unary[*n].len();
    let own = size(&node);
    // How far one step of a node moves in a factor's table; 0 where the factor does not name it.
    let stride = |factor: &Factor, wanted: usize| {
        let at = factor.scope.iter().position(|n| *n == wanted)?;
        Some(factor.scope[at + 1..].iter().map(size).product::<usize>())
    };
    let strides: Vec<Vec<usize>> = involved
        .iter()
        .map(|f| scope.iter().map(|n| stride(f, *n).unwrap_or(0)).collect())
        .collect();
    let own_strides: Vec<usize> = involved.iter().map(|f| stride(f, node).unwrap_or(0)).collect();
    let entries: usize = scope.iter().map(size).product();
    let mut table = Vec::with_capacity(entries);
    let mut choices = Vec::with_capacity(entries);
    let mut counter = vec![0; scope.len()];
    let mut bases = vec![0usize; involved.len()];
    let mut sums = vec![0i64; own];
    for _ in 0..entries {
        sums.fill(0);
        for ((factor, base), step) in involved.iter().zip(&bases).zip(&own_strides) {
            let entries = factor.table[*base..].iter().step_by((*step).max(1));
            for (sum, cost) in sums.iter_mut().zip(entries) {
                *sum = (*sum + cost).min(FORBIDDEN);
            }
        }
        let best = sums.iter().zip(0u32..).min_by_key(|(cost, state)| (**cost, *state));
        let (cost, state) = best.map_or((FORBIDDEN, 0), |(cost, state)| (*cost, state));
        table.push(cost);
        choices.push(state);
        advance(&mut counter, &mut bases, &strides, &scope, core);
    }
    (Factor { scope, table }, choices)
}

/// To the next assignment of the scope, the last node fastest, with the places in the tables.
fn advance(counter: &mut [usize], bases: &mut [usize], strides: &[Vec<usize>], scope: &[usize], core: &Core) {
    for digit in (0..scope.len()).rev() {
        counter[digit] += 1;
        let wraps = counter[digit] == core.unary[scope[digit]].len();
        for (base, strides) in bases.iter_mut().zip(strides) {
            if wraps {
                *base -= strides[digit] * (counter[digit] - 1);
            } else {
                *base += strides[digit];
            }
        }
        if !wraps {
            return;
        }
        counter[digit] = 0;
    }
}
