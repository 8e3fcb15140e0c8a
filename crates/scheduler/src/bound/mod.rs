//! What a placement must cost at least, proven: the certificate beside a price.
//!
//! Prices are put on the demands (so many millionths of a dollar per month for each replica) such that no content of any
//! machine is worth more than the machine costs. Then every placement costs at least what all demands are worth: the
//! dual of the configuration program of Gilmore and Gomory (1961), where a column is a machine with a content. Good
//! prices are found by generating columns, in floats; that they are valid is verified afterwards, in whole numbers, with
//! every rounding outward. What a machine that is there already holds for nothing is taken off.
//!
//! Deviations: rules between machines are left out, except that a spread limits how many may share one (`relaxed`); a
//! content counts at most as many replicas as there are, which makes the bound tight on small problems.

mod anchor;
mod columns;
mod dive;
mod knapsack;
mod master;
mod relaxed;

use serde::{Deserialize, Serialize};
use skyloom_core::MicroUsd;

use crate::model::Model;
use crate::state::State;
use anchor::anchored;
use columns::generate;
use knapsack::{at_most, best_content};
use relaxed::Relaxed;

pub(crate) use dive::{Planned, contents};

/// What no placement of the same replicas, leaving where they are those that stay, can cost less than.
///
/// It holds for machines and egress per month under every rule of the manifest, also those that it does not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LowerBound {
    /// Machines and egress.
    pub total_per_month: MicroUsd,
}

impl LowerBound {
    /// How far `total` is above the bound, as a share of the bound: the largest share that a better placement could
    /// save, or more. `None` where the bound is zero and the total is not.
    #[must_use]
    pub fn gap(&self, total: MicroUsd) -> Option<f64> {
        let over = total.as_usd() - self.total_per_month.as_usd();
        match self.total_per_month {
            _ if total <= self.total_per_month => Some(0.0),
            MicroUsd::ZERO => None,
            bound => Some(over / bound.as_usd()),
        }
    }
}

/// Steps of one knapsack while prices are verified.
const STEPS_VERIFY: u32 = 60_000;

/// Demands beyond which the columns grow faster than they pay: then the bound is that of what is paid anyway.
const DEMANDS_MAX: usize = 400;

/// The bound of a finished decision.
pub(crate) fn lower_bound(model: &Model<'_>, state: &State, pinned: &[bool]) -> LowerBound {
    let total = state.total_per_month(model);
    let free: Vec<usize> = (0..pinned.len())
        .filter(|r| !pinned[*r] && state.at[*r].is_some())
        .collect();
    let bound = if free.is_empty() {
        // Nothing is free to be elsewhere.
        total
    } else {
        anchored(model, state, &free, pinned, total).clamp(0, total.max(0))
    };
    LowerBound {
        total_per_month: MicroUsd::from_micros(i64::try_from(bound).unwrap_or(i64::MAX)),
    }
}

fn least(relaxed: &Relaxed) -> i128 {
    if relaxed.demands.len() > DEMANDS_MAX {
        return relaxed.paid;
    }
    let values = generate(relaxed, &relaxed.demands, &mut Vec::new()).values;
    relaxed.paid + verified(relaxed, values).max(0)
}

/// What the demands are worth at these prices, once made valid: no content of a machine to buy may be worth more than
/// it costs, and what machines that are there hold for less is taken off.
fn verified(relaxed: &Relaxed, values: Vec<f64>) -> i128 {
    const TRIES: u32 = 3;
    // A lower price is valid where a higher one is; up to this whole numbers are exact in a float.
    const MOST: f64 = 4_503_599_627_370_496.0;
    let mut values: Vec<f64> = values.into_iter().map(|y| y.floor().clamp(0.0, MOST)).collect();
    for _ in 0..TRIES {
        let mut scale = 1.0f64;
        let mut given = 0i128;
        for shape in &relaxed.shapes {
            let upper = match at_most(shape, &relaxed.demands, &values, whole(shape.price) - 1.0) {
                quick if exact(quick) <= shape.price => continue,
                _ => best_content(shape, &relaxed.demands, &values, STEPS_VERIFY).upper,
            };
            let over = exact(upper) - shape.price;
            match shape.times {
                _ if over <= 0 => {}
                Some(times) => given = given.saturating_add(over.saturating_mul(i128::from(times))),
                None => scale = scale.min(whole(shape.price) / upper * (1.0 - 1e-12)),
            }
        }
        if scale >= 1.0 {
            let worth = values
                .iter()
                .zip(&relaxed.demands)
                .map(|(y, d)| exact(*y) * i128::from(d.count));
            return worth.fold(0i128, i128::saturating_add).saturating_sub(given);
        }
        values.iter_mut().for_each(|y| *y = (*y * scale).floor());
    }
    0
}

/// A bound pushed up to a whole number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates: beyond what i128 holds a machine is worth more than it costs all the same"
)]
fn exact(amount: f64) -> i128 {
    amount.ceil() as i128
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a month's price of a machine; beyond 2^53 the verification refuses it or makes the bound weaker"
)]
pub(crate) fn whole(price: i128) -> f64 {
    price as f64
}
