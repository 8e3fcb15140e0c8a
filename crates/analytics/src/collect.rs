//! Adaptive sampling, formula 6 of docs/fidelity.md: `P(t) = f(T, X)`.
//!
//! A flat series is sampled less, a lively one more. Taking the sample does not belong here: a loop that ticks asks
//! [`Sampler::decide`], measures when told to, and hands the value to [`Sampler::observe`]. The obvious design, a
//! threshold on the last change, has no error that could be stated; here the probability is derived from the error that
//! holding the last sample would cause.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Ratio, Sample, Timestamp};
use thiserror::Error;

/// Samples before the features are trusted; until then every chance up to the ceiling is taken.
pub const WARM_UP_SAMPLES: u32 = 8;
/// Share of a new sample in the moving features: about the last nine samples count.
const FEATURE_SHARE: f64 = 0.2;
/// A sample this many mean deviations from the level begins to be novel, twice that is fully novel (3 mean deviations
/// of a normal distribution are 2.4 standard deviations).
const NOVELTY_DEVIATIONS: f64 = 3.0;
/// Squared jumps beyond this many tolerances add nothing: the probability is at its ceiling long before.
const JUMP_TOLERANCES_MAX: f64 = 1e6;
/// Rounding slack of the error diffusion: 20 · 0.05 must reach one.
const DEBT_SLACK: f64 = 1e-9;

/// What the sampler is asked to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SamplerConfig {
    tick: Duration,
    tolerance: f64,
    floor: Ratio,
    ceiling: Ratio,
}

/// Why a configuration or a sample is refused.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The tick is zero.
    #[error("sample at a tick of `0`: it must be longer")]
    Tick,
    /// The tolerance is not a positive finite number.
    #[error("hold an error of `{tolerance}`: it must be finite and above zero")]
    Tolerance {
        /// What was asked.
        tolerance: f64,
    },
    /// Not `0 < floor <= ceiling <= 1`.
    #[error("sample with a probability of `{floor}` to `{ceiling}`: it must be 0 < floor <= ceiling")]
    Limits {
        /// Least probability asked.
        floor: f64,
        /// Largest probability asked.
        ceiling: f64,
    },
    /// The uniform number is not in `0..1`.
    #[error("draw with the uniform number `{uniform}`: it must be in 0..1")]
    Uniform {
        /// What was given.
        uniform: f64,
    },
    /// The value is NaN or infinite; the sampler is unchanged.
    #[error("observe a value that is not finite")]
    NotFinite,
    /// The time is not after the last sample's; the sampler is unchanged.
    #[error("observe a sample at `{at}`: the last one is at `{last}`")]
    OutOfOrder {
        /// Time of the refused sample.
        at: Timestamp,
        /// Time of the last accepted one.
        last: Timestamp,
    },
}

impl SampleError {
    /// Always [`Class::Invalid`]: the same input will fail again.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl SamplerConfig {
    /// One chance to sample per `tick`, and a root-mean-square error of at most `tolerance` (in the unit of the
    /// series) when the last sample is held until the next. Floor 0.05, ceiling 1.
    ///
    /// # Errors
    /// [`SampleError::Tick`] for a zero tick, [`SampleError::Tolerance`] unless `0 < tolerance < ∞`.
    pub fn new(tick: Duration, tolerance: f64) -> Result<Self, SampleError> {
        if tick.is_zero() {
            return Err(SampleError::Tick);
        }
        if !(tolerance.is_finite() && tolerance > 0.0) {
            return Err(SampleError::Tolerance { tolerance });
        }
        let floor = Ratio::new(0.05).map_err(|_| SampleError::Limits {
            floor: 0.05,
            ceiling: 1.0,
        })?;
        Ok(Self {
            tick,
            tolerance,
            floor,
            ceiling: Ratio::ONE,
        })
    }

    /// Sets the least and the largest probability per tick.
    ///
    /// # Errors
    /// [`SampleError::Limits`] unless `0 < floor <= ceiling`: a floor of 0 would never notice that a flat series woke.
    pub fn with_limits(mut self, floor: Ratio, ceiling: Ratio) -> Result<Self, SampleError> {
        if floor.get() <= 0.0 || floor > ceiling {
            return Err(SampleError::Limits {
                floor: floor.get(),
                ceiling: ceiling.get(),
            });
        }
        (self.floor, self.ceiling) = (floor, ceiling);
        Ok(self)
    }
}

