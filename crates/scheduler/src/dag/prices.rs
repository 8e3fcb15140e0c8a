//! What traffic and time are charged in a relaxation, and how both follow what its solution does wrong.
//!
//! A rate per meter (the slope of its [`Curve`]) and a toll per late path, all at once, by subgradient steps (Polyak, 1969):
//! a meter that counts more than its curve was made for gets a steeper one, a path that is late a higher toll, by how far
//! the best plan is from the bound. Steps shrink, and start again from the best bound, where that does not rise. Bisecting each alone, as if the
//! others stayed, swings where there are many. Any choice gives a valid bound, so floats may choose; solving and splitting
//! are done elsewhere.

use std::cmp::Reverse;

use super::compile::{Compiled, End, NO_DEADLINE};
use super::network::FREE;
use super::node::Volumes;
use super::relax::{Relaxation, Tolls};
use super::tally::{Tally, Timing, region};
use super::tariff::Curve;

/// Different paths that are tolled, at most.
const PATHS_MAX: usize = 64;

/// Paths, at most, whose common toll is bisected after the first solution in time.
const BISECTED_MAX: usize = 1;

/// Rounds without a better bound after which steps are halved.
const IDLE_ROUNDS_MAX: u32 = 3;

/// Curves and tolls.
#[derive(Debug, Clone)]
pub(super) struct Prices {
    pub(super) curves: Vec<Curve>,
    pub(super) tolls: Tolls,
    /// What the curves were made for.
    volumes: Volumes,
    paths: Vec<Path>,
    /// The tolls of the paths, scaled cost per millisecond.
    rates: Vec<i64>,
    /// While one toll for all paths is looked for: one that was too low and one that was too high; 0: not known.
    bracket: Option<(i64, i64)>,
    /// Share of the way to the best plan that a step goes.
    step: f64,
    /// For each meter the share of a step that it takes.
    shares: Vec<Share>,
    idle: u32,
    best: Option<Best>,
}

/// How far a meter's rate follows: less after each turn, so that it does not swing about a corner of the bound, and more
/// again on a straight way.
#[derive(Debug, Clone, Copy)]
struct Share {
    share: f64,
    is_rising: Option<bool>,
}

impl Share {
    const WHOLE: Self = Self {
        share: 1.0,
        is_rising: None,
    };

    fn towards(&mut self, slope: f64) -> f64 {
        let is_rising = slope > 0.0;
        self.share = match self.is_rising {
            Some(before) if before != is_rising => self.share * 0.5,
            Some(_) => (self.share * 1.4).min(1.0),
            None => self.share,
        };
        self.is_rising = Some(is_rising);
        self.share
    }
}

/// Rates of meters and paths that gave the best bound.
#[derive(Debug, Clone)]
struct Best {
    bound: i128,
    meters: Vec<i64>,
    paths: Vec<i64>,
}

/// Tasks that wait for each other, and what flows between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) tasks: Vec<usize>,
    flows: Vec<usize>,
    /// The time it may take.
    allowed: u64,
}

/// What a solution does to a meter.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    /// Bytes of flows that might have gone elsewhere, each up to where the curve bends.
    capped: i128,
    /// What all flows are charged, offset included, in grains.
    charged: i128,
}

impl Prices {
    /// No curves yet, no tolls.
    pub(super) fn first(compiled: &Compiled<'_>) -> Self {
        Self {
            curves: Vec::new(),
            tolls: Tolls::none(compiled),
            volumes: Volumes::none(),
            paths: Vec::new(),
            rates: Vec::new(),
            bracket: Some((0, 0)),
            step: 1.0,
            shares: vec![Share::WHOLE; compiled.network.meters.len()],
            idle: 0,
            best: None,
        }
    }

