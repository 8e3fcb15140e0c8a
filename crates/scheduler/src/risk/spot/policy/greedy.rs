//! Greedy: spot while there is any, nothing otherwise, and the safety net at the end.

use super::{Moment, Pilot, Seat, cheapest_up};

/// Takes spot whenever it is there and waits otherwise, until only the safety net is left.
#[derive(Debug, Clone, Copy, Default)]
pub struct Greedy;

impl Pilot for Greedy {
    fn choose(&mut self, moment: &Moment<'_>) -> Seat {
        match moment.seat {
            Seat::Spot(_) => moment.seat,
            _ => cheapest_up(moment).map_or(Seat::Idle, Seat::Spot),
        }
    }
}
