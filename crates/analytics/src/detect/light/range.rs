//! Range novelty: does a value leave the range the series has kept to, and by how much of that range?
//!
//! The range is the stream's own, never a file's: it grows with each value and slowly shrinks towards the middle, so that
//! a bound reached a month ago does not excuse everything for ever.

use serde::{Deserialize, Serialize};

use super::Opinion;
use crate::{bits, num};

/// An alarm begins where a value is outside by this share of the range: a normal stream of fifty values would have to
/// jump from 2.2 to 4.5 standard deviations.
const ALARM_SHARE: f64 = 0.5;
/// Share of its distance to the middle that each end gives up per value: half the range is forgotten in 2,800 values.
const FORGET: f64 = 1.0 / 4096.0;

/// State of the part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Range {
    seen: u32,
    #[serde(with = "bits")]
    lo: f64,
    #[serde(with = "bits")]
    hi: f64,
}

impl Range {
    pub(super) fn judge(&mut self, value: f64) -> Opinion {
        if self.seen == 0 {
            *self = Self {
                seen: 1,
                lo: value,
                hi: value,
            };
            return Opinion {
                score: 0.0,
                lo: value,
                hi: value,
            };
        }
        self.seen = self.seen.saturating_add(1);
        // Halves, because the width of the range may be beyond the largest float.
        let half = self.hi / 2.0 - self.lo / 2.0;
        let excess = (value / 2.0 - self.hi / 2.0).max(self.lo / 2.0 - value / 2.0).max(0.0);
        let share = if excess > 0.0 { excess / half } else { 0.0 }; // infinite for a range of one value
        let reach = 2.0 * ALARM_SHARE * half;
        let opinion = Opinion {
            score: if share.is_finite() {
                share / (share + ALARM_SHARE)
            } else {
                1.0
            },
            lo: num::saturate(self.lo - reach),
            hi: num::saturate(self.hi + reach),
        };
        let give = FORGET * half;
        self.lo = (self.lo + give).min(value);
        self.hi = (self.hi - give).max(value);
        opinion
    }

    pub(super) fn is_sound(&self) -> bool {
        self.lo.is_finite() && self.hi.is_finite() && self.lo <= self.hi
    }
}
