//! On demand only: what everything else is measured against.

use super::{Moment, Pilot, Seat};

/// On demand from the first second to the last.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnDemandOnly;

impl Pilot for OnDemandOnly {
    fn choose(&mut self, _moment: &Moment<'_>) -> Seat {
        Seat::OnDemand
    }
}
