//! A policy against a trace, tick by tick, to the second and the millionth of a dollar.
//!
//! The replay shows a policy each tick only when it begins. What would have been best belongs to `optimum`.

use serde::{Deserialize, Serialize};
use skyloom_core::MicroUsd;

use super::{Market, Moment, Pilot, Seat, SpotError, SpotJob, SpotTrace};

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether work was left at the deadline.
    pub missed: bool,
    /// Seconds from the start to the end of the work (to the deadline when it was missed).
    pub finished_s: u64,
    /// Seconds paid on demand, starts included.
    pub on_demand_s: u64,
    /// Seconds paid as spot, starts included.
    pub spot_s: u64,
    /// Machines started.
    pub starts: u64,
    /// Times that spot capacity was taken away.
    pub evictions: u64,
    /// Seconds of work that evictions took.
    pub lost_s: u64,
    /// Times that the safety net overruled the policy.
    pub overruled: u64,
    /// What was paid, rounded half up.
    pub cost: MicroUsd,
}

/// A part of simultaneous traces, one for each zone of the market in its order, from the tick `start` on.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    traces: &'a [SpotTrace],
    start: usize,
}

impl<'a> Window<'a> {
    /// A window that is long enough for the job.
    ///
    /// # Errors
    /// [`SpotError::ZoneCount`] when the traces are not one for each zone, [`SpotError::TraceTooShort`] when one ends
    /// before the deadline.
    pub fn new(traces: &'a [SpotTrace], start: usize, job: &SpotJob, market: &Market) -> Result<Self, SpotError> {
        if traces.len() != market.zones().len() {
            return Err(SpotError::ZoneCount {
                traces: traces.len(),
                zones: market.zones().len(),
            });
        }
        let points = traces.iter().map(|trace| trace.up().len()).min().unwrap_or(0);
        let rest = u64::try_from(points.saturating_sub(start)).unwrap_or(u64::MAX);
        if rest < job.ticks() {
            return Err(SpotError::TraceTooShort {
                start,
                ticks: job.ticks(),
                points,
            });
        }
        Ok(Self { traces, start })
    }

    /// Which zones are up in this tick of the window.
    pub(super) fn look(&self, tick: usize, up: &mut Vec<bool>) {
        up.clear();
        up.extend(
            self.traces
                .iter()
                .map(|trace| trace.up().get(self.start + tick).copied().unwrap_or(false)),
        );
    }
}

/// Lets a pilot steer the job through the window, under the safety net.
#[must_use]
pub fn replay(job: &SpotJob, market: &Market, window: Window<'_>, pilot: &mut dyn Pilot) -> Outcome {
    let mut run = Run {
        job,
        market,
        work_left_s: job.work_s(),
        seat: Seat::Idle,
        warm_up_left_s: 0,
        spell_s: 0,
        bill: 0,
        outcome: Outcome::default(),
    };
    let mut up = Vec::new();
    let mut tick = 0_usize;
    let mut elapsed_s = 0;
    while elapsed_s < job.deadline_s() && run.work_left_s > 0 {
        window.look(tick, &mut up);
        run.evict(&up);
        let moment = run.moment(tick, elapsed_s, &up);
        let wanted = pilot.choose(&moment);
        let seat = moment.guarded(wanted);
        run.outcome.overruled += u64::from(seat != wanted);
        let span_s = job.tick_s().min(job.deadline_s() - elapsed_s);
        run.sit(seat);
        elapsed_s += run.advance(span_s);
        tick += 1;
    }
    run.outcome.missed = run.work_left_s > 0;
    run.outcome.finished_s = elapsed_s;
    run.outcome.cost = money(run.bill);
    run.outcome
}

/// Millionths of a dollar per hour times seconds, as money.
pub(super) fn money(bill: u128) -> MicroUsd {
    MicroUsd::from_micros(i64::try_from((bill + 1800) / 3600).unwrap_or(i64::MAX))
}

struct Run<'a> {
    job: &'a SpotJob,
    market: &'a Market,
    work_left_s: u64,
    seat: Seat,
    warm_up_left_s: u64,
    /// Progress since the machine was ready.
    spell_s: u64,
    /// Price times seconds.
    bill: u128,
    outcome: Outcome,
}

impl Run<'_> {
    fn at_risk_s(&self) -> u64 {
        match self.seat {
            Seat::Spot(_) => self.spell_s.min(self.job.loss_s()),
            Seat::Idle | Seat::OnDemand => 0,
        }
    }

    fn moment<'m>(&'m self, tick: usize, elapsed_s: u64, up: &'m [bool]) -> Moment<'m> {
        Moment {
            job: self.job,
            market: self.market,
            tick: u64::try_from(tick).unwrap_or(u64::MAX),
            left_s: self.job.deadline_s() - elapsed_s,
            work_left_s: self.work_left_s,
            seat: self.seat,
            warm_up_left_s: self.warm_up_left_s,
            at_risk_s: self.at_risk_s(),
            up,
        }
    }

    /// Takes the machine away when its zone is down.
    fn evict(&mut self, up: &[bool]) {
        let Seat::Spot(zone) = self.seat else { return };
        if up.get(zone).copied().unwrap_or(false) {
            return;
        }
        let lost_s = self.at_risk_s();
        self.work_left_s += lost_s;
        self.outcome.lost_s += lost_s;
        self.outcome.evictions += 1;
        self.sit(Seat::Idle);
    }

    fn sit(&mut self, seat: Seat) {
        if seat == self.seat {
            return;
        }
        self.seat = seat;
        self.spell_s = 0;
        self.warm_up_left_s = 0;
        if seat != Seat::Idle {
            self.warm_up_left_s = self.job.restart_s();
            self.outcome.starts += 1;
        }
    }

    /// Lets a tick pass, or what of it the work still needs; gives the seconds that went by.
    fn advance(&mut self, span_s: u64) -> u64 {
        if self.seat == Seat::Idle {
            return span_s;
        }
        let needed_s = self.warm_up_left_s + self.work_left_s;
        let passed_s = span_s.min(needed_s);
        let warming_s = passed_s.min(self.warm_up_left_s);
        self.warm_up_left_s -= warming_s;
        self.work_left_s -= passed_s - warming_s;
        self.spell_s += passed_s - warming_s;
        self.bill += self.market.rate(self.seat) * u128::from(passed_s);
        match self.seat {
            Seat::OnDemand => self.outcome.on_demand_s += passed_s,
            _ => self.outcome.spot_s += passed_s,
        }
        passed_s
    }
}
