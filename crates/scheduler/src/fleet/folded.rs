//! The question as the solvers see it: classes of equal workloads, shapes of equal machines, integers throughout.
//!
//! Cost of solving grows with classes times shapes, not with workloads times offers. Everything here has been checked:
//! each class fits into some shape, sums are far inside their integers. Reading input and explaining refusals is `fold`'s.

use super::problem::{Amounts, Devices};

/// Equal workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) need: Amounts,
    pub(crate) devices: Devices,
    /// At least 1.
    pub(crate) count: u64,
    /// Most on one machine, at least 1.
    pub(crate) per_machine_max: u32,
    /// Which shapes may carry it: a row of [`Folded::eligible`].
    pub(crate) eligible: usize,
}

/// Equal machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) capacity: Amounts,
    pub(crate) devices: u32,
    /// Billionths of a dollar per hour.
    pub(crate) price: u64,
    /// The offer it stands for.
    pub(crate) offer: usize,
}

/// Machines of some shapes are limited together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoldedLimit {
    pub(crate) max: u64,
    /// What one machine of each shape takes; 0 where it is not concerned.
    pub(crate) takes: Vec<u64>,
}

/// A folded question. Classes and shapes are in canonical order, whatever the order of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folded {
    /// Additive dimensions in use, at least 1.
    pub(crate) dimensions: usize,
    pub(crate) classes: Vec<Class>,
    pub(crate) shapes: Vec<Shape>,
    /// By eligibility row, by shape.
    pub(crate) eligible: Vec<Vec<bool>>,
    pub(crate) limits: Vec<FoldedLimit>,
}

/// What one machine carries: copies by class, classes rising, no zero entries. Feasible: amounts add up within the
/// capacity, shares pack into whole devices, limits per machine hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pattern {
    pub(crate) shape: usize,
    pub(crate) items: Vec<(u32, u32)>,
}

/// Machines bought, equal ones counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bought {
    pub(crate) machines: Vec<(Pattern, u64)>,
    /// Copies by class that have no machine (a limit is used up); all zero in a complete answer.
    pub(crate) left_out: Vec<u64>,
}

impl Folded {
    /// How many copies of a need fit into a capacity; needs of nothing fit without end.
    pub(crate) fn fitting(&self, need: &Amounts, capacity: &Amounts) -> u64 {
        let quotient = |d: usize| capacity.0[d].checked_div(need.0[d]);
        (0..self.dimensions).filter_map(quotient).min().unwrap_or(u64::MAX)
    }

    /// Whether a shape may carry a class, by eligibility alone.
    pub(crate) fn accepts(&self, shape: usize, class: usize) -> bool {
        self.eligible[self.classes[class].eligible][shape]
    }
}

impl Bought {
    /// Price of all machines, in billionths of a dollar per hour.
    pub(crate) fn price(&self, folded: &Folded) -> u128 {
        self.machines
            .iter()
            .map(|(pattern, copies)| u128::from(folded.shapes[pattern.shape].price) * u128::from(*copies))
            .sum()
    }

    /// Copies without a machine, in all.
    pub(crate) fn missing(&self) -> u64 {
        self.left_out.iter().sum()
    }
}
