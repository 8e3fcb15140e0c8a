//! What a rehearsed loss has come to: how long, how old, how dear, and what had no place.
//!
//! Data and sums only. The rehearsal itself, in a simulated cloud or against the real inventory, is the runtime's.

mod data;
mod path;
mod report;
mod text;

pub use data::{DataRecovery, SurvivingCopy, surviving_copies};
pub use path::{finish_times, first_capable};
pub use report::{DRILL_VERSION, DrillCost, DrillMode, DrillReport, Loss, ServiceRecovery, Shortfall};
