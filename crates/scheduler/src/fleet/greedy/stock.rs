//! How many machines of each shape the limits still allow.

use super::prices::float;
use crate::fleet::folded::Folded;

/// What is left of each limit.
#[derive(Debug, Clone)]
pub(crate) struct Stock {
    left: Vec<u64>,
}

impl Stock {
    pub(crate) fn of(folded: &Folded) -> Self {
        Self {
            left: folded.limits.iter().map(|limit| limit.max).collect(),
        }
    }

    /// Machines of a shape that may still be bought.
    pub(crate) fn allows(&self, folded: &Folded, shape: usize) -> u64 {
        let each = folded.limits.iter().zip(&self.left);
        each.filter_map(|(limit, left)| left.checked_div(limit.takes[shape]))
            .min()
            .unwrap_or(u64::MAX)
    }

    /// The largest part of what is left of any limit that one machine of a shape takes.
    pub(crate) fn part(&self, folded: &Folded, shape: usize) -> f64 {
        let each = folded.limits.iter().zip(&self.left);
        each.map(|(limit, left)| float(limit.takes[shape]) / float(*left).max(1.0))
            .fold(0.0, f64::max)
    }

    /// Buys machines, of which so many must be allowed.
    pub(crate) fn buy(&mut self, folded: &Folded, shape: usize, machines: u64) {
        for (limit, left) in folded.limits.iter().zip(&mut self.left) {
            *left = left.saturating_sub(limit.takes[shape].saturating_mul(machines));
        }
    }

    /// Gives machines back.
    pub(crate) fn give_back(&mut self, folded: &Folded, shape: usize, machines: u64) {
        for (limit, left) in folded.limits.iter().zip(&mut self.left) {
            *left = left
                .saturating_add(limit.takes[shape].saturating_mul(machines))
                .min(limit.max);
        }
    }
}
