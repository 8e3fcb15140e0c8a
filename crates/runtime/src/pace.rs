//! How closely one thing is followed: formula 6 of `docs/fidelity.md` with a tolerance in shares of the thing's own size.
//!
//! The engine's sampler takes its tolerance in the unit of the series; here that number is learnt from the first values, and
//! again when the series moves to another order of magnitude.

use std::time::Duration;

use skyloom_analytics::collect::{Draw, Sampler, SamplerConfig};
use skyloom_core::{Class, Ratio, Sample, Timestamp};
use thiserror::Error;

/// Adaptive sampling: flat series are taken less often, lively ones more.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Adaptive {
    share: f64,
    tick: Duration,
    floor: Ratio,
    ceiling: Ratio,
}

/// Why a setting of adaptive sampling is refused.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum AdaptiveError {
    /// Not in `0..1`, both excluded.
    #[error("hold an error of `{share}` of a value: it must be above 0 and below 1")]
    Share {
        /// What was asked.
        share: f64,
    },
    /// The tick is zero.
    #[error("sample at a tick of `0`: it must be longer")]
    Tick,
    /// Not `0 < floor <= ceiling`.
    #[error("sample with a probability of `{floor}` to `{ceiling}`: it must be 0 < floor <= ceiling")]
    Limits {
        /// Least probability asked.
        floor: f64,
        /// Largest probability asked.
        ceiling: f64,
    },
}

impl AdaptiveError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Adaptive {
    /// Values that are held from one sample to the next are wrong by at most `share` of the series' size; a chance to
    /// sample comes every `tick`. At least one chance in twenty is taken, at most every one.
    ///
    /// # Errors
    /// [`AdaptiveError::Share`] unless `0 < share < 1`, [`AdaptiveError::Tick`] for a zero tick.
    pub fn new(share: f64, tick: Duration) -> Result<Self, AdaptiveError> {
        if !(share > 0.0 && share < 1.0) {
            return Err(AdaptiveError::Share { share });
        }
        if tick.is_zero() {
            return Err(AdaptiveError::Tick);
        }
        let floor = Ratio::new(0.05).unwrap_or(Ratio::ONE);
        Ok(Self {
            share,
            tick,
            floor,
            ceiling: Ratio::ONE,
        })
    }

    /// The same between other least and largest shares of the chances.
    ///
    /// # Errors
    /// [`AdaptiveError::Limits`] unless `0 < floor <= ceiling`.
    pub fn with_limits(mut self, floor: Ratio, ceiling: Ratio) -> Result<Self, AdaptiveError> {
        if floor.get() <= 0.0 || floor > ceiling {
            let (floor, ceiling) = (floor.get(), ceiling.get());
            return Err(AdaptiveError::Limits { floor, ceiling });
        }
        (self.floor, self.ceiling) = (floor, ceiling);
        Ok(self)
    }

    fn sampler(&self, tolerance: f64) -> Option<Sampler> {
        let config = SamplerConfig::new(self.tick, tolerance).ok()?;
        Some(Sampler::new(config.with_limits(self.floor, self.ceiling).ok()?))
    }
}

/// Values from which a tolerance is learnt; all of them are taken.
const LEARN: u32 = 8;
/// A series that is this many times larger or smaller than when its tolerance was learnt has it learnt anew.
const DRIFT: f64 = 8.0;

/// The pace of one series.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    config: Adaptive,
    learnt: u32,
    /// Mean magnitude of the values being learnt from, and how far they reach.
    magnitude: f64,
    lo: f64,
    hi: f64,
    /// The sampler, with its tolerance and the magnitude that gave it.
    sampler: Option<(Sampler, f64, f64)>,
}

impl Pace {
    pub(crate) const fn new(config: Adaptive) -> Self {
        Self {
            config,
            learnt: 0,
            magnitude: 0.0,
            lo: f64::INFINITY,
            hi: f64::NEG_INFINITY,
            sampler: None,
        }
    }

