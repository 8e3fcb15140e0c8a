//! The optimiser: from a first answer and an allowance of work to a better answer and a proven bound.

mod blocks;
mod carrier;
mod dive;
mod generate;
mod greedy;
mod master;
mod part;
mod rows;
mod search;
mod tables;

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded};
use crate::fleet::greedy::{polish, travel};

use generate::{Generation, Round};
use rows::{Rows, grouped};

/// A purchase that is at least as good, and what no purchase that holds everything can cost less than.
pub(crate) fn improve(folded: &Folded, start: Bought, effort: &mut Effort<'_>) -> (Bought, u128) {
    if start.missing() > 0 || folded.classes.is_empty() {
        return (start, 0);
    }
    let generation = solved(folded, &start, effort);
    let counts: Vec<u64> = folded.classes.iter().map(|c| c.count).collect();
    let config = dive::DiveConfig {
        rows_max: 250,
        share: 0.9,
    };
    let dived = dive::dive(folded, &counts, generation.best_loads(4000), config, effort);
    if trace() {
        eprintln!(
            "start {:.4} dived {:.4} missing {}",
            start.price(folded) as f64 / 1e9,
            dived.price(folded) as f64 / 1e9,
            dived.missing()
        );
    }
    let best = if dived.missing() == 0 && dived.price(folded) < start.price(folded) {
        dived
    } else {
        start
    };
    let best = match &generation.proof {
        Some(proof) => {
            let values: Vec<f64> = proof.values.iter().map(|value| carrier::as_signed(*value)).collect();
            travel(folded, &values, best, effort, 1.0)
        }
        None => polish(folded, best, effort, 1.0),
    };
    (best, generation.best_bound)
}

/// A value for each class, in billionths of a dollar per hour, under which no load of any shape is worth more than the
/// shape's price; limits are not looked at. `None` when the effort did not suffice for any.
pub(crate) fn values(folded: &Folded, start: &Bought, effort: &mut Effort<'_>) -> Option<Vec<u64>> {
    let proof = solved(folded, start, effort).proof?;
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

/// Rows of the master by level: prices are first shared by many classes, then by few, so that they converge quickly.
const LEVELS: [usize; 5] = [8, 30, 120, 500, 900];

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
            generation.nodes_limit = 1_000_000;
        }
        let mut window = std::collections::VecDeque::new();
        while effort.within(0.5) {
            let round = generation.round(effort);
            let objective = generation.master.objective();
            if trace() {
                eprintln!(
                    "level {level} rows {} units {} lp {:.4} bound {:.4} cols {} {round:?}",
                    generation.rows.len(),
                    effort.done(),
                    objective / 1e9,
                    generation.best_bound as f64 / 1e9,
                    generation.patterns.len()
                );
            }
            if round == Round::Solved {
                break;
            }
            if !last && objective < 1.004 * generation.best_bound as f64 {
                break;
            }
            window.push_back(objective);
            if window.len() > 8 {
                let old: f64 = window.pop_front().unwrap_or(objective);
                if !last && old - objective < 0.0005 * objective {
                    break;
                }
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
        if last || !effort.within(0.5) {
            break;
        }
    }
    generation
}

fn trace() -> bool {
    option_env!("TRACE").is_some()
}
