//! The optimiser: from a first answer and an allowance of work to a better answer and a proven bound.
//!
//! `generate` solves the linear program over loads of machines, with `search` and `combine` as its pricing; `dive` turns
//! its fractions into machines; `repair` mends what is left. Which of them pay depends on the instance: with few classes
//! each has a price of its own and a dive ends near the bound; with many, prices are shared, and mending is what counts.

mod blocks;
mod carrier;
mod combine;
mod devices;
mod dive;
mod generate;
mod greedy;
mod master;
mod part;
mod repair;
mod rows;
mod search;
mod tables;
#[cfg(test)]
mod tests;

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded};

use dive::{DiveConfig, dive};
use generate::{Generation, Round};
use repair::repair;
use rows::{Rows, grouped};

/// Rows of the master by level: prices are first shared by many classes, then by few, so that they converge quickly.
const LEVELS: [usize; 6] = [8, 40, 100, 200, 400, 800];

/// A level is left for the next one when the program's gap is below this share, or when the bound rose by less than
/// the other share in so many sweeps.
const LEVEL_GAP: f64 = 0.006;
const LEVEL_RISE: f64 = 0.0003;
const LEVEL_ROUNDS: usize = 6;

/// Classes up to which each has a row of its own while diving.
const OWN_ROWS_MAX: usize = 300;
/// Shares of the allowance by which the program is left: with few classes it is solved before; with many, mending a
/// purchase under good prices is worth more than the last digits of the bound.
const PROGRAM_SHARE_FEW: f64 = 0.7;
const PROGRAM_SHARE_MANY: f64 = 0.45;
/// With so many copies per class most of a solution is whole machines, and a dive pays with many classes too.
const DIVE_COPIES: u64 = 50;
/// Share of the allowance by which a dive ends.
const DIVE_SHARE: f64 = 0.9;
/// Loads that a dive begins with.
const LOADS_MAX: usize = 4000;
/// The dearest machine, in billionths of a dollar per hour (4,398 USD), for which sums of values are far inside an `i64`;
/// where one costs more, the first answer and its quick bound stand.
const PRICE_MAX: u64 = 1 << 42;
/// A gap below this share is as good as none.
const GAP_MIN: f64 = 5e-5;

/// A purchase that is at least as good, and what no purchase that holds everything can cost less than.
pub(crate) fn improve(folded: &Folded, start: Bought, effort: &mut Effort<'_>) -> (Bought, u128) {
    let too_dear = folded.shapes.iter().any(|shape| shape.price > PRICE_MAX);
    if start.missing() > 0 || folded.classes.is_empty() || too_dear {
        return (start, 0);
    }
    let few = folded.classes.len() <= OWN_ROWS_MAX;
    let share = if few { PROGRAM_SHARE_FEW } else { PROGRAM_SHARE_MANY };
    let generation = solved(folded, &start, share, effort);
    let bound = generation.best_bound;
    let mut best = start;
    let counts: Vec<u64> = folded.classes.iter().map(|c| c.count).collect();
    let copies: u64 = counts.iter().sum();
    let dives = few || copies / counts.len() as u64 >= DIVE_COPIES;
    if dives && !near(folded, &best, bound) {
        let config = DiveConfig {
            rows_max: OWN_ROWS_MAX,
            share: DIVE_SHARE,
        };
        let dived = dive(folded, &counts, generation.best_loads(LOADS_MAX), config, effort);
        if dived.missing() == 0 && dived.price(folded) < best.price(folded) {
            best = dived;
        }
    }
    if let Some(proof) = generation.proof.as_ref().filter(|_| !near(folded, &best, bound)) {
        let shapes = generation.shapes_in_use(&best);
        best = repair(folded, best, &proof.values, shapes, effort);
    }
    (best, bound)
}

/// Whether a purchase is so near to its bound that looking further is not worth while.
fn near(folded: &Folded, bought: &Bought, bound: u128) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "decides when to stop, nothing else")]
    let (price, bound) = (bought.price(folded) as f64, bound as f64);
    price <= bound * (1.0 + GAP_MIN)
}

/// A value for each class, in billionths of a dollar per hour, under which no load of any shape is worth more than the
/// shape's price; limits are not looked at. `None` when the effort did not suffice for any.
pub(crate) fn values(folded: &Folded, start: &Bought, effort: &mut Effort<'_>) -> Option<Vec<u64>> {
    if folded.shapes.iter().any(|shape| shape.price > PRICE_MAX) {
        return None;
    }
    let proof = solved(folded, start, 1.0, effort).proof?;
    // The smallest price over worth, compared as fractions.
    let (mut price, mut worth) = (1i128, 1i128);
    for (shape, upper) in folded.shapes.iter().zip(&proof.uppers) {
        let (own, upper) = (i128::from(shape.price), i128::from(*upper));
        if upper > own && own * worth < price * upper {
            (price, worth) = (own, upper);
        }
    }
    let scaled = |value: &i64| u64::try_from(i128::from(*value).max(0) * price / worth).unwrap_or(0);
    Some(proof.values.iter().map(scaled).collect())
}

/// Column generation through all levels, by a share of the effort.
fn solved<'a>(folded: &'a Folded, start: &Bought, share: f64, effort: &mut Effort<'_>) -> Generation<'a> {
    effort.between(0.0, share, |effort| {
        let counts: Vec<u64> = folded.classes.iter().map(|c| c.count).collect();
        let rows = Rows::new(folded, &grouped(folded, LEVELS[0]));
        let mut generation = Generation::new(folded, counts, rows, start);
        for (level, rows_max) in LEVELS.into_iter().enumerate() {
            if level > 0 {
                generation = generation.with_rows(Rows::new(folded, &grouped(folded, rows_max)));
            }
            let last = rows_max >= folded.classes.len() || level + 1 == LEVELS.len();
            converge(&mut generation, last, effort);
            if last || !effort.within(1.0) {
                break;
            }
        }
        generation
    })
}

/// Rounds of one level.
fn converge(generation: &mut Generation<'_>, last: bool, effort: &mut Effort<'_>) {
    if last {
        generation.be_thorough();
    }
    let mut bounds: Vec<u128> = Vec::new();
    while effort.within(1.0) {
        let round = generation.round(effort);
        let (objective, bound) = (generation.master.objective(), generation.best_bound);
        bounds.resize(generation.sweeps.max(bounds.len()), bound);
        let before = bounds.len().checked_sub(LEVEL_ROUNDS).map(|at| bounds[at]);
        #[expect(clippy::cast_precision_loss, reason = "decides when to go on, nothing else")]
        let (risen, bound) = (before.map(|before| (bound - before) as f64), bound as f64);
        let slow = risen.is_some_and(|risen| risen <= LEVEL_RISE * bound);
        if round == Round::Solved || !last && (slow || objective * (1.0 - LEVEL_GAP) < bound) {
            break;
        }
    }
}
