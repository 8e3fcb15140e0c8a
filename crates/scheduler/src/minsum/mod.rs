//! Minimum of a sum of small cost functions: variables with few states, a cost per state, a cost per pair of states.
//!
//! Tasks that choose regions with traffic between them, services that do the same: each is a graphical model, and this
//! room solves it without knowing which. Use: make a [`Model`] (variables with their costs, pairs of variables, and a
//! function that writes the costs of one pair when they are needed), call [`solve`], read [`Outcome`]: an assignment
//! with its cost, and a lower bound that holds always, also when the work ran out.
//!
//! How: leaves are folded into their neighbour (a forest of any size ends there, one table at a time, so memory is that
//! of one table); what remains is eliminated variable by variable where no table and no sum of work grows beyond
//! [`Limits`]; otherwise costs are moved between tables until the sum of the least entries, which is a lower bound, is
//! high (sequential tree-reweighted message passing, Kolmogorov, TPAMI 2006, 2015, in integers: what is added here is
//! subtracted there, so the bound needs no trust in floats), states that cannot beat the best assignment are dropped, and
//! what is still too wide is branched on. The obvious alternative, a linear or integer programme over pairs of states,
//! grows with pairs x states squared variables, which is what makes peers slow on this very problem.
//!
//! What the costs mean, prices that depend on sums over many pairs, and deadlines do not belong here.

mod core;
mod dual;
mod eliminate;
mod leaves;
mod rows;
mod search;

#[cfg(test)]
mod tests;

use std::fmt;

use thiserror::Error;

use crate::effort::Effort;

use self::core::Core;

pub(crate) use self::rows::Rows;

/// The cost of what may not be; far enough below the largest number that a few of them can be added.
pub(crate) const FORBIDDEN: i64 = 1 << 60;

/// Largest sum of finite costs (the dearest entry of each table, added up) that is accepted: far below what sums of
/// forbidden entries and messages need to stay inside an `i64`.
pub(crate) const COST_MAX: i64 = 1 << 57;

/// From here on a value holds something forbidden.
const IMPOSSIBLE: i64 = 1 << 59;

/// What pairs of variables cost. Equal questions must get equal answers.
pub(crate) trait Pairs {
    /// Whether [`Pairs::single`] gives single costs quicker than writing a table; [`Pairs::dearest`] must be given then too.
    const HAS_SINGLE: bool;

    /// Writes all costs of a pair, the states of its first variable outermost; at least 0, [`FORBIDDEN`] or more for what
    /// may not be.
    fn fill(&self, pair: usize, table: &mut [i64]);

    /// The cost of a pair by the states of its first and its second variable.
    fn single(&self, pair: usize) -> impl Fn(usize, usize) -> i64;

    /// No finite cost of a pair is more.
    fn dearest(&self, _pair: usize) -> i64 {
        0
    }
}

impl<F: Fn(usize, &mut [i64])> Pairs for F {
    const HAS_SINGLE: bool = false;

    fn fill(&self, pair: usize, table: &mut [i64]) {
        self(pair, table);
    }

    fn single(&self, _pair: usize) -> impl Fn(usize, usize) -> i64 {
        |_, _| 0
    }
}

/// Variables with their costs, and pairs of variables whose costs are asked for when needed.
pub(crate) struct Model<'a, P> {
    unary: Rows<i64>,
    pairs: Vec<(usize, usize)>,
    costs: &'a P,
}

impl<'a, P: Pairs> Model<'a, P> {
    /// A row of `unary` is what each state of a variable costs; `pairs` are two variables each (several may join the same
    /// two, and the two may be one). Costs are at least 0, or [`FORBIDDEN`].
    pub(crate) const fn new(unary: Rows<i64>, pairs: Vec<(usize, usize)>, costs: &'a P) -> Self {
        Self { unary, pairs, costs }
    }

    /// What an assignment costs; `None`: it is forbidden.
    pub(crate) fn cost(&self, states: &[usize]) -> Option<i64> {
        let mut sum = 0i64;
        for (costs, &state) in self.unary.iter().zip(states) {
            sum = add(sum, costs[state])?;
        }
        let mut table = Vec::new();
        for (pair, &(a, b)) in self.pairs.iter().enumerate() {
            let width = self.unary.row(b).len();
            table.clear();
            table.resize(self.unary.row(a).len() * width, 0);
            self.costs.fill(pair, &mut table);
            sum = add(sum, table[states[a] * width + states[b]])?;
        }
        Some(sum)
    }

    /// The table of a pair, and its dearest finite entry.
    fn table(&self, pair: usize, into: &mut Vec<i64>) -> Result<i64, MinsumError> {
        let (a, b) = self.pairs[pair];
        into.clear();
        into.resize(self.unary.row(a).len() * self.unary.row(b).len(), 0);
        self.costs.fill(pair, into);
        checked(into, Place::Pair(pair))
    }
}

impl<P> fmt::Debug for Model<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({} variables, {} pairs)", self.unary.len(), self.pairs.len())
    }
}

fn add(sum: i64, cost: i64) -> Option<i64> {
    (cost < IMPOSSIBLE).then(|| sum.saturating_add(cost))
}

