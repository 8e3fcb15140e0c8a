//! Early warning: what will go wrong, when, and how surely.
//!
//! [`time_to_exhaustion`] for what fills up or is used up (disks, memory, quotas, budgets), [`Validity`] for what ends on a
//! known day (certificates), [`FailureHistory`] for nodes that failed before, [`ErrorBudget`] for objectives that are being
//! missed. What is unusual without a limit belongs to [`crate::detect`], who is told belongs to [`crate::alert`].

mod budget;
mod exhaustion;
mod lifetime;
mod validity;

pub use budget::{BurnRate, BurnWindow, ErrorBudget, ErrorBudgetError};
pub use exhaustion::{Exhaustion, Limit, WarnError, time_to_exhaustion};
pub use lifetime::{FailureHistory, FailureHistoryError};
pub use validity::{Validity, ValidityState};
