//! Right-sizing: how much of a resource a replica should ask for, from what it used, recent use counting more.
//!
//! The way of Kubernetes' vertical autoscaler (and of Autopilot, Rzadca et al., EuroSys 2020): a histogram with exponential
//! buckets whose weights halve with age, and percentiles with a margin. Restarting replicas does not belong here.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Ratio, Timestamp};
use thiserror::Error;

use crate::{bits, num};

/// Each bucket is this much wider than the one before: percentiles are exact to 5 %.
const GROWTH: f64 = 0.05;
const BUCKETS_MAX: usize = 2_000;
/// Half-lives after which the reference moves, so that weights stay far from the largest float.
const HALF_LIVES_MAX: f64 = 100.0;
/// Share of a weight at which it counts for nothing.
const WEIGHT_MIN: f64 = 1e-9;

/// The scale of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HistogramConfig {
    first: f64,
    largest: f64,
    half_life: Duration,
}

/// Why a scale or a sample is refused.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum HistogramError {
    /// Not `0 < first < largest < ∞`, or too far apart.
    #[error("tell apart values from `{first}` to `{largest}`: it must be 0 < first < largest, within 40 decades")]
    Scale {
        /// Width of the first bucket.
        first: f64,
        /// Where the last one begins.
        largest: f64,
    },
    /// The half-life is zero.
    #[error("forget with a half-life of `0`: it must be longer")]
    HalfLife,
    /// The sample or its weight is negative or not finite; the histogram is unchanged.
    #[error("count a use of `{value}` with the weight `{weight}`: both must be finite and not negative")]
    Sample {
        /// The use.
        value: f64,
        /// The weight.
        weight: f64,
    },
}

impl HistogramError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl HistogramConfig {
    /// Values from 0 to `largest` (what is above counts as that), told apart to 5 % but for those below `first`; a sample
    /// counts half after `half_life` (24 h in the original).
    ///
    /// # Errors
    /// [`HistogramError::Scale`], [`HistogramError::HalfLife`].
    pub fn new(first: f64, largest: f64, half_life: Duration) -> Result<Self, HistogramError> {
        let config = Self {
            first,
            largest,
            half_life,
        };
        let is_ordered = first > 0.0 && first < largest && largest.is_finite();
        if !is_ordered || config.buckets() > BUCKETS_MAX {
            return Err(HistogramError::Scale { first, largest });
        }
        if half_life.is_zero() {
            return Err(HistogramError::HalfLife);
        }
        Ok(config)
    }

    /// Bucket `i` begins at `first · ((1 + g)^i - 1) / g`.
    fn bucket(&self, value: f64) -> usize {
        let octaves = libm::log1p(value.min(self.largest) * GROWTH / self.first);
        num::index((octaves / libm::log1p(GROWTH)).floor(), BUCKETS_MAX)
    }

    fn end_of(&self, bucket: usize) -> f64 {
        self.first * libm::expm1(num::count(bucket + 1) * libm::log1p(GROWTH)) / GROWTH
    }

    fn buckets(&self) -> usize {
        self.bucket(self.largest) + 1
    }
}

/// A histogram in which old samples count less and less.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecayingHistogram {
    config: HistogramConfig,
    /// Weights as of the reference time.
    #[serde(with = "bits::list")]
    weights: Vec<f64>,
    reference: Option<Timestamp>,
}

impl DecayingHistogram {
    /// Nothing counted.
    #[must_use]
    pub fn new(config: HistogramConfig) -> Self {
        Self {
            weights: vec![0.0; config.buckets()],
            config,
            reference: None,
        }
    }

    /// Counts a sample. Samples may come in any order; one that is older counts less at once.
    ///
    /// # Errors
    /// [`HistogramError::Sample`]; the histogram is then unchanged.
    pub fn add(&mut self, value: f64, weight: f64, at: Timestamp) -> Result<(), HistogramError> {
        let is_usable = |x: f64| x.is_finite() && x >= 0.0;
        if !is_usable(value) || !is_usable(weight) {
            return Err(HistogramError::Sample { value, weight });
        }
        let reference = *self.reference.get_or_insert(at);
        let mut half_lives = self.half_lives(reference, at);
        if half_lives > HALF_LIVES_MAX {
            let faded = libm::exp2(-half_lives);
            self.weights.iter_mut().for_each(|weight| *weight *= faded);
            self.reference = Some(at);
            half_lives = 0.0;
        }
        let bucket = self.config.bucket(value).min(self.weights.len().saturating_sub(1));
        if let Some(sum) = self.weights.get_mut(bucket) {
            *sum = num::saturate(*sum + weight * libm::exp2(half_lives));
        }
        Ok(())
    }