    /// Makes the curves fit these volumes. New ones get the flattest rate: each flow as if
    /// it were alone.
    pub(super) fn fit(&mut self, compiled: &Compiled<'_>, volumes: &Volumes) {
        let is_new = self.curves.is_empty();
        for (number, meter) in compiled.network.meters.iter().enumerate() {
            let ((low, high), certain) = (volumes.spans[number], volumes.certain[number]);
            let curve = |rate: i64| meter.tariff.curve(low, high, certain, rate);
            if is_new {
                self.curves.push(curve(meter.tariff.slopes(low, high).0));
            } else if self.volumes.spans[number] != (low, high) || self.volumes.certain[number] != certain {
                // A chord that came closer to the tariff is better than the old slope.
                let (first, last) = meter.tariff.slopes(low, high);
                let old = self.curves[number].rate;
                self.curves[number] = curve(old.clamp(first.min(last), last.max(first)));
            }
        }
        self.volumes.clone_from(volumes);
    }

    /// Follows a solution that gave a bound, where `beat` grains are to be beaten; gives whether anything changed.
    pub(super) fn follow(
        &mut self,
        compiled: &Compiled<'_>,
        (bound, beat): (i128, i128),
        tally: &Tally,
        deadline: Option<u64>,
    ) -> bool {
        let is_idle = self.note(bound);
        let mut moved = deadline.is_some_and(|deadline| self.follow_late(compiled, tally, deadline));
        let is_bisecting = deadline.is_some() && self.bracket.is_some();
        if is_idle && self.idle >= IDLE_ROUNDS_MAX && !is_bisecting {
            self.idle = 0;
            self.step /= 2.0;
            self.back_to_best(compiled);
            return true;
        }
        let meters = self.meter_slopes(compiled, tally);
        let paths = if is_bisecting {
            Vec::new()
        } else {
            self.path_slopes(compiled, tally)
        };
        let norm: f64 = meters.iter().chain(&paths).map(|s| s.slope * s.slope * s.scale).sum();
        if norm > 0.0 {
            // Where no plan is known, a twentieth more than the bound is aimed at.
            let way = float(beat - bound).min(float(bound.abs()) / 20.0).max(1.0);
            let length = self.step * way / norm;
            for slope in &meters {
                let share = self.shares[slope.of].towards(slope.slope);
                let rate = slope.after(self.curves[slope.of].rate, length * share);
                if rate != self.curves[slope.of].rate {
                    self.set_rate(compiled, slope.of, rate);
                    moved = true;
                }
            }
            for slope in &paths {
                let rate = slope.after(self.rates[slope.of], length);
                moved |= rate != self.rates[slope.of];
                self.rates[slope.of] = rate;
            }
        }
        if !self.paths.is_empty() {
            self.set_tolls(compiled);
        }
        moved
    }

    /// The rates with the best bound so far are taken again.
    pub(super) fn back_to_best(&mut self, compiled: &Compiled<'_>) {
        let Some(best) = &self.best else {
            return;
        };
        let (meters, mut paths) = (best.meters.clone(), best.paths.clone());
        paths.resize(self.rates.len(), 0);
        self.rates = paths;
        for (meter, rate) in meters.into_iter().enumerate() {
            if self.curves[meter].rate != rate {
                self.set_rate(compiled, meter, rate);
            }
        }
        self.set_tolls(compiled);
    }

    /// Keeps the rates if the bound is the best yet; gives whether it is not.
    fn note(&mut self, bound: i128) -> bool {
        if self.best.as_ref().is_some_and(|best| best.bound >= bound) {
            self.idle += 1;
            return true;
        }
        self.idle = 0;
        self.best = Some(Best {
            bound,
            meters: self.curves.iter().map(|curve| curve.rate).collect(),
            paths: self.rates.clone(),
        });
        false
    }

    /// By how much the bound grows with the rate of each meter that is not priced right.
    fn meter_slopes(&self, compiled: &Compiled<'_>, tally: &Tally) -> Vec<Slope> {
        let uses = self.uses(compiled, tally);
        let mut slopes = Vec::new();
        for (number, (curve, used)) in self.curves.iter().zip(&uses).enumerate() {
            let ((low, high), certain) = (self.volumes.spans[number], self.volumes.certain[number]);
            let tariff = &compiled.network.meters[number].tariff;
            let (first, last) = tariff.slopes(low, high);
            let volume = tally.volumes[number];
            // Steeper or flatter than the tariff helps only against volumes that the meter is not to count.
            if first == last && (low..=high).contains(&volume) {
                continue;
            }
            let made_for = volume.clamp(curve.touches.0, curve.touches.1);
            let excess = used.capped - i128::from(made_for.saturating_sub(certain));
            if excess == 0 {
                continue;
            }
            let most = last
                .max(tariff.rates().max().unwrap_or(0).saturating_mul(2))
                .saturating_add(1);
            let width = i128::from(made_for.saturating_sub(certain).max(1));
            slopes.push(Slope {
                of: number,
                slope: float(excess),
                scale: float(i128::from(most)) / float(width.max(excess.abs())),
                most: if volume > high { most } else { last },
            });
        }
        slopes
    }

