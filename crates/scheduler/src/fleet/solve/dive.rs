//! From fractions to machines: buy what the linear program is sure of, solve again for the rest, and so on.
//!
//! Each step commits the whole parts of the solution, or its largest fractions, and generates new loads for what is left,
//! so that the last machines are filled with what there is and not with what there was. What remains when the allowance
//! ends is bought by the greedy rules. Improving a complete purchase is `repair`'s.

use std::collections::BTreeMap;

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded, Pattern};
use crate::fleet::greedy;

use super::build::{held, take};
use super::carrier::as_float;
use super::generate::{Generation, Round};
use super::part::Part;
use super::rows::{Rows, grouped};

/// Rounds of column generation in each step.
const ROUNDS: u32 = 6;
/// Share of the machines left that one step commits of fractions.
const FRACTIONS: f64 = 0.06;
/// Fractions below this are only committed when there is nothing better.
const FRACTION_MIN: f64 = 0.35;
/// Loads carried from step to step, at most.
const LOADS_MAX: usize = 4000;

/// How a dive goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct DiveConfig {
    /// Rows of the master in each step.
    pub(super) rows_max: usize,
    /// The share of the effort by which it must end.
    pub(super) share: f64,
}

/// A purchase of so many copies, from loads that a generation found.
pub(super) fn dive(
    folded: &Folded,
    counts: &[u64],
    loads: Vec<Pattern>,
    config: DiveConfig,
    effort: &mut Effort<'_>,
) -> Bought {
    let mut left = counts.to_vec();
    let mut machines: BTreeMap<Pattern, u64> = BTreeMap::new();
    let mut loads = loads;
    while left.iter().any(|n| *n > 0) {
        let bought: Vec<(Pattern, u64)> = machines.iter().map(|(p, n)| (p.clone(), *n)).collect();
        let part = Part::new(folded, &left, &bought);
        if !effort.within(config.share) {
            let rest = greedy::first(&part.folded, effort, config.share);
            part.bought_outside(&rest)
                .into_iter()
                .for_each(|(p, n)| *machines.entry(p).or_default() += n);
            left = part.left_outside(&rest.left_out, left.len());
            break;
        }
        let start = Bought {
            machines: loads
                .iter()
                .filter_map(|load| part.within(load))
                .map(|load| (load, 1))
                .collect(),
            left_out: Vec::new(),
        };
        let rows = Rows::new(&part.folded, &grouped(&part.folded, config.rows_max));
        let mut generation = Generation::new(&part.folded, part.counts(), rows, &start);
        for _ in 0..ROUNDS {
            if generation.round(effort) == Round::Solved || !effort.within(config.share) {
                break;
            }
        }
        let committed = commit(&mut generation, &part, &mut left);
        if committed.is_empty() {
            // Nothing that the program wants can be had: what is left goes to the greedy rules.
            let rest = greedy::first(&part.folded, effort, 1.0);
            part.bought_outside(&rest)
                .into_iter()
                .for_each(|(p, n)| *machines.entry(p).or_default() += n);
            left = part.left_outside(&rest.left_out, left.len());
            break;
        }
        committed
            .into_iter()
            .for_each(|(p, n)| *machines.entry(p).or_default() += n);
        loads = generation
            .best_loads(LOADS_MAX)
            .iter()
            .map(|load| part.outside(load))
            .collect();
    }
    Bought {
        machines: machines.into_iter().collect(),
        left_out: left,
    }
}

/// Takes machines from the program's solution that what is left allows.
fn commit(generation: &mut Generation<'_>, part: &Part, left: &mut [u64]) -> Vec<(Pattern, u64)> {
    generation.master.solve(20_000);
    let mut wanted: Vec<(f64, Pattern)> = generation
        .master
        .solution()
        .into_iter()
        .filter_map(|(column, x)| Some((x, part.outside(generation.patterns[column].as_ref()?))))
        .filter(|(x, _)| *x > 1e-6)
        .collect();
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let all: f64 = wanted.iter().map(|(x, _)| x).sum();
    let mut stock = greedy::Stock::of(&part.folded);
    let mut committed = Vec::new();
    let mut machines = 0.0;
    for (x, pattern) in &wanted {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of machines, not negative"
        )]
        let whole = (x + 1e-6).floor() as u64;
        let times = whole
            .min(held(pattern, left))
            .min(stock.allows(&part.folded, pattern.shape));
        if times > 0 {
            stock.buy(&part.folded, pattern.shape, times);
            take(pattern, times, left);
            machines += as_float(times);
            committed.push((pattern.clone(), times));
        }
    }
    let goal = (all * FRACTIONS).max(1.0);
    if machines >= goal {
        return committed;
    }
    for (x, pattern) in &wanted {
        let fraction = x - (x + 1e-6).floor();
        let enough = machines >= goal || fraction < FRACTION_MIN && !committed.is_empty();
        let allowed = held(pattern, left).min(stock.allows(&part.folded, pattern.shape));
        if !enough && fraction > 1e-6 && allowed > 0 {
            stock.buy(&part.folded, pattern.shape, 1);
            take(pattern, 1, left);
            machines += 1.0;
            committed.push((pattern.clone(), 1));
        }
    }
    committed
}
