//! The clairvoyant optimum: the least that a job can cost when the whole trace is known. A yardstick, not a policy.
//!
//! Exact dynamic programming over the ticks. For each seat it keeps the undominated pairs of progress and cost; a start
//! is booked as negative progress at once, so that a pair needs no third number. It knows when capacity goes and leaves
//! a moment before with its work saved, so it never loses progress: with `loss` it is a bound that nobody can reach.

use skyloom_core::MicroUsd;

use super::replay::{Window, money};
use super::{Market, Seat, SpotJob};

/// Progress and cost of one way to come here.
#[derive(Debug, Clone, Copy)]
struct Label {
    /// Seconds of work done, less what is left of a start.
    done_s: i64,
    /// Price times seconds.
    bill: u128,
}

/// Undominated labels, rising in both numbers.
type Frontier = Vec<Label>;

/// The least cost of the job in this window, by somebody who knows the future.
///
/// Cost: ticks x zones x labels; the labels that a bound keeps are few when spot is either mostly there or mostly not.
#[must_use]
pub fn optimum(job: &SpotJob, market: &Market, window: Window<'_>) -> MicroUsd {
    money(Search::new(job, market, window).run())
}

struct Search<'a> {
    market: &'a Market,
    window: Window<'a>,
    work_s: i64,
    restart_s: i64,
    /// Length of each tick.
    spans_s: Vec<i64>,
    /// From each tick to the deadline: seconds, and those with spot somewhere.
    ahead_s: Vec<(i64, i64)>,
    /// Least price of a second of work, anywhere and on spot.
    on_demand: u128,
    spot_min: u128,
    best: u128,
}

impl<'a> Search<'a> {
    fn new(job: &SpotJob, market: &'a Market, window: Window<'a>) -> Self {
        let ticks = usize::try_from(job.ticks()).unwrap_or(usize::MAX);
        let last_s = job.deadline_s() - (job.ticks() - 1) * job.tick_s();
        let spans_s: Vec<i64> = (1..=job.ticks())
            .map(|tick| signed(if tick == job.ticks() { last_s } else { job.tick_s() }))
            .collect();
        let mut ahead_s = vec![(0, 0); ticks + 1];
        let mut up = Vec::new();
        for tick in (0..ticks).rev() {
            window.look(tick, &mut up);
            let (all, spot) = ahead_s[tick + 1];
            let with_spot = if up.contains(&true) { spans_s[tick] } else { 0 };
            ahead_s[tick] = (all + spans_s[tick], spot + with_spot);
        }
        let on_demand = market.rate(Seat::OnDemand);
        let zones = 0..market.zones().len();
        let spot_min = zones
            .map(|zone| market.rate(Seat::Spot(zone)))
            .min()
            .unwrap_or(on_demand);
        Self {
            market,
            window,
            work_s: signed(job.work_s()),
            restart_s: signed(job.restart_s()),
            spans_s,
            ahead_s,
            on_demand,
            spot_min: spot_min.min(on_demand),
            best: on_demand * u128::from(job.work_s() + job.restart_s()),
        }
    }

    fn run(mut self) -> u128 {
        let zones = self.market.zones().len();
        // Where the job is on no machine: left one, or never had one.
        let mut free: Frontier = vec![Label { done_s: 0, bill: 0 }];
        let mut on_demand: Frontier = Vec::new();
        let mut spot: Vec<Frontier> = vec![Vec::new(); zones];
        let mut up = Vec::new();
        for tick in 0..self.spans_s.len() {
            self.window.look(tick, &mut up);
            on_demand = self.step(tick, Seat::OnDemand, &on_demand, &free);
            for (zone, labels) in spot.iter_mut().enumerate() {
                *labels = if up[zone] {
                    self.step(tick, Seat::Spot(zone), labels, &free)
                } else {
                    Vec::new()
                };
            }
            let left = spot
                .iter()
                .fold(merged(&free, &on_demand), |all, labels| merged(&all, labels));
            free = self.promising(tick + 1, left, self.restart_s);
            // A machine is worth keeping only where starting it anew would not do as well.
            for labels in spot.iter_mut().chain([&mut on_demand]) {
                let kept = self.promising(tick + 1, std::mem::take(labels), 0);
                *labels = without_dominated(kept, &free, self.restart_s);
            }
        }
        self.best
    }

    /// A tick in `seat`: by those who are there, and by those who start now. Whoever finishes is taken out.
    fn step(&mut self, tick: usize, seat: Seat, there: &[Label], free: &[Label]) -> Frontier {
        let span_s = self.spans_s[tick];
        let rate = self.market.rate(seat);
        let started: Frontier = free
            .iter()
            .map(|label| Label {
                done_s: label.done_s - self.restart_s,
                bill: label.bill,
            })
            .collect();
        let mut moved = merged(there, &started);
        for label in &mut moved {
            let passed_s = span_s.min(self.work_s - label.done_s);
            label.done_s += passed_s;
            label.bill += rate * u128::from(passed_s.unsigned_abs());
            if label.done_s >= self.work_s {
                self.best = self.best.min(label.bill);
            }
        }
        moved.retain(|label| label.done_s < self.work_s);
        moved
    }

    /// Drops what cannot finish in time or not below the best cost found, when a start of `start_s` is due first.
    fn promising(&self, tick: usize, mut labels: Frontier, start_s: i64) -> Frontier {
        let (left_s, with_spot_s) = self.ahead_s[tick];
        labels.retain(|label| {
            let needed_s = self.work_s - label.done_s + start_s;
            let on_spot_s = needed_s.min(with_spot_s);
            let least = label.bill
                + self.spot_min * u128::from(on_spot_s.unsigned_abs())
                + self.on_demand * u128::from((needed_s - on_spot_s).unsigned_abs());
            needed_s <= left_s && least < self.best
        });
        labels
    }
}

fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// The undominated labels of both.
fn merged(a: &[Label], b: &[Label]) -> Frontier {
    let mut out: Frontier = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().rev().peekable(), b.iter().rev().peekable());
    // From the most progress down: a label stays when it is cheaper than all that have done as much.
    while let Some(next) = match (a.peek(), b.peek()) {
        (Some(x), Some(y)) => {
            if (x.done_s, y.bill) >= (y.done_s, x.bill) {
                a.next()
            } else {
                b.next()
            }
        }
        (Some(_), None) => a.next(),
        (None, _) => b.next(),
    } {
        if out.last().is_none_or(|kept| next.bill < kept.bill) {
            out.push(*next);
        }
    }
    out.reverse();
    out
}

/// Labels on a machine that a free one could not replace by starting anew.
fn without_dominated(labels: Frontier, free: &[Label], restart_s: i64) -> Frontier {
    let mut kept = labels;
    kept.retain(|label| {
        // The first free label that has done a start more is the cheapest of those.
        let rival = free.partition_point(|f| f.done_s < label.done_s + restart_s);
        free.get(rival).is_none_or(|f| f.bill > label.bill)
    });
    kept
}
