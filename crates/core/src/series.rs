//! Time series: samples in strictly rising time. Cleaning a mess of raw samples is `skyloom-analytics`' preparation.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Timestamp;

/// One measured value. Finite once it is inside a [`Series`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured, in the series' unit.
    pub value: f64,
}

/// Samples of one metric: finite values, strictly rising times.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Sample>", into = "Vec<Sample>")]
pub struct Series(Vec<Sample>);

/// Why samples are not a series; `index` is the offending sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// The value is NaN or infinite.
    #[error("accept sample `{index}`: its value is not finite")]
    NotFinite {
        /// Position of the sample, from 0.
        index: usize,
    },
    /// The time is not after the one before.
    #[error("accept sample `{index}`: its time is not after the one before")]
    OutOfOrder {
        /// Position of the sample, from 0.
        index: usize,
    },
}

impl Series {
    /// A checked series; empty is allowed.
    ///
    /// # Errors
    /// [`SeriesError`] names the first sample that is not finite or not later than its predecessor.
    pub fn new(samples: Vec<Sample>) -> Result<Self, SeriesError> {
        for (index, sample) in samples.iter().enumerate() {
            if !sample.value.is_finite() {
                return Err(SeriesError::NotFinite { index });
            }
            if index > 0 && samples[index - 1].at >= sample.at {
                return Err(SeriesError::OutOfOrder { index });
            }
        }
        Ok(Self(samples))
    }

    /// Appends one sample.
    ///
    /// # Errors
    /// [`SeriesError`] when the value is not finite or the time not after the last; the series is then unchanged.
    pub fn push(&mut self, sample: Sample) -> Result<(), SeriesError> {
        let index = self.0.len();
        if !sample.value.is_finite() {
            return Err(SeriesError::NotFinite { index });
        }
        if self.0.last().is_some_and(|last| last.at >= sample.at) {
            return Err(SeriesError::OutOfOrder { index });
        }
        self.0.push(sample);
        Ok(())
    }

    /// Drops the oldest samples so that at most `len_max` remain.
    pub fn keep_last(&mut self, len_max: usize) {
        let excess = self.0.len().saturating_sub(len_max);
        self.0.drain(..excess);
    }

    /// The samples, oldest first.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The values, oldest first.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.0.iter().map(|s| s.value)
    }

    /// Number of samples.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<Sample>> for Series {
    type Error = SeriesError;
    fn try_from(samples: Vec<Sample>) -> Result<Self, SeriesError> {
        Self::new(samples)
    }
}

impl From<Series> for Vec<Sample> {
    fn from(series: Series) -> Self {
        series.0
    }
}
