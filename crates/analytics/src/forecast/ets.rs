//! Exponential smoothing with additive errors: level (`SimpleExp`), level and damped trend (`HoltDamped`), level, damped
//! trend and additive season (`HoltWinters`).
//!
//! Source: Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing (2008): the innovations form of
//! table 2.1 (ANN, AAdN, AAdA) and the growth of the variance of table 6.1. Start values are read off the beginning of
//! the series instead of being searched for: with a hundred samples and a season they would outnumber the data.

use super::method::{Fallback, Fitted, Forecaster, SeasonUse, Training};
use super::naive::Naive;
use super::search::minimise;
use crate::num;

/// Simple exponential smoothing, ETS(A,N,N): a level that is followed at a fitted speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimpleExp;

/// Holt's method with a damped trend, ETS(A,Ad,N).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoltDamped;

/// The additive method of Holt and Winters with a damped trend, ETS(A,Ad,A), with the first given period. Needs two
/// full seasons and two values more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoltWinters;

/// The damping is searched in this range, as is usual: below, the trend is gone at once; above, it cannot be told from
/// a straight line.
const DAMPING: (f64, f64) = (0.8, 0.98);
/// Evaluations of the sum of squares per start point: the simplex has settled by then (four dimensions at most).
const EVALUATIONS: usize = 120;
/// Steps of the recursion that one search may take: long series get by with fewer evaluations, because each says more.
const STEPS_MAX: usize = 30_000;
/// Start points of the level's speed: slow, middling, quick. One alone gets caught in a local minimum.
const LEVEL_STARTS: [f64; 3] = [0.1, 0.4, 0.85];
/// A later start must win by this much: two searches that end in the same place must not be told apart by rounding.
const CLEARLY_BETTER: f64 = 1e-6;
/// Values whose mean is the first level, and whose line is the first trend.
const START_LEN: usize = 10;
/// Values a damped trend needs: three parameters and a start.
const TREND_LEN_MIN: usize = 8;
/// Values a level needs.
const LEVEL_LEN_MIN: usize = 4;

/// An untrained exponential smoothing: which components it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ets {
    trend: bool,
    period: Option<usize>,
}

/// The parameters `θ` of formula 8, each in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Theta {
    alpha: f64,
    beta: f64,
    gamma: f64,
    damping: f64,
}

/// A trained exponential smoothing, with its state after each value of the history.
#[derive(Debug, Clone)]
pub struct FittedEts {
    ets: Ets,
    theta: Theta,
    /// `levels[t]`, `trends[t]` after `t` values.
    levels: Vec<f64>,
    trends: Vec<f64>,
    /// `seasons[t + m]` is what value `t` left behind; the first `m` are the start. Empty without a season.
    seasons: Vec<f64>,
}

impl Forecaster for SimpleExp {
    fn name(&self) -> &'static str {
        "simple-exp"
    }
    fn needs(&self, _periods: &[usize]) -> usize {
        LEVEL_LEN_MIN
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        Ok(Box::new(Ets::LEVEL.fit(training.values)?))
    }
}

impl Forecaster for HoltDamped {
    fn name(&self) -> &'static str {
        "holt-damped"
    }
    fn needs(&self, _periods: &[usize]) -> usize {
        TREND_LEN_MIN
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&SimpleExp)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        Ok(Box::new(Ets::TREND.fit(training.values)?))
    }
}

impl Forecaster for HoltWinters {
    fn name(&self) -> &'static str {
        "holt-winters"
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::Each
    }
    fn needs(&self, periods: &[usize]) -> usize {
        periods.first().map_or(TREND_LEN_MIN, |p| Ets::seasonal(*p).needs())
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&HoltDamped)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let period = *training.periods.first().ok_or(Fallback::NoSeason)?;
        Ok(Box::new(Ets::seasonal(period).fit(training.values)?))
    }
}

impl Ets {
    /// A level alone.
    pub const LEVEL: Self = Self {
        trend: false,
        period: None,
    };
    /// A level and a damped trend.
    pub const TREND: Self = Self {
        trend: true,
        period: None,
    };

    /// A level, a damped trend and an additive season of `period` steps; a period below 2 is no season.
    #[must_use]
    pub const fn seasonal(period: usize) -> Self {
        Self {
            trend: true,
            period: if period < 2 { None } else { Some(period) },
        }
    }

    /// Values needed for a fit.
    #[must_use]
    pub const fn needs(&self) -> usize {
        match self.period {
            Some(period) => {
                let two = period.saturating_mul(2).saturating_add(2);
                if two < TREND_LEN_MIN { TREND_LEN_MIN } else { two }
            }
            None if self.trend => TREND_LEN_MIN,
            None => LEVEL_LEN_MIN,
        }
    }

    /// Fits the smoothing parameters by least squares of the one-step errors. Values should be within -1..=1.
    ///
    /// # Errors
    /// [`Fallback::TooShort`].
    pub fn fit(self, values: &[f64]) -> Result<FittedEts, Fallback> {
        if values.len() < self.needs() {
            return Err(Fallback::TooShort {
                len: values.len(),
                needed: self.needs(),
            });
        }
        let mut state = self.start(values);
        let theta = match (self.trend, self.period) {
            (false, _) => search(|x: &[f64; 1]| Theta::level(x), values, &mut state),
            (true, None) => search(|x: &[f64; 3]| Theta::trend(x), values, &mut state),
            (true, Some(_)) => search(|x: &[f64; 4]| Theta::season(x), values, &mut state),
        };
        state.run(values, theta);
        Ok(state)
    }

