//! What is said about one value: the score, whether to raise an alarm, which part says so, and where the value was
//! expected.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use crate::num;

/// Where an alarm begins.
pub(crate) const ALARM_SCORE: f64 = 0.5;
/// What remains of the score of a value that raises no alarm although some part would: below every alarm, and still in
/// the order of how surprising the values were.
const QUIET_SHARE: f64 = 0.2;

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
    /// Where the value was expected.
    pub band: Band,
    /// For an alarm of [`Part::Change`]: when the level is thought to have shifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// An expected band; `lo <= hi`, both finite. Parts that judge shapes ([`Part::Pattern`], [`Part::Spread`],
/// [`Part::Level`]) can raise an alarm at a value inside of it: each value alone is usual, their sequence is not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

/// The parts a detector is made of, as an alarm names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// The value is far out in the tail of the usual distance from where the series was going (light preset).
    Tail,
    /// The value leaves the range the series has kept to.
    Range,
    /// The last values resemble no earlier stretch of the series.
    Pattern,
    /// The last values are off what is usual at this time of the day.
    Daytime,
    /// The level of the last values is off the level before.
    Level,
    /// Small differences to one side have added up: the level has shifted, and since when is in [`Verdict::since`].
    Change,
    /// The last values scatter far more, or far less, than those before.
    Spread,
}

/// Why a value is or is not an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Too few values came before.
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

/// Why an alarm is not raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// One was raised a few values ago.
    Refractory,
    /// A value in the recent past was (nearly) as far out.
    Precedent,
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

impl Part {
    /// Every part, with the name it is shown by.
    pub const ALL: [Self; 7] = [
        Self::Tail,
        Self::Range,
        Self::Pattern,
        Self::Daytime,
        Self::Level,
        Self::Spread,
        Self::Change,
    ];
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tail => "tail",
            Self::Range => "range",
            Self::Pattern => "pattern",
            Self::Daytime => "daytime",
            Self::Level => "level",
            Self::Spread => "spread",
            Self::Change => "change",
        })
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WarmUp => f.write_str("warming up"),
            Self::Expected => f.write_str("as expected"),
            Self::Fired { part } => write!(f, "{part} fired"),
            Self::Suppressed { part, by } => {
                let by = match by {
                    Suppression::Refractory => "an alarm came just before",
                    Suppression::Precedent => "it was as far out lately",
                };
                write!(f, "{part} held back: {by}")
            }
        }
    }
}

impl std::fmt::Display for Verdict {
    /// The reason, and since when the level has shifted where that is it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.reason)?;
        match self.since {
            Some(since) => write!(f, ": level shift since {since}"),
            None => Ok(()),
        }
    }
}

impl Band {
    /// From ends in any order, at least the resolution to both sides of the middle. Two parts may disagree about where
    /// the series is; the band is then the gap between them.
    pub(crate) fn new(a: f64, b: f64, middle: f64, resolution: f64) -> Self {
        let (lo, hi) = (a.min(b), a.max(b));
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
    /// A value that is no record of the recent past, so that whoever sets a lower threshold meets no repeats either.
    pub(crate) const fn quiet(score: f64, band: Band) -> Self {
        Self::new(score * QUIET_SHARE, Reason::Expected, band)
    }

    /// `score` is what the parts say, 0..=1; without an alarm it is lowered by a constant factor.
    pub(crate) const fn new(score: f64, reason: Reason, band: Band) -> Self {
        let is_anomaly = matches!(reason, Reason::Fired { .. });
        let score = match reason {
            Reason::WarmUp => 0.0,
            Reason::Suppressed { .. } => score * QUIET_SHARE,
            Reason::Fired { .. } | Reason::Expected => score,
        };
        Self {
            score,
            is_anomaly,
            reason,
            band,
            since: None,
        }
    }

    pub(crate) const fn with_since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }
}
