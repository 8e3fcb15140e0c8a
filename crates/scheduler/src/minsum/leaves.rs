//! Folding variables with at most one neighbour into that neighbour, again and again: all of a forest, the fringe of
//! anything else.
//!
//! Tables are written when a leaf is folded and forgotten, or, where single costs can be had, never written: of the leaf's
//! states, cheapest first, only those are looked at that may still be the best. Variables with more neighbours are
//! elimination's.

use crate::effort::Effort;

use super::rows::Rows;
use super::{COST_MAX, FORBIDDEN, IMPOSSIBLE, MinsumError, Model, Pairs, Place, checked};

/// Two variables with a pair or more between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bond {
    /// The lower of the two.
    pub(super) a: usize,
    pub(super) b: usize,
    /// Its pairs: where they stand in [`Folded::pairs`].
    start: usize,
    end: usize,
}

/// A folded variable.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Had no neighbour left; `cost` is the least of all that was folded into it.
    Alone { variable: usize, state: usize, cost: i64 },
    /// Its row of [`Folded::best`] and [`Folded::choices`] says, by the neighbour's states, what it costs and where it is.
    Leaf {
        variable: usize,
        neighbour: usize,
        bond: usize,
        row: usize,
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
    pub(super) unary: Rows<i64>,
    /// All bonds by their two variables.
    bonds: Vec<Bond>,
    /// The model's pairs, sorted by their variables.
    pairs: Vec<usize>,
    is_folded: Vec<bool>,
    /// Sum of the dearest finite costs seen, against [`COST_MAX`].
    dearest: i64,
    steps: Vec<Step>,
    best: Rows<i64>,
    choices: Rows<u32>,
}

impl Folded {
    /// Sum over the variables left of their least cost.
    pub(super) fn trivial_bound(&self) -> i64 {
        let least = |v: &usize| self.unary.row(*v).iter().copied().min().unwrap_or(FORBIDDEN);
        self.left.iter().map(least).fold(0, i64::saturating_add)
    }

    /// The least state of each variable left, looked at alone.
    pub(super) fn trivial_choice(&self) -> Vec<usize> {
        self.left.iter().map(|v| least(self.unary.row(*v)).0).collect()
    }

    /// Bonds between variables that are left.
    pub(super) fn bonds_left(&self) -> Vec<Bond> {
        let left = |bond: &&Bond| !self.is_folded[bond.a] && !self.is_folded[bond.b];
        self.bonds.iter().filter(left).copied().collect()
    }

    /// The states of all variables from those of the variables left.
    pub(super) fn unfold(&self, left: &[usize]) -> Vec<usize> {
        let mut states = vec![0; self.unary.len()];
        for (&variable, &state) in self.left.iter().zip(left) {
            states[variable] = state;
        }
        for step in self.steps.iter().rev() {
            match *step {
                Step::Alone { variable, state, .. } => states[variable] = state,
                Step::Leaf {
                    variable,
                    neighbour,
                    row,
                    ..
                } => states[variable] = self.choices.row(row)[states[neighbour]] as usize,
            }
        }
        states
    }

    /// For each state of each variable a lower bound of what the whole costs with it: `left` for those of the variables
    /// left (without what is folded away in full), `bound` for the whole; exact for a forest whose bound is exact.
    pub(super) fn marginals<P: Pairs>(
        &mut self,
        model: &Model<'_, P>,
        left: Vec<Vec<i64>>,
        bound: i64,
    ) -> Result<Rows<i64>, MinsumError> {
        let mut marginals = self.unary.map(|_| FORBIDDEN);
        let whole = |cost: i64, others: i64| cost.saturating_add(others).clamp(bound, FORBIDDEN);
        for (&variable, costs) in self.left.iter().zip(left) {
            for (marginal, cost) in marginals.row_mut(variable).iter_mut().zip(costs) {
                *marginal = whole(cost, self.constant);
            }
        }
        let mut outwards = Outwards::default();
        for at in (0..self.steps.len()).rev() {
            match self.steps[at] {
                Step::Alone { variable, cost, .. } => {
                    let others = bound.saturating_sub(cost);
                    for (marginal, own) in marginals.row_mut(variable).iter_mut().zip(self.unary.row(variable)) {
                        *marginal = whole(*own, others);
                    }
                }
                Step::Leaf {
                    variable,
                    neighbour,
                    bond,
                    row,
                } => {
                    outwards.start(marginals.row(neighbour), self.best.row(row));
                    outwards.go(self, model, bond, (neighbour, variable))?;
                    let own = self.unary.row(variable);
                    let costs = outwards.least.iter().zip(own);
                    for (marginal, (cost, own)) in marginals.row_mut(variable).iter_mut().zip(costs) {
                        *marginal = whole(*cost, *own);
                    }
                }
            }
        }
        Ok(marginals)
    }

