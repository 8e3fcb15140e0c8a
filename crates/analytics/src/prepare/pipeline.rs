//! The pipeline: steps in a checked order, run over raw samples, with a report of what was changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Sample, Timestamp};
use thiserror::Error;

use super::step::{Aggregate, Disorder, Duplicates, Fill, Hampel, Inversion, LongGap, Order, Resample, Step};
use super::transform::Inverse;
use super::{RawSample, order, outlier, resample};
use crate::RegularSeries;
use crate::forecast::{Forecast, detect_periods};

/// Widest neighbourhood of a Hampel step: its cost is the length times this.
const HALF_WINDOW_MAX: usize = 1000;
/// Gap that the ready-made pipelines fill, in grid steps: a few lost samples, not an outage.
const GAP_STEPS: u32 = 5;

/// Steps in an order that makes sense: [`Step::Order`] first, then steps on samples, exactly one [`Step::Resample`],
/// then transforms. [`Step::Hampel`] may stand on either side of the resampling.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    steps: Vec<Step>,
}

/// Why steps are not a pipeline; `index` is the offending step, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The first step is not `order`.
    #[error("build a pipeline that does not begin with `order`")]
    NotOrdered,
    /// There is no `resample`.
    #[error("build a pipeline without `resample`")]
    NotResampled,
    /// A step stands where it cannot: a second `order` or `resample`, a transform before the grid, a counter after it.
    #[error("build a pipeline with `{step}` as step `{index}`: it cannot stand there")]
    Misplaced {
        /// Name of the step.
        step: &'static str,
        /// Its position.
        index: usize,
    },
    /// A setting is out of its range.
    #[error("build a pipeline with `{step}` as step `{index}`: its {setting} is out of range")]
    Setting {
        /// Name of the step.
        step: &'static str,
        /// Its position.
        index: usize,
        /// Which setting, for people.
        setting: &'static str,
    },
}

/// Why samples could not be prepared.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// No finite sample is left.
    #[error("prepare `{received}` samples: none is left after `{step}`")]
    Empty {
        /// Samples that were given.
        received: usize,
        /// The step after which none is left.
        step: &'static str,
    },
    /// Time goes backwards and the pipeline refuses that.
    #[error("prepare sample `{index}`: its time is before the one before it")]
    OutOfOrder {
        /// Position of the sample, from 0.
        index: usize,
    },
    /// Two samples of one time, and the pipeline refuses that.
    #[error("prepare two samples of the time `{at}`")]
    Duplicate {
        /// Their time.
        at: Timestamp,
    },
    /// A gap is longer than may be filled, and the pipeline refuses to split.
    #[error("fill the gap from `{from}` to `{to}`: it is longer than `{gap_max:?}`")]
    GapTooLong {
        /// Cell before the gap.
        from: Timestamp,
        /// Cell after it.
        to: Timestamp,
        /// Longest gap that may be filled.
        gap_max: Duration,
    },
    /// The grid would have more points than [`GRID_LEN_MAX`](super::GRID_LEN_MAX), or end beyond the last timestamp.
    #[error("lay a grid of at least `{len}` points")]
    TooLong {
        /// Points needed so far.
        len: usize,
    },
    /// A value has no image under the step: a logarithm of zero, a negative counter.
    #[error("take value `{index}` through `{step}`: `{value}` is outside of its domain")]
    OutOfDomain {
        /// Name of the step.
        step: &'static str,
        /// Position of the value as the step sees it, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The step's result is beyond the largest float.
    #[error("take value `{index}` through `{step}`: the result is too large")]
    Overflow {
        /// Name of the step.
        step: &'static str,
        /// Position of the value as the step sees it, from 0.
        index: usize,
    },
}

impl PipelineError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl PrepareError {
    /// [`Class::NotFound`] when there is no sample yet, else [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Empty { .. } => Class::NotFound,
            _ => Class::Invalid,
        }
    }
}

/// What a pipeline made of raw samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prepared {
    /// The prepared series: the last segment where a long gap split it.
    pub regular: RegularSeries,
    /// Segments before the last long gap, oldest first; transformed alike.
    pub earlier: Vec<RegularSeries>,
    /// Takes prepared values back into the unit of the samples.
    pub inverse: Inverse,
    /// Seasonal periods of [`Prepared::regular`], in steps of its grid, rising; empty without [`Step::Seasons`].
    pub periods: Vec<usize>,
    /// Whether some step changed the unit for good (a counter became a rate per second).
    pub is_unit_changed: bool,
    /// What was changed.
    pub report: Report,
}