    /// Whether to measure now; before the tolerance is known, always. To be followed by [`Pace::observe`].
    pub(crate) fn is_due(&mut self, now: Timestamp) -> bool {
        match &mut self.sampler {
            Some((sampler, ..)) => sampler.decide(now, Draw::Diffuse).is_ok_and(|decision| decision.take),
            None => true,
        }
    }

    /// Takes in a value that was measured because it was due.
    pub(crate) fn observe(&mut self, sample: Sample) {
        if let Some((sampler, ..)) = &mut self.sampler {
            // A clock that stands still or goes back teaches nothing.
            let _ = sampler.observe(sample);
        }
        self.learn(sample);
    }

    /// Whether a value that was measured anyhow is to be kept: also whenever the one kept last would be wrong by more than
    /// the tolerance.
    pub(crate) fn offer(&mut self, sample: Sample) -> bool {
        let keep = match &mut self.sampler {
            Some((sampler, ..)) => sampler.offer(sample, Draw::Diffuse).is_ok_and(|decision| decision.take),
            None => true,
        };
        self.learn(sample);
        keep
    }

    /// By how much a held value may be wrong, in the unit of the series; `None` while every value is taken.
    pub(crate) fn error_bound(&self) -> Option<f64> {
        self.sampler.as_ref().map(|(_, tolerance, _)| *tolerance)
    }

    fn learn(&mut self, sample: Sample) {
        let size = sample.value.abs();
        if let Some((_, _, magnitude)) = &self.sampler {
            if size <= magnitude * DRIFT && size * DRIFT >= *magnitude {
                return;
            }
            *self = Self::new(self.config);
        }
        self.learnt += 1;
        self.magnitude += (size - self.magnitude) / f64::from(self.learnt);
        (self.lo, self.hi) = (self.lo.min(sample.value), self.hi.max(sample.value));
        if self.learnt < LEARN {
            return;
        }
        let magnitude = self.magnitude.max(self.hi - self.lo);
        // Nothing but zeros: the first value that differs is out of any tolerance.
        let tolerance = (self.config.share * magnitude).max(f64::MIN_POSITIVE);
        self.sampler = self.config.sampler(tolerance).map(|mut sampler| {
            let _ = sampler.observe(sample);
            (sampler, tolerance, magnitude)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: i64, value: f64) -> Sample {
        let at = Timestamp::from_secs(second);
        Sample { at, value }
    }

    fn pace() -> Pace {
        Pace::new(Adaptive::new(0.02, Duration::from_secs(1)).unwrap())
    }

    #[test]
    fn a_flat_series_is_kept_at_the_floor_and_a_leap_at_once() {
        let mut pace = pace();
        let kept = (0..1000).filter(|second| pace.offer(sample(*second, 50.0))).count();
        assert!((50..80).contains(&kept), "{kept} of 1,000");
        assert!(pace.error_bound().is_some_and(|bound| (bound - 1.0).abs() < 1e-9));
        assert!(pace.offer(sample(1000, 51.5)));
    }

    #[test]
    fn what_is_held_is_never_further_off_than_the_bound() {
        let mut pace = pace();
        let mut held = 0.0;
        for second in 0..5000_i32 {
            let value = 100.0 + 30.0 * (f64::from(second) / 40.0).sin() + f64::from(second * 7 % 13);
            if pace.offer(sample(i64::from(second), value)) {
                held = value;
            }
            let bound = pace.error_bound().unwrap_or(0.0);
            assert!((value - held).abs() <= bound + 1e-9, "{value} held as {held}");
        }
    }

    #[test]
    fn another_order_of_magnitude_is_learnt_anew() {
        let mut pace = pace();
        (0..100).for_each(|second| pace.observe(sample(second, 0.0)));
        (100..200).for_each(|second| pace.observe(sample(second, 1e6)));
        assert!(pace.error_bound().is_some_and(|bound| (bound - 2e4).abs() < 1.0));
        (200..300).for_each(|second| pace.observe(sample(second, 1.0)));
        assert!(pace.error_bound().is_some_and(|bound| (bound - 0.02).abs() < 1e-9));
    }
}
