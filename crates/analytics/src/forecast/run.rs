//! One forecast from start to end: scale, find the season, fit (or fall back and say so), add the interval, scale back.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use super::config::{ForecastConfig, HISTORY_MAX, Level, Seasons};
use super::interval::interval;
use super::method::{Fallback, Fitted, Forecaster, Member, Training};
use super::scale::{Bend, Shape};
use super::season::detect_periods;
use super::{Auto, Naive};
use crate::RegularSeries;
use crate::num::{Unit, saturate};

/// Steps of [`Forecaster::simpler`] that are followed before the naive method is used; the built-in chain has three.
const SIMPLER_MAX: usize = 8;

/// Values from which on an interval may widen with the level: fewer cannot tell a bend from luck.
const BEND_LEN_MIN: usize = 60;

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
    if all.len() < 2 {
        return Err(ForecastError::TooShort { len: all.len() });
    }
    let history = &all[all.len().saturating_sub(HISTORY_MAX)..];
    let Some(unit) = Unit::of(history) else {
        return Ok(constant(series, config));
    };
    let values: Vec<f64> = history.iter().map(|v| unit.to_unit(*v)).collect();
    let periods = match &config.seasons {
        Seasons::None => Vec::new(),
        Seasons::Given(periods) => periods.clone(),
        Seasons::Detect => detect_periods(&values),
    };
    let training = Training {
        values: &values,
        periods: &periods,
        horizon: config.horizon,
    };
    let (name, fitted, fallback) = fit(method, &training);
    let path = fitted.path(values.len(), config.horizon);
    let bend = if values.len() < BEND_LEN_MIN {
        Bend::STRAIGHT
    } else {
        Bend::fit(Shape::Log, &values, periods.first().copied())
    };
    let reach = interval(fitted.as_ref(), &values, config.horizon, config.level, bend);
    let steps = (0..config.horizon)
        .map(|lead| {
            let z = if path[lead].is_nan() {
                values[values.len() - 1]
            } else {
                path[lead]
            };
            let to_value = |z: f64| saturate(unit.to_value(saturate(z)).clamp(config.floor, config.ceiling));
            ForecastStep {
                at: series.at(all.len() + lead),
                lo: to_value(bend.undo(bend.apply(z) - reach.reach[lead]).min(z)),
                point: to_value(z),
                hi: to_value(bend.undo(bend.apply(z) + reach.reach[lead]).max(z)),
            }
        })
        .collect();
    let mut members = fitted.members();
    for member in &mut members {
        member.error = saturate(member.error * unit.half());
    }
    let errors = reach.errors;
    Ok(Forecast {
        method: name.to_owned(),
        members,
        fallback,
        values_used: history.len(),
        periods,
        level: config.level,
        interval: if reach.is_conformal {
            IntervalSource::Conformal { errors }
        } else {
            IntervalSource::StudentT { errors }
        },
        steps,
    })
}

/// Fits the method, or the first simpler one that fits; the reason kept is the first one.
fn fit(method: &dyn Forecaster, training: &Training<'_>) -> (&'static str, Box<dyn Fitted>, Option<Fallback>) {
    let mut reason = match method.fit(training) {
        Ok(fitted) => return (method.name(), fitted, None),
        Err(reason) => Some(reason),
    };
    let mut next = method.simpler();
    for _ in 0..SIMPLER_MAX {
        let Some(simpler) = next else { break };
        match simpler.fit(training) {
            Ok(fitted) => return (simpler.name(), fitted, reason),
            Err(other) => reason = reason.or(Some(other)),
        }
        next = simpler.simpler();
    }
    (Naive.name(), Naive::fitted(training.values), reason)
}

/// The forecast of a series that never varied.
fn constant(series: &RegularSeries, config: &ForecastConfig) -> Forecast {
    let value = saturate(series.values()[series.len() - 1].clamp(config.floor, config.ceiling));
    Forecast {
        method: Naive.name().to_owned(),
        members: Vec::new(),
        fallback: Some(Fallback::Constant),
        values_used: series.len().min(HISTORY_MAX),
        periods: Vec::new(),
        level: config.level,
        interval: IntervalSource::Constant,
        steps: (0..config.horizon)
            .map(|lead| ForecastStep {
                at: series.at(series.len() + lead),
                lo: value,
                point: value,
                hi: value,
            })
            .collect(),
    }
}
