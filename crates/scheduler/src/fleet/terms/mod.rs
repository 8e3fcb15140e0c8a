//! Terms of purchase as plain additions to a question: spot with its risk, reservations, commitments, quotas.
//!
//! Each term becomes offers and limits that the engine already knows, so nothing in the engine is special about them;
//! [`FleetTerms`] remembers what each added offer stands for, and breaks an answer's cost down again.

mod bill;
mod error;
mod offers;

pub use bill::Bill;
pub use error::TermError;
pub use offers::{Commitment, FleetTerms, Quota, Reservation, Spot, Standing};