    /// By how much the bound grows with the toll of each path.
    fn path_slopes(&self, compiled: &Compiled<'_>, tally: &Tally) -> Vec<Slope> {
        let usual = if self.paths.is_empty() {
            0
        } else {
            usual_toll(compiled, tally)
        };
        let slope = |(of, path): (usize, &Path)| {
            let excess = i128::from(path.millis(compiled, &tally.picks)) - i128::from(path.allowed);
            Slope {
                of,
                slope: float(excess),
                scale: float(i128::from(usual)) / float(i128::from(path.allowed.max(1))),
                most: i64::MAX / 4,
            }
        };
        self.paths
            .iter()
            .enumerate()
            .map(slope)
            .filter(|s| s.slope.abs() > 0.0)
            .collect()
    }

    fn set_rate(&mut self, compiled: &Compiled<'_>, meter: usize, rate: i64) {
        let ((low, high), certain) = (self.volumes.spans[meter], self.volumes.certain[meter]);
        self.curves[meter] = compiled.network.meters[meter].tariff.curve(low, high, certain, rate);
    }

    fn set_tolls(&mut self, compiled: &Compiled<'_>) {
        let mut tolls = Tolls::none(compiled);
        for (path, &rate) in self.paths.iter().zip(&self.rates).filter(|(_, rate)| **rate > 0) {
            for &task in &path.tasks {
                tolls.tasks[task] = tolls.tasks[task].saturating_add(rate);
            }
            for &flow in &path.flows {
                tolls.flows[flow] = tolls.flows[flow].saturating_add(rate);
            }
            tolls.back = tolls.back.saturating_add(i128::from(path.allowed) * i128::from(rate));
        }
        self.tolls = tolls;
    }

    fn uses(&self, compiled: &Compiled<'_>, tally: &Tally) -> Vec<Use> {
        let start = |(curve, certain): (&Curve, &u64)| Use {
            capped: 0,
            charged: curve.offset + i128::from(*certain) * i128::from(curve.rate),
        };
        let mut uses: Vec<Use> = self.curves.iter().zip(&self.volumes.certain).map(start).collect();
        for (flow, _) in compiled
            .flows
            .iter()
            .zip(&self.volumes.is_certain)
            .filter(|(_, is_certain)| !**is_certain)
        {
            let (from, to) = (
                region(compiled, &tally.picks, flow.from),
                region(compiled, &tally.picks, flow.to),
            );
            let meter = compiled.network.meter_of(from, to);
            if meter != FREE {
                let (used, curve) = (&mut uses[meter as usize], &self.curves[meter as usize]);
                used.capped += i128::from(flow.bytes.min(curve.straight_up_to));
                used.charged += curve.charge(flow.bytes);
            }
        }
        uses
    }

    /// By how much each meter charges more than the curves say.
    fn losses(&self, compiled: &Compiled<'_>, tally: &Tally) -> Vec<i128> {
        let uses = self.uses(compiled, tally);
        let meters = compiled.network.meters.iter().zip(&tally.volumes).zip(uses);
        meters
            .map(|((meter, volume), used)| meter.tariff.cost(*volume) - used.charged)
            .collect()
    }

    /// The meter with the largest loss that splitting its volumes helps, and where to split.
    pub(super) fn worst(&self, compiled: &Compiled<'_>, tally: &Tally) -> Option<(usize, u64)> {
        let splits = |meter: usize| {
            let ((low, high), volume) = (self.volumes.spans[meter], tally.volumes[meter]);
            let tariff = &compiled.network.meters[meter].tariff;
            let inside = volume > low && volume < high && !tariff.is_straight(low, high);
            inside.then(|| tariff.edge_near(low, high, volume).unwrap_or(volume))
        };
        let losses = self.losses(compiled, tally).into_iter().enumerate();
        let meters =
            losses.filter_map(|(meter, loss)| Some((loss, Reverse(meter), splits(meter)?)).filter(|_| loss > 0));
        meters.max().map(|(_, Reverse(meter), at)| (meter, at))
    }

