//! The optimiser: from a first answer and an allowance of work to a better answer and a proven bound.

mod blocks;
mod carrier;
mod combine;
mod devices;
mod generate;
mod greedy;
mod master;
mod rows;
mod search;
mod tables;
#[cfg(test)]
mod tests;

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded};

use carrier::as_float;
use generate::{Generation, Round};
use rows::{Rows, grouped};

/// A purchase that is at least as good, and what no purchase that holds everything can cost less than.
pub(crate) fn improve(folded: &Folded, start: Bought, effort: &mut Effort<'_>) -> (Bought, u128) {
    if start.missing() > 0 || folded.classes.is_empty() {
        return (start, 0);
    }
    let generation = solved(folded, &start, effort);
    (start, generation.best_bound)
}

/// Rows of the master by level: prices are first shared by many classes, then by few, so that they converge quickly.
const LEVELS: [usize; 6] = [8, 40, 100, 200, 400, 800];

/// A level is left for the next one when the program's gap is below this share, or when the bound rose by less than
/// the other share in so many sweeps.
const LEVEL_GAP: f64 = 0.006;
const LEVEL_RISE: f64 = 0.0003;
const LEVEL_ROUNDS: usize = 6;

/// Column generation through all levels.
fn solved<'a>(folded: &'a Folded, start: &Bought, effort: &mut Effort<'_>) -> Generation<'a> {
    let counts: Vec<u64> = folded.classes.iter().map(|c| c.count).collect();
    let mut generation = Generation::new(folded, counts, Rows::new(folded, &grouped(folded, LEVELS[0])), start);
    for (level, rows_max) in LEVELS.into_iter().enumerate() {
        if level > 0 {
            generation = generation.with_rows(Rows::new(folded, &grouped(folded, rows_max)));
        }
        let last = rows_max >= folded.classes.len() || level + 1 == LEVELS.len();
        if last {
            generation.be_thorough();
        }
        let mut bounds: Vec<f64> = Vec::new();
        while effort.within(1.0) {
            let round = generation.round(effort);
            let bound = as_float(u64::try_from(generation.best_bound).unwrap_or(u64::MAX));
            bounds.resize(generation.sweeps.max(bounds.len()), bound);
            let before = bounds.len().checked_sub(LEVEL_ROUNDS).map(|at| bounds[at]);
            let slow = before.is_some_and(|before| bound - before <= LEVEL_RISE * bound);
            let near = generation.master.objective() * (1.0 - LEVEL_GAP) < bound;
            if round == Round::Solved || !last && (slow || near) {
                break;
            }
        }
        if last || !effort.within(1.0) {
            break;
        }
    }
    generation
}
