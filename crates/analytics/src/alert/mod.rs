//! Alerts: rules over series, and notifications that people can bear.
//!
//! Two halves that meet in [`Alert`]: an [`Engine`] evaluates rules (`for`, `keep_firing_for`, conditions on values, forecasts
//! and anomaly scores), a [`Notifier`] groups, silences, inhibits, routes and does not repeat. Neither measures nor
//! sends anything: readings come in, bodies of webhooks go out, and `now` is an argument.

mod engine;
mod labels;
mod matcher;
mod notify;
mod payload;
mod route;
mod rule;
mod series;

pub use engine::{Alert, Engine, EngineError, EngineState};
pub use labels::{ALERT_NAME, Labels, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use notify::{Notification, Notifier};
pub use payload::{Payload, PayloadAlert, Status};
pub use route::{Inhibition, Route, Silence, Timing};
pub use rule::{Comparison, Condition, ForecastLine, Readings, Rule, SeriesId};
pub use series::SeriesIndex;
