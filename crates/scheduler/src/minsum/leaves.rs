//! Folding variables with at most one neighbour into that neighbour, again and again: all of a forest, the fringe of
//! anything else.
//!
//! Tables are written when a leaf is folded and forgotten: ten thousand pairs take the memory of one. Variables with more
//! neighbours are elimination's.

use std::collections::BTreeMap;

use crate::effort::Effort;

use super::{COST_MAX, IMPOSSIBLE, INFINITE, MinsumError, Model, Place, checked};

/// A folded variable.
#[derive(Debug)]
enum Step {
    /// Had no neighbour left; `cost` is the least of all that was folded into it.
    Alone { variable: usize, state: usize, cost: i64 },
    /// Where the neighbour has state `s`, `choices[s]` is the best state, at the cost `best[s]`.
    Leaf {
        variable: usize,
        neighbour: usize,
        pairs: Vec<usize>,
        best: Vec<i64>,
        choices: Vec<u32>,
    },
}

/// What is left after folding, and how to undo it.
#[derive(Debug)]
pub(super) struct Folded {
    /// Cost of what is folded away in full.
    pub(super) constant: i64,
    /// Variables that are left, in order.
    pub(super) left: Vec<usize>,
    /// Costs of all variables, with what was folded into them.
    pub(super) unary: Vec<Vec<i64>>,
    /// Pairs of the model by their two variables, the lower first; only those between variables that are left.
    pub(super) joints: BTreeMap<(usize, usize), Vec<usize>>,
    /// Sum of the dearest finite costs seen, against [`COST_MAX`].
    pub(super) dearest: i64,
    steps: Vec<Step>,
}

impl Folded {
    /// Sum over the variables left of their least cost.
    pub(super) fn trivial_bound(&self) -> i64 {
        let least = |v: &usize| self.unary[*v].iter().copied().min().unwrap_or(INFINITE);
        self.left.iter().map(least).fold(0, i64::saturating_add)
    }

    /// The least state of each variable left, looked at alone.
    pub(super) fn trivial_choice(&self) -> Vec<usize> {
        let least = |v: &usize| {
            self.unary[*v]
                .iter()
                .enumerate()
                .min_by_key(|(state, cost)| (**cost, *state))
        };
        self.left
            .iter()
            .map(|v| least(v).map_or(0, |(state, _)| state))
            .collect()
    }

    /// The states of all variables from those of the variables left.
    pub(super) fn unfold(&self, model: &Model<'_>, left: &[usize]) -> Vec<usize> {
        let mut states = vec![0; model.unary.len()];
        for (&variable, &state) in self.left.iter().zip(left) {
            states[variable] = state;
        }
        for step in self.steps.iter().rev() {
            match step {
                Step::Alone { variable, state, .. } => states[*variable] = *state,
                Step::Leaf {
                    variable,
                    neighbour,
                    choices,
                    ..
                } => states[*variable] = choices[states[*neighbour]] as usize,
            }
        }
        states
    }

    /// For each state of each variable a lower bound of what the whole costs with it: `left` for those of the variables
    /// left (without what is folded away in full), `bound` for the whole; exact for a forest whose bound is exact.
    pub(super) fn marginals(
        &mut self,
        model: &Model<'_>,
        left: Vec<Vec<i64>>,
        bound: i64,
    ) -> Result<Vec<Vec<i64>>, MinsumError> {
        let mut marginals = vec![Vec::new(); model.unary.len()];
        for (&variable, costs) in self.left.iter().zip(left) {
            let whole = |cost: i64| cost.saturating_add(self.constant).clamp(bound, INFINITE);
            marginals[variable] = costs.into_iter().map(whole).collect();
        }
        let mut table = Vec::new();
        let steps = std::mem::take(&mut self.steps);
        for step in steps.iter().rev() {
            match step {
                Step::Alone { variable, cost, .. } => {
                    let others = bound.saturating_sub(*cost);
                    let whole = |own: &i64| own.saturating_add(others).clamp(bound, INFINITE);
                    marginals[*variable] = self.unary[*variable].iter().map(whole).collect();
                }
                Step::Leaf {
                    variable,
                    neighbour,
                    pairs,
                    best,
                    ..
                } => {
                    let joined = joint_table(self, model, pairs, *neighbour, *variable, &mut table)?;
                    let without: Vec<i64> = marginals[*neighbour].iter().zip(best).map(|(m, b)| m - b).collect();
                    let own = &self.unary[*variable];
                    marginals[*variable] = outwards(&without, best, &joined, own, bound);
                }
            }
        }
        self.steps = steps;
        Ok(marginals)
    }