/// What was changed on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Samples that were given.
    pub received: usize,
    /// One entry for each step, in order.
    pub steps: Vec<StepReport>,
}

/// What one step changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepReport {
    /// Name of the step.
    pub step: String,
    /// Samples it removed: not finite, late, duplicates, merged into one cell, used up by differences.
    pub dropped: usize,
    /// Values it added: filled gaps.
    pub added: usize,
    /// Values it repaired or moved: sorted, counter restarts, clipped. A transform of all values counts none.
    pub changed: usize,
    /// Values after it, over all segments.
    pub kept: usize,
}

impl Pipeline {
    /// A checked pipeline.
    ///
    /// # Errors
    /// [`PipelineError`]: no `order` at the beginning, not exactly one `resample`, a step where it cannot stand, or a
    /// setting out of its range.
    pub fn new(steps: Vec<Step>) -> Result<Self, PipelineError> {
        if !matches!(steps.first(), Some(Step::Order(_))) {
            return Err(PipelineError::NotOrdered);
        }
        let mut on_grid = false;
        for (index, step) in steps.iter().enumerate() {
            let fits = match step {
                Step::Order(_) => index == 0,
                Step::CounterToRate | Step::Resample(_) => !on_grid,
                Step::Hampel(_) => true,
                Step::Log1p | Step::BoxCox { .. } | Step::Seasons | Step::Standardise => on_grid,
            };
            if !fits {
                return Err(PipelineError::Misplaced {
                    step: step.name(),
                    index,
                });
            }
            if let Some(setting) = bad_setting(step) {
                let step = step.name();
                return Err(PipelineError::Setting { step, index, setting });
            }
            on_grid |= matches!(step, Step::Resample(_));
        }
        if on_grid {
            Ok(Self { steps })
        } else {
            Err(PipelineError::NotResampled)
        }
    }

    /// For a quantity that is read off (CPU share, memory): sorted, last of duplicates, means on a grid of `step`, gaps
    /// of up to five steps filled linearly, split at longer ones.
    ///
    /// # Errors
    /// [`PipelineError::Setting`] when the step is not a positive number of whole microseconds.
    pub fn gauge(step: Duration) -> Result<Self, PipelineError> {
        Self::new(vec![Step::Order(LENIENT), Step::Resample(ready_made(step))])
    }

