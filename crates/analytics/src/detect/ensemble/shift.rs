//! Short against long: are the mean and the scatter of the last values still those of the values before?
//!
//! The long side is exponentially weighted and leaves the short side out. Sums over the short side are taken anew each time:
//! a running sum would keep the rounding of one huge value for ever.

use serde::{Deserialize, Serialize};

use super::recent::Recent;
use crate::bits;
use crate::num::count;

/// Share of a value in the long side: about the last 1,200 count.
const LONG_SHARE: f64 = 1.0 / 600.0;
/// Values on the long side before it says anything.
const LONG_MIN: usize = 10;
/// Shares of the range that are always granted as deviation.
const LEVEL_RANGE_SHARE: f64 = 0.01;
const SPREAD_RANGE_SHARE: f64 = 0.002;

/// The long side of one comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shift {
    short: usize,
    seen: u32,
    #[serde(with = "bits")]
    mean: f64,
    #[serde(with = "bits")]
    variance: f64,
}

/// The comparison, without unit.
pub(super) struct Moved {
    /// Difference of the means in deviations of the long side.
    pub(super) level: f64,
    /// Absolute logarithm of the ratio of the deviations.
    pub(super) spread: f64,
}

impl Shift {
    /// Compares the last `short` values with those before.
    pub(super) const fn new(short: usize) -> Self {
        Self {
            short,
            seen: 0,
            mean: 0.0,
            variance: 0.0,
        }
    }

    /// `recent` ends with the judged value and holds more than `short` values once they are there; `wants_spread` saves a
    /// logarithm.
    pub(super) fn push(&mut self, recent: &Recent<f64>, range: f64, wants_spread: bool) -> Moved {
        if let Some(gone) = recent.before(self.short) {
            self.seen = self.seen.saturating_add(1);
            let share = LONG_SHARE.max(1.0 / f64::from(self.seen));
            let away = gone - self.mean;
            self.mean += share * away;
            self.variance = (1.0 - share) * (self.variance + share * away * away);
        }
        let is_young = usize::try_from(self.seen).is_ok_and(|seen| seen < self.short.max(LONG_MIN));
        if is_young || range <= 0.0 {
            return Moved {
                level: 0.0,
                spread: 0.0,
            };
        }
        let long = self.variance.sqrt();
        let values = recent.last(self.short);
        let n = count(values.len());
        let mean = sum(values, |v| v) / n;
        let level = (mean - self.mean).abs() / (long + LEVEL_RANGE_SHARE * range);
        let spread = if wants_spread {
            let short = (sum(values, |v| (v - mean) * (v - mean)) / n).sqrt();
            let granted = SPREAD_RANGE_SHARE * range;
            libm::log((short + granted) / (long + granted)).abs()
        } else {
            0.0
        };
        Moved { level, spread }
    }

    /// Mean and standard deviation of the long side.
    pub(super) fn long(&self) -> (f64, f64) {
        (self.mean, self.variance.sqrt())
    }

    pub(super) fn is_sound(&self, short: usize) -> bool {
        self.short == short && self.mean.is_finite() && self.variance.is_finite() && self.variance >= 0.0
    }
}

/// In four lanes: one after the other, each addition would wait for the one before.
fn sum(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; 4];
    let chunks = values.chunks_exact(lanes.len());
    let rest: f64 = chunks.remainder().iter().map(|v| of(*v)).sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}