    /// Adds to the sum of dearest costs.
    pub(super) fn count(&mut self, dearest: i64) -> Result<(), MinsumError> {
        self.dearest = self.dearest.saturating_add(dearest);
        if self.dearest > COST_MAX {
            return Err(MinsumError::TooDear { at: Place::Sum });
        }
        Ok(())
    }
}

/// Folds all leaves. Pairs of a variable with itself are added to its costs first.
pub(super) fn fold(model: &Model<'_>, effort: &mut Effort<'_>) -> Result<Folded, MinsumError> {
    let mut folded = start(model)?;
    let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); model.unary.len()];
    for &(a, b) in folded.joints.keys() {
        neighbours[a].push(b);
        neighbours[b].push(a);
    }
    let mut degree: Vec<usize> = neighbours.iter().map(Vec::len).collect();
    let mut gone = vec![false; degree.len()];
    let mut table = Vec::new();
    let mut looked_at = 0;
    for first in 0..degree.len() {
        // From a leaf inwards, as long as the next one has become a leaf too.
        let mut next = Some(first);
        while let Some(variable) = next.take() {
            if gone[variable] || degree[variable] > 1 {
                break;
            }
            gone[variable] = true;
            let Some(&neighbour) = neighbours[variable].iter().find(|n| !gone[**n]) else {
                fold_alone(&mut folded, variable);
                break;
            };
            looked_at += folded.unary[variable].len() * folded.unary[neighbour].len();
            fold_leaf(&mut folded, model, variable, neighbour, &mut table)?;
            degree[neighbour] -= 1;
            next = Some(neighbour);
        }
    }
    effort.spend(looked_at as u64 / 1000);
    folded.left = (0..gone.len()).filter(|v| !gone[*v]).collect();
    Ok(folded)
}

fn start(model: &Model<'_>) -> Result<Folded, MinsumError> {
    let mut folded = Folded {
        constant: 0,
        left: Vec::new(),
        unary: model.unary.clone(),
        joints: BTreeMap::new(),
        dearest: 0,
        steps: Vec::with_capacity(model.unary.len()),
    };
    for variable in 0..folded.unary.len() {
        let dearest = checked(&mut folded.unary[variable], Place::Variable(variable))?;
        folded.count(dearest)?;
    }
    let mut table = Vec::new();
    for (pair, &(a, b)) in model.pairs.iter().enumerate() {
        if a == b {
            let dearest = model.table(pair, &mut table)?;
            folded.count(dearest)?;
            let width = folded.unary[a].len();
            for (state, cost) in folded.unary[a].iter_mut().enumerate() {
                *cost = (*cost + table[state * width + state]).min(INFINITE);
            }
        } else {
            folded.joints.entry((a.min(b), a.max(b))).or_default().push(pair);
        }
    }
    Ok(folded)
}

fn fold_alone(folded: &mut Folded, variable: usize) {
    let costs = &folded.unary[variable];
    let best = costs.iter().enumerate().min_by_key(|(state, cost)| (**cost, *state));
    let (state, cost) = best.map_or((0, INFINITE), |(state, cost)| (state, *cost));
    folded.constant = folded.constant.saturating_add(cost).min(INFINITE);
    folded.steps.push(Step::Alone { variable, state, cost });
}

