//! The detector of one series: its preset, its resolution and its saved state.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Sample};
use thiserror::Error;

use super::ensemble::Ensemble;
use super::light::Light;
use super::{DetectError, Verdict, Weights};

/// Version of the saved state; a state of another version is refused.
pub const STATE_VERSION: u32 = 3;

/// A streaming detector for one series.
///
/// One pass, no look-ahead, bounded memory, bounded time per value. Values are judged in the order they arrive. The default
/// preset looks at time stamps only for the time of the day, the light one not at all, so repeated or backward ones do
/// no harm. Shifting and scaling (by a positive factor) the stream moves the bands and leaves scores and alarms as they
/// are, up to rounding; values beyond ±1e100 are judged by the default preset as if they were there.
///
/// **Which preset.** The default one is sensitive: it raises an alarm where several views of the last values are rare
/// together, and is meant for operators' metrics, sampled by the minute to the hour, where a missed incident costs more
/// than a glance. The light one is for very many or quick series and nearly never fires on noise: below one in 50,000
/// values on normal and AR(1) noise and on random walks (asserted in the tests).
///
/// ```
/// use skyloom_analytics::detect::{Detector, Part, Reason};
/// use skyloom_core::{Sample, Timestamp};
///
/// for mut detector in [Detector::new(), Detector::light()] {
///     for minute in 0..400 {
///         let usual = 20.0 + [0.0, 0.6, -0.4, 0.3][usize::try_from(minute)? % 4];
///         let verdict = detector.push(Sample { at: Timestamp::from_secs(60 * minute), value: usual })?;
///         assert!(!verdict.is_anomaly);
///     }
///     let verdict = detector.push(Sample { at: Timestamp::from_secs(60 * 400), value: 95.0 })?;
///     assert!(verdict.is_anomaly && verdict.band.hi < 25.0);
///     assert!(matches!(verdict.reason, Reason::Fired { .. }));
/// }
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Persisted", into = "Persisted")]
pub struct Detector {
    resolution: f64,
    engine: Engine,
}

/// The state of a preset.
#[expect(
    clippy::large_enum_variant,
    reason = "the light preset is quick because its few numbers lie here"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Engine {
    Ensemble(Box<Ensemble>),
    Light(Light),
}

/// Why a saved state is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DetectorStateError {
    /// It was written in another version of the format.
    #[error("restore a detector of version `{found}`: this is version `{STATE_VERSION}`")]
    Version {
        /// The version found.
        found: u32,
    },
    /// It holds numbers no detector could have.
    #[error("restore a detector whose state is damaged")]
    Damaged,
}

impl DetectorStateError {
    /// [`Class::Unsupported`] for another version, [`Class::Invalid`] for damage. Start anew in both cases.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Version { .. } => Class::Unsupported,
            Self::Damaged => Class::Invalid,
        }
    }
}

/// The saved form.
#[derive(Serialize, Deserialize)]
struct Persisted {
    version: u32,
    #[serde(with = "crate::bits")]
    resolution: f64,
    engine: Engine,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// The default preset: several parts that must agree, at most 64 KiB per series (stated in the tests).
    #[must_use]
    pub fn new() -> Self {
        Self {
            resolution: 0.0,
            engine: Engine::Ensemble(Box::default()),
        }
    }

    /// The light preset: tail and range only, at most 1 KiB per series.
    #[must_use]
    pub fn light() -> Self {
        Self {
            resolution: 0.0,
            engine: Engine::Light(Light::default()),
        }
    }

    /// Says what difference is too small to matter, in the unit of the series: a value within `resolution` of the expected
    /// one is never an anomaly. Needed for series that stand still for long (memory of an idle process), where any
    /// movement at all is without precedent. 0 by default.
    ///
    /// # Errors
    /// [`DetectError::Resolution`] unless `0 <= resolution < ∞`.
    pub fn with_resolution(mut self, resolution: f64) -> Result<Self, DetectError> {
        if !(resolution.is_finite() && resolution >= 0.0) {
            return Err(DetectError::Resolution { resolution });
        }
        self.resolution = resolution;
        Ok(self)
    }

    /// How much each part of the default preset counts; the light preset has none and stays as it is.
    #[must_use]
    pub fn with_weights(mut self, weights: Weights) -> Self {
        if let Engine::Ensemble(ensemble) = &mut self.engine {
            ensemble.set_weights(weights);
        }
        self
    }

    /// Judges a value by what came before it, then learns it.
    ///
    /// # Errors
    /// [`DetectError::NotFinite`]; the detector is then unchanged.
    pub fn push(&mut self, sample: Sample) -> Result<Verdict, DetectError> {
        if !sample.value.is_finite() {
            return Err(DetectError::NotFinite);
        }
        Ok(match &mut self.engine {
            Engine::Ensemble(ensemble) => ensemble.judge(sample, self.resolution),
            Engine::Light(light) => light.judge(sample.value, self.resolution),
        })
    }

    /// Bytes of memory in use for this series, heap included.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.engine {
                Engine::Ensemble(ensemble) => ensemble.size_bytes(),
                Engine::Light(_) => 0,
            }
    }
}

impl TryFrom<Persisted> for Detector {
    type Error = DetectorStateError;
    fn try_from(saved: Persisted) -> Result<Self, DetectorStateError> {
        if saved.version != STATE_VERSION {
            return Err(DetectorStateError::Version { found: saved.version });
        }
        let is_sound = match &saved.engine {
            Engine::Ensemble(ensemble) => ensemble.is_sound(),
            Engine::Light(light) => light.is_sound(),
        };
        if !(is_sound && saved.resolution.is_finite() && saved.resolution >= 0.0) {
            return Err(DetectorStateError::Damaged);
        }
        Ok(Self {
            resolution: saved.resolution,
            engine: saved.engine,
        })
    }
}

impl From<Detector> for Persisted {
    fn from(detector: Detector) -> Self {
        Self {
            version: STATE_VERSION,
            resolution: detector.resolution,
            engine: detector.engine,
        }
    }
}
