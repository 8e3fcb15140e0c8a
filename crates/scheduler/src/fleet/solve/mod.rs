//! Making a purchase better and proving how near to the cheapest it is.

use super::folded::{Bought, Folded};
use crate::effort::Effort;

/// A purchase that is at least as good, and what no purchase that holds everything can cost less than.
pub(crate) fn improve(folded: &Folded, start: Bought, _effort: &mut Effort<'_>) -> (Bought, u128) {
    (start, fluid_bound(folded))
}

/// Each dimension alone, filled with the machines that give most of it for their price.
fn fluid_bound(folded: &Folded) -> u128 {
    let bound = |d: usize| {
        let need: u128 = folded
            .classes
            .iter()
            .map(|c| u128::from(c.need.0[d]) * u128::from(c.count))
            .sum();
        let price = |shape: &super::folded::Shape| {
            let capacity = u128::from(shape.capacity.0[d]);
            let exact = need
                .checked_mul(u128::from(shape.price))
                .map(|product| product / capacity.max(1));
            (capacity > 0).then(|| exact.unwrap_or_else(|| need / capacity * u128::from(shape.price)))
        };
        folded.shapes.iter().filter_map(price).min().unwrap_or(0)
    };
    (0..folded.dimensions).map(bound).max().unwrap_or(0)
}
