//! Which line stands for each tariff and what a millisecond costs, and how both follow what a solution does wrong.
//!
//! A meter that counts more than its line was made for gets a steeper one, halfway to the tariff's slope where it is now,
//! and one that counts less a flatter one. A path that is late is tolled, and the toll rises until the solution is in time
//! and is halved back after. All of them at once: bisection, not a subgradient, since there are few meters and one toll. Any choice gives a valid bound; solving and splitting are done elsewhere.

use std::cmp::Reverse;

use super::compile::{Compiled, End, NO_DEADLINE};
use super::node::Spans;
use super::relax::Tolls;
use super::tally::{Tally, Timing, region};
use super::tariff::Line;

/// No slope was tried yet.
const UNKNOWN: (i64, i64) = (0, i64::MAX);

/// Different paths that are tolled, at most.
const PATHS_MAX: usize = 64;

/// Lines and tolls.
#[derive(Debug, Clone)]
pub(super) struct Prices {
    pub(super) lines: Vec<Line>,
    pub(super) tolls: Tolls,
    /// The spans that the lines were made for.
    spans: Spans,
    /// Slopes that were too flat and too steep.
    brackets: Vec<(i64, i64)>,
    /// Tolls that were too low and too high; 0: not known.
    toll_bracket: (i64, i64),
    paths: Vec<Path>,
}

/// Tasks that wait for each other, and what flows between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) tasks: Vec<usize>,
    flows: Vec<usize>,
    /// The time it may take.
    allowed: u64,
}

impl Prices {
    /// No lines yet, no tolls.
    pub(super) fn first(compiled: &Compiled<'_>) -> Self {
        Self {
            lines: Vec::new(),
            tolls: Tolls::none(compiled),
            spans: Vec::new(),
            brackets: Vec::new(),
            toll_bracket: (0, 0),
            paths: Vec::new(),
        }
    }

    /// Makes the lines fit these spans; those that do so already stay. New ones are made for the volumes `at`.
    pub(super) fn fit(&mut self, compiled: &Compiled<'_>, spans: &Spans, at: Option<&[u64]>) {
        let is_new = self.lines.is_empty();
        for (number, meter) in compiled.network.meters.iter().enumerate() {
            let (low, high) = spans[number];
            if is_new {
                let at = at.map_or(low, |at| at[number]).clamp(low, high);
                let (left, right) = meter.tariff.slopes(low, high, at);
                self.lines
                    .push(meter.tariff.line(low, high, i64::midpoint(left, right)));
                self.brackets.push(UNKNOWN);
            } else if self.spans[number] != spans[number] {
                let old = self.lines[number].rate;
                // A chord that came closer to the tariff is better than the old slope; a kept slope is better where the
                // lowest curve has a corner.
                let (first, _) = meter.tariff.slopes(low, high, low);
                let (_, last) = meter.tariff.slopes(low, high, high);
                self.lines[number] = meter
                    .tariff
                    .line(low, high, old.clamp(first.min(last), last.max(first)));
                self.brackets[number] = UNKNOWN;
            }
        }
        self.spans.clone_from(spans);
    }

    /// Follows a solution; gives whether anything changed.
    pub(super) fn follow(
        &mut self,
        compiled: &Compiled<'_>,
        spans: &Spans,
        picks: &[usize],
        deadline: Option<u64>,
    ) -> bool {
        let tally = Tally::of(compiled, picks.to_vec());
        let mut moved = false;
        for (number, &(low, high)) in spans.iter().enumerate() {
            let volume = tally.volumes[number];
            let line = self.lines[number];
            if self.loss(compiled, number, volume) <= 0 {
                continue;
            }
            let tariff = &compiled.network.meters[number].tariff;
            let (left, right) = tariff.slopes(low, high, volume);
            let steepest = tariff.rates().max().unwrap_or(0).saturating_mul(2) + 1;
            // Steeper than at this volume helps only where the volume is more than the meter is confined to.
            let (flattest, steepest) = if volume > high {
                (0, steepest)
            } else if volume < low {
                (0, right)
            } else {
                (left.min(line.rate), right.max(line.rate))
            };
            let bracket = &mut self.brackets[number];
            if volume > line.touches {
                *bracket = (line.rate, bracket.1.min(steepest));
            } else {
                *bracket = (bracket.0.max(flattest), line.rate);
            }
            if bracket.0 >= bracket.1 {
                *bracket = (flattest, steepest);
            }
            let rate = i64::midpoint(bracket.0, bracket.1);
            if rate != line.rate {
                self.lines[number] = tariff.line(low, high, rate);
                moved = true;
            }
        }
        deadline.is_some_and(|deadline| self.toll(compiled, &tally, deadline)) || moved
    }

    /// By how much a meter charges more than its line says.
    fn loss(&self, compiled: &Compiled<'_>, meter: usize, volume: u64) -> i128 {
        let line = &self.lines[meter];
        compiled.network.meters[meter].tariff.cost(volume) - line.offset - i128::from(volume) * i128::from(line.rate)
    }