    /// The meter with the largest loss.
    pub(super) fn worst_any(&self, compiled: &Compiled<'_>, tally: &Tally) -> Option<usize> {
        let losses = self.losses(compiled, tally).into_iter().enumerate();
        let worst = losses.map(|(meter, loss)| (loss, Reverse(meter))).max();
        worst.filter(|(loss, _)| *loss > 0).map(|(_, Reverse(meter))| meter)
    }

    /// Tolls the path that is late by most, if it is a new one. At first all paths have one toll, which is doubled until
    /// the solution is in time and then bisected: so that there is a plan in time soon, whatever that costs. Gives whether
    /// anything changed.
    fn follow_late(&mut self, compiled: &Compiled<'_>, tally: &Tally, deadline: u64) -> bool {
        let late = late_path(compiled, &tally.picks, deadline);
        let is_late = late.is_some();
        let before = self.rates.iter().copied().max().unwrap_or(0);
        let new = late.filter(|path| self.paths.len() < PATHS_MAX && !self.paths.contains(path));
        let is_new = new.is_some();
        if let Some(path) = new {
            self.paths.push(path);
            self.rates.push(before / 2);
        }
        let Some((low, high)) = &mut self.bracket else {
            return is_new;
        };
        if is_new {
            (*low, *high) = (0, 0);
        }
        let rate = if is_late {
            *low = before;
            match (before, *high) {
                (0, _) => usual_toll(compiled, tally),
                (_, 0) => before.saturating_mul(2),
                (_, high) => i64::midpoint(before, high),
            }
        } else {
            *high = before;
            i64::midpoint(*low, before)
        };
        if *high > 0 && (self.paths.len() > BISECTED_MAX || *high - *low <= *high / 16) {
            self.bracket = None;
        }
        self.rates.fill(rate);
        is_new || rate != before
    }
}

/// How the bound changes with one rate.
#[derive(Debug, Clone, Copy)]
struct Slope {
    of: usize,
    slope: f64,
    /// What a step of usual length is in this rate's unit, over the slope's.
    scale: f64,
    /// The highest rate that makes sense.
    most: i64,
}

impl Slope {
    /// A rate after a step.
    fn after(&self, rate: i64, length: f64) -> i64 {
        whole(float(i128::from(rate)) + length * self.scale * self.slope).clamp(0, self.most)
    }
}

impl Path {
    /// How long it takes with these choices.
    fn millis(&self, compiled: &Compiled<'_>, picks: &[usize]) -> u64 {
        let run = self
            .tasks
            .iter()
            .map(|task| compiled.steps[*task].choices[picks[*task]].millis);
        let flows = self.flows.iter().map(|flow| transfer(compiled, picks, *flow));
        run.chain(flows).fold(0, u64::saturating_add)
    }
}

/// What the tasks of a plan cost per millisecond, scaled as grains are, a fourth of it.
fn usual_toll(compiled: &Compiled<'_>, tally: &Tally) -> i64 {
    let run = |(step, pick): (&super::compile::Step<'_>, &usize)| step.choices[*pick].millis;
    let millis: u64 = compiled.steps.iter().zip(&tally.picks).map(run).sum();
    let scale = Relaxation::new(compiled);
    (scale.scaled(tally.cost()) / i64::try_from(millis.max(1)).unwrap_or(i64::MAX) / 4).max(1)
}

#[expect(clippy::cast_precision_loss, reason = "directions of steps: any is valid")]
fn float(value: i128) -> f64 {
    value as f64
}

/// Rounded to the nearest, ends at those of the type.
#[expect(clippy::cast_possible_truncation, reason = "a cast from a float saturates")]
fn whole(value: f64) -> i64 {
    (value + 0.5) as i64
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
        for &flow in compiled.flows_of.row(task) {
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
    let latest = compiled.flows_of.row(task).iter().filter_map(arrives).max();
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