    /// Adds to the sum of dearest costs.
    fn count(&mut self, dearest: i64) -> Result<(), MinsumError> {
        self.dearest = self.dearest.saturating_add(dearest);
        if self.dearest > COST_MAX {
            return Err(MinsumError::TooDear { at: Place::Sum });
        }
        Ok(())
    }

    /// The sum of the tables of a bond, the states of `first` outermost.
    pub(super) fn table<P: Pairs>(
        &mut self,
        model: &Model<'_, P>,
        bond: Bond,
        (first, second): (usize, usize),
        sum: &mut Vec<i64>,
    ) -> Result<(), MinsumError> {
        let (rows, columns) = (model.unary.row(first).len(), model.unary.row(second).len());
        let pairs = bond.start..bond.end;
        if pairs.len() == 1 && model.pairs[self.pairs[bond.start]].0 == first {
            let dearest = model.table(self.pairs[bond.start], sum)?;
            return self.count(dearest);
        }
        sum.clear();
        sum.resize(rows * columns, 0);
        let mut table = Vec::new();
        for at in pairs {
            let pair = self.pairs[at];
            let dearest = model.table(pair, &mut table)?;
            self.count(dearest)?;
            let is_turned = model.pairs[pair].0 != first;
            for row in 0..rows {
                for column in 0..columns {
                    let at = if is_turned {
                        column * rows + row
                    } else {
                        row * columns + column
                    };
                    let cell = &mut sum[row * columns + column];
                    *cell = (*cell + table[at]).min(FORBIDDEN);
                }
            }
        }
        Ok(())
    }

    /// What a bond costs by the states of `first` and of the other.
    fn single<'m, P: Pairs>(
        &'m self,
        model: &'m Model<'_, P>,
        bond: Bond,
        first: usize,
    ) -> impl Fn(usize, usize) -> i64 + use<'m, P> {
        let pair = self.pairs[bond.start];
        let (cost, is_turned) = (model.costs.single(pair), model.pairs[pair].0 != first);
        let others = &self.pairs[bond.start + 1..bond.end];
        move |state, other| {
            let mut sum = if is_turned {
                cost(other, state)
            } else {
                cost(state, other)
            };
            for &pair in others {
                let cost = model.costs.single(pair);
                let is_turned = model.pairs[pair].0 != first;
                let more = if is_turned {
                    cost(other, state)
                } else {
                    cost(state, other)
                };
                sum = sum.saturating_add(more);
            }
            sum.min(FORBIDDEN)
        }
    }

    fn fold_alone(&mut self, variable: usize) {
        let (state, cost) = least(self.unary.row(variable));
        self.constant = self.constant.saturating_add(cost).min(FORBIDDEN);
        self.steps.push(Step::Alone { variable, state, cost });
    }

    /// Folds a variable into its only neighbour; gives how many costs were looked at.
    fn fold_leaf<P: Pairs>(
        &mut self,
        model: &Model<'_, P>,
        variable: usize,
        number: usize,
        scratch: &mut Scratch,
    ) -> Result<usize, MinsumError> {
        let bond = self.bonds[number];
        let neighbour = if bond.a == variable { bond.b } else { bond.a };
        scratch.best.clear();
        scratch.choices.clear();
        let looked_at = if P::HAS_SINGLE {
            for at in bond.start..bond.end {
                self.count(model.costs.dearest(self.pairs[at]))?;
            }
            self.by_single(model, bond, (neighbour, variable), scratch)
        } else {
            self.table(model, bond, (neighbour, variable), &mut scratch.table)?;
            by_row(self.unary.row(variable), self.unary.row(neighbour).len(), scratch);
            scratch.table.len()
        };
        for (cost, more) in self.unary.row_mut(neighbour).iter_mut().zip(&scratch.best) {
            *cost = (*cost + more).min(FORBIDDEN);
        }
        self.steps.push(Step::Leaf {
            variable,
            neighbour,
            bond: number,
            row: self.best.len(),
        });
        self.best.push(scratch.best.iter().copied());
        self.choices.push(scratch.choices.iter().copied());
        Ok(looked_at)
    }

    /// The best of the leaf for each state of the neighbour, its own states looked at from the cheapest on until none can
    /// be better.
    fn by_single<P: Pairs>(
        &self,
        model: &Model<'_, P>,
        bond: Bond,
        (neighbour, leaf): (usize, usize),
        scratch: &mut Scratch,
    ) -> usize {
        let own = self.unary.row(leaf).iter().copied().zip(0u32..);
        sort_allowed(&mut scratch.order, own);
        let joint = self.single(model, bond, neighbour);
        let mut looked_at = 0;
        for state in 0..self.unary.row(neighbour).len() {
            let (mut least, mut at) = (IMPOSSIBLE, 0u32);
            for &(cost, own) in &scratch.order {
                if cost >= least {
                    break;
                }
                looked_at += 1;
                let sum = cost + joint(state, own as usize);
                if sum < least {
                    (least, at) = (sum, own);
                }
            }
            scratch.best.push(if least >= IMPOSSIBLE { FORBIDDEN } else { least });
            scratch.choices.push(at);
        }
        looked_at
    }
}