    /// For an ever rising counter (bytes sent): as [`Pipeline::gauge`], of its rate per second.
    ///
    /// # Errors
    /// As [`Pipeline::gauge`].
    pub fn counter(step: Duration) -> Result<Self, PipelineError> {
        Self::new(vec![
            Step::Order(LENIENT),
            Step::CounterToRate,
            Step::Resample(ready_made(step)),
        ])
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Formula 7 of docs/fidelity.md: prepares raw samples in any order.
    ///
    /// ```
    /// use std::time::Duration;
    /// use skyloom_analytics::prepare::{Pipeline, RawSample};
    /// use skyloom_core::Timestamp;
    ///
    /// let at = |second, value| RawSample { at: Timestamp::from_secs(second), value };
    /// // Out of order, a NaN, a duplicate, second 3 missing.
    /// let raw = [at(0, 1.0), at(2, 3.0), at(1, 2.0), at(2, 9.0), at(4, f64::NAN), at(4, 11.0)];
    /// let prepared = Pipeline::gauge(Duration::from_secs(1))?.run(&raw)?;
    /// assert_eq!(prepared.regular.values(), [1.0, 2.0, 9.0, 10.0, 11.0]);
    /// assert_eq!(prepared.report.steps[0].dropped, 2);
    /// assert_eq!(prepared.report.steps[1].added, 1);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    /// [`PrepareError`]: nothing left, what the pipeline was told to refuse, a value outside of a step's domain or beyond
    /// the largest float, a grid that is too long.
    pub fn run(&self, raw: &[RawSample]) -> Result<Prepared, PrepareError> {
        let mut report = Report {
            received: raw.len(),
            steps: Vec::with_capacity(self.steps.len()),
        };
        let mut inverse = Inverse::default();
        let mut periods: Vec<usize> = Vec::new();
        let mut samples: Vec<Sample> = raw.to_vec();
        let mut segments: Vec<RegularSeries> = Vec::new();
        for step in &self.steps {
            let mut changes = StepReport {
                step: step.name().to_owned(),
                ..StepReport::default()
            };
            match step {
                Step::Order(settings) => samples = order::order(&samples, *settings, &mut changes)?,
                Step::CounterToRate => samples = order::counter_to_rate(&samples, &mut changes)?,
                Step::Hampel(settings) if segments.is_empty() => {
                    let values: Vec<f64> = samples.iter().map(|s| s.value).collect();
                    for (sample, value) in samples.iter_mut().zip(outlier::clip(&values, *settings, &mut changes)) {
                        sample.value = value;
                    }
                }
                Step::Hampel(settings) => {
                    map(&mut segments, |values| {
                        for segment in values {
                            *segment = outlier::clip(segment, *settings, &mut changes);
                        }
                        Ok(())
                    })?;
                }
                Step::Resample(settings) => {
                    segments = resample::resample(&samples, *settings, &mut changes)?;
                    samples = Vec::new();
                }
                Step::Seasons => periods = segments.last().map_or_else(Vec::new, |s| detect_periods(s.values())),
                Step::Log1p | Step::BoxCox { .. } | Step::Standardise => {
                    map(&mut segments, |values| inverse.transform(step, values))?;
                }
            }
            changes.kept = samples.len() + segments.iter().map(RegularSeries::len).sum::<usize>();
            if changes.kept == 0 {
                return Err(PrepareError::Empty {
                    received: raw.len(),
                    step: step.name(),
                });
            }
            report.steps.push(changes);
        }
        let regular = segments.pop().ok_or(PrepareError::Empty {
            received: raw.len(),
            step: "resample",
        })?;
        Ok(Prepared {
            regular,
            earlier: segments,
            inverse,
            periods,
            is_unit_changed: self.steps.iter().any(|s| s.inversion() == Inversion::ChangesUnit),
            report,
        })
    }
}

impl Prepared {
    /// A forecast of [`Prepared::regular`] with points and intervals taken back into the unit of the samples. Bounds
    /// nest as before; the point is the median of the original unit. Back-test errors of the members keep the prepared
    /// unit.
    #[must_use]
    pub fn invert(&self, forecast: &Forecast) -> Forecast {
        let mut back = forecast.clone();
        for step in &mut back.steps {
            step.lo = self.inverse.apply(step.lo);
            step.point = self.inverse.apply(step.point);
            step.hi = self.inverse.apply(step.hi);
        }
        back
    }
}

/// Order settings of the ready-made pipelines: repair what can be repaired.
const LENIENT: Order = Order {
    disorder: Disorder::Sort,
    duplicates: Duplicates::Last,
};

fn ready_made(step: Duration) -> Resample {
    Resample {
        step,
        aggregate: Aggregate::Mean,
        fill: Fill::Linear,
        gap_max: step.saturating_mul(GAP_STEPS),
        long_gap: LongGap::Split,
    }
}

/// The name of a setting that is out of its range.
fn bad_setting(step: &Step) -> Option<&'static str> {
    match step {
        Step::Hampel(Hampel { half_window, .. }) if *half_window == 0 || *half_window > HALF_WINDOW_MAX => {
            Some("half window (1 to 1000)")
        }
        Step::Hampel(Hampel { threshold, .. }) if !(threshold.is_finite() && *threshold > 0.0) => {
            Some("threshold (above 0)")
        }
        Step::Resample(Resample { step, .. }) => {
            let nanos = step.as_nanos();
            let fits = nanos > 0 && nanos.is_multiple_of(1000) && i64::try_from(step.as_micros()).is_ok();
            (!fits).then_some("step (a positive number of whole microseconds)")
        }
        Step::BoxCox { lambda: Some(lambda) } if !(-5.0..=5.0).contains(lambda) => Some("lambda (-5 to 5)"),
        _ => None,
    }
}

/// Applies a change to the values of all segments and checks them again.
fn map(
    segments: &mut [RegularSeries],
    change: impl FnOnce(&mut [Vec<f64>]) -> Result<(), PrepareError>,
) -> Result<(), PrepareError> {
    let mut values: Vec<Vec<f64>> = segments.iter().map(|s| s.values().to_vec()).collect();
    change(&mut values)?;
    for (segment, values) in segments.iter_mut().zip(values) {
        let len = values.len();
        *segment = segment.with_values(values).map_err(|_| PrepareError::TooLong { len })?;
    }
    Ok(())
}