/// How a probability becomes a decision; there is no random number in here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// Take when this number in `0..1`, drawn by the caller, is below the probability.
    Uniform(f64),
    /// Error diffusion: probabilities are added up and a sample is taken for each whole one. Evenly spaced, and never
    /// more than `⌈1 / floor⌉` ticks apart.
    Diffuse,
}

/// The features `X` of formula 6, from the samples taken so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Exponentially weighted level, in the unit of the series.
    pub level: f64,
    /// How far the series moves in one tick: root of the mean squared change per time, in the unit of the series.
    pub variability: f64,
    /// 0 (the last sample is as usual) ..= 1 (far from the level).
    pub novelty: f64,
}

/// What was decided at one tick.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether to take the sample.
    pub take: bool,
    /// The probability `P(t)` it was decided with, in floor..=ceiling.
    pub probability: Ratio,
    /// Root-mean-square error of holding the last sample until this tick, in the unit of the series; infinite knowledge
    /// is not claimed: before the first sample it is the tolerance itself.
    pub expected_error: f64,
    /// Whether [`Sampler::offer`] took it because skipping would have broken the tolerance.
    pub forced: bool,
}

/// The sampler of one series: a few numbers, whatever the length of the stream.
///
/// **Error bound.** Model: the change over a time `T` has mean square `r·T`. Holding a sample for the mean gap
/// `tick / P` then errs by at most `√(r·tick / P)` root mean square, and `P = r·tick / tolerance²` makes that the
/// tolerance. It holds while `P` is below the ceiling; a series that needs more shows it as
/// `expected_error > tolerance`. With [`Sampler::offer`] the bound is hard: no offered value differs from the held one by
/// more than the tolerance.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::collect::{Draw, Sampler, SamplerConfig};
/// use skyloom_core::{Sample, Timestamp};
///
/// let mut sampler = Sampler::new(SamplerConfig::new(Duration::from_secs(1), 0.5)?);
/// let mut taken = 0;
/// for second in 0..1000 {
///     let now = Timestamp::from_secs(second);
///     if sampler.decide(now, Draw::Diffuse)?.take {
///         taken += 1;
///         sampler.observe(Sample { at: now, value: 20.0 })?; // a flat series
///     }
/// }
/// assert!(taken < 70); // the floor is 50, the warm-up adds eight
/// # Ok::<(), skyloom_analytics::collect::SampleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    config: SamplerConfig,
    last: Option<Sample>,
    seen: u32,
    level: f64,
    /// Mean absolute distance from the level, in tolerances.
    deviation: f64,
    /// Mean squared change per second, in squared tolerances.
    rate: f64,
    novelty: f64,
    debt: f64,
}

impl Sampler {
    /// A sampler that has seen nothing.
    #[must_use]
    pub const fn new(config: SamplerConfig) -> Self {
        Self {
            config,
            last: None,
            seen: 0,
            level: 0.0,
            deviation: 0.0,
            rate: 0.0,
            novelty: 0.0,
            debt: 0.0,
        }
    }

    /// The features so far; `None` before the first sample.
    #[must_use]
    pub fn features(&self) -> Option<Features> {
        self.last.map(|_| Features {
            level: self.level,
            variability: (self.rate * self.config.tick.as_secs_f64()).sqrt() * self.config.tolerance,
            novelty: self.novelty,
        })
    }

    /// Formula 6 of docs/fidelity.md: the probability that the sample of this tick is taken, in floor..=ceiling.
    #[must_use]
    pub fn probability(&self) -> Ratio {
        let (floor, ceiling) = (self.config.floor, self.config.ceiling);
        if self.seen < WARM_UP_SAMPLES {
            return ceiling;
        }
        let needed = self.rate * self.config.tick.as_secs_f64();
        let novel = floor.get() + (ceiling.get() - floor.get()) * self.novelty;
        Ratio::new(needed.max(novel).clamp(floor.get(), ceiling.get())).unwrap_or(ceiling)
    }

