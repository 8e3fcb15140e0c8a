//! Double-seasonal exponential smoothing with an autoregressive error.
//!
//! Source: Taylor, Journal of the Operational Research Society 54 (2003), in the additive form of Taylor, European Journal
//! of Operational Research 204 (2010), equations 1 to 5: a level, a cycle within the short season, one within the long
//! one, and first-order autocorrelation of the errors.

use super::decompose::profile;
use super::method::{Fallback, Fitted, Forecaster, SeasonUse, Training};
use super::naive::Naive;
use super::scale::{Bend, Shape};
use super::search::minimise;
use crate::num;

/// Exponential smoothing with the first and the last of the given periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoubleSeason;

/// Cycles of the long season that start values are made from, and that must be there.
const CYCLES_MIN: usize = 2;
/// Evaluations of the search, and the steps of the recursion it may take in all.
const EVALUATIONS: usize = 150;
const STEPS_MAX: usize = 120_000;

/// The speeds of level and seasons, and the persistence of errors, each in 0..=1.
#[derive(Debug, Clone, Copy)]
struct Speeds {
    level: f64,
    short: f64,
    long: f64,
    persistence: f64,
}

#[derive(Debug, Clone)]
struct FittedDouble {
    bend: Bend,
    periods: (usize, usize),
    speeds: Speeds,
    /// After `t` values: the level and the last error.
    levels: Vec<f64>,
    errors: Vec<f64>,
    /// `short[t + m]` is what value `t` left behind; the first `m` are the start.
    short: Vec<f64>,
    long: Vec<f64>,
}

impl Forecaster for DoubleSeason {
    fn name(&self) -> &'static str {
        "double-season"
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::All
    }
    fn needs(&self, periods: &[usize]) -> usize {
        match periods {
            [_, .., long] => long.saturating_mul(CYCLES_MIN),
            _ => usize::MAX,
        }
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let (len, needed) = (training.values.len(), self.needs(training.periods));
        let &[short, .., long] = training.periods else {
            return Err(Fallback::NoSeason);
        };
        if len < needed {
            return Err(Fallback::TooShort { len, needed });
        }
        let bend = Bend::fit(Shape::Log, training.values, Some(short));
        let z: Vec<f64> = training.values.iter().map(|v| bend.apply(*v)).collect();
        let mut fitted = FittedDouble::start(bend, &z[..CYCLES_MIN * long], (short, long));
        let evaluations = EVALUATIONS.min(STEPS_MAX / len).max(1);
        let (best, _) = minimise([0.1, 0.2, 0.2, 0.8], evaluations, |x| fitted.cost(&z, Speeds::of(x)));
        fitted.speeds = Speeds::of(&best);
        for v in &z {
            fitted.step(*v);
        }
        Ok(Box::new(fitted))
    }
}

impl Speeds {
    const fn of(x: &[f64; 4]) -> Self {
        Self {
            level: x[0],
            short: x[1],
            long: x[2],
            persistence: x[3],
        }
    }
}

impl FittedDouble {
    fn start(bend: Bend, head: &[f64], periods: (usize, usize)) -> Self {
        let short = profile(head, periods.0);
        let left: Vec<f64> = head.iter().enumerate().map(|(t, v)| v - short[t % periods.0]).collect();
        Self {
            bend,
            periods,
            speeds: Speeds::of(&[0.0; 4]),
            levels: vec![num::mean(&head[..periods.0])],
            errors: vec![0.0],
            long: profile(&left, periods.1),
            short,
        }
    }

    /// Mean squared one-step error from the start values.
    fn cost(&self, z: &[f64], speeds: Speeds) -> f64 {
        let (mut short, mut long) = (self.short.clone(), self.long.clone());
        let (mut level, mut error, mut sum) = (self.levels[0], self.errors[0], 0.0);
        let (mut i, mut j) = (0, 0);
        for v in z {
            let wrong = v - level - short[i] - long[j];
            let surprise = wrong - speeds.persistence * error;
            sum += surprise * surprise;
            level += speeds.level * wrong;
            let season = wrong * (1.0 - speeds.level);
            short[i] += speeds.short * season;
            long[j] += speeds.long * season;
            error = wrong;
            i = if i + 1 == short.len() { 0 } else { i + 1 };
            j = if j + 1 == long.len() { 0 } else { j + 1 };
        }
        sum / num::count(z.len())
    }

    fn step(&mut self, z: f64) {
        let t = self.levels.len() - 1;
        let wrong = z - self.levels[t] - self.short[t] - self.long[t];
        let season = wrong * (1.0 - self.speeds.level);
        self.levels.push(self.levels[t] + self.speeds.level * wrong);
        self.short.push(self.short[t] + self.speeds.short * season);
        self.long.push(self.long[t] + self.speeds.long * season);
        self.errors.push(wrong);
    }
}

impl Fitted for FittedDouble {
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        let mut carried = self.errors[origin];
        (0..horizon)
            .map(|lead| {
                carried *= self.speeds.persistence;
                let short = self.short[origin + lead % self.periods.0];
                let long = self.long[origin + lead % self.periods.1];
                self.bend.undo(self.levels[origin] + short + long + carried)
            })
            .collect()
    }

    fn push(&mut self, value: f64) {
        self.step(self.bend.apply(value));
    }

    fn first_origin(&self) -> usize {
        (CYCLES_MIN * self.periods.1).min(self.levels.len() - 2).max(1)
    }

    /// The response to an error: what the level keeps of it and what persists.
    fn spread(&self, horizon: usize) -> Vec<f64> {
        let (mut variance, mut carried) = (1.0, 1.0);
        let mut spread = Vec::with_capacity(horizon);
        for _ in 0..horizon {
            spread.push(f64::sqrt(variance));
            carried *= self.speeds.persistence;
            let response = self.speeds.level + carried;
            variance += response * response;
        }
        spread
    }

    fn parameters(&self) -> usize {
        4
    }
}
