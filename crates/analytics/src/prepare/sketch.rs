//! Quantiles of latencies from a stream, in bounded memory and with a bounded relative error.
//!
//! Source: Masson, Rim and Lee, DDSketch (Proceedings of the VLDB Endowment 12, 2019); the sketch itself is the crate
//! `sketches-ddsketch`. Here values are checked at the border, so that no quantile is ever NaN, and merging cannot fail.

use sketches_ddsketch::{Config, DDSketch};
use skyloom_core::{Class, Ratio};
use thiserror::Error;

/// Relative error of every quantile.
pub const SKETCH_ERROR: f64 = 0.01;
/// Largest number of bins: with an error of 1 %, 2,048 bins span seventeen powers of ten.
const BINS_MAX: u32 = 2048;
/// Smallest latency told from zero, in the caller's unit: with the bins above, nanoseconds to months fit in seconds.
const VALUE_MIN: f64 = 1e-9;

/// A sketch of non-negative values: at most a few tens of kilobytes, whatever has been added.
///
/// ```
/// use skyloom_analytics::prepare::LatencySketch;
/// use skyloom_core::Ratio;
///
/// let mut sketch = LatencySketch::new();
/// for ms in 1..=1000 {
///     sketch.add(f64::from(ms))?;
/// }
/// let p99 = sketch.quantile(Ratio::new(0.99)?).unwrap();
/// assert!((p99 - 990.0).abs() <= 0.01 * 991.0);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone)]
pub struct LatencySketch(DDSketch);

/// Why a value is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("add `{value}` to a sketch: it must be finite and not negative")]
#[non_exhaustive]
pub struct SketchError {
    /// What was given.
    pub value: f64,
}

impl SketchError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl LatencySketch {
    /// A sketch of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(DDSketch::new(Config::new(SKETCH_ERROR, BINS_MAX, VALUE_MIN)))
    }

    /// Takes in one value; constant time.
    ///
    /// # Errors
    /// [`SketchError`] for NaN, infinities and negatives; nothing has changed then.
    pub fn add(&mut self, value: f64) -> Result<(), SketchError> {
        if !(value.is_finite() && value >= 0.0) {
            return Err(SketchError { value });
        }
        self.0.add(value);
        Ok(())
    }

    /// Takes in what another sketch has seen: as if all its values had been added here. Commutative and associative.
    pub fn merge(&mut self, other: &Self) {
        // All sketches of this type have one configuration, which is the only thing that can be refused.
        let _ = self.0.merge(&other.0);
    }

    /// The value below which this share of the values lies, within [`SKETCH_ERROR`]; `None` for an empty sketch.
    #[must_use]
    pub fn quantile(&self, share: Ratio) -> Option<f64> {
        self.0.quantile(share.get()).ok().flatten()
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count()
    }
}

impl Default for LatencySketch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for LatencySketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LatencySketch")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
