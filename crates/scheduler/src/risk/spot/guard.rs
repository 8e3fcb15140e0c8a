//! The safety net under every policy: no choice is let through after which the deadline could be missed.
//!
//! On-demand capacity counts as always to be had, and spot as lost at any moment, in the middle of a tick too. Which of
//! the safe choices is a good one is a policy's business (`policy`).

use serde::{Deserialize, Serialize};

use super::{Market, SpotJob};

/// Where the job is, or is to be, for a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seat {
    /// Nowhere: time passes, nothing is paid.
    Idle,
    /// On a machine that stays.
    OnDemand,
    /// On spot capacity of the zone at this position in the market.
    Spot(usize),
}

/// What is known when a tick begins: nothing of the future.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The job.
    pub job: &'a SpotJob,
    /// The prices.
    pub market: &'a Market,
    /// Ticks since the start.
    pub tick: u64,
    /// Seconds to the deadline.
    pub left_s: u64,
    /// Seconds of work not yet done.
    pub work_left_s: u64,
    /// Where the job is; never a zone that is down.
    pub seat: Seat,
    /// Seconds until the machine it is on is ready.
    pub warm_up_left_s: u64,
    /// Seconds of progress that an eviction would take now.
    pub at_risk_s: u64,
    /// For each zone of the market whether spot capacity can be had in this tick.
    pub up: &'a [bool],
}

impl Moment<'_> {
    /// Whether spot can be had in this zone.
    #[must_use]
    pub fn is_up(&self, zone: usize) -> bool {
        self.up.get(zone).copied().unwrap_or(false)
    }

    /// Seconds to the deadline beyond the work that is left; starts eat into it.
    #[must_use]
    pub const fn slack_s(&self) -> u64 {
        self.left_s.saturating_sub(self.work_left_s)
    }

    /// Whether the deadline can still be met after a tick in `seat`, whatever happens.
    ///
    /// On demand always can, by induction: it is chosen while a start and all work left still fit, and then both shrink
    /// second by second. Idling and spot can when, a tick from now and with no progress made, a start on demand and the
    /// work left (and what an eviction would take) fit.
    #[must_use]
    pub fn is_safe(&self, seat: Seat) -> bool {
        let at_risk_s = match seat {
            Seat::OnDemand => return true,
            Seat::Idle => 0,
            Seat::Spot(zone) if !self.is_up(zone) => return false,
            Seat::Spot(_) if seat == self.seat => self.at_risk_s,
            Seat::Spot(_) => 0,
        };
        let needed_s = self.job.restart_s() + self.work_left_s + at_risk_s;
        self.left_s.saturating_sub(self.job.tick_s()) >= needed_s
    }

    /// `wanted` where it is safe, else the seat that is.
    #[must_use]
    pub fn guarded(&self, wanted: Seat) -> Seat {
        if self.is_safe(wanted) { wanted } else { Seat::OnDemand }
    }
}
