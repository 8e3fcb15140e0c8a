//! A series on a regular grid: what forecasts read and write.
//!
//! Irregular series live in `skyloom-core` (`Series`); turning one into the other is the work of [`crate::prepare`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

/// Finite values at `start`, `start + step`, `start + 2·step`, … ; never empty holes, may be of length 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct RegularSeries {
    start: Timestamp,
    step: Duration,
    values: Vec<f64>,
}

/// Why values are not a regular series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegularSeriesError {
    /// The step is not a whole, positive number of microseconds (the resolution of a timestamp).
    #[error("lay a grid with a step of `{nanos}` ns: it must be a whole, positive number of microseconds")]
    Step {
        /// The step asked for.
        nanos: u128,
    },
    /// The last point of the grid lies beyond the last time that can be held.
    #[error("lay a grid of `{len}` points: its end is beyond the last time that can be held")]
    TooLong {
        /// Number of points.
        len: usize,
    },
    /// The value is NaN or infinite.
    #[error("accept value `{index}`: it is not finite")]
    NotFinite {
        /// Position of the value, from 0.
        index: usize,
    },
}

impl RegularSeriesError {
    /// Always [`Class::Invalid`]: the same input will fail again.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// What is persisted.
#[derive(Serialize, Deserialize)]
struct Parts {
    start: Timestamp,
    step_us: u64,
    values: Vec<f64>,
}

impl RegularSeries {
    /// A checked series.
    ///
    /// # Errors
    /// [`RegularSeriesError`]: the step is not a positive number of whole microseconds, the grid ends beyond the last
    /// timestamp, or a value is not finite.
    pub fn new(start: Timestamp, step: Duration, values: Vec<f64>) -> Result<Self, RegularSeriesError> {
        let nanos = step.as_nanos();
        if nanos == 0 || !nanos.is_multiple_of(1000) {
            return Err(RegularSeriesError::Step { nanos });
        }
        let end = i128::try_from(step.as_micros())
            .ok()
            .zip(i128::try_from(values.len()).ok())
            .and_then(|(step, len)| step.checked_mul(len))
            .and_then(|span| span.checked_add(i128::from(start.as_micros())));
        if end.is_none_or(|end| end > i128::from(i64::MAX)) {
            return Err(RegularSeriesError::TooLong { len: values.len() });
        }
        match values.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(RegularSeriesError::NotFinite { index }),
            None => Ok(Self { start, step, values }),
        }
    }

    /// Time of the first value.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// Distance between neighbours, whole microseconds.
    #[must_use]
    pub const fn step(&self) -> Duration {
        self.step
    }

    /// The values, oldest first, all finite.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Time of grid point `index`; it may lie beyond the last value (that is where forecasts are), and stays at the
    /// last time that can be held.
    #[must_use]
    pub fn at(&self, index: usize) -> Timestamp {
        let micros = self.step.as_micros().saturating_mul(index as u128);
        self.start
            .saturating_add(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }

    /// The last values, at most so many, at their times.
    pub(crate) fn latest(&self, len_max: usize) -> Self {
        let from = self.len().saturating_sub(len_max);
        Self {
            start: self.at(from),
            step: self.step,
            values: self.values[from..].to_vec(),
        }
    }

    /// The series with finite values behind it.
    pub(crate) fn extended(&self, more: &[f64]) -> Self {
        Self {
            values: [&self.values, more].concat(),
            ..*self
        }
    }

    /// The same grid with other values; used by steps that keep time.
    pub(crate) fn with_values(&self, values: Vec<f64>) -> Result<Self, RegularSeriesError> {
        Self::new(self.start, self.step, values)
    }
}

impl TryFrom<Parts> for RegularSeries {
    type Error = RegularSeriesError;
    fn try_from(parts: Parts) -> Result<Self, RegularSeriesError> {
        Self::new(parts.start, Duration::from_micros(parts.step_us), parts.values)
    }
}

impl From<RegularSeries> for Parts {
    fn from(series: RegularSeries) -> Self {
        Self {
            start: series.start,
            step_us: u64::try_from(series.step.as_micros()).unwrap_or(u64::MAX),
            values: series.values,
        }
    }
}