    /// The meter with the largest loss that splitting its volumes helps, and where to split.
    pub(super) fn worst(&self, compiled: &Compiled<'_>, spans: &Spans, tally: &Tally) -> Option<(usize, u64)> {
        let splits = |meter: usize| {
            let ((low, high), volume) = (spans[meter], tally.volumes[meter]);
            let tariff = &compiled.network.meters[meter].tariff;
            let inside = volume > low && volume < high && !tariff.is_straight(low, high);
            inside.then(|| tariff.edge_near(low, high, volume).unwrap_or(volume))
        };
        let meters = (0..self.lines.len()).filter_map(|meter| {
            let loss = self.loss(compiled, meter, tally.volumes[meter]);
            Some((loss, Reverse(meter), splits(meter)?)).filter(|(loss, ..)| *loss > 0)
        });
        meters.max().map(|(_, Reverse(meter), at)| (meter, at))
    }

    /// The meter with the largest loss.
    pub(super) fn worst_any(&self, compiled: &Compiled<'_>, tally: &Tally) -> Option<usize> {
        let loss = |meter: usize| (self.loss(compiled, meter, tally.volumes[meter]), Reverse(meter));
        let worst = (0..self.lines.len()).map(loss).max();
        worst.filter(|(loss, _)| *loss > 0).map(|(_, Reverse(meter))| meter)
    }

    /// Raises or lowers the toll; gives whether it changed.
    fn toll(&mut self, compiled: &Compiled<'_>, tally: &Tally, deadline: u64) -> bool {
        let before = self.tolls.rate;
        let late = late_path(compiled, &tally.picks, deadline);
        let is_late = late.is_some();
        let mut is_new = false;
        if let Some(path) = late
            && self.paths.len() < PATHS_MAX
            && !self.paths.contains(&path)
        {
            for task in &path.tasks {
                self.tolls.tasks[*task] += 1;
            }
            for flow in &path.flows {
                self.tolls.flows[*flow] += 1;
            }
            self.tolls.allowed += i128::from(path.allowed);
            self.paths.push(path);
            is_new = true;
            // The same money over one path more, and room to rise again.
            self.toll_bracket = (0, 0);
        }
        let (low, high) = &mut self.toll_bracket;
        self.tolls.rate = if is_late {
            *low = before;
            match (before, *high) {
                (0, _) => first_toll(compiled, tally),
                (_, 0) => before.saturating_mul(2),
                (_, high) => i64::midpoint(before, high),
            }
        } else {
            *high = before;
            i64::midpoint(*low, before)
        };
        is_new || self.tolls.rate != before
    }
}

/// A toll to begin with: what the tasks of a plan cost per millisecond, scaled as grains are, a fourth of it.
fn first_toll(compiled: &Compiled<'_>, tally: &Tally) -> i64 {
    let millis: u64 = compiled
        .steps
        .iter()
        .zip(&tally.picks)
        .map(|(step, pick)| step.choices[*pick].millis)
        .sum();
    let scale = super::relax::Relaxation::new(compiled);
    (scale.scaled(tally.cost()) / i64::try_from(millis.max(1)).unwrap_or(i64::MAX) / 4).max(1)
}

/// The path that is late by most; `None`: all is in time.
pub(super) fn late_path(compiled: &Compiled<'_>, picks: &[usize], deadline: u64) -> Option<Path> {
    let timing = Timing::of(compiled, picks);
    let mut worst: Option<(u64, Reverse<usize>, Option<usize>, u64)> = None;
    let mut note = |late: u64, task: usize, output: Option<usize>, allowed: u64| {
        if late > 0 && worst.is_none_or(|(most, other, ..)| (late, Reverse(task)) > (most, other)) {
            worst = Some((late, Reverse(task), output, allowed));
        }
    };
    for (task, end) in timing.ends.iter().enumerate() {
        let latest = compiled.steps[task].latest;
        if latest != NO_DEADLINE {
            note(end.saturating_sub(latest), task, None, latest);
        }
        note(end.saturating_sub(deadline), task, None, deadline);
        for &flow in &compiled.flows_of[task] {
            if let End::Data(_) = compiled.flows[flow].to {
                let arrives = end.saturating_add(transfer(compiled, picks, flow));
                note(arrives.saturating_sub(deadline), task, Some(flow), deadline);
            }
        }
    }
    let (_, Reverse(last), output, allowed) = worst?;
    let mut path = Path {
        tasks: vec![last],
        flows: output.into_iter().collect(),
        allowed,
    };
    let mut task = last;
    while let Some(flow) = awaited(compiled, picks, &timing, task) {
        path.flows.push(flow);
        match compiled.flows[flow].from {
            End::Task(before) => task = before,
            End::Data(_) => break,
        }
        path.tasks.push(task);
    }
    Some(path)
}

/// The flow that a task waits for longest; `None`: it starts at once.
fn awaited(compiled: &Compiled<'_>, picks: &[usize], timing: &Timing, task: usize) -> Option<usize> {
    let arrives = |flow: &usize| {
        let after = match (compiled.flows[*flow].from, compiled.flows[*flow].to) {
            (End::Task(before), End::Task(to)) if to == task => timing.ends[before],
            (End::Data(_), _) => 0,
            _ => return None,
        };
        Some((after.saturating_add(transfer(compiled, picks, *flow)), Reverse(*flow)))
    };
    let latest = compiled.flows_of[task].iter().filter_map(arrives).max();
    latest.filter(|(at, _)| *at > 0).map(|(_, Reverse(flow))| flow)
}

fn transfer(compiled: &Compiled<'_>, picks: &[usize], flow: usize) -> u64 {
    let ends = &compiled.flows[flow];
    compiled.millis(
        flow,
        region(compiled, picks, ends.from),
        region(compiled, picks, ends.to),
    )
}
