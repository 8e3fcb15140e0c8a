//! How to steer a job between spot, on demand and waiting: the contract, and the table of what is built in.
//!
//! A policy wants; the safety net (`guard`) lets through. So a policy may be as bold as it likes, and a deadline is met
//! all the same. Replays and tests run over the table: a line here is the whole registration.

mod belief;
mod expected_cost;
mod greedy;
mod on_demand;
mod uniform_progress;
mod value;

pub use expected_cost::ExpectedCost;
pub use greedy::Greedy;
pub use on_demand::OnDemandOnly;
pub use uniform_progress::UniformProgress;

use super::{Moment, Seat};

/// Steers one job.
///
/// Contract: `choose` is called once when each tick begins, in order of time, and may learn from what it is shown; equal
/// moments in equal order give equal choices. A choice that is not safe is replaced by [`Seat::OnDemand`].
pub trait Pilot {
    /// Where the job should be for this tick.
    fn choose(&mut self, moment: &Moment<'_>) -> Seat;
}

/// A policy of the table.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BuiltinPilot {
    /// Its name for people and command lines.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// A fresh pilot for one job.
    pub new: fn() -> Box<dyn Pilot>,
}

/// Every policy that is built in, the plainest first.
pub const PILOTS: &[BuiltinPilot] = &[
    BuiltinPilot {
        name: "on-demand",
        summary: "on demand from the first second, never spot",
        new: || Box::new(OnDemandOnly),
    },
    BuiltinPilot {
        name: "greedy",
        summary: "spot whenever it is there, waiting otherwise, until the latest safe moment",
        new: || Box::new(Greedy),
    },
    BuiltinPilot {
        name: "uniform-progress",
        summary: "on demand only while behind an even pace (Wu et al., NSDI 2024)",
        new: || Box::new(UniformProgress),
    },
    BuiltinPilot {
        name: "expected-cost",
        summary: "the least expected cost to the end, by rates learned from what was seen",
        new: || Box::new(ExpectedCost::default()),
    },
];

/// The cheapest zone that is up, the first of them on a tie.
fn cheapest_up(moment: &Moment<'_>) -> Option<usize> {
    let zones = moment.market.zones().iter().enumerate();
    zones
        .filter(|(zone, _)| moment.is_up(*zone))
        .min_by_key(|(_, z)| z.price)
        .map(|(zone, _)| zone)
}
