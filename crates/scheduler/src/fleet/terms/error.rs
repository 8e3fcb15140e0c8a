//! Why a term cannot be added to a question.

use skyloom_core::Class;
use thiserror::Error;

/// Why a term cannot be added to a question.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TermError {
    /// An offer that is not there.
    #[error("find offer `{offer}`: there are `{offers}`")]
    UnknownOffer {
        /// The position.
        offer: usize,
        /// Offers of the question.
        offers: usize,
    },
    /// A term on an offer that a term made: a reservation of a spot machine and the like.
    #[error("put further terms on offer `{offer}`: it is not on demand")]
    NotOnDemand {
        /// The position.
        offer: usize,
    },
    /// A dimension that is not there.
    #[error("find dimension `{dimension}`: there are `{dimensions}`")]
    UnknownDimension {
        /// The position.
        dimension: usize,
        /// Dimensions of the question.
        dimensions: usize,
    },
    /// A sum of money or resources that cannot be held.
    #[error("hold the {what} of `{name}`: it is beyond what can be counted")]
    Overflow {
        /// Which sum.
        what: &'static str,
        /// Of which term.
        name: String,
    },
    /// The name of the term is taken.
    #[error("tell two limits named `{name}` apart")]
    DuplicateName {
        /// The name.
        name: String,
    },
}

impl TermError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}