    fn half_lives(&self, from: Timestamp, to: Timestamp) -> f64 {
        let ahead = to.saturating_since(from).as_secs_f64() - from.saturating_since(to).as_secs_f64();
        ahead / self.config.half_life.as_secs_f64()
    }

    /// The end of the bucket in which this share of the weight is reached; `None` while nothing counts.
    #[must_use]
    pub fn percentile(&self, share: Ratio) -> Option<f64> {
        let largest = self.weights.iter().copied().fold(0.0, f64::max);
        if largest <= 0.0 {
            return None;
        }
        // Relative to the largest, so that the sum stays finite.
        let relative = |weight: &f64| weight / largest;
        let total: f64 = self.weights.iter().map(relative).sum();
        let mut sum = 0.0;
        let mut last = 0;
        for (bucket, weight) in self.weights.iter().map(relative).enumerate() {
            if weight < WEIGHT_MIN {
                continue;
            }
            (sum, last) = (sum + weight, bucket);
            if sum >= share.get() * total {
                break;
            }
        }
        Some(self.config.end_of(last))
    }
}

/// How much to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Recommendation {
    /// Less than this would be too little: the median with margin.
    pub lower: f64,
    /// What to ask for: the 90th percentile with margin.
    pub target: f64,
    /// More than this is waste: the 95th percentile with margin.
    pub upper: f64,
    /// Whether what is asked for now should be changed: it is outside of `lower..=upper` by more than a tenth.
    pub should_change: bool,
}

/// Right-sizing of one resource of one service.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::scale::{HistogramConfig, RightSizer};
/// use skyloom_core::{Ratio, Timestamp};
///
/// let scale = HistogramConfig::new(0.01, 1000.0, Duration::from_secs(86_400))?;
/// let mut cores = RightSizer::new(scale, Ratio::new(0.15)?);
/// for minute in 0..1440 {
///     cores.observe(0.4, Timestamp::from_secs(60 * minute))?;
/// }
/// let size = cores.recommend(4.0).unwrap();
/// assert!(size.should_change && (0.4..0.6).contains(&size.target)); // of the 4 cores asked for, 0.4 are used
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RightSizer {
    histogram: DecayingHistogram,
    margin: Ratio,
}

/// Share by which a request may be outside before it is worth a restart.
const SLACK: f64 = 0.1;
/// A replica that ran out of memory used at least this much more than it was seen to use.
const OUT_OF_MEMORY_FACTOR: f64 = 1.2;

impl RightSizer {
    /// With a margin on top of every percentile (0.15 in the original).
    #[must_use]
    pub fn new(config: HistogramConfig, margin: Ratio) -> Self {
        Self {
            histogram: DecayingHistogram::new(config),
            margin,
        }
    }

    /// Counts what one replica used. For memory, count the peak of each day rather than every sample.
    ///
    /// # Errors
    /// As [`DecayingHistogram::add`].
    pub fn observe(&mut self, used: f64, at: Timestamp) -> Result<(), HistogramError> {
        self.histogram.add(used, 1.0, at)
    }

    /// Counts a replica that was killed for want of memory: as if it had used a fifth more.
    ///
    /// # Errors
    /// As [`DecayingHistogram::add`].
    pub fn observe_out_of_memory(&mut self, used: f64, at: Timestamp) -> Result<(), HistogramError> {
        self.histogram.add(used * OUT_OF_MEMORY_FACTOR, 1.0, at)
    }

    /// How much to ask for instead of `asked`; `None` while nothing was observed.
    #[must_use]
    pub fn recommend(&self, asked: f64) -> Option<Recommendation> {
        let at = |share: f64| {
            let used = self.histogram.percentile(Ratio::new(share).ok()?)?;
            Some(used * (1.0 + self.margin.get()))
        };
        let (lower, target, upper) = (at(0.5)?, at(0.9)?, at(0.95)?);
        Some(Recommendation {
            lower,
            target,
            upper,
            should_change: !(lower * (1.0 - SLACK)..=upper * (1.0 + SLACK)).contains(&asked),
        })
    }
}
