//! The portfolio: first fit, then fillings by several values, the best kept.

use super::fill::{Cart, Order, Steering, fill};
use super::first_fit::first_fit;
use super::prices::{alone, corrected, fluid};
use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded};

/// Rounds of corrected values at most.
const ROUNDS_MAX: usize = 24;

/// Rounds without a better purchase after which the corrections end.
const ROUNDS_WITHOUT_MAX: usize = 6;

/// Most pairs of a class and a shape that a filling orders; beyond that it is left to first fit.
const PAIRS_MAX: usize = 20_000_000;

/// The best purchase of several greedy rules, found by this share of the effort. Only what limits forbid is left out.
pub(crate) fn first(folded: &Folded, effort: &mut Effort<'_>, share: f64) -> Bought {
    let alone = alone(folded);
    let mut order: Vec<u32> = (0u32..).take(folded.classes.len()).collect();
    order.sort_by(|a, b| alone[*b as usize].total_cmp(&alone[*a as usize]).then(a.cmp(b)));
    let mut cart = Cart::empty(folded);
    first_fit(folded, &mut cart, &order);
    let mut best = cart.into_bought();
    if folded.classes.len().saturating_mul(folded.shapes.len()) > PAIRS_MAX {
        return best;
    }
    for mut values in [fluid(folded), alone.clone()] {
        let mut without = 0;
        for round in 0..ROUNDS_MAX {
            if !effort.within(share) || without > ROUNDS_WITHOUT_MAX {
                break;
            }
            let by = if round % 2 == 0 { Order::Density } else { Order::Size };
            let next = filled(folded, &values, by, &order, effort, share);
            values = corrected(folded, &values, &next, 0.3);
            without += 1;
            if is_better(folded, &next, &best) {
                best = next;
                without = 0;
            }
        }
    }
    best
}

/// Fills by values; what they leave, first fit places.
fn filled(
    folded: &Folded,
    values: &[f64],
    order: Order,
    by_cost: &[u32],
    effort: &mut Effort<'_>,
    share: f64,
) -> Bought {
    let mut cart = Cart::empty(folded);
    let classes: Vec<u32> = (0u32..).take(folded.classes.len()).collect();
    let shapes: Vec<usize> = (0..folded.shapes.len()).collect();
    let steering = Steering {
        values,
        order,
        shapes: &shapes,
        classes: &classes,
    };
    fill(folded, &mut cart, steering, effort, share);
    if !cart.is_done() {
        first_fit(folded, &mut cart, by_cost);
    }
    cart.into_bought()
}

/// Fewer copies without a machine, then a lower price.
pub(crate) fn is_better(folded: &Folded, a: &Bought, b: &Bought) -> bool {
    (a.missing(), a.price(folded)) < (b.missing(), b.price(folded))
}
