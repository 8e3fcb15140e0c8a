//! Residual tail likelihood: how improbable is the distance between a value and where the series was going?
//!
//! Two rivals say where it was going: a slow moving level (right for noise around a level) and the last value (right for
//! a walk, such as memory in use). The one with the smaller recent error is believed. Errors enter the level and the
//! scale clipped, so that one outlier neither drags the level nor blinds the detector.

use serde::{Deserialize, Serialize};

use super::Opinion;
use crate::{bits, num};

/// Share of a new value in the slow level: about the last forty count.
const LEVEL_SHARE: f64 = 0.05;
/// Share of a new error in the scales: about the last 128 count, which knows a normal scale to 7 %.
const SCALE_SHARE: f64 = 1.0 / 64.0;
/// Errors are clipped to this many scales before they are learnt.
const CLIP_SCALES: f64 = 4.0;
/// Values averaged evenly and unclipped at the start, before there is a scale to clip by.
const EVEN: u32 = 10;
/// `E|x|` of a normal distribution is `√(2/π)` standard deviations.
const ABS_TO_SD: f64 = 1.253_314_137_315_500_3;
/// An alarm begins where a normal error this far out has probability 10⁻⁶ (two-sided).
const ALARM_DECADES: f64 = 6.0;
/// The same point in standard deviations: `Φ⁻¹(1 - 10⁻⁶/2)`.
const ALARM_SD: f64 = 4.891_638_475_699_013;
/// Distances are shortened by `1 + this / n`: a scale from few values may be too small by that much.
const YOUTH: f64 = 6.0;
/// Decades that stand for "impossible", where the probability is below the smallest float.
const DECADES_MAX: f64 = 300.0;

/// State of the part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Tail {
    seen: u32,
    /// The slow level and the last value.
    #[serde(with = "bits::array")]
    guess: [f64; 2],
    /// Mean absolute error of each.
    #[serde(with = "bits::array")]
    error: [f64; 2],
}

impl Tail {
    pub(super) fn judge(&mut self, value: f64) -> Opinion {
        if self.seen == 0 {
            self.seen = 1;
            self.guess = [value, value];
            return Opinion {
                score: 0.0,
                lo: value,
                hi: value,
            };
        }
        let rival = usize::from(self.error[1] < self.error[0]);
        let (guess, scale) = (self.guess[rival], self.scale(rival));
        let away = (value - guess).abs();
        let reach = scale * ALARM_SD;
        let opinion = Opinion {
            score: score(away, scale),
            lo: num::saturate(guess - reach),
            hi: num::saturate(guess + reach),
        };
        self.learn(value);
        opinion
    }

    pub(super) fn is_sound(&self) -> bool {
        self.guess.iter().all(|g| g.is_finite()) && self.error.iter().all(|e| e.is_finite() && *e >= 0.0)
    }
}

impl Tail {
    /// Standard deviation of the rival's error, a little larger while young.
    fn scale(&self, rival: usize) -> f64 {
        num::saturate(self.error[rival] * ABS_TO_SD * (1.0 + YOUTH / f64::from(self.seen)))
    }

    fn learn(&mut self, value: f64) {
        let share = SCALE_SHARE.max(1.0 / f64::from(self.seen));
        for rival in 0..2 {
            let away = num::saturate((value - self.guess[rival]).abs());
            let clip = if self.seen < EVEN || self.error[rival] <= 0.0 {
                f64::MAX
            } else {
                num::saturate(self.error[rival] * ABS_TO_SD * CLIP_SCALES)
            };
            let clipped = away.min(clip);
            self.error[rival] += share * (clipped - self.error[rival]);
            if rival == 0 {
                let share = LEVEL_SHARE.max(1.0 / f64::from(self.seen.saturating_add(1)));
                let moved = share * clipped;
                self.guess[0] = num::saturate(self.guess[0] + if value < self.guess[0] { -moved } else { moved });
            }
        }
        self.guess[1] = value;
        self.seen = self.seen.saturating_add(1);
    }
}

/// 0.5 where the alarm begins, towards 1 the further out. A scale of zero means that nothing ever moved: any distance is
/// then impossible.
fn score(away: f64, scale: f64) -> f64 {
    if away <= 0.0 {
        return 0.0;
    }
    let z = away / scale; // infinite for a scale of zero
    let probability = libm::erfc(z / std::f64::consts::SQRT_2);
    let decades = (-libm::log10(probability)).clamp(0.0, DECADES_MAX);
    decades / (decades + ALARM_DECADES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_begins_where_it_is_said_to() {
        assert!((score(ALARM_SD, 1.0) - 0.5).abs() < 1e-9);
        assert!(score(1.0, 1.0) < 0.1 && score(8.0, 1.0) > 0.7);
        assert!((score(1.0, 0.0) - DECADES_MAX / (DECADES_MAX + ALARM_DECADES)).abs() < 1e-12);
        assert_eq!(score(0.0, 0.0).to_bits(), 0);
    }
}