    /// Start values from the beginning of the series.
    fn start(self, values: &[f64]) -> FittedEts {
        let (level, trend, seasons) = match self.period {
            Some(m) => {
                let (first, second) = (num::mean(&values[..m]), num::mean(&values[m..2 * m]));
                let trend = (second - first) / num::count(m);
                let level = first - trend * num::count(m + 1) / 2.0;
                let away = |i: usize| values[i] - level - trend * num::count(i + 1);
                let seasons = (0..m).map(|i| f64::midpoint(away(i), away(i + m))).collect();
                (level, trend, seasons)
            }
            None => {
                let head = &values[..values.len().min(START_LEN)];
                let slope = if self.trend { num::slope(head) } else { 0.0 };
                let level = num::mean(head) - slope * num::count(head.len() + 1) / 2.0;
                (level, slope, Vec::new())
            }
        };
        FittedEts {
            ets: self,
            theta: Theta::level(&[0.5]),
            levels: vec![level],
            trends: vec![trend],
            seasons,
        }
    }
}

/// Searches the unit cube from each start for the parameters with the least squared one-step error.
fn search<const N: usize>(theta: impl Fn(&[f64; N]) -> Theta, values: &[f64], state: &mut FittedEts) -> Theta {
    let mut best = ([0.5; N], f64::INFINITY);
    for alpha in LEVEL_STARTS {
        let mut start = [0.1; N];
        start[0] = alpha;
        let found = minimise(start, EVALUATIONS.min(STEPS_MAX / values.len()).max(20), |x| {
            state.run(values, theta(x))
        });
        if best.1.is_infinite() || found.1 < best.1 * (1.0 - CLEARLY_BETTER) {
            best = found;
        }
    }
    theta(&best.0)
}

/// From the unit cube to parameters: `beta <= alpha` and `gamma <= 1 - alpha` as usual, by construction.
impl Theta {
    const fn level(x: &[f64; 1]) -> Self {
        Self {
            alpha: x[0],
            beta: 0.0,
            gamma: 0.0,
            damping: 1.0,
        }
    }

    const fn trend(x: &[f64; 3]) -> Self {
        Self {
            alpha: x[0],
            beta: x[0] * x[1],
            gamma: 0.0,
            damping: DAMPING.1 - (DAMPING.1 - DAMPING.0) * x[2],
        }
    }

    const fn season(x: &[f64; 4]) -> Self {
        let trend = Self::trend(&[x[0], x[1], x[2]]);
        Self {
            gamma: (1.0 - x[0]) * x[3],
            ..trend
        }
    }
}

impl FittedEts {
    /// Runs the recursion over the values from the start state and gives the mean squared one-step error.
    fn run(&mut self, values: &[f64], theta: Theta) -> f64 {
        let m = self.ets.period.unwrap_or(0);
        self.theta = theta;
        self.levels.truncate(1);
        self.trends.truncate(1);
        self.seasons.truncate(m);
        let mut sum = 0.0;
        for value in values {
            let error = self.step(*value);
            sum += error * error;
        }
        sum / num::count(values.len().max(1))
    }

    /// Takes in one value and gives its one-step error.
    fn step(&mut self, value: f64) -> f64 {
        let (theta, t) = (self.theta, self.levels.len() - 1);
        let (level, trend) = (self.levels[t], self.trends[t]);
        let season = self.ets.period.map_or(0.0, |_| self.seasons[t]);
        let ahead = level + theta.damping * trend;
        let error = value - ahead - season;
        self.levels.push(ahead + theta.alpha * error);
        self.trends.push(theta.damping * trend + theta.beta * error);
        if self.ets.period.is_some() {
            self.seasons.push(season + theta.gamma * error);
        }
        error
    }
}

impl Fitted for FittedEts {
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        let (level, trend) = (self.levels[origin], self.trends[origin]);
        let (mut damping, mut damped) = (1.0, 0.0);
        (0..horizon)
            .map(|lead| {
                damping *= self.theta.damping;
                damped += damping;
                let season = self.ets.period.map_or(0.0, |m| self.seasons[origin + lead % m]);
                level + damped * trend + season
            })
            .collect()
    }

    fn push(&mut self, value: f64) {
        self.step(value);
    }

    fn first_origin(&self) -> usize {
        match self.ets.period {
            Some(period) => 2 * period,
            None => START_LEN.min(self.levels.len() / 2),
        }
    }

    /// `√(1 + Σ c_j²)` with `c_j = α + β·(φ + … + φ^j) + γ·[j is a multiple of m]`, table 6.1 of the book.
    fn spread(&self, horizon: usize) -> Vec<f64> {
        let Theta {
            alpha,
            beta,
            gamma,
            damping,
        } = self.theta;
        let (mut variance, mut power, mut damped) = (1.0, 1.0, 0.0);
        let mut spread = Vec::with_capacity(horizon);
        for lead in 1..=horizon {
            spread.push(f64::sqrt(variance));
            power *= damping;
            damped += power;
            let season = self.ets.period.is_some_and(|m| lead.is_multiple_of(m));
            let c = alpha + beta * damped + if season { gamma } else { 0.0 };
            variance += c * c;
        }
        spread
    }

    fn parameters(&self) -> usize {
        match (self.ets.trend, self.ets.period) {
            (false, _) => 1,
            (true, None) => 3,
            (true, Some(_)) => 4,
        }
    }
}
