//! How much each part of the default preset counts, for whoever knows something about a series: that it has no daily
//! rhythm, or that only its range matters.

use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

use super::Part;
use crate::bits;

/// Weights above this would drown every other part.
const WEIGHT_MAX: f64 = 100.0;

/// A factor per part on the built-in weights; 0 silences a part. 1 by default for every part but [`Part::Change`], which is
/// silent until it is asked for: on the benchmark it buys no points, and where lasting shifts matter it dates them.
///
/// ```
/// use skyloom_analytics::detect::{Detector, Part, Weights};
///
/// let no_daily_rhythm = Weights::default().with(Part::Daytime, 0.0)?;
/// let detector = Detector::new().with_weights(no_daily_rhythm);
/// # Ok::<(), skyloom_analytics::detect::WeightError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights(#[serde(with = "bits::array")] [f64; Part::ALL.len()]);

/// The factor is negative, not finite, or above 100.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("weigh `{part}` by `{weight}`: it must be in 0..=100")]
pub struct WeightError {
    /// The part to be weighed.
    pub part: Part,
    /// What was asked.
    pub weight: f64,
}

impl WeightError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self(Part::ALL.map(|part| if part == Part::Change { 0.0 } else { 1.0 }))
    }
}

impl Weights {
    /// The same weights but for one part. [`Part::Tail`] is of the light preset, which has no weights: nothing changes.
    ///
    /// # Errors
    /// [`WeightError`] unless the weight is in `0..=100`.
    pub fn with(mut self, part: Part, weight: f64) -> Result<Self, WeightError> {
        if !(0.0..=WEIGHT_MAX).contains(&weight) {
            return Err(WeightError { part, weight });
        }
        if let Some(i) = Part::ALL.iter().position(|other| *other == part) {
            self.0[i] = weight;
        }
        Ok(self)
    }

    pub(super) fn of(&self, part: Part) -> f64 {
        let i = Part::ALL.iter().position(|other| *other == part);
        i.map_or(1.0, |i| self.0[i])
    }

    pub(super) fn is_sound(&self) -> bool {
        self.0.iter().all(|weight| (0.0..=WEIGHT_MAX).contains(weight))
    }
}
