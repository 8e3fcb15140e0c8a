//! Why there is no fleet for a manifest.

use skyloom_core::{Class, MicroUsd};
use thiserror::Error;

use crate::fleet::error::FleetError;
use crate::problem::PlaceError;

/// Why there is no fleet for a manifest at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestFleetError {
    /// The problem contradicts itself, or breaks a rule over the whole.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A question about machines has no answer.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The budget does not pay for the cheapest fleet found.
    #[error(
        "meet the budget of `{budget}` per month: the least found costs `{least}`, and {}",
        proof(*lower_bound, *budget)
    )]
    OverBudget {
        /// Cost of the cheapest fleet found, per month.
        least: MicroUsd,
        /// No fleet costs less per month.
        lower_bound: MicroUsd,
        /// The budget per month.
        budget: MicroUsd,
    },
}

fn proof(lower_bound: MicroUsd, budget: MicroUsd) -> String {
    if lower_bound > budget {
        format!("it is proven that none costs less than `{lower_bound}`")
    } else {
        format!("only `{lower_bound}` is proven to be needed")
    }
}

impl ManifestFleetError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Place(error) => error.class(),
            Self::Fleet(error) => error.class(),
            Self::OverBudget { .. } => Class::Exhausted,
        }
    }
}
