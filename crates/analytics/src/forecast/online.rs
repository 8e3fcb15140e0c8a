//! Forecasts of a series that goes on: values are taken in one at a time, with the fitted parameters as they are.
//!
//! A value costs a few operations for each lag and part of the method; a new fit is made when asked for, when the history
//! was constant and begins to vary, and when as many values have come as a history may hold. That bounds the memory. The
//! saved state is the input, not the parameters: fits are functions of their input, so restoring repeats the last one and
//! goes on bit for bit, and a change of a method's internals cannot make an old state unreadable.

use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

use super::config::{ForecastConfig, HISTORY_MAX};
use super::method::Forecaster;
use super::run::{Forecast, ForecastError};
use super::trained::Trained;
use crate::{RegularSeries, RegularSeriesError};

/// Version of [`OnlineState`].
pub const ONLINE_STATE_VERSION: u32 = 1;

/// A method fitted to a series, that follows it.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::{RegularSeries, forecast::{Auto, ForecastConfig, Online}};
/// use skyloom_core::Timestamp;
///
/// let wave = |t: usize| [1.0, 4.0, 2.0, 7.0][t % 4];
/// let series = RegularSeries::new(Timestamp::EPOCH, Duration::from_secs(1), (0..48).map(wave).collect())?;
/// let mut online = Online::new(&Auto, &series, ForecastConfig::new(4, 0.9)?)?;
/// online.push(wave(48))?;
/// assert!((online.forecast().steps[0].point - wave(49)).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug)]
pub struct Online<'a> {
    method: &'a dyn Forecaster,
    config: ForecastConfig,
    /// What was fitted, and what has come since.
    history: RegularSeries,
    since: Vec<f64>,
    trained: Trained,
}

/// What an [`Online`] is restored from; values as the bits of their IEEE 754 form, because not every text format keeps
/// the last digit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OnlineState {
    /// [`ONLINE_STATE_VERSION`] of the writer.
    pub version: u32,
    /// Name of the method.
    pub method: String,
    /// Time of the first value.
    pub start: skyloom_core::Timestamp,
    /// Distance of values.
    pub step: std::time::Duration,
    /// The values that the method was fitted to.
    pub history: Vec<u64>,
    /// The values since.
    pub since: Vec<u64>,
}

/// Why a value or a state is refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum OnlineError {
    /// The value is NaN or infinite.
    #[error("take in a value that is not finite")]
    NotFinite,
    /// The state was written by another version.
    #[error("restore a state of version `{version}`: only `{ONLINE_STATE_VERSION}` can be read")]
    Version {
        /// The state's version.
        version: u32,
    },
    /// The state belongs to another method.
    #[error("restore a state of the method `{state}` for `{asked}`")]
    Method {
        /// The state's method.
        state: String,
        /// The method it was to be restored for.
        asked: &'static str,
    },
    /// The state's values are no series.
    #[error("restore the series of a state: it could not {0}")]
    Series(RegularSeriesError),
    /// The state's values cannot be forecast.
    #[error("fit the series of a state: it could not {0}")]
    Forecast(ForecastError),
}

impl OnlineError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl<'a> Online<'a> {
    /// Fits the method to the last [`HISTORY_MAX`] values.
    ///
    /// # Errors
    /// [`ForecastError::TooShort`] for fewer than two values.
    pub fn new(
        method: &'a dyn Forecaster,
        series: &RegularSeries,
        config: ForecastConfig,
    ) -> Result<Self, ForecastError> {
        let history = series.latest(HISTORY_MAX);
        let trained = Trained::on(method, history.values(), &config)?;
        Ok(Self {
            method,
            config,
            history,
            since: Vec::new(),
            trained,
        })
    }

    /// Takes in the next value of the grid. Amortised a few operations; every [`HISTORY_MAX`] values a new fit.
    ///
    /// # Errors
    /// [`OnlineError::NotFinite`]; nothing has changed then.
    pub fn push(&mut self, value: f64) -> Result<(), OnlineError> {
        if !value.is_finite() {
            return Err(OnlineError::NotFinite);
        }
        self.since.push(value);
        if !self.trained.push(value) || self.since.len() >= HISTORY_MAX {
            self.refit();
        }
        Ok(())
    }

    /// The forecast from the last value on; the interval is as wide as at the last fit.
    #[must_use]
    pub fn forecast(&self) -> Forecast {
        let next = self.history.len() + self.since.len();
        self.trained.ahead(&self.config, |lead| self.history.at(next + lead))
    }

    /// Fits anew to the last [`HISTORY_MAX`] values; equal to [`Online::new`] on the series so far.
    pub fn refit(&mut self) {
        let whole = self.history.extended(&std::mem::take(&mut self.since));
        self.history = whole.latest(HISTORY_MAX);
        // A history only grows: it cannot have become too short.
        if let Ok(trained) = Trained::on(self.method, self.history.values(), &self.config) {
            self.trained = trained;
        }
    }

    /// Values since the last fit.
    #[must_use]
    pub const fn since_fit(&self) -> usize {
        self.since.len()
    }

    /// What it can be restored from; at most twice [`HISTORY_MAX`] values.
    #[must_use]
    pub fn state(&self) -> OnlineState {
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect();
        OnlineState {
            version: ONLINE_STATE_VERSION,
            method: self.method.name().to_owned(),
            start: self.history.start(),
            step: self.history.step(),
            history: bits(self.history.values()),
            since: bits(&self.since),
        }
    }

    /// Goes on where a state was taken, for the same method and configuration, bit for bit. Costs one fit.
    ///
    /// # Errors
    /// [`OnlineError`]: another version or method, or values that no [`Online`] can hold.
    pub fn restore(
        method: &'a dyn Forecaster,
        config: ForecastConfig,
        state: &OnlineState,
    ) -> Result<Self, OnlineError> {
        if state.version != ONLINE_STATE_VERSION {
            return Err(OnlineError::Version { version: state.version });
        }
        if state.method != method.name() {
            let (state, asked) = (state.method.clone(), method.name());
            return Err(OnlineError::Method { state, asked });
        }
        let values = |bits: &[u64]| bits.iter().map(|b| f64::from_bits(*b)).collect::<Vec<f64>>();
        let history =
            RegularSeries::new(state.start, state.step, values(&state.history)).map_err(OnlineError::Series)?;
        let mut online = Self::new(method, &history, config).map_err(OnlineError::Forecast)?;
        for value in values(&state.since) {
            online.push(value)?;
        }
        Ok(online)
    }
}
