//! A forecast as the caller sees it: what it says, how it came about, why there is none. How it is made is `trained`'s.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use super::Auto;
use super::config::{ForecastConfig, HISTORY_MAX, Level};
use super::method::{Fallback, Forecaster, Member};
use super::trained::Trained;
use crate::RegularSeries;

/// A forecast and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Forecast {
    /// Name of the method that was really used.
    pub method: String,
    /// What it is made of, when it is a combination.
    pub members: Vec<Member>,
    /// Why something simpler than asked for was used; `None` when nothing was.
    pub fallback: Option<Fallback>,
    /// Values of the history that were used: the latest, at most [`HISTORY_MAX`].
    pub values_used: usize,
    /// Seasonal periods that were given or found, in steps of the grid.
    pub periods: Vec<usize>,
    /// Share of the future that the interval is meant to hold.
    pub level: Level,
    /// What the interval's width rests on.
    pub interval: IntervalSource,
    /// One entry for each step ahead, in order of time.
    pub steps: Vec<ForecastStep>,
}

/// One step ahead; `lo <= point <= hi`, all finite, in the unit of the series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ForecastStep {
    /// The time it is for.
    pub at: Timestamp,
    /// Lower end of the prediction interval.
    pub lo: f64,
    /// The forecast itself.
    pub point: f64,
    /// Upper end of the prediction interval.
    pub hi: f64,
}

/// What the width of an interval rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IntervalSource {
    /// A quantile of this many errors of the method on the series itself.
    Conformal {
        /// One-step errors.
        errors: usize,
    },
    /// Student's t, because this many errors are too few for a quantile at that level.
    StudentT {
        /// One-step errors.
        errors: usize,
    },
    /// Nothing varied: the interval has no width.
    Constant,
}

/// Why there is no forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ForecastError {
    /// One value or none: no width of an interval could be justified.
    #[error("forecast a series of `{len}` values: at least 2 are needed")]
    TooShort {
        /// Values there are.
        len: usize,
    },
}

impl ForecastError {
    /// [`Class::NotFound`]: the data are not there yet; the same request works later.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::NotFound
    }
}

/// Forecasts with the automatic choice ([`Auto`]); formula 8 of docs/fidelity.md.
///
/// Uses the last [`HISTORY_MAX`] values. `y → a·y + b` with `a > 0` moves forecast and interval accordingly (up to
/// rounding, bounds excepted). Costs the fits of all candidates at five origins: linear in the length.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::{RegularSeries, forecast::{ForecastConfig, forecast}};
/// use skyloom_core::Timestamp;
///
/// let wave: Vec<f64> = (0..48).map(|i| [1.0, 4.0, 2.0, 7.0][i % 4]).collect();
/// let series = RegularSeries::new(Timestamp::EPOCH, Duration::from_secs(1), wave)?;
/// let ahead = forecast(&series, &ForecastConfig::new(4, 0.9)?)?;
/// assert_eq!(ahead.periods, [4]);
/// for (step, truth) in ahead.steps.iter().zip([1.0, 4.0, 2.0, 7.0]) {
///     assert!((step.point - truth).abs() < 1e-9);
/// }
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Errors
/// [`ForecastError::TooShort`] for fewer than two values.
pub fn forecast(series: &RegularSeries, config: &ForecastConfig) -> Result<Forecast, ForecastError> {
    forecast_with(&Auto, series, config)
}

/// Forecasts with one method, built in or the caller's own; otherwise as [`forecast`].
///
/// # Errors
/// [`ForecastError::TooShort`] for fewer than two values.
pub fn forecast_with(
    method: &dyn Forecaster,
    series: &RegularSeries,
    config: &ForecastConfig,
) -> Result<Forecast, ForecastError> {
    let all = series.values();
    let trained = Trained::on(method, &all[all.len().saturating_sub(HISTORY_MAX)..], config)?;
    Ok(trained.ahead(config, |lead| series.at(all.len() + lead)))
}
