//! What an operator sees of a control plane at work: metrics through the facade of the `metrics` crate and spans through
//! `tracing`. Neither does anything until the program installs a recorder or a subscriber.
//!
//! ```
//! // In place of this one, whatever recorder the program likes.
//! metrics::set_global_recorder(metrics::NoopRecorder)?;
//! skyloom_runtime::telemetry::describe();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is decided here and nothing is kept. No label carries a name that users choose (replica, deployment, data set,
//! resource), so that there are as many time series as there are words in the code and drivers that are registered, and
//! none carries a text of a provider, which may quote anything.

mod driver;
mod emit;
mod names;
mod spans;

pub(crate) use driver::Metered;
pub(crate) use emit::{
    applied, endpoints_changed, endpoints_written, journal_appended, leading, planned, read_again, recorded, saw,
    synced, told,
};
pub use names::{METRICS, MetricInfo, MetricKind, describe};
pub(crate) use spans::{StepSpans, apply_span};