    /// Decides for the tick at `now` before anything is measured. Call it once per tick; when it says `take`, measure
    /// and call [`Sampler::observe`].
    ///
    /// # Errors
    /// [`SampleError::Uniform`] for a uniform number outside `0..1`; the sampler is then unchanged.
    pub fn decide(&mut self, now: Timestamp, draw: Draw) -> Result<Decision, SampleError> {
        let probability = self.probability();
        let take = match draw {
            Draw::Uniform(uniform) if (0.0..1.0).contains(&uniform) => uniform < probability.get(),
            Draw::Uniform(uniform) => return Err(SampleError::Uniform { uniform }),
            Draw::Diffuse => {
                self.debt += probability.get();
                let due = self.debt >= 1.0 - DEBT_SLACK;
                if due {
                    self.debt = (self.debt - 1.0).max(0.0);
                }
                due
            }
        };
        Ok(Decision {
            take,
            probability,
            expected_error: self.expected_error(now),
            forced: false,
        })
    }

    /// Decides about a sample that is measured already (storing or sending it is what costs) and observes it when it
    /// is taken. A value further than the tolerance from the last taken one is always taken, whatever the ceiling:
    /// that makes the tolerance a hard bound on the error of holding the last value.
    ///
    /// # Errors
    /// As [`Sampler::decide`] and [`Sampler::observe`]; the sampler is then unchanged.
    pub fn offer(&mut self, sample: Sample, draw: Draw) -> Result<Decision, SampleError> {
        self.check(sample)?;
        let mut decision = self.decide(sample.at, draw)?;
        let breaks = self
            .last
            .is_none_or(|last| (sample.value - last.value).abs() > self.config.tolerance);
        if breaks && !decision.take {
            (decision.take, decision.forced) = (true, true);
            self.debt = 0.0;
        }
        if decision.take {
            self.observe(sample)?;
        }
        Ok(decision)
    }

    /// Updates the features with a sample that was taken.
    ///
    /// # Errors
    /// [`SampleError::NotFinite`] and [`SampleError::OutOfOrder`]; the sampler is then unchanged.
    pub fn observe(&mut self, sample: Sample) -> Result<(), SampleError> {
        self.check(sample)?;
        if let Some(last) = self.last {
            let jump = self.tolerances(sample.value, last.value);
            let elapsed = sample.at.saturating_since(last.at).as_secs_f64();
            let away = self.tolerances(sample.value, self.level);
            self.novelty = if away <= 1.0 {
                0.0 // inside the tolerance nothing is worth a second look
            } else if self.deviation > 0.0 {
                (away / (NOVELTY_DEVIATIONS * self.deviation) - 1.0).clamp(0.0, 1.0)
            } else {
                1.0
            };
            // The first samples are averaged evenly, later ones exponentially: no bias towards the zero start.
            let share = FEATURE_SHARE.max(1.0 / f64::from(self.seen));
            self.rate += share * (jump * jump / elapsed - self.rate);
            self.deviation += share * (away - self.deviation);
            self.level = self.level * (1.0 - share) + sample.value * share;
        } else {
            self.level = sample.value;
        }
        self.seen = self.seen.saturating_add(1);
        self.last = Some(sample);
        Ok(())
    }

    fn check(&self, sample: Sample) -> Result<(), SampleError> {
        if !sample.value.is_finite() {
            return Err(SampleError::NotFinite);
        }
        match self.last {
            Some(last) if sample.at <= last.at => Err(SampleError::OutOfOrder {
                at: sample.at,
                last: last.at,
            }),
            _ => Ok(()),
        }
    }

    fn tolerances(&self, a: f64, b: f64) -> f64 {
        ((a - b).abs() / self.config.tolerance).min(JUMP_TOLERANCES_MAX)
    }

    fn expected_error(&self, now: Timestamp) -> f64 {
        let Some(last) = self.last else {
            return self.config.tolerance;
        };
        let elapsed = now.saturating_since(last.at).as_secs_f64();
        crate::num::saturate((self.rate * elapsed).sqrt() * self.config.tolerance)
    }
}
