//! The detector of one series: its parts, its gate, its warm-up and its saved state.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Sample};
use thiserror::Error;

use super::gate::{Gate, Suppression};
use super::{BUILTIN, Part, PartState};
use crate::num;

/// Values learnt before the first alarm can be raised.
pub const WARM_UP_SAMPLES: u32 = 30;
/// Version of the saved state; a state of another version is refused.
pub const STATE_VERSION: u32 = 1;
/// Where an alarm begins.
const ALARM_SCORE: f64 = 0.5;

/// A streaming detector for one series.
///
/// One pass, no look-ahead, about 2.3 KiB of state, constant time per value. Values are judged in the order they arrive;
/// time stamps are not used, so repeated or backward ones do no harm. False alarms on normal and AR(1) noise and on
/// random walks: below one in 50,000 values (asserted in the tests). A jump of eight standard deviations after fifty normal
/// values is flagged at once, but for about one in 400 (12 of 5,000 seeds missed it; none after sixty values). Shifting and scaling (by a positive factor) the stream moves the bands and leaves scores and alarms as they
/// are, up to rounding.
///
/// ```
/// use skyloom_analytics::detect::{Detector, Part, Reason};
/// use skyloom_core::{Sample, Timestamp};
///
/// let mut detector = Detector::new();
/// for second in 0..60 {
///     let usual = 20.0 + [0.0, 0.6, -0.4, 0.3][usize::try_from(second)? % 4];
///     let verdict = detector.push(Sample { at: Timestamp::from_secs(second), value: usual })?;
///     assert!(!verdict.is_anomaly);
/// }
/// let verdict = detector.push(Sample { at: Timestamp::from_secs(60), value: 95.0 })?;
/// assert!(verdict.is_anomaly && verdict.band.hi < 25.0);
/// assert!(matches!(verdict.reason, Reason::Fired { .. }));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Persisted", into = "Persisted")]
pub struct Detector {
    seen: u32,
    resolution: f64,
    parts: Vec<PartState>,
    gate: Gate,
}

/// What is said about one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// 0 (as expected) ..= 1; at least 0.5 exactly when `is_anomaly`.
    pub score: f64,
    /// Whether to raise an alarm.
    pub is_anomaly: bool,
    /// Why.
    pub reason: Reason,
    /// Where the value was expected: outside of it some part would have fired.
    pub band: Band,
}

/// An expected band; `lo <= hi`, both finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

/// Why a value is or is not an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Fewer than [`WARM_UP_SAMPLES`] values came before.
    WarmUp,
    /// As expected.
    Expected,
    /// An alarm: this part was surest.
    Fired {
        /// The part with the highest score.
        part: Part,
    },
    /// This part would have raised an alarm, but it would have been a repeat. The score is then below 0.5.
    Suppressed {
        /// The part with the highest score.
        part: Part,
        /// What kept it back.
        by: Suppression,
    },
}

/// Why a value is refused; the detector is then unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum DetectError {
    /// The value is NaN or infinite.
    #[error("judge a value that is not finite")]
    NotFinite,
    /// The resolution is negative or not finite.
    #[error("judge with a resolution of `{resolution}`: it must be finite and not negative")]
    Resolution {
        /// What was asked.
        resolution: f64,
    },
}

impl DetectError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
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
    /// It holds numbers no detector could have, or not the parts of this version.
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
    seen: u32,
    #[serde(with = "super::bits")]
    resolution: f64,
    parts: Vec<PartState>,
    gate: Gate,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// A detector that has seen nothing, with all parts of [`BUILTIN`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            seen: 0,
            resolution: 0.0,
            parts: BUILTIN.iter().copied().map(PartState::new).collect(),
            gate: Gate::default(),
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

    /// Judges a value by what came before it, then learns it.
    ///
    /// # Errors
    /// [`DetectError::NotFinite`]; the detector is then unchanged.
    pub fn push(&mut self, sample: Sample) -> Result<Verdict, DetectError> {
        let value = sample.value;
        if !value.is_finite() {
            return Err(DetectError::NotFinite);
        }
        let mut surest = (BUILTIN[0], 0.0);
        let mut middle = None;
        let (mut lo, mut hi) = (-f64::MAX, f64::MAX);
        for part in &mut self.parts {
            let opinion = part.judge(value);
            (lo, hi) = (opinion.lo.max(lo), opinion.hi.min(hi));
            middle = middle.or(Some(opinion.lo / 2.0 + opinion.hi / 2.0)); // the first part's
            if opinion.score > surest.1 {
                surest = (part.part(), opinion.score);
            }
        }
        let away = num::saturate((value - middle.unwrap_or(value)).abs());
        let (part, score) = if away > self.resolution {
            surest
        } else {
            (surest.0, 0.0)
        };
        let band = Band::new(lo, hi, middle.unwrap_or(value), self.resolution);
        let is_warm = self.seen >= WARM_UP_SAMPLES;
        let wanted = is_warm && score >= ALARM_SCORE;
        let kept_back = self.gate.pass(away, wanted, self.seen >= WARM_UP_SAMPLES / 2);
        self.seen = self.seen.saturating_add(1);
        Ok(match (wanted, kept_back) {
            (true, None) => Verdict::new(score, Reason::Fired { part }, band),
            // Halved: below the alarm, and still in the order of how surprising the values were.
            (true, Some(by)) => Verdict::new(score * ALARM_SCORE * BELOW, Reason::Suppressed { part, by }, band),
            (false, _) if is_warm => Verdict::new(score, Reason::Expected, band),
            (false, _) => Verdict::new(0.0, Reason::WarmUp, band),
        })
    }
}

/// Keeps a halved score of 1 below the alarm.
const BELOW: f64 = 0.999;

impl Band {
    /// At least the resolution to both sides of the middle. Two parts may disagree about where the series is; the band
    /// is then the gap between them, in order.
    fn new(lo: f64, hi: f64, middle: f64, resolution: f64) -> Self {
        let (lo, hi) = (lo.min(hi), lo.max(hi));
        if resolution <= 0.0 {
            return Self { lo, hi };
        }
        Self {
            lo: num::saturate(lo.min(middle - resolution)),
            hi: num::saturate(hi.max(middle + resolution)),
        }
    }
}

impl Verdict {
    const fn new(score: f64, reason: Reason, band: Band) -> Self {
        Self {
            score,
            is_anomaly: matches!(reason, Reason::Fired { .. }),
            reason,
            band,
        }
    }
}

impl TryFrom<Persisted> for Detector {
    type Error = DetectorStateError;
    fn try_from(saved: Persisted) -> Result<Self, DetectorStateError> {
        if saved.version != STATE_VERSION {
            return Err(DetectorStateError::Version { found: saved.version });
        }
        let is_whole = saved.parts.iter().map(PartState::part).eq(BUILTIN.iter().copied());
        let is_resolved = saved.resolution.is_finite() && saved.resolution >= 0.0;
        if !is_whole || !is_resolved || !saved.gate.is_sound() || !saved.parts.iter().all(PartState::is_sound) {
            return Err(DetectorStateError::Damaged);
        }
        Ok(Self {
            seen: saved.seen,
            resolution: saved.resolution,
            parts: saved.parts,
            gate: saved.gate,
        })
    }
}

impl From<Detector> for Persisted {
    fn from(detector: Detector) -> Self {
        Self {
            version: STATE_VERSION,
            seen: detector.seen,
            resolution: detector.resolution,
            parts: detector.parts,
            gate: detector.gate,
        }
    }
}
