//! The optimiser: from a first answer and an allowance of work to a better answer and a proven bound.
//!
//! Prices of classes lead: `fluid` has them at once where machines hold many workloads, `generate` solves the linear program
//! over loads of machines, with `search` and `combine` as its pricing. `dive` turns fractions into machines, `build` buys
//! machines under prices, `repair` mends. Which of them come first depends on how many classes there are.

mod blocks;
mod build;
mod carrier;
mod combine;
mod devices;
mod dive;
mod fill;
mod fluid;
mod generate;
mod master;
mod matrix;
mod part;
mod repair;
mod rows;
mod search;
mod tables;
#[cfg(test)]
mod tests;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded};

use build::Builder;
use dive::{DiveConfig, dive};
use generate::{FEW, Generation, Round};
use repair::repair;
use rows::{Rows, grouped};

/// Rows of the master by level: prices are first shared by many classes, then by few, so that they converge quickly.
const LEVELS: [usize; 6] = [8, 40, 100, 200, 400, 800];

/// A level is left for the next one when the program's gap is below this share, or when the bound rose by less than
/// the other share in so many sweeps.
const LEVEL_GAP: f64 = 0.006;
const LEVEL_RISE: f64 = 0.0003;
const LEVEL_ROUNDS: usize = 6;

/// Classes up to which each may have a row of its own.
const OWN_ROWS_MAX: usize = 800;
/// With so many copies per class most of a solution is whole machines, and turning its fractions into machines pays with
/// many classes too.
const DIVE_COPIES: u64 = 50;
/// Loads that a dive begins with.
const LOADS_MAX: usize = 4000;
/// Shares of the allowance by which parts end. With few classes: the program, the dive.
const PROGRAM_SHARE: f64 = 0.7;
const DIVE_SHARE: f64 = 0.9;
/// With many classes: the program where machines repeat, buying under prices, mending, raising the bound.
const REPEATING_SHARE: f64 = 0.45;
const BUILD_SHARE: f64 = 0.55;
const MEND_SHARE: f64 = 0.75;
const RAISE_SHARE: f64 = 0.9;
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
    if folded.classes.len() <= FEW || !folded.limits.is_empty() {
        by_program(folded, start, effort)
    } else {
        by_prices(folded, start, effort)
    }
}

/// Few classes: the linear program is solved, its fractions are turned into machines, and these are mended.
fn by_program(folded: &Folded, start: Bought, effort: &mut Effort<'_>) -> (Bought, u128) {
    let generation = solved(folded, &start, PROGRAM_SHARE, effort);
    let bound = generation.bound();
    let mut best = start;
    let (counts, copies) = copies(folded);
    let dives = folded.classes.len() <= FEW || copies >= DIVE_COPIES;
    if dives && !near(folded, &best, bound) {
        let config = DiveConfig {
            rows_max: OWN_ROWS_MAX,
            share: DIVE_SHARE,
        };
        let dived = dive(folded, &counts, generation.best_loads(LOADS_MAX), config, effort);
        best = cheaper(folded, best, dived);
    }
    if let Some(proof) = generation.proof.as_ref().filter(|_| !near(folded, &best, bound)) {
        let shapes = generation.shapes_in_use(&best);
        best = repair(folded, best, &proof.values, &shapes, effort);
    }
    (best, bound)
}