/// What folding one leaf needs and the next one can use again.
#[derive(Debug, Default)]
struct Scratch {
    table: Vec<i64>,
    order: Vec<(i64, u32)>,
    best: Vec<i64>,
    choices: Vec<u32>,
}

/// States that are not forbidden, cheapest first.
fn sort_allowed(order: &mut Vec<(i64, u32)>, states: impl Iterator<Item = (i64, u32)>) {
    order.clear();
    order.extend(states.filter(|(cost, _)| *cost < IMPOSSIBLE));
    order.sort_unstable();
}

/// The state of least cost, and the cost.
fn least(costs: &[i64]) -> (usize, i64) {
    let best = costs.iter().enumerate().min_by_key(|(state, cost)| (**cost, *state));
    best.map_or((0, FORBIDDEN), |(state, cost)| (state, *cost))
}

/// Folds all leaves. Pairs of a variable with itself are added to its costs first.
pub(super) fn fold<P: Pairs>(model: &Model<'_, P>, effort: &mut Effort<'_>) -> Result<Folded, MinsumError> {
    let mut folded = start(model)?;
    let count = folded.unary.len();
    // Of each variable its bonds that are left: how many, and their numbers exclusively or-ed, which is the number of the
    // last one.
    let (mut degree, mut link) = (vec![0usize; count], vec![0usize; count]);
    for (number, bond) in folded.bonds.iter().enumerate() {
        for end in [bond.a, bond.b] {
            degree[end] += 1;
            link[end] ^= number;
        }
    }
    let mut scratch = Scratch::default();
    let mut looked_at = 0;
    for first in 0..count {
        // From a leaf inwards, as long as the next one has become a leaf too.
        let mut next = Some(first);
        while let Some(variable) = next.take() {
            if folded.is_folded[variable] || degree[variable] > 1 {
                break;
            }
            folded.is_folded[variable] = true;
            if degree[variable] == 0 {
                folded.fold_alone(variable);
                break;
            }
            let number = link[variable];
            looked_at += folded.fold_leaf(model, variable, number, &mut scratch)?;
            let Bond { a, b, .. } = folded.bonds[number];
            let neighbour = if a == variable { b } else { a };
            degree[neighbour] -= 1;
            link[neighbour] ^= number;
            next = Some(neighbour);
        }
    }
    effort.spend(looked_at as u64 / 1000);
    folded.left = (0..count).filter(|v| !folded.is_folded[*v]).collect();
    Ok(folded)
}

