//! Why a synchronisation as a whole failed. What goes wrong with single objects is in the report instead.

use skyloom_core::Class;
use thiserror::Error;

use crate::base_store::BaseError;
use crate::plan::{PlanError, Side};
use crate::store::StoreError;

/// Why a synchronisation failed. Whatever it is, running again is safe.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SyncError {
    /// A store cannot be listed completely; so nothing was planned, least of all a delete.
    #[error("scan the {side} store")]
    Scan {
        /// Which.
        side: Side,
        /// What the store says.
        source: Box<StoreError>,
    },
    /// No plan can be made.
    #[error("make a plan")]
    Plan(#[source] PlanError),
    /// The merge base cannot be read or saved.
    #[error("keep the merge base")]
    Base(#[source] BaseError),
    /// The world has moved since the plan was made: make a new one.
    #[error("carry out an outdated plan: {what}")]
    Outdated {
        /// What moved.
        what: &'static str,
    },
    /// The plan is of another version.
    #[error("carry out a plan of version {found}")]
    PlanVersion {
        /// Version of the plan.
        found: u32,
    },
}

impl SyncError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Scan { source, .. } => source.class(),
            Self::Plan(error) => error.class(),
            Self::Base(error) => error.class(),
            Self::Outdated { .. } => Class::Conflict,
            Self::PlanVersion { .. } => Class::Unsupported,
        }
    }
}
