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
        let mut bounds: Vec<u128> = Vec::new();
        while effort.within(1.0) {
            let round = generation.round(effort);
            let (objective, bound) = (generation.master.objective(), generation.best_bound);
            if trace() {
                eprintln!(
                    "{:.2} level {level} rows {} units {} lp {:.4} bound {:.4} cols {} {round:?}",
                    cpu(),
                    generation.rows.len(),
                    effort.done(),
                    objective / 1e9,
                    generation.best_bound as f64 / 1e9,
                    generation.patterns.len()
                );
            }
            bounds.resize(generation.sweeps.max(bounds.len()), bound);
            let before = bounds.len().checked_sub(LEVEL_ROUNDS).map(|at| bounds[at]);
            let slow = before.is_some_and(|before| (bound - before) as f64 <= LEVEL_RISE * bound as f64);
            if round == Round::Solved || !last && (slow || objective * (1.0 - LEVEL_GAP) < bound as f64) {
                break;
            }
        }
        if trace() {
            if let Some(p) = &generation.last {
                let mut v: Vec<_> = folded
                    .shapes
                    .iter()
                    .enumerate()
                    .map(|(i, s)| (s.price as f64 / p.uppers[i] as f64, i))
                    .collect();
                v.sort_by(|a, b| a.0.total_cmp(&b.0));
                for (r, i) in v.iter().take(12) {
                    let s = &folded.shapes[*i];
                    if *r < 0.99999 {
                        eprintln!(
                            "{r:.5} cap {:?} dev {} price {}",
                            &s.capacity.0[..2],
                            s.devices,
                            s.price as f64 / 1e9
                        );
                    }
                }
                eprintln!("bound last {}", p.bound(folded, &generation.counts) as f64 / 1e9);
            }
        }
        if last || !effort.within(1.0) {
            break;
        }
    }
    generation
}

fn trace() -> bool {
    option_env!("TRACE").is_some()
}

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let v: Vec<&str> = s.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    (v[11].parse::<f64>().unwrap_or(0.0) + v[12].parse::<f64>().unwrap_or(0.0)) / 100.0
}
