//! Rules: which series, which condition, for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Labels, Matcher};

/// How a value is compared with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Above the threshold.
    Above,
    /// At or above it.
    AtLeast,
    /// Below it.
    Below,
    /// At or below it.
    AtMost,
}

/// Which line of a forecast is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForecastLine {
    /// The lower end of the interval: above a threshold only when it is nearly sure.
    Lo,
    /// The expected value.
    Point,
    /// The upper end of the interval: above a threshold as soon as it may be.
    Hi,
}

/// What must hold of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The latest value compares so.
    Value {
        /// How.
        is: Comparison,
        /// With what, in the unit of the series.
        than: f64,
    },
    /// The forecast compares so.
    Forecast {
        /// How far ahead.
        ahead: Duration,
        /// Which line of it.
        line: ForecastLine,
        /// How.
        is: Comparison,
        /// With what, in the unit of the series.
        than: f64,
    },
    /// The detector's score of the latest value is at least this (0.5 is where it alarms).
    Anomaly {
        /// 0..=1.
        score: f64,
    },
    /// There is no value (the series has stopped).
    Absent,
    /// All of these.
    All(Vec<Condition>),
    /// One of these.
    Any(Vec<Condition>),
    /// Not this. What cannot be told (no value, no forecast) is neither this nor not this.
    Not(Box<Condition>),
}

/// Where conditions read from. All values are for the moment of the evaluation; `None` where there is none (stale, too
/// short to forecast). NaN is taken for none.
pub trait Readings {
    /// The latest value of a series.
    fn value(&self, series: SeriesId) -> Option<f64>;

    /// A line of its forecast; none unless implemented.
    fn forecast(&self, series: SeriesId, ahead: Duration, line: ForecastLine) -> Option<f64> {
        let _ = (series, ahead, line);
        None
    }

    /// The detector's score of the latest value; none unless implemented.
    fn anomaly(&self, series: SeriesId) -> Option<f64> {
        let _ = series;
        None
    }
}

/// Latest values by the number of the series; NaN where there is none.
impl Readings for [f64] {
    fn value(&self, series: SeriesId) -> Option<f64> {
        self.get(series.index()).copied()
    }
}

/// The number of a series in a [`super::SeriesIndex`]: dense, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesId(pub(super) u32);

impl SeriesId {
    /// From 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An alerting rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rule {
    /// Unique among the rules of an engine; becomes the label `alertname`.
    pub name: String,
    /// Which series: all of these must match. None: every series.
    pub select: Vec<Matcher>,
    /// What must hold.
    pub condition: Condition,
    /// For how long before it fires.
    pub hold_for: Duration,
    /// For how long it keeps firing after it no longer holds.
    pub keep_firing_for: Duration,
    /// Labels added to those of the series.
    pub labels: Labels,
    /// Words for people.
    pub annotations: Labels,
}

impl Rule {
    /// Fires at once and for as long as the condition holds.
    #[must_use]
    pub fn new(name: impl Into<String>, select: Vec<Matcher>, condition: Condition) -> Self {
        Self {
            name: name.into(),
            select,
            condition,
            hold_for: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            labels: Labels::default(),
            annotations: Labels::default(),
        }
    }

    /// Only after it has held for this long (`for`), and for this much longer than it holds (`keep_firing_for`).
    #[must_use]
    pub const fn with_holds(mut self, hold_for: Duration, keep_firing_for: Duration) -> Self {
        (self.hold_for, self.keep_firing_for) = (hold_for, keep_firing_for);
        self
    }

    /// With labels of its own (severity, team).
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// With words for people.
    #[must_use]
    pub fn with_annotations(mut self, annotations: Labels) -> Self {
        self.annotations = annotations;
        self
    }
}

impl Comparison {
    fn holds(self, value: f64, threshold: f64) -> Option<bool> {
        let order = value.partial_cmp(&threshold)?;
        Some(match self {
            Self::Above => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Below => order.is_lt(),
            Self::AtMost => order.is_le(),
        })
    }
}

impl Condition {
    /// Whether it holds; `None` when it cannot be told.
    pub(super) fn holds<R: Readings + ?Sized>(&self, series: SeriesId, readings: &R) -> Option<bool> {
        match self {
            Self::Value { is, than } => is.holds(readings.value(series)?, *than),
            Self::Forecast { ahead, line, is, than } => is.holds(readings.forecast(series, *ahead, *line)?, *than),
            Self::Anomaly { score } => Comparison::AtLeast.holds(readings.anomaly(series)?, *score),
            Self::Absent => Some(readings.value(series).is_none_or(f64::is_nan)),
            Self::All(all) => fold(all.iter().map(|c| c.holds(series, readings)), false),
            Self::Any(any) => fold(any.iter().map(|c| c.holds(series, readings)), true),
            Self::Not(not) => not.holds(series, readings).map(|holds| !holds),
        }
    }
}

/// Three-valued: `decisive` settles it, what cannot be told leaves it open.
fn fold(mut parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut outcome = Some(!decisive);
    parts
        .find_map(|part| match part {
            Some(holds) if holds == decisive => Some(decisive),
            Some(_) => None,
            None => {
                outcome = None;
                None
            }
        })
        .or(outcome)
}
