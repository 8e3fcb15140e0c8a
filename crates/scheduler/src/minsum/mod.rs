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
mod search;

#[cfg(test)]
mod tests;

use std::fmt;

use thiserror::Error;

use crate::effort::Effort;

use self::core::Core;

/// The cost of what may not be.
pub(crate) const FORBIDDEN: i64 = i64::MAX;

/// Largest sum of finite costs (the dearest entry of each table, added up) that is accepted: far below what sums of
/// forbidden entries and messages need to stay inside an `i64`.
pub(crate) const COST_MAX: i64 = 1 << 57;

/// Stands for [`FORBIDDEN`] inside, so that a few of them can be added.
const INFINITE: i64 = 1 << 60;

/// From here on a value holds something forbidden.
const IMPOSSIBLE: i64 = 1 << 59;

/// Variables with their costs, and pairs of variables whose costs are written when needed.
pub(crate) struct Model<'a> {
    unary: Vec<Vec<i64>>,
    pairs: Vec<(usize, usize)>,
    fill: &'a dyn Fn(usize, &mut [i64]),
}

impl<'a> Model<'a> {
    /// `unary[v][s]` is what state `s` of variable `v` costs; `pairs` are two variables each (several may join the same
    /// two, and the two may be one); `fill(p, table)` writes the costs of pair `p` into `table`, all entries, the states
    /// of the first variable outermost. Costs are at least 0, or [`FORBIDDEN`]. `fill` is asked once or a few times for
    /// each pair and must answer the same.
    pub(crate) fn new(unary: Vec<Vec<i64>>, pairs: Vec<(usize, usize)>, fill: &'a dyn Fn(usize, &mut [i64])) -> Self {
        Self { unary, pairs, fill }
    }

    /// What an assignment costs; `None`: it is forbidden.
    pub(crate) fn cost(&self, states: &[usize]) -> Option<i64> {
        let mut sum = 0i64;
        for (costs, &state) in self.unary.iter().zip(states) {
            sum = add(sum, costs[state])?;
        }
        let mut table = Vec::new();
        for (pair, &(a, b)) in self.pairs.iter().enumerate() {
            let width = self.unary[b].len();
            table.clear();
            table.resize(self.unary[a].len() * width, 0);
            (self.fill)(pair, &mut table);
            sum = add(sum, table[states[a] * width + states[b]])?;
        }
        Some(sum)
    }

    /// The table of a pair with forbidden entries as [`INFINITE`], and its dearest finite entry.
    fn table(&self, pair: usize, into: &mut Vec<i64>) -> Result<i64, MinsumError> {
        let (a, b) = self.pairs[pair];
        into.clear();
        into.resize(self.unary[a].len() * self.unary[b].len(), 0);
        (self.fill)(pair, into);
        checked(into, Place::Pair(pair))
    }
}

impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({} variables, {} pairs)", self.unary.len(), self.pairs.len())
    }
}

fn add(sum: i64, cost: i64) -> Option<i64> {
    (cost < IMPOSSIBLE).then(|| sum.saturating_add(cost))
}

/// Turns forbidden entries into [`INFINITE`] and gives the dearest other one.
fn checked(costs: &mut [i64], at: Place) -> Result<i64, MinsumError> {
    let (mut most, mut least) = (0, 0);
    for cost in costs.iter_mut() {
        if *cost == FORBIDDEN {
            *cost = INFINITE;
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
    pub(crate) marginals: Vec<Vec<i64>>,
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
/// thousand table entries looked at, plus one for each question. Ties go to the lower state, then as the order of
/// elimination has it; equal input gives an equal outcome.
///
/// Costs O(states of both) per pair for forests, and O(product of the states of a clique) under elimination.
///
/// # Errors
/// [`MinsumError`]: a negative or too large cost, or a pair without its variables.
pub(crate) fn solve(
    model: &Model<'_>,
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
        (cost < beat).then(|| (cost, folded.unfold(model, &chosen)))
    });
    let bound = found.bound.saturating_add(folded.constant).min(INFINITE);
    let marginals = if limits.marginals {
        folded.marginals(model, found.marginals, bound)?
    } else {
        Vec::new()
    };
    let bound = if bound >= beat && best.is_none() {
        FORBIDDEN
    } else {
        bound
    };
    Ok(Outcome { best, bound, marginals })
}

/// Where the tables may not be held: the least of each variable alone is a bound, and its state an answer.
fn too_large(folded: &leaves::Folded, model: &Model<'_>) -> search::Found {
    let chosen = folded.trivial_choice();
    let allowed = |states: &[usize]| {
        model
            .unary
            .iter()
            .zip(states)
            .all(|(costs, state)| *state < costs.len())
    };
    let states = folded.unfold(model, &chosen);
    let cost = if allowed(&states) { model.cost(&states) } else { None };
    search::Found {
        best: cost.map(|cost| (cost - folded.constant, chosen)),
        bound: folded.trivial_bound(),
        marginals: folded.left.iter().map(|v| vec![0; folded.unary[*v].len()]).collect(),
    }
}
