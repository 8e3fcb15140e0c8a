//! When a region or zone counts as lost, what a plan may count on meanwhile, and how things come together again when it
//! is back.
//!
//! Decisions only: who looks, waits and acts is the runtime. The obvious design, to treat what cannot be seen as dead and
//! delete it, is what makes a failover harmful: here lost contact never deletes anything, and what comes back is brought
//! together under a rule that the caller has chosen.

mod contact;
mod decide;
mod history;
mod place;
mod policy;
mod reunite;
mod shield;

pub use contact::{Contact, Symptom};
pub use decide::{FailoverAction, FailoverDecision, HoldReason, fail_over};
pub use history::{FAILOVER_VERSION, FailoverHistory, Standing};
pub use place::{Place, PlaceNameError};
pub use policy::{Failback, FailoverPolicy};
pub use reunite::{Double, doubles, without_leaving};
pub use shield::{OutOfReach, shield};
