//! How a new generation replaces an old one: strategy, stages, and what is judged between them.
//!
//! Data only. In which order steps come is the orchestrator's; where measurements come from is the runtime's.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::QuantityError;
use crate::quantity::{Fraction, scaled};

/// How a new generation replaces an old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Kind.
    pub strategy: RolloutStrategy,
    /// Replicas that may be missing during it.
    pub max_unavailable: u32,
    /// Replicas that may be too many during it.
    pub max_surge: u32,
    /// Stages of a canary, each with at least as many new replicas as the one before; after the last come all. Empty: one
    /// replica first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CanaryStep>,
    /// What is judged in each pause of a canary, and before the switch of blue-green.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis: Vec<Analysis>,
    /// A new replica counts as ready when it was healthy for this long.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub ready_for: Duration,
    /// Longest time that a new replica may take to become healthy; `None`: what its health check and the saga allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// How long blue-green keeps the old replicas, out of the endpoints, after the switch.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub keep: Duration,
}

impl Default for Rollout {
    /// Rolling, one at a time, one more allowed; no stages, no analysis, no waiting.
    fn default() -> Self {
        Self {
            strategy: RolloutStrategy::Rolling,
            max_unavailable: 1,
            max_surge: 1,
            steps: Vec::new(),
            analysis: Vec::new(),
            ready_for: Duration::ZERO,
            within: None,
            keep: Duration::ZERO,
        }
    }
}

impl Rollout {
    /// The way back: the same bounds without anything that tries the new out. What is restored was in force before.
    #[must_use]
    pub fn without_trial(&self) -> Self {
        let strategy = match self.strategy {
            RolloutStrategy::Canary if self.max_surge > 0 || self.max_unavailable > 0 => RolloutStrategy::Rolling,
            other => other,
        };
        Self {
            strategy,
            steps: Vec::new(),
            analysis: Vec::new(),
            keep: Duration::ZERO,
            ..self.clone()
        }
    }
}

/// Kind of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RolloutStrategy {
    /// A few replicas at a time.
    #[default]
    Rolling,
    /// A small part first, then the rest.
    Canary,
    /// All of the new beside all of the old, then switched.
    BlueGreen,
}

/// One stage of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryStep {
    /// How many replicas are of the new generation at its end, all stages so far together.
    pub replicas: Share,
    /// How long they are watched before the next stage.
    pub pause: Duration,
}

/// The whole, in percent.
pub const PERCENT_MAX: u8 = 100;

/// A number of replicas, or a part of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// So many.
    Count(NonZeroU32),
    /// 1 to [`PERCENT_MAX`] hundredths, rounded up.
    Percent(u8),
}

impl Share {
    /// How many of `all` that is; at least one, at most all.
    ///
    /// ```
    /// use skyloom_core::Share;
    ///
    /// assert_eq!(Share::Percent(10).of(4), 1);
    /// assert_eq!(Share::Percent(50).of(5), 3);
    /// ```
    #[must_use]
    pub fn of(self, all: u32) -> u32 {
        let share = match self {
            Self::Count(count) => count.get(),
            Self::Percent(percent) => {
                let share = (u64::from(all) * u64::from(percent)).div_ceil(u64::from(PERCENT_MAX));
                u32::try_from(share).unwrap_or(all)
            }
        };
        share.max(1).min(all)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// A condition on a metric that a new generation has to meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// Name of the metric, as its source knows it.
    pub metric: String,
    /// What a measurement has to be.
    pub limit: Limit,
    /// For how long it is measured; a pause that is shorter is prolonged.
    pub over: Duration,
    /// From one measurement to the next; above zero and not above `over`.
    pub interval: Duration,
    /// So many bad measurements are put up with; one more fails the rollout.
    pub failures: u32,
}

impl Analysis {
    /// Measurements that are taken: one at the end of every whole interval, and at least one.
    #[must_use]
    pub fn measurements(&self) -> u32 {
        let count = self.over.as_nanos().checked_div(self.interval.as_nanos()).unwrap_or(1);
        u32::try_from(count).unwrap_or(u32::MAX).max(1)
    }
}

/// What a measurement has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Less than this.
    Below(Millionths),
    /// More than this.
    Above(Millionths),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(most) => write!(f, "below {most}"),
            Self::Above(least) => write!(f, "above {least}"),
        }
    }
}

/// Whether a measurement is good. None, and none that is a number, is bad: no evidence is no pass.
#[must_use]
pub fn judge(limit: Limit, value: Option<Millionths>) -> bool {
    match (limit, value) {
        (Limit::Below(most), Some(value)) => value < most,
        (Limit::Above(least), Some(value)) => value > least,
        (_, None) => false,
    }
}

/// A number in millionths, so that a limit and a measurement compare equally everywhere. Written `0.01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millionths(i64);

impl Millionths {
    /// From millionths.
    #[must_use]
    pub const fn from_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    #[must_use]
    pub const fn as_millionths(self) -> i64 {
        self.0
    }

    /// The nearest; `None` for what is no finite number. What is too large stays at the border.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
    pub fn from_f64(value: f64) -> Option<Self> {
        // 2^62: far beyond any metric, and exact in a float.
        const BORDER: f64 = 4_611_686_018_427_387_904.0;
        value
            .is_finite()
            .then(|| Self((value * 1e6).round().clamp(-BORDER, BORDER) as i64))
    }
}

impl fmt::Display for Millionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        let digits = format!("{part:06}");
        match digits.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            digits => write!(f, "{sign}{whole}.{digits}"),
        }
    }
}

impl FromStr for Millionths {
    type Err = QuantityError;
    /// Decimal digits without a sign, to a millionth.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let unit = "number of millionths";
        let millionths = scaled(text.trim(), 1_000_000, unit, Fraction::Refuse, text)?;
        let overflow = |_| QuantityError::Overflow {
            text: text.to_owned(),
            unit,
        };
        i64::try_from(millionths).map(Self).map_err(overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_print_and_compare() {
        for text in ["0", "0.01", "12.5", "0.000001"] {
            assert_eq!(text.parse::<Millionths>().unwrap().to_string(), text);
        }
        assert!("0.0000001".parse::<Millionths>().is_err());
        assert!("-1".parse::<Millionths>().is_err());
        assert_eq!(Millionths::from_f64(f64::NAN), None);
        assert_eq!(Millionths::from_f64(f64::INFINITY), None);
        assert_eq!(Millionths::from_f64(-0.5).unwrap().to_string(), "-0.5");
        let limit = Limit::Below(Millionths::from_millionths(10_000));
        assert!(judge(limit, Millionths::from_f64(0.009)));
        assert!(!judge(limit, Millionths::from_f64(0.01)));
        assert!(!judge(limit, None));
    }

    #[test]
    fn shares_round_up_and_stay_within_the_whole() {
        for (share, all, of) in [
            (Share::Percent(1), 10, 1),
            (Share::Percent(11), 10, 2),
            (Share::Percent(100), 7, 7),
            (Share::Count(NonZeroU32::MAX), 3, 3),
        ] {
            assert_eq!(share.of(all), of);
        }
    }
}
