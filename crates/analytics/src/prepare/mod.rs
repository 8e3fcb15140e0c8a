//! Preparation, formula 7 of docs/fidelity.md: `Y = φ(X)`, a pipeline of named steps.
//!
//! Raw samples may be late, repeated, NaN, gapped and from a counter that restarts. A [`Pipeline`] turns them into a
//! [`RegularSeries`](crate::RegularSeries), counts what it changed, and keeps what is needed to take forecasts back into
//! the unit of the samples. Judging values does not belong here (that is `detect`): a step only repairs or transforms.

mod order;
mod outlier;
mod pipeline;
mod resample;
mod sketch;
mod step;
mod transform;

pub use pipeline::{Pipeline, PipelineError, PrepareError, Prepared, Report, StepReport};
pub use resample::GRID_LEN_MAX;
pub use sketch::{LatencySketch, SKETCH_ERROR, SketchError};
pub use step::{Aggregate, Disorder, Duplicates, Fill, Hampel, Inversion, LongGap, Order, Resample, Step};
pub use transform::Inverse;

/// A sample as it arrived: its value may be NaN or infinite, its time before or equal to the one before it.
pub type RawSample = skyloom_core::Sample;