/// Many classes: machines are bought and mended under the prices of the fluid program, which few roundings can better;
/// the program over loads gives machines where these repeat, and raises the bound where each class can have its row.
fn by_prices(folded: &Folded, start: Bought, effort: &mut Effort<'_>) -> (Bought, u128) {
    let (counts, copies) = copies(folded);
    let mut generation = begun(folded, &start, true, effort);
    let values = generation.base.clone();
    let mut best = start;
    let mut whole = Vec::new();
    if copies >= DIVE_COPIES && counts.len() <= OWN_ROWS_MAX {
        let rows = Rows::new(folded, &grouped(folded, OWN_ROWS_MAX));
        generation = generation.with_rows(rows);
        effort.between(0.0, REPEATING_SHARE, |effort| converge(&mut generation, true, effort));
        whole = generation.whole_machines();
    }
    let shapes = generation.shapes_in_use(&best);
    let dice = &mut ChaCha8Rng::seed_from_u64(11);
    let builder = Builder::new(folded, &values, &shapes, dice);
    if let Some(built) = effort.between(0.0, BUILD_SHARE, |effort| builder.complete(&counts, whole, effort)) {
        best = cheaper(folded, best, built);
    }
    let mend = |best: Bought, bound: u128, until: f64, effort: &mut Effort<'_>| {
        if near(folded, &best, bound) {
            return best;
        }
        effort.between(0.0, until, |effort| repair(folded, best, &values, &shapes, effort))
    };
    best = mend(best, generation.bound(), MEND_SHARE, effort);
    if counts.len() <= OWN_ROWS_MAX && !near(folded, &best, generation.bound()) {
        generation = effort.between(0.0, RAISE_SHARE, |effort| raised(generation, 1, effort));
    }
    best = mend(best, generation.bound(), 1.0, effort);
    (best, generation.bound())
}

/// Copies of each class, and how many a class has on average.
fn copies(folded: &Folded) -> (Vec<u64>, u64) {
    let counts: Vec<u64> = folded.classes.iter().map(|c| c.count).collect();
    let each = counts.iter().sum::<u64>() / (counts.len() as u64).max(1);
    (counts, each)
}

/// The cheaper of two purchases, the first one complete.
fn cheaper(folded: &Folded, complete: Bought, other: Bought) -> Bought {
    if other.missing() == 0 && other.price(folded) < complete.price(folded) {
        other
    } else {
        complete
    }
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

/// The coarsest program, and what the fluid program's prices prove; whether these are its base.
fn begun<'a>(folded: &'a Folded, start: &Bought, is_base: bool, effort: &mut Effort<'_>) -> Generation<'a> {
    let (counts, _) = copies(folded);
    let rows = Rows::new(folded, &grouped(folded, LEVELS[0]));
    let mut generation = Generation::new(folded, counts, rows, start);
    generation.begin_fluid(start, is_base, effort);
    generation
}

/// Column generation through all levels, by a share of the effort.
fn solved<'a>(folded: &'a Folded, start: &Bought, share: f64, effort: &mut Effort<'_>) -> Generation<'a> {
    effort.between(0.0, share, |effort| {
        let mut generation = begun(folded, start, folded.classes.len() > FEW, effort);
        let last = converge(&mut generation, LEVELS[0] >= folded.classes.len(), effort);
        if last {
            generation
        } else {
            raised(generation, 1, effort)
        }
    })
}

/// Column generation through levels from one on.
fn raised<'a>(mut generation: Generation<'a>, from: usize, effort: &mut Effort<'_>) -> Generation<'a> {
    let classes = generation.folded.classes.len();
    for rows_max in LEVELS.into_iter().skip(from) {
        let rows = Rows::new(generation.folded, &grouped(generation.folded, rows_max));
        generation = generation.with_rows(rows);
        let last = rows_max >= classes || rows_max == LEVELS[LEVELS.len() - 1];
        if converge(&mut generation, last, effort) {
            break;
        }
    }
    generation
}

/// Rounds of one level; whether there is nothing to be had from a further one.
fn converge(generation: &mut Generation<'_>, last: bool, effort: &mut Effort<'_>) -> bool {
    if last || generation.many() {
        generation.be_thorough();
    }
    let mut bounds: Vec<u128> = Vec::new();
    while effort.within(1.0) {
        let round = generation.round(effort);
        let (objective, bound) = (generation.objective(), generation.best_bound);
        bounds.resize(generation.sweeps.max(bounds.len()), bound);
        let before = bounds.len().checked_sub(LEVEL_ROUNDS).map(|at| bounds[at]);
        #[expect(clippy::cast_precision_loss, reason = "decides when to go on, nothing else")]
        let (risen, bound) = (before.map(|before| (bound - before) as f64), bound as f64);
        let slow = risen.is_some_and(|risen| risen <= LEVEL_RISE * bound);
        let enough = slow || objective * (1.0 - LEVEL_GAP) < bound;
        // With many classes a level begins at the fluid program's prices, which are that near already: it is gone through.
        if round == Round::Solved || !last && !generation.many() && enough {
            return last;
        }
    }
    true
}
