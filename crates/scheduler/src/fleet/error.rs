//! Why a fleet purchase has no answer at all, and where in the question the cause is.
//!
//! A workload that fits nowhere is no failure: it is left out of the answer, with its reason.

use std::fmt;

use skyloom_core::Class;
use thiserror::Error;

use super::problem::DIMENSIONS_MAX;

/// A part of a [`super::FleetProblem`], by its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Of `workloads`.
    Workload(usize),
    /// Of `offers`.
    Offer(usize),
    /// Of `eligibility`.
    Eligibility(usize),
    /// Of `limits`.
    Limit(usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(at) => write!(f, "workload `{at}`"),
            Self::Offer(at) => write!(f, "offer `{at}`"),
            Self::Eligibility(at) => write!(f, "set of offers `{at}`"),
            Self::Limit(at) => write!(f, "limit `{at}`"),
        }
    }
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FleetError {
    /// More dimensions than vectors hold.
    #[error("count in `{asked}` dimensions: at most `{DIMENSIONS_MAX}` are possible")]
    TooManyDimensions {
        /// Dimensions of the question.
        asked: usize,
    },
    /// Two dimensions have one name.
    #[error("tell two dimensions named `{name}` apart")]
    DuplicateDimension {
        /// The name.
        name: String,
    },
    /// An amount in a dimension that the question does not have.
    #[error("read dimension `{position}` of {part}: the question has `{dimensions}`")]
    UnknownDimension {
        /// Whose amount.
        part: Part,
        /// Position of the amount.
        position: usize,
        /// Dimensions of the question.
        dimensions: usize,
    },
    /// A quantity beyond what sums can hold.
    #[error("accept `{asked}` as the {what} of {part}: at most `{allowed}` is possible")]
    TooMuch {
        /// Whose quantity.
        part: Part,
        /// Which quantity.
        what: String,
        /// Its value.
        asked: u64,
        /// The most that is accepted.
        allowed: u64,
    },
    /// More copies than one answer names one by one.
    #[error("place `{asked}` copies: at most `{allowed}` are accepted at once")]
    TooManyCopies {
        /// Copies of all workloads.
        asked: u128,
        /// The most that is accepted.
        allowed: u64,
    },
    /// A position of an offer that is not there.
    #[error("find offer `{offer}`, which {part} names: there are `{offers}`")]
    UnknownOffer {
        /// Which part names it.
        part: Part,
        /// The position.
        offer: usize,
        /// Offers of the question.
        offers: usize,
    },
    /// Positions of offers that do not rise.
    #[error("read {part}: offer `{offer}` stands after one that is not before it")]
    Unsorted {
        /// Which part.
        part: Part,
        /// The first position that is out of order, or there twice.
        offer: usize,
    },
    /// A set of offers that is not there.
    #[error("find set of offers `{set}`, which {part} names: there are `{sets}`")]
    UnknownEligibility {
        /// Which workload names it.
        part: Part,
        /// The position.
        set: usize,
        /// Sets of the question.
        sets: usize,
    },
    /// A share of a device that is none.
    #[error("give {part} `{asked}` thousandths of a device: a share has 1 to 999")]
    ShareOutOfRange {
        /// Which workload.
        part: Part,
        /// What it asks for.
        asked: u32,
    },
    /// Whole devices, but none of them.
    #[error("give {part} `0` whole devices: a workload without devices says so")]
    NoWholeDevices {
        /// Which workload.
        part: Part,
    },
    /// No copy may be on a machine, and yet there are copies.
    #[error("place {part}: at most `0` copies of it may be on one machine")]
    NonePerMachine {
        /// Which workload.
        part: Part,
    },
    /// Two limits have one name.
    #[error("tell two limits named `{name}` apart")]
    DuplicateLimit {
        /// The name.
        name: String,
    },
    /// The budget does not pay for the cheapest fleet found.
    #[error(
        "meet the budget of `{budget_nano_usd_per_hour}` billionths of a dollar per hour: the least found costs \
         `{least_nano_usd_per_hour}`, and {}",
        proof(*lower_bound_nano_usd_per_hour, *budget_nano_usd_per_hour)
    )]
    OverBudget {
        /// Cost of the cheapest fleet found.
        least_nano_usd_per_hour: u128,
        /// No fleet costs less.
        lower_bound_nano_usd_per_hour: u128,
        /// The budget.
        budget_nano_usd_per_hour: u64,
    },
    /// A broken promise of our own.
    #[error("keep a promise of the engine: {what}")]
    Broken {
        /// Which.
        what: &'static str,
    },
}

fn proof(lower_bound: u128, budget: u64) -> String {
    if lower_bound > u128::from(budget) {
        format!("it is proven that none costs less than `{lower_bound}`")
    } else {
        format!("only `{lower_bound}` is proven to be needed")
    }
}

impl FleetError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::OverBudget { .. } => Class::Exhausted,
            Self::Broken { .. } => Class::Bug,
            _ => Class::Invalid,
        }
    }

    /// Whether it is proven that no fleet can be bought, as opposed to: none was found.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        match self {
            Self::OverBudget {
                lower_bound_nano_usd_per_hour,
                budget_nano_usd_per_hour,
                ..
            } => *lower_bound_nano_usd_per_hour > u128::from(*budget_nano_usd_per_hour),
            Self::Broken { .. } => false,
            _ => true,
        }
    }
}
