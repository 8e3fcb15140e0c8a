//! Exponential smoothing with additive errors: no trend, a damped or a straight one; no season, an additive or a
//! multiplicative one. Which of them suits a series is `ets_auto`'s to say.
//!
//! Source: Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing (2008): the innovations form of
//! table 2.1 (ANN to AAdM) and the growth of the variance of table 6.1. Start values are read off the beginning of the
//! series instead of being searched for: with a hundred samples and a season they would outnumber the data. A
//! multiplicative season needs an origin, which is estimated ([`Bend`]), so that a shift of the series changes nothing.

use super::method::{Candidacy, Fallback, Fitted, Forecaster, SeasonUse, Training};
use super::naive::Naive;
use super::scale::{Bend, Shape};
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
const STEPS_MAX: usize = 20_000;
/// Evaluations below which a search would not move.
const EVALUATIONS_MIN: usize = 20;
/// Least seasonal index and least level that are divided by.
const NEAREST: f64 = 0.02;
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
    trend: Trend,
    season: Season,
}

/// The trend of an exponential smoothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// None.
    None,
    /// One that dies away.
    Damped,
    /// One that goes on.
    Straight,
}

/// The season of an exponential smoothing, with its period in steps; a period below 2 is no season.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Season {
    /// None.
    None,
    /// Added to the level.
    Additive(usize),
    /// Multiplied with the level's distance from the estimated origin.
    Multiplicative(usize),
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
    /// Added to values before the recursion: their distance from the origin of a multiplicative season.
    offset: f64,
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
    fn candidacy(&self) -> Candidacy {
        Candidacy::Quick
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
    fn candidacy(&self) -> Candidacy {
        Candidacy::Quick
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
    /// `ets` has it among its forms.
    fn candidacy(&self) -> Candidacy {
        Candidacy::Never
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

impl Season {
    const fn period(self) -> Option<usize> {
        match self {
            Self::Additive(period) | Self::Multiplicative(period) if period >= 2 => Some(period),
            _ => None,
        }
    }
}

impl Ets {
    /// A level alone.
    pub const LEVEL: Self = Self::new(Trend::None, Season::None);
    /// A level and a damped trend.
    pub const TREND: Self = Self::new(Trend::Damped, Season::None);

    /// These components beside the level.
    #[must_use]
    pub const fn new(trend: Trend, season: Season) -> Self {
        Self { trend, season }
    }

    /// A level, a damped trend and an additive season of `period` steps; a period below 2 is no season.
    #[must_use]
    pub const fn seasonal(period: usize) -> Self {
        Self::new(Trend::Damped, Season::Additive(period))
    }

    /// Values needed for a fit.
    #[must_use]
    pub const fn needs(&self) -> usize {
        match (self.season.period(), self.trend) {
            (Some(period), _) => {
                let two = period.saturating_mul(2).saturating_add(2);
                if two < TREND_LEN_MIN { TREND_LEN_MIN } else { two }
            }
            (None, Trend::None) => LEVEL_LEN_MIN,
            (None, _) => TREND_LEN_MIN,
        }
    }

    /// Smoothing parameters that are searched.
    pub(crate) const fn parameters(&self) -> usize {
        let trend = match self.trend {
            Trend::None => 0,
            Trend::Straight => 1,
            Trend::Damped => 2,
        };
        1 + trend + if self.season.period().is_some() { 1 } else { 0 }
    }

    /// Start values.
    pub(crate) fn states(&self) -> usize {
        1 + usize::from(self.trend != Trend::None) + self.season.period().map_or(0, |p| p - 1)
    }

    /// Fits the smoothing parameters by least squares of the one-step errors. Values should be within -1..=1.
    ///
    /// # Errors
    /// [`Fallback::TooShort`].
    pub fn fit(self, values: &[f64]) -> Result<FittedEts, Fallback> {
        let evaluations = EVALUATIONS.min(STEPS_MAX / values.len().max(1));
        self.fit_from(values, &LEVEL_STARTS, evaluations)
            .map(|(fitted, _)| fitted)
    }

    /// As [`Ets::fit`] with searches from these speeds of the level, each with at most so many evaluations; with the mean
    /// squared error reached.
    pub(crate) fn fit_from(
        self,
        values: &[f64],
        speeds: &[f64],
        evaluations: usize,
    ) -> Result<(FittedEts, f64), Fallback> {
        if values.len() < self.needs() {
            return Err(Fallback::TooShort {
                len: values.len(),
                needed: self.needs(),
            });
        }
        let evaluations = evaluations.max(EVALUATIONS_MIN);
        let mut state = self.start(values);
        let (theta, cost) = match self.parameters() {
            1 => search(self, |x: &[f64; 1]| x.to_vec(), values, &state, (speeds, evaluations)),
            2 => search(self, |x: &[f64; 2]| x.to_vec(), values, &state, (speeds, evaluations)),
            3 => search(self, |x: &[f64; 3]| x.to_vec(), values, &state, (speeds, evaluations)),
            _ => search(self, |x: &[f64; 4]| x.to_vec(), values, &state, (speeds, evaluations)),
        };
        state.theta = theta;
        for value in values {
            state.step(*value);
        }
        Ok((state, cost))
    }

    /// From the unit cube to parameters: `beta <= alpha` and `gamma <= 1 - alpha` as usual, by construction.
    fn theta(self, x: &[f64]) -> Theta {
        let mut rest = x.iter().copied();
        let mut next = || rest.next().unwrap_or(0.0);
        let alpha = next();
        let (beta, damping) = match self.trend {
            Trend::None => (0.0, 1.0),
            Trend::Straight => (alpha * next(), 1.0),
            Trend::Damped => (alpha * next(), DAMPING.1 - (DAMPING.1 - DAMPING.0) * next()),
        };
        Theta {
            alpha,
            beta,
            gamma: (1.0 - alpha) * next(),
            damping,
        }
    }

    /// Start values from the beginning of the series.
    fn start(self, values: &[f64]) -> FittedEts {
        let offset = match self.season {
            Season::Multiplicative(period) => Bend::fit(Shape::Log, values, Some(period)).offset(),
            Season::None | Season::Additive(_) => 0.0,
        };
        let (level, trend, seasons) = match self.season.period() {
            Some(m) => {
                let (first, second) = (num::mean(&values[..m]), num::mean(&values[m..2 * m]));
                let trend = (second - first) / num::count(m);
                let level = first - trend * num::count(m + 1) / 2.0 + offset;
                let line = |i: usize| level + trend * num::count(i + 1);
                let away = |i: usize| match self.season {
                    Season::Multiplicative(_) => (values[i] + offset) / line(i).max(NEAREST),
                    Season::None | Season::Additive(_) => values[i] - line(i),
                };
                let seasons = (0..m).map(|i| f64::midpoint(away(i), away(i + m))).collect();
                (level, trend, seasons)
            }
            None => {
                let head = &values[..values.len().min(START_LEN)];
                let slope = if self.trend == Trend::None {
                    0.0
                } else {
                    num::slope(head)
                };
                let level = num::mean(head) - slope * num::count(head.len() + 1) / 2.0;
                (level, slope, Vec::new())
            }
        };
        FittedEts {
            ets: self,
            offset,
            theta: self.theta(&[0.5]),
            levels: vec![level],
            trends: vec![if self.trend == Trend::None { 0.0 } else { trend }],
            seasons,
        }
    }
}

/// Searches the unit cube from each start for the parameters with the least squared one-step error, and that error.
fn search<const N: usize>(
    ets: Ets,
    point: impl Fn(&[f64; N]) -> Vec<f64>,
    values: &[f64],
    start: &FittedEts,
    (speeds, evaluations): (&[f64], usize),
) -> (Theta, f64) {
    let mut best = ([0.5; N], f64::INFINITY);
    let mut seasons = Vec::new();
    for speed in speeds {
        let mut from = [0.1; N];
        from[0] = *speed;
        let found = minimise(from, evaluations, |x| {
            start.cost(values, ets.theta(&point(x)), &mut seasons)
        });
        if best.1.is_infinite() || found.1 < best.1 * (1.0 - CLEARLY_BETTER) {
            best = found;
        }
    }
    (ets.theta(&point(&best.0)), best.1)
}

impl FittedEts {
    /// Mean squared one-step error of these parameters from the start values; `seasons` is room for the recursion.
    fn cost(&self, values: &[f64], theta: Theta, seasons: &mut Vec<f64>) -> f64 {
        let m = self.ets.season.period().unwrap_or(0);
        seasons.clear();
        seasons.extend_from_slice(&self.seasons[..m]);
        let (mut level, mut trend, mut phase, mut sum) = (self.levels[0], self.trends[0], 0, 0.0);
        let kind = self.ets.season;
        for value in values {
            let season = seasons.get(phase).copied().unwrap_or(0.0);
            let next = advance(kind, theta, (level, trend, season), value + self.offset);
            (level, trend) = (next.level, next.trend);
            if let Some(slot) = seasons.get_mut(phase) {
                *slot = next.season;
                phase = if phase + 1 == m { 0 } else { phase + 1 };
            }
            sum += next.error * next.error;
        }
        sum / num::count(values.len().max(1))
    }

    /// Takes in one value.
    fn step(&mut self, value: f64) {
        let t = self.levels.len() - 1;
        let season = self.seasons.get(t).copied().unwrap_or(0.0);
        let state = (self.levels[t], self.trends[t], season);
        let next = advance(self.ets.season, self.theta, state, value + self.offset);
        self.levels.push(next.level);
        self.trends.push(next.trend);
        if self.ets.season.period().is_some() {
            self.seasons.push(next.season);
        }
    }
}

/// The state after a value, and the error before it.
struct Next {
    level: f64,
    trend: f64,
    season: f64,
    error: f64,
}

/// One step of the recursion from (level, trend, season of this phase).
#[inline]
fn advance(kind: Season, theta: Theta, (level, trend, season): (f64, f64, f64), value: f64) -> Next {
    let ahead = level + theta.damping * trend;
    let (error, on_level, on_season) = if let Season::Multiplicative(_) = kind {
        let (by, of) = (season.max(NEAREST), ahead.max(NEAREST));
        let error = value - ahead * season;
        (error, error / by, error / of)
    } else {
        let error = value - ahead - season;
        (error, error, error)
    };
    Next {
        level: ahead + theta.alpha * on_level,
        trend: theta.damping * trend + theta.beta * on_level,
        season: season + theta.gamma * on_season,
        error,
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
                let line = level + damped * trend;
                let season = |m: usize| self.seasons[origin + lead % m];
                match (self.ets.season, self.ets.season.period()) {
                    (Season::Multiplicative(_), Some(m)) => line * season(m) - self.offset,
                    (_, Some(m)) => line + season(m),
                    (_, None) => line,
                }
            })
            .collect()
    }

    fn push(&mut self, value: f64) {
        self.step(value);
    }

    fn first_origin(&self) -> usize {
        match self.ets.season.period() {
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
            let season = self.ets.season.period().is_some_and(|m| lead.is_multiple_of(m));
            let c = alpha + beta * damped + if season { gamma } else { 0.0 };
            variance += c * c;
        }
        spread
    }

    fn parameters(&self) -> usize {
        self.ets.parameters()
    }
}
