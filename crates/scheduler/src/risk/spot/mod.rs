//! Spot capacity under a deadline: policies under a safety net, replays, and the clairvoyant optimum.

mod guard;
mod job;
mod optimum;
pub mod policy;
mod replay;
mod trace;

pub use guard::{Moment, Seat};
pub use job::{JobTerms, Market, SpotError, SpotJob, SpotZone, TICKS_MAX};
pub use optimum::optimum;
pub use policy::{BuiltinPilot, PILOTS, Pilot};
pub use replay::{Outcome, Window, replay};
pub use trace::SpotTrace;
