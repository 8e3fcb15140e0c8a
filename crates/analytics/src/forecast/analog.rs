//! Analogs: what followed those stretches of the past that looked most like the last one.
//!
//! Source: nearest neighbours in delay coordinates (Lorenz, Journal of the Atmospheric Sciences 26, 1969). The stretch is
//! the longest season, candidates lie whole short seasons back, so that phases agree; levels are taken out before
//! stretches are compared and partly put back afterwards.

use super::method::{Fallback, Fitted, Forecaster, SeasonUse, Training};
use super::naive::Naive;
use super::scale::Bend;
use crate::num;

/// The continuation of the nearest stretches of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Analog;

/// Neighbours.
const NEIGHBOURS: usize = 4;
/// Share of the level's change that is carried over.
const CARRY: f64 = 0.7;
/// Added to distances, in mean distances: no neighbour decides alone.
const BLUR: f64 = 0.25;
/// Origin of the bent scale on which stretches are compared, in ranges below the smallest value: a mild bend.
const ORIGIN: f64 = 0.2;
/// Stretch without a season.
const PLAIN_STRETCH: usize = 8;
/// Stretches and their continuations that the history must hold.
const CYCLES_MIN: usize = 3;
/// Most candidates compared, the latest ones: bounds the cost of a path.
const CANDIDATES_MAX: usize = 512;

#[derive(Debug, Clone)]
struct FittedAnalog {
    bend: Bend,
    z: Vec<f64>,
    stretch: usize,
    stride: usize,
}

impl Forecaster for Analog {
    fn name(&self) -> &'static str {
        "analog"
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::All
    }
    fn needs(&self, periods: &[usize]) -> usize {
        CYCLES_MIN * periods.first().copied().unwrap_or(PLAIN_STRETCH).max(PLAIN_STRETCH)
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let (len, needed) = (training.values.len(), self.needs(training.periods));
        if len < needed {
            return Err(Fallback::TooShort { len, needed });
        }
        let fits = |p: &&usize| p.saturating_mul(CYCLES_MIN) <= len;
        let bend = Bend::log(ORIGIN);
        Ok(Box::new(FittedAnalog {
            bend,
            z: training.values.iter().map(|v| bend.apply(*v)).collect(),
            stretch: training.periods.iter().rfind(fits).copied().unwrap_or(PLAIN_STRETCH),
            stride: training.periods.first().copied().unwrap_or(1),
        }))
    }
}

impl FittedAnalog {
    /// The next values after these, at most as many as a stretch.
    fn continue_from(&self, z: &[f64], horizon: usize) -> Vec<f64> {
        let (stretch, end) = (self.stretch, z.len());
        let around = self.stride.max(2).min(stretch);
        let level = |at: usize| num::mean(&z[at - around..at]);
        let now = level(end);
        let mut near: Vec<(f64, usize)> = (1..)
            .map(|k| k * self.stride)
            .skip_while(|back| *back < horizon)
            .take_while(|back| back + stretch <= end)
            .take(CANDIDATES_MAX)
            .map(|back| {
                let (then, at) = (level(end - back), end - back);
                let apart = z[at - stretch..at]
                    .iter()
                    .zip(&z[end - stretch..])
                    .map(|(a, b)| ((a - then) - (b - now)).abs())
                    .sum::<f64>();
                (apart / num::count(stretch), at)
            })
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        near.truncate(NEIGHBOURS);
        let blur = BLUR * num::mean(&near.iter().map(|n| n.0).collect::<Vec<_>>()) + f64::MIN_POSITIVE;
        let total: f64 = near.iter().map(|n| 1.0 / (n.0 + blur)).sum();
        (0..horizon)
            .map(|lead| {
                let of =
                    |&(apart, at): &(f64, usize)| (z[at + lead] + CARRY * (now - level(at))) / ((apart + blur) * total);
                near.iter().map(of).sum()
            })
            .collect()
    }
}

impl Fitted for FittedAnalog {
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        let mut z = self.z[..origin].to_vec();
        while z.len() < origin + horizon {
            let ahead = (origin + horizon - z.len()).min(self.stretch);
            let next = self.continue_from(&z, ahead);
            z.extend(next);
        }
        z[origin..].iter().map(|v| self.bend.undo(*v)).collect()
    }

    fn push(&mut self, value: f64) {
        self.z.push(self.bend.apply(value));
    }

    fn first_origin(&self) -> usize {
        2 * self.stretch + self.stride
    }

    /// As a seasonal naive method's.
    fn spread(&self, horizon: usize) -> Vec<f64> {
        let seasons = |lead: usize| num::count(1 + lead / self.stretch);
        (0..horizon).map(|lead| seasons(lead).sqrt()).collect()
    }

    fn parameters(&self) -> usize {
        0
    }
}