fn fold_leaf(
    folded: &mut Folded,
    model: &Model<'_>,
    variable: usize,
    neighbour: usize,
    table: &mut Vec<i64>,
) -> Result<(), MinsumError> {
    let rows = folded.unary[neighbour].len();
    let pairs = folded
        .joints
        .remove(&(variable.min(neighbour), variable.max(neighbour)));
    let pairs = pairs.unwrap_or_default();
    let mut best = vec![INFINITE; rows];
    let mut choices = vec![0u32; rows];
    if let [pair] = pairs[..] {
        let dearest = model.table(pair, table)?;
        folded.count(dearest)?;
        let own = &folded.unary[variable];
        if model.pairs[pair].0 == neighbour {
            by_row(own, table, &mut best, &mut choices);
        } else {
            by_column(own, table, &mut best, &mut choices);
        }
    } else {
        let joined = joint_table(folded, model, &pairs, neighbour, variable, table)?;
        by_row(&folded.unary[variable], &joined, &mut best, &mut choices);
    }
    for (cost, more) in folded.unary[neighbour].iter_mut().zip(&best) {
        *cost = (*cost + more).min(INFINITE);
    }
    folded.steps.push(Step::Leaf {
        variable,
        neighbour,
        pairs,
        best,
        choices,
    });
    Ok(())
}

/// The sum of the tables of `pairs`, the states of `first` outermost.
pub(super) fn joint_table(
    folded: &mut Folded,
    model: &Model<'_>,
    pairs: &[usize],
    first: usize,
    second: usize,
    table: &mut Vec<i64>,
) -> Result<Vec<i64>, MinsumError> {
    let (rows, columns) = (model.unary[first].len(), model.unary[second].len());
    if let [pair] = pairs
        && model.pairs[*pair].0 == first
    {
        let dearest = model.table(*pair, table)?;
        folded.count(dearest)?;
        return Ok(table.clone());
    }
    let mut sum = vec![0i64; rows * columns];
    for &pair in pairs {
        let dearest = model.table(pair, table)?;
        folded.count(dearest)?;
        let turned = model.pairs[pair].0 != first;
        for row in 0..rows {
            for column in 0..columns {
                let at = if turned {
                    column * rows + row
                } else {
                    row * columns + column
                };
                let cell = &mut sum[row * columns + column];
                *cell = (*cell + table[at]).min(INFINITE);
            }
        }
    }
    Ok(sum)
}

/// What the whole costs by the leaf's states: what it costs `without` the leaf by the neighbour's states, and the table.
fn outwards(without: &[i64], best: &[i64], table: &[i64], own: &[i64], bound: i64) -> Vec<i64> {
    let mut least = vec![INFINITE; own.len()];
    if own.is_empty() {
        return least;
    }
    for ((row, rest), best) in table.chunks_exact(own.len()).zip(without).zip(best) {
        // Nothing of the leaf goes with this state of the neighbour.
        if *best >= IMPOSSIBLE {
            continue;
        }
        for (least, cost) in least.iter_mut().zip(row) {
            *least = (*least).min(cost + rest);
        }
    }
    least
        .iter()
        .zip(own)
        .map(|(cost, own)| cost.saturating_add(*own).clamp(bound, INFINITE))
        .collect()
}

/// Rows are the neighbour's states, columns the leaf's.
fn by_row(own: &[i64], table: &[i64], best: &mut [i64], choices: &mut [u32]) {
    if own.is_empty() {
        return;
    }
    for ((row, best), choice) in table.chunks_exact(own.len()).zip(best).zip(choices) {
        let (mut least, mut at) = (IMPOSSIBLE, 0u32);
        for ((cost, more), state) in own.iter().zip(row).zip(0u32..) {
            let sum = cost + more;
            if sum < least {
                (least, at) = (sum, state);
            }
        }
        *choice = at;
        *best = if least >= IMPOSSIBLE { INFINITE } else { least };
    }
}

/// Rows are the leaf's states, columns the neighbour's.
fn by_column(own: &[i64], table: &[i64], best: &mut [i64], choices: &mut [u32]) {
    if best.is_empty() {
        return;
    }
    best.fill(IMPOSSIBLE);
    for ((row, cost), state) in table.chunks_exact(best.len()).zip(own).zip(0u32..) {
        for ((more, least), at) in row.iter().zip(best.iter_mut()).zip(choices.iter_mut()) {
            let sum = cost + more;
            if sum < *least {
                (*least, *at) = (sum, state);
            }
        }
    }
    for least in best.iter_mut().filter(|least| **least >= IMPOSSIBLE) {
        *least = INFINITE;
    }
}
