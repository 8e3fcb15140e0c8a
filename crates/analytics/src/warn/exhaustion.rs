//! When does a resource with a limit run out?
//!
//! A straight line through the samples, with its uncertainty carried to the limit. Curved or seasonal resources belong
//! to [`crate::forecast`]; a line is what is wanted for disks, memory leaks, quotas and budgets, and it says honestly
//! when it does not know.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Ratio, Timestamp};
use statrs::distribution::{ContinuousCDF, StudentsT};
use thiserror::Error;

use crate::forecast::Level;
use crate::num::{Unit, count, mean};
use crate::{RegularSeries, num};

/// Values a line with an uncertainty needs.
const LEN_MIN: usize = 4;
/// Halvings when a crossing is searched for: the horizon divided by 2^60 is below a microsecond.
const HALVINGS: u32 = 60;
/// Largest share of a residual that may be owed to its predecessor; nearer to one, a line through a walk claims to know
/// nothing at all.
const PERSISTENCE_MAX: f64 = 0.95;

/// The limit, in the unit of the series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Exhausted at or above (bytes in use).
    Above(f64),
    /// Exhausted at or below (bytes free, budget left).
    Below(f64),
}

/// What is known about running out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exhaustion {
    /// Movement towards the limit per second, in the unit of the series; negative when it recedes.
    pub approach_per_sec: f64,
    /// Probability that the limit is reached at the end of the horizon, in 0..=1.
    pub probability: Ratio,
    /// Where the near end of the prediction interval meets the limit; `None`: not within the horizon.
    pub earliest: Option<Timestamp>,
    /// Where the line meets the limit; `None`: not within the horizon.
    pub expected: Option<Timestamp>,
    /// Where the far end of the prediction interval meets the limit; `None`: not within the horizon.
    pub latest: Option<Timestamp>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum WarnError {
    /// Too few values for a line with an uncertainty.
    #[error("see a trend in `{len}` values: at least `{LEN_MIN}` are needed")]
    TooShort {
        /// Values there are.
        len: usize,
    },
    /// The limit is NaN or infinite.
    #[error("watch a limit of `{limit}`: it must be finite")]
    Limit {
        /// What was given.
        limit: f64,
    },
    /// The horizon is zero.
    #[error("look ahead by a horizon of `0`: it must be longer")]
    Horizon,
}

impl WarnError {
    /// [`Class::NotFound`] while there are too few values, else [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::TooShort { .. } => Class::NotFound,
            Self::Limit { .. } | Self::Horizon => Class::Invalid,
        }
    }
}

/// Time to exhaustion from a linear trend over all of `series`, within `horizon` from its last value; `earliest` and
/// `latest` bound a two-sided prediction interval of that level.
///
/// Least squares with Student's t (Draper and Smith, Applied Regression Analysis, 3rd ed., section 3.1), the number of
/// values reduced for residuals that follow each other (first-order autocorrelation). A last value already at the limit
/// gives probability 1 and its own time three times.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::{RegularSeries, forecast::Level, warn::{Limit, time_to_exhaustion}};
/// use skyloom_core::Timestamp;
///
/// // A disk that fills by 2 GB an hour, at 80 GB now.
/// let used: Vec<f64> = (0..=20).map(|h| 40.0 + 2.0 * f64::from(h)).collect();
/// let hour = Duration::from_secs(3600);
/// let series = RegularSeries::new(Timestamp::EPOCH, hour, used)?;
/// let end = time_to_exhaustion(&series, Limit::Above(100.0), 24 * hour, Level::new(0.9)?)?;
/// assert_eq!(end.expected, Some(Timestamp::from_secs(30 * 3600)));
/// assert!(end.probability.get() > 0.99);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Errors
/// [`WarnError::TooShort`], [`WarnError::Limit`] for one that is not finite, [`WarnError::Horizon`] for zero.
pub fn time_to_exhaustion(
    series: &RegularSeries,
    limit: Limit,
    horizon: Duration,
    level: Level,
) -> Result<Exhaustion, WarnError> {
    let (limit, sign) = match limit {
        Limit::Above(limit) => (limit, 1.0),
        Limit::Below(limit) => (-limit, -1.0),
    };
    if !limit.is_finite() {
        return Err(WarnError::Limit { limit: limit * sign });
    }
    if horizon.is_zero() {
        return Err(WarnError::Horizon);
    }
    let len = series.len();
    if len < LEN_MIN {
        return Err(WarnError::TooShort { len });
    }
    let now = series.at(len - 1);
    let values: Vec<f64> = series.values().iter().map(|v| v * sign).collect();
    if values[len - 1] >= limit {
        return Ok(Exhaustion::already(now, 0.0));
    }
    // On a scale that holds the limit as well, so that nothing overflows on the way to it.
    let Some(unit) = Unit::of(&[values.as_slice(), &[limit]].concat()) else {
        return Ok(Exhaustion::never());
    };
    let z: Vec<f64> = values.iter().map(|v| unit.to_unit(*v)).collect();
    let line = Line::through(&z);
    let steps = horizon.as_secs_f64() / series.step().as_secs_f64();
    let gap = unit.to_unit(limit);
    let quantile = line.quantile(f64::midpoint(level.get(), 1.0));
    let at = |ahead: Option<f64>| {
        ahead.map(|a| {
            now.saturating_add(Duration::try_from_secs_f64(a * series.step().as_secs_f64()).unwrap_or(Duration::MAX))
        })
    };
    Ok(Exhaustion {
        approach_per_sec: num::saturate(line.slope * unit.half() / series.step().as_secs_f64()),
        probability: Ratio::new(line.probability_above(gap, steps)).unwrap_or(Ratio::ONE),
        earliest: at(crossing(|x| line.at(x) + quantile * line.error(x) - gap, steps, steps)),
        expected: at(crossing(|x| line.at(x) - gap, steps, steps)),
        latest: at(latest(&line, quantile, gap, steps)),
    })
}

