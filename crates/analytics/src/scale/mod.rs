//! How many replicas, and how large: reactive, ahead of the load, and vertically.
//!
//! [`Reactive`] is the rule of Kubernetes' horizontal autoscaler; [`predicted_floor`] raises its answer to what a forecast
//! asks for once the measured [`LeadTime`] has passed; [`RightSizer`] watches usage with decaying histograms; [`replay`]
//! tries a rule on a recorded load before it is switched on. Nothing here starts or stops a replica.

mod lead;
mod reactive;
mod replay;
mod vertical;

pub use lead::{LeadTime, PredictError, predicted_floor};
pub use reactive::{Decision, Limit, Reactive, ReactiveConfig, ReactiveError, ScaleReason, ScalingRules, Select};
pub use replay::{Observation, ReplayConfig, ReplayError, ReplayOutcome, clairvoyant, replay};
pub use vertical::{DecayingHistogram, HistogramConfig, HistogramError, Recommendation, RightSizer};