/// Cuts forbidden entries to [`FORBIDDEN`] and gives the dearest other one.
fn checked(costs: &mut [i64], at: Place) -> Result<i64, MinsumError> {
    let (mut most, mut least) = (0, 0);
    for cost in costs.iter_mut() {
        if *cost >= FORBIDDEN {
            *cost = FORBIDDEN;
        } else {
            most = most.max(*cost);
            least = least.min(*cost);
        }
    }
    if least < 0 {
        return Err(MinsumError::Negative { at, cost: least });
    }
    if most > COST_MAX {
        return Err(MinsumError::TooDear { at });
    }
    Ok(most)
}

/// Bounds of memory and of the ways that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most entries of one table that elimination may make.
    pub(crate) table_entries_max: u64,
    /// Most entries that one elimination may look at in all.
    pub(crate) elimination_max: u64,
    /// Most entries of all tables held at once.
    pub(crate) entries_max: u64,
    /// Whether [`Outcome::marginals`] are wanted; they cost about as much again as the solution of a forest.
    pub(crate) marginals: bool,
}

impl Default for Limits {
    /// 8 MiB for one table, 256 MiB in all, about half a second for one elimination, no marginals.
    fn default() -> Self {
        Self {
            table_entries_max: 1 << 20,
            elimination_max: 1 << 28,
            entries_max: 1 << 25,
            marginals: false,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The cheapest assignment found that is cheaper than what was asked to be beaten, and its cost.
    pub(crate) best: Option<(i64, Vec<usize>)>,
    /// No assignment is cheaper than this, or than what was to be beaten, whichever is less; [`FORBIDDEN`]: there is none
    /// at all that is allowed and cheaper.
    pub(crate) bound: i64,
    /// For each state of each variable, no assignment with it is cheaper than this (or than what was to be beaten): what
    /// is not below the cost of a known assignment need not be looked at again. Empty unless wanted.
    pub(crate) marginals: Rows<i64>,
}

/// Where a cost stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the costs of a variable.
    Variable(usize),
    /// In the table of a pair.
    Pair(usize),
    /// In the sum of all.
    Sum,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(index) => write!(f, "variable {index}"),
            Self::Pair(index) => write!(f, "pair {index}"),
            Self::Sum => f.write_str("the sum of all"),
        }
    }
}

/// Why a model is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum MinsumError {
    /// A cost below zero: bounds would not hold.
    #[error("accept the cost `{cost}` of {at}: it is negative")]
    Negative {
        /// Where.
        at: Place,
        /// The cost.
        cost: i64,
    },
    /// Costs above [`COST_MAX`].
    #[error("hold the costs of {at}: they are beyond `{COST_MAX}`")]
    TooDear {
        /// Where.
        at: Place,
    },
    /// A pair names a variable that is not there.
    #[error("find both variables of pair {pair}")]
    UnknownVariable {
        /// Which pair.
        pair: usize,
    },
}

/// The assignment of least cost below `beat` ([`FORBIDDEN`]: any), as far as `effort` allows; a unit of effort is a
/// thousand table entries looked at, plus one for each question. Equal input gives an equal outcome; of equal states that
/// which is cheaper by itself is taken, then the lower, then as the order of elimination has it.
///
/// Costs O(states of both) per pair for forests, and O(product of the states of a clique) under elimination.
///
/// # Errors
/// [`MinsumError`]: a negative or too large cost, or a pair without its variables.
pub(crate) fn solve<P: Pairs>(
    model: &Model<'_, P>,
    limits: &Limits,
    beat: i64,
    effort: &mut Effort<'_>,
) -> Result<Outcome, MinsumError> {
    let missing = |&(a, b): &(usize, usize)| a.max(b) >= model.unary.len();
    if let Some(pair) = model.pairs.iter().position(missing) {
        return Err(MinsumError::UnknownVariable { pair });
    }
    let beat = beat.min(IMPOSSIBLE);
    let mut folded = leaves::fold(model, effort)?;
    let rest = beat.saturating_sub(folded.constant);
    let found = match Core::of(&mut folded, model, limits)? {
        None => too_large(&folded, model),
        Some(core) => search::minimise(core, limits, rest, effort),
    };
    let best = found.best.and_then(|(cost, chosen)| {
        let cost = cost + folded.constant;
        (cost < beat).then(|| (cost, folded.unfold(&chosen)))
    });
    let bound = found.bound.saturating_add(folded.constant).min(FORBIDDEN);
    let marginals = if limits.marginals {
        folded.marginals(model, found.marginals, bound)?
    } else {
        Rows::with_capacity(0, 0)
    };
    let bound = if bound >= beat && best.is_none() {
        FORBIDDEN
    } else {
        bound
    };
    Ok(Outcome { best, bound, marginals })
}

/// Where the tables may not be held: the least of each variable alone is a bound, and its state an answer.
fn too_large<P: Pairs>(folded: &leaves::Folded, model: &Model<'_, P>) -> search::Found {
    let chosen = folded.trivial_choice();
    let allowed = |states: &[usize]| {
        model
            .unary
            .iter()
            .zip(states)
            .all(|(costs, state)| *state < costs.len())
    };
    let states = folded.unfold(&chosen);
    let cost = if allowed(&states) { model.cost(&states) } else { None };
    search::Found {
        best: cost.map(|cost| (cost - folded.constant, chosen)),
        bound: folded.trivial_bound(),
        marginals: folded
            .left
            .iter()
            .map(|v| vec![0; folded.unary.row(*v).len()])
            .collect(),
    }
}