impl Exhaustion {
    const fn already(now: Timestamp, approach_per_sec: f64) -> Self {
        Self {
            approach_per_sec,
            probability: Ratio::ONE,
            earliest: Some(now),
            expected: Some(now),
            latest: Some(now),
        }
    }

    const fn never() -> Self {
        Self {
            approach_per_sec: 0.0,
            probability: Ratio::ZERO,
            earliest: None,
            expected: None,
            latest: None,
        }
    }
}

/// A fitted line; `x` counts steps from the last value.
struct Line {
    level: f64,
    slope: f64,
    /// Standard deviation of the residuals.
    sd: f64,
    /// Values, as independent ones.
    n: f64,
    /// Middle of the fitted `x`, and the sum of squares around it.
    middle: f64,
    spread: f64,
}

impl Line {
    fn through(z: &[f64]) -> Self {
        let last = count(z.len() - 1);
        let middle = -last / 2.0;
        let level_mean = mean(z);
        let x = |i: usize| count(i) - last - middle;
        let spread: f64 = (0..z.len()).map(|i| x(i) * x(i)).sum();
        let slope = z.iter().enumerate().map(|(i, v)| x(i) * (v - level_mean)).sum::<f64>() / spread;
        let residuals: Vec<f64> = z
            .iter()
            .enumerate()
            .map(|(i, v)| v - level_mean - slope * x(i))
            .collect();
        let total: f64 = residuals.iter().map(|e| e * e).sum();
        let follow: f64 = residuals.windows(2).map(|w| w[0] * w[1]).sum();
        let persistence = if total > 0.0 {
            (follow / total).clamp(0.0, PERSISTENCE_MAX)
        } else {
            0.0
        };
        let share = (1.0 - persistence) / (1.0 + persistence);
        let n = (count(z.len()) * share).max(3.0);
        Self {
            level: level_mean - slope * middle,
            slope,
            sd: (total / (count(z.len()) - 2.0)).sqrt(),
            n,
            middle,
            spread: spread * n / count(z.len()),
        }
    }

    fn at(&self, x: f64) -> f64 {
        self.level + self.slope * x
    }

    /// Standard error of a value at `x`.
    fn error(&self, x: f64) -> f64 {
        let away = x - self.middle;
        self.sd * (1.0 + 1.0 / self.n + away * away / self.spread).sqrt()
    }

    fn student(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, (self.n - 2.0).max(1.0)).ok()
    }

    fn quantile(&self, upper: f64) -> f64 {
        self.student()
            .map(|t| t.inverse_cdf(upper))
            .filter(|q| q.is_finite())
            .map_or(f64::MAX, |q| q.max(0.0))
    }

    fn probability_above(&self, gap: f64, x: f64) -> f64 {
        let (miss, error) = (gap - self.at(x), self.error(x));
        if error <= 0.0 {
            return f64::from(u8::from(miss <= 0.0));
        }
        let p = self.student().map_or(0.5, |t| t.sf(miss / error));
        if p.is_nan() { 0.5 } else { p.clamp(0.0, 1.0) }
    }
}

/// Where a function that is negative at 0 becomes non-negative, in `0..=until`, when it is so at `until`; `None` beyond
/// the horizon. For a convex one the end decides whether there is a crossing at all.
fn crossing(f: impl Fn(f64) -> f64, until: f64, horizon: f64) -> Option<f64> {
    if f(until) < 0.0 || until > horizon {
        return None;
    }
    let (mut before, mut after) = (0.0, until);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(before, after);
        if f(middle) < 0.0 {
            before = middle
        } else {
            after = middle
        }
    }
    Some(after)
}

/// The far end is concave: it may meet the limit and fall back as the uncertainty grows. Its first meeting is before its
/// highest point, found by thirds.
fn latest(line: &Line, quantile: f64, gap: f64, horizon: f64) -> Option<f64> {
    let far = |x: f64| line.at(x) - quantile * line.error(x) - gap;
    let (mut low, mut high) = (0.0, horizon);
    for _ in 0..HALVINGS {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if far(a) < far(b) { low = a } else { high = b }
    }
    crossing(far, if far(horizon) >= 0.0 { horizon } else { high }, horizon)
}
