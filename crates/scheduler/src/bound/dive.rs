//! Whole machines from a fractional cover: the start of a search that knows what fits well together.
//!
//! Takes the whole part of the cover, covers what is left anew, and where no whole part is left takes the content that
//! is nearest to a whole one: a dive, as in the rounding of cutting-stock programs.

use super::DEMANDS_MAX;
use super::columns::{Column, generate};
use super::relaxed::{Demand, Relaxed};
use crate::effort::Effort;
use crate::model::Model;
use crate::state::State;

/// A machine with the content that it is to carry.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Options of the model of which it may be one, all of one price.
    pub(crate) options: Vec<usize>,
    /// Services, of any of which so many.
    pub(crate) content: Vec<(Vec<usize>, u64)>,
}

/// How a dive rounds. Which is best changes with the instance, and a dive costs little next to a search.
#[derive(Debug, Clone, Copy)]
enum Rounding {
    /// Everything that is whole at once, then the content that is nearest to one more.
    Wholes,
    /// What is whole, and what is at least this share of one.
    From(f64),
}

const ROUNDINGS: [Rounding; 3] = [Rounding::Wholes, Rounding::From(0.5), Rounding::From(0.8)];

/// Covers of every replica of `todo` by contents, one per way to round, as far as rules between machines are left out.
/// `start` has the rest.
pub(crate) fn contents(
    model: &Model<'_>,
    start: &State,
    todo: &[usize],
    pinned: &[bool],
    work: &mut Effort<'_>,
) -> Vec<Vec<Planned>> {
    let relaxed = Relaxed::of(model, start, todo, pinned, &[]);
    let mut pool = Vec::new();
    let mut covers = Vec::new();
    if relaxed.demands.len() <= DEMANDS_MAX {
        for rounding in ROUNDINGS {
            covers.push(dive(&relaxed, rounding, &mut pool, work));
        }
    }
    covers
}

fn dive(relaxed: &Relaxed, rounding: Rounding, pool: &mut Vec<Column>, work: &mut Effort<'_>) -> Vec<Planned> {
    let mut demands = relaxed.demands.clone();
    let mut planned = Vec::new();
    let mut left: Vec<u64> = relaxed.shapes.iter().map(|s| s.times.unwrap_or(u64::MAX)).collect();
    while demands.iter().any(|d| d.count > 0) && work.within(0.25) {
        let known = pool.len();
        let generated = generate(relaxed, &demands, pool);
        work.add((relaxed.shapes.len() + 20 * (pool.len() - known)) * demands.len());
        let mut taken = generated.taken;
        taken.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let before = planned.len();
        for (column, times) in chosen(&taken, rounding) {
            take(relaxed, &pool[column], times, &mut demands, &mut left, &mut planned);
        }
        if planned.len() == before {
            break;
        }
    }
    planned
}

/// Contents to take, most taken first, and how often.
fn chosen(taken: &[(usize, f64)], rounding: Rounding) -> Vec<(usize, u64)> {
    let share = match rounding {
        Rounding::Wholes => 1.0,
        Rounding::From(share) => share,
    };
    let whole = |(column, level): &(usize, f64)| Some((*column, floor(*level + 1.0 - share)?));
    let mut chosen: Vec<(usize, u64)> = taken.iter().filter_map(whole).collect();
    if chosen.is_empty() {
        chosen.extend(taken.first().map(|(nearest, _)| (*nearest, 1)));
    }
    chosen
}

/// The whole part of a level, if there is any.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a level is at least zero, and the cast saturates"
)]
fn floor(level: f64) -> Option<u64> {
    let whole = (level + 1e-6).floor() as u64;
    (whole > 0).then_some(whole)
}

fn take(
    relaxed: &Relaxed,
    column: &Column,
    times: u64,
    demands: &mut [Demand],
    left: &mut [u64],
    planned: &mut Vec<Planned>,
) {
    for _ in 0..times.min(left[column.shape]) {
        let mut content = Vec::new();
        for (demand, count) in demands.iter_mut().zip(&column.counts) {
            let count = demand.count.min(*count);
            if count > 0 {
                demand.count -= count;
                demand.most_together = demand.most_together.min(demand.count.max(1));
                content.push((demand.services.clone(), count));
            }
        }
        if content.is_empty() {
            return;
        }
        left[column.shape] = left[column.shape].saturating_sub(1);
        planned.push(Planned {
            options: relaxed.shapes[column.shape].options.clone(),
            content,
        });
    }
}