fn start<P: Pairs>(model: &Model<'_, P>) -> Result<Folded, MinsumError> {
    let count = model.unary.len();
    let mut folded = Folded {
        constant: 0,
        left: Vec::new(),
        unary: model.unary.clone(),
        bonds: Vec::new(),
        pairs: Vec::new(),
        is_folded: vec![false; count],
        dearest: 0,
        steps: Vec::with_capacity(count),
        best: Rows::with_capacity(count, 0),
        choices: Rows::with_capacity(count, 0),
    };
    for variable in 0..count {
        let dearest = checked(folded.unary.row_mut(variable), Place::Variable(variable))?;
        folded.count(dearest)?;
    }
    let mut table = Vec::new();
    let mut sorted = Vec::with_capacity(model.pairs.len());
    for (pair, &(a, b)) in model.pairs.iter().enumerate() {
        if a == b {
            let dearest = model.table(pair, &mut table)?;
            folded.count(dearest)?;
            let width = folded.unary.row(a).len();
            for (state, cost) in folded.unary.row_mut(a).iter_mut().enumerate() {
                *cost = (*cost + table[state * width + state]).min(FORBIDDEN);
            }
        } else {
            sorted.push((a.min(b), a.max(b), pair));
        }
    }
    sorted.sort_unstable();
    for (a, b, pair) in sorted {
        let at = folded.pairs.len();
        folded.pairs.push(pair);
        match folded.bonds.last_mut() {
            Some(last) if (last.a, last.b) == (a, b) => last.end = at + 1,
            _ => folded.bonds.push(Bond {
                a,
                b,
                start: at,
                end: at + 1,
            }),
        }
    }
    Ok(folded)
}

/// What the whole costs by a leaf's states, from what it costs without the leaf by the neighbour's.
#[derive(Debug, Default)]
struct Outwards {
    /// The neighbour's states with what all but the leaf costs there.
    without: Vec<(i64, u32)>,
    least: Vec<i64>,
    table: Vec<i64>,
}

impl Outwards {
    fn start(&mut self, whole: &[i64], best: &[i64]) {
        // Where nothing of the leaf goes with a state of the neighbour, that state leads nowhere.
        let rest = |(whole, best): (&i64, &i64)| if *best >= IMPOSSIBLE { FORBIDDEN } else { whole - best };
        sort_allowed(&mut self.without, whole.iter().zip(best).map(rest).zip(0u32..));
    }

    fn go<P: Pairs>(
        &mut self,
        folded: &mut Folded,
        model: &Model<'_, P>,
        bond: usize,
        (neighbour, leaf): (usize, usize),
    ) -> Result<(), MinsumError> {
        let bond = folded.bonds[bond];
        let width = folded.unary.row(leaf).len();
        self.least.clear();
        self.least.resize(width, FORBIDDEN);
        if P::HAS_SINGLE {
            let joint = folded.single(model, bond, neighbour);
            self.lower(joint);
        } else {
            folded.table(model, bond, (neighbour, leaf), &mut self.table)?;
            let table = std::mem::take(&mut self.table);
            self.lower(|state, own| table[state * width + own]);
            self.table = table;
        }
        Ok(())
    }

    /// Looks at the neighbour's states from the cheapest on, until none can be better.
    fn lower(&mut self, joint: impl Fn(usize, usize) -> i64) {
        for (own, least) in self.least.iter_mut().enumerate() {
            for &(rest, state) in &self.without {
                if rest >= *least {
                    break;
                }
                *least = (*least).min(rest + joint(state as usize, own));
            }
        }
    }
}

/// The best of the leaf for each state of the neighbour, by the table whose rows are the neighbour's states.
fn by_row(own: &[i64], rows: usize, scratch: &mut Scratch) {
    for row in 0..rows {
        let costs = &scratch.table[row * own.len()..(row + 1) * own.len()];
        let (mut least, mut at) = (IMPOSSIBLE, 0u32);
        for ((cost, more), state) in own.iter().zip(costs).zip(0u32..) {
            let sum = cost + more;
            if sum < least {
                (least, at) = (sum, state);
            }
        }
        scratch.best.push(if least >= IMPOSSIBLE { FORBIDDEN } else { least });
        scratch.choices.push(at);
    }
}
