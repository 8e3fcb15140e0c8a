//! The theta method: simple exponential smoothing with half the slope of the line, on seasonally adjusted values.
//!
//! Source: Assimakopoulos and Nikolopoulos, International Journal of Forecasting 16 (2000), in the closed form of Hyndman
//! and Billah, International Journal of Forecasting 19 (2003), equation 9. Ours: the smoothing speed is searched, and the
//! season is taken out additively on a bent scale ([`Bend`]), which is multiplicative where swings grow with the level.

use super::decompose::profile;
use super::method::{Candidacy, Fallback, Fitted, Forecaster, SeasonUse, Training};
use super::naive::Naive;
use super::scale::{Bend, Shape};
use super::search::minimise;
use crate::num;

/// The theta method, with the first given period when two cycles of it are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theta;

/// Values it needs: a slope and a level.
const LEN_MIN: usize = 6;
/// Cycles that a season must have been seen.
const CYCLES_MIN: usize = 2;
/// Evaluations of the search for the smoothing speed.
const EVALUATIONS: usize = 30;
/// Least speed: the formula divides by it.
const SPEED_MIN: f64 = 0.02;

#[derive(Debug, Clone)]
struct FittedTheta {
    bend: Bend,
    season: Vec<f64>,
    slope: f64,
    speed: f64,
    /// After `t` values.
    levels: Vec<f64>,
}

impl Forecaster for Theta {
    fn name(&self) -> &'static str {
        "theta"
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::All
    }
    fn candidacy(&self) -> Candidacy {
        Candidacy::Quick
    }
    fn needs(&self, _periods: &[usize]) -> usize {
        LEN_MIN
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let len = training.values.len();
        if len < LEN_MIN {
            return Err(Fallback::TooShort { len, needed: LEN_MIN });
        }
        let period = training.periods.first().copied();
        let period = period.filter(|p| p.saturating_mul(CYCLES_MIN) <= len);
        let bend = Bend::fit(Shape::Log, training.values, period);
        let z: Vec<f64> = training.values.iter().map(|v| bend.apply(*v)).collect();
        let season = period.map_or_else(|| vec![0.0], |p| profile(&z, p));
        let adjusted: Vec<f64> = z
            .iter()
            .enumerate()
            .map(|(t, v)| v - season[t % season.len()])
            .collect();
        let start = adjusted[0];
        let cost = |speed: f64| {
            let (mut level, mut sum) = (start, 0.0);
            for v in &adjusted {
                let error = v - level;
                level += speed * error;
                sum += error * error;
            }
            sum
        };
        let ([x], _) = minimise([0.5], EVALUATIONS, |x| cost(x[0].max(SPEED_MIN)));
        let mut fitted = FittedTheta {
            bend,
            season,
            slope: num::slope(&adjusted),
            speed: x.max(SPEED_MIN),
            levels: vec![start],
        };
        for value in training.values {
            fitted.push(*value);
        }
        Ok(Box::new(fitted))
    }
}

impl Fitted for FittedTheta {
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        let forgotten = libm::pow(1.0 - self.speed, num::count(origin));
        (0..horizon)
            .map(|lead| {
                let ahead = num::count(lead) + (1.0 - forgotten) / self.speed;
                let season = self.season[(origin + lead) % self.season.len()];
                self.bend.undo(self.levels[origin] + self.slope / 2.0 * ahead + season)
            })
            .collect()
    }

    fn push(&mut self, value: f64) {
        let t = self.levels.len() - 1;
        let level = self.levels[t];
        let adjusted = self.bend.apply(value) - self.season[t % self.season.len()];
        self.levels.push(level + self.speed * (adjusted - level));
    }

    fn first_origin(&self) -> usize {
        (self.levels.len() / 2).min(2 * self.season.len()).max(1)
    }

    /// `√(1 + (h-1)·α²)`, that of simple exponential smoothing.
    fn spread(&self, horizon: usize) -> Vec<f64> {
        (0..horizon)
            .map(|lead| (1.0 + num::count(lead) * self.speed * self.speed).sqrt())
            .collect()
    }

    fn parameters(&self) -> usize {
        2
    }
}
