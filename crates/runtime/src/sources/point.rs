//! What every source gives: a named value of a moment. How it was fetched is forgotten here; what it becomes (a rate, a
//! quantile, a series) is decided behind it.

use skyloom_analytics::alert::{Labels, METRIC_NAME};
use skyloom_core::Timestamp;

/// How a value is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// As it is: it may rise and fall.
    Gauge,
    /// A sum since some beginning: it only rises, and a fall is a new beginning. With a label `le`, it is a bucket of a
    /// histogram: how many were at or below that bound.
    Counter,
    /// As a counter, but only what was added since the last one.
    Delta,
}

/// One value on its way in.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its name (`__name__`) and labels.
    pub labels: Labels,
    /// When it was measured.
    pub at: Timestamp,
    /// In the unit of the series; NaN says that there is none any more.
    pub value: f64,
    /// How to read it.
    pub kind: Kind,
}

impl Point {
    /// A value by name and labels.
    #[must_use]
    pub fn new(name: &str, labels: &[(&str, &str)], kind: Kind, at: Timestamp, value: f64) -> Self {
        let labels = labels.iter().copied().collect::<Labels>().with(METRIC_NAME, name);
        Self {
            labels,
            at,
            value,
            kind,
        }
    }
}
