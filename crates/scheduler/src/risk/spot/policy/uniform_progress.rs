//! Uniform Progress: keep an even pace towards the deadline, on demand only while behind it.
//!
//! Wu et al., "Can't Be Late: Optimizing Spot Instance Savings under Deadlines", NSDI 2024. In ticks instead of
//! continuous time; with several zones the cheapest that is up is taken.

use super::{Moment, Pilot, Seat, cheapest_up};

/// Without parameters: stays on spot until it is taken away; takes spot from waiting whenever it is there, and from on
/// demand when two starts more would still leave it ahead of the even pace; waits while ahead, works on demand while
/// behind.
#[derive(Debug, Clone, Copy, Default)]
pub struct UniformProgress;

impl Pilot for UniformProgress {
    fn choose(&mut self, moment: &Moment<'_>) -> Seat {
        let job = moment.job;
        let elapsed_s = job.deadline_s() - moment.left_s;
        let done_s = job.work_s() - moment.work_left_s;
        // Ahead of the even pace as it will be in `later_s` seconds: done / work >= (elapsed + later) / deadline.
        let is_ahead = |later_s: u64| {
            u128::from(done_s) * u128::from(job.deadline_s())
                >= u128::from(elapsed_s + later_s) * u128::from(job.work_s())
        };
        let spot = cheapest_up(moment).map(Seat::Spot);
        match moment.seat {
            Seat::Spot(_) => moment.seat,
            Seat::OnDemand if is_ahead(2 * job.restart_s()) => spot.unwrap_or(Seat::Idle),
            Seat::OnDemand => Seat::OnDemand,
            Seat::Idle => spot.unwrap_or(if is_ahead(0) { Seat::Idle } else { Seat::OnDemand }),
        }
    }
}
