//! Anomaly detection on a stream: one pass, bounded memory per series, no look-ahead, fixed defaults.
//!
//! A [`Detector`] judges one series value by value. It comes in two presets: the default one ([`Detector::new`], about
//! 45 KiB) lets several parts judge and raises an alarm where they agree; the light one ([`Detector::light`], under
//! 1 KiB) watches the tail of the one-step error and the range. [`outliers`] compares replicas with each other instead
//! of with their past, [`Templates`] turns log lines into series that a detector can judge. Grouping, routing and
//! silencing of alarms do not belong here: that is [`crate::alert`].

mod detector;
mod ensemble;
mod group;
mod light;
mod logs;
mod verdict;
mod weights;

pub use detector::{Detector, DetectorStateError, STATE_VERSION};
pub use ensemble::{HISTORY, WARM_UP_SAMPLES};
pub use group::{GroupConfig, GroupError, MemberReport, outliers};
pub use light::{LIGHT_WARM_UP_SAMPLES, PRECEDENTS, REFRACTORY_SAMPLES};
pub use logs::{LogConfig, LogConfigError, Match, Template, TemplateId, Templates};
pub use verdict::{Band, DetectError, Part, Reason, Suppression, Verdict};
pub use weights::{WeightError, Weights};
