//! All named series of one program: what the sources bring is bounded, turned into rates and quantiles, judged, and kept as
//! densely as it deserves.
//!
//! Every value meets the detector and is the reading that rules see; which values stay in the history is decided by
//! adaptive sampling. Everything has a bound, and what is refused is counted by its reason instead of failing the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_analytics::alert::{Labels, METRIC_NAME, SeriesId, SeriesIndex};
use skyloom_analytics::detect::{Detector, Verdict};
use skyloom_core::{Sample, Series, Timestamp};

use super::derive::{Derive, derived};
use super::point::Point;
use crate::pace::{Adaptive, Pace};

/// Bounds on what is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GatherConfig {
    /// Most series at once; counters behind rates are as many again.
    pub series_max: usize,
    /// Most labels of a series, its name included.
    pub labels_max: usize,
    /// Most bytes of the name or the value of a label.
    pub label_bytes_max: usize,
    /// Most samples kept of a series.
    pub samples_kept_max: usize,
    /// After how long without a new value a series has none.
    pub stale_after: Duration,
    /// After how long without a new value a series may be forgotten to make room.
    pub forget_after: Duration,
    /// How far ahead of the clock a value may be: one from next year would shut out all that come before it.
    pub ahead_max: Duration,
    /// How densely histories are kept; `None` keeps every value.
    pub sampling: Option<Adaptive>,
}

impl GatherConfig {
    /// 10,000 series of up to 2,880 samples and 30 labels of up to 1,024 bytes, stale after five minutes, forgotten after an
    /// hour, not further ahead of the clock than ten minutes; every value kept.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            series_max: 10_000,
            labels_max: 30,
            label_bytes_max: 1024,
            samples_kept_max: 2880,
            stale_after: Duration::from_secs(300),
            forget_after: Duration::from_secs(3600),
            ahead_max: Duration::from_secs(600),
            sampling: None,
        }
    }

    /// The same with other bounds on the series and on the samples kept of each.
    #[must_use]
    pub const fn with_sizes(mut self, series_max: usize, samples_kept_max: usize) -> Self {
        (self.series_max, self.samples_kept_max) = (series_max, samples_kept_max);
        self
    }

    /// The same with other times after which a series is stale and may be forgotten.
    #[must_use]
    pub const fn with_patience(mut self, stale_after: Duration, forget_after: Duration) -> Self {
        (self.stale_after, self.forget_after) = (stale_after, forget_after);
        self
    }

    /// The same with histories that are thinned out.
    #[must_use]
    pub const fn with_sampling(mut self, sampling: Adaptive) -> Self {
        self.sampling = Some(sampling);
        self
    }
}

impl Default for GatherConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a value was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Refusal {
    /// It belongs to a new series, and there is no room.
    NoRoom,
    /// It has no name, too many labels, or too long ones.
    Labels,
    /// It is infinite.
    NotFinite,
    /// It is no later than what its series has.
    NotLater,
    /// It is from too far ahead.
    Ahead,
}

/// What became of a batch of values.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Intake {
    /// Values that were taken: they are readings, and were judged.
    pub taken: u64,
    /// Those of them that stay in the history.
    pub kept: u64,
    /// Values that were not taken, by reason. The first value of a counter is neither.
    pub refused: BTreeMap<Refusal, u64>,
    /// Alarms, in the order of arrival.
    pub alarms: Vec<Alarm>,
}

/// A value that its detector calls an anomaly.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Alarm {
    /// Which series.
    pub labels: Labels,
    /// When and what.
    pub sample: Sample,
    /// Which part fired, and what was expected.
    pub verdict: Verdict,
}

/// All named series.
///
/// ```
/// use skyloom_core::Timestamp;
/// use skyloom_runtime::sources::{GatherConfig, Gatherer, Kind, Point};
///
/// let mut gatherer = Gatherer::new(GatherConfig::new());
/// let at = Timestamp::from_secs;
/// let served = |second, value| Point::new("served_total", &[("job", "web")], Kind::Counter, at(second), value);
/// gatherer.take(vec![served(0, 100.0)], at(0));
/// gatherer.take(vec![served(10, 150.0)], at(10));
/// let (labels, series) = gatherer.all().next().unwrap();
/// assert_eq!(labels.to_string(), r#"{__name__="served_total:rate", job="web"}"#);
/// assert_eq!(series.samples()[0].value, 5.0); // per second
/// ```
#[derive(Debug)]
pub struct Gatherer {
    config: GatherConfig,
    index: SeriesIndex,
    tracked: Vec<Tracked>,
    derive: Derive,
}

#[derive(Debug)]
struct Tracked {
    series: Series,
    detector: Detector,
    pace: Option<Pace>,
    latest: Option<Sample>,
    score: f64,
}

impl Gatherer {
    /// No series yet.
    #[must_use]
    pub fn new(config: GatherConfig) -> Self {
        Self {
            derive: Derive::new(config.series_max),
            config,
            index: SeriesIndex::default(),
            tracked: Vec::new(),
        }
    }

    /// Takes a batch of values, those of one series in the order of time.
    pub fn take(&mut self, points: Vec<Point>, now: Timestamp) -> Intake {
        let mut intake = Intake::default();
        let latest = now.saturating_add(self.config.ahead_max);
        let mut sound = Vec::with_capacity(points.len());
        for point in points {
            if !self.is_named(&point.labels) {
                intake.refuse(Refusal::Labels, 1);
            } else if point.at > latest {
                intake.refuse(Refusal::Ahead, 1);
            } else {
                sound.push(point);
            }
        }
        let (gauges, unfollowed) = self.derive.derive(sound);
        intake.refuse(Refusal::NoRoom, unfollowed.no_room);
        intake.refuse(Refusal::NotLater, unfollowed.not_later);
        for gauge in gauges {
            self.take_gauge(gauge, now, &mut intake);
        }
        intake
    }

    fn is_named(&self, labels: &Labels) -> bool {
        let long = |text: &str| text.len() > self.config.label_bytes_max;
        !labels.get(METRIC_NAME).is_empty()
            && labels.iter().count() <= self.config.labels_max
            && !labels.iter().any(|(name, value)| long(name) || long(value))
    }

    fn take_gauge(&mut self, gauge: Point, now: Timestamp, intake: &mut Intake) {
        let sample = Sample {
            at: gauge.at,
            value: gauge.value,
        };
        if sample.value.is_nan() {
            self.end(&gauge.labels);
            return;
        }
        if !sample.value.is_finite() {
            return intake.refuse(Refusal::NotFinite, 1);
        }
        let Some(id) = self.id(&gauge.labels, now) else {
            return intake.refuse(Refusal::NoRoom, 1);
        };
        let kept_max = self.config.samples_kept_max;
        match self.tracked[id.index()].take(sample, kept_max) {
            None => intake.refuse(Refusal::NotLater, 1),
            Some((verdict, is_kept)) => {
                intake.taken += 1;
                intake.kept += u64::from(is_kept);
                if verdict.is_anomaly {
                    intake.alarms.push(Alarm {
                        labels: gauge.labels,
                        sample,
                        verdict,
                    });
                }
            }
        }
    }

    /// The number of a series, which is added where there is room for it.
    fn id(&mut self, labels: &Labels, now: Timestamp) -> Option<SeriesId> {
        if let Some(id) = self.index.id(labels) {
            return Some(id);
        }
        if self.tracked.len() >= self.config.series_max {
            tracing::debug!(%labels, %now, "no new series: there are as many as there may be");
            return None;
        }
        let id = self.index.insert(labels.clone());
        self.tracked.push(Tracked::new(self.config.sampling));
        Some(id)
    }

    /// Ends a series: it, and what was derived from it, has no reading until its next value. One that was never there is
    /// none.
    pub fn end(&mut self, labels: &Labels) {
        self.derive.end(labels);
        for ended in std::iter::once(labels.clone()).chain(derived(labels)) {
            if let Some(tracked) = self.index.id(&ended).and_then(|id| self.tracked.get_mut(id.index())) {
                tracked.latest = None;
            }
        }
    }

    /// Makes room once nine tenths of it are used: series without a value for long enough are forgotten, and the others
    /// get new numbers. Whether it did; whoever keeps numbers of series has to look them up again.
    pub(crate) fn make_room(&mut self, now: Timestamp) -> bool {
        self.derive.forget(now, self.config.forget_after);
        if self.tracked.len() < self.config.series_max / 10 * 9 {
            return false;
        }
        let forget_after = self.config.forget_after;
        let is_recent = |tracked: &Tracked| {
            let last = tracked.last();
            last.is_some_and(|last| now.saturating_since(last.at) <= forget_after)
        };
        if self.tracked.iter().all(is_recent) {
            return false;
        }
        let mut index = SeriesIndex::default();
        let mut kept = Vec::new();
        for (i, tracked) in std::mem::take(&mut self.tracked).into_iter().enumerate() {
            if let Some(labels) = self.index.labels_at(i).filter(|_| is_recent(&tracked)) {
                index.insert(labels.clone());
                kept.push(tracked);
            }
        }
        (self.index, self.tracked) = (index, kept);
        true
    }

    /// Adds names of which nothing has been measured: alerts may outlive what is known of their series.
    pub(crate) fn with_names(&mut self, add: impl FnOnce(&mut SeriesIndex)) {
        add(&mut self.index);
        let sampling = self.config.sampling;
        self.tracked.resize_with(self.index.len(), || Tracked::new(sampling));
    }

    pub(crate) const fn index(&self) -> &SeriesIndex {
        &self.index
    }

    /// The latest value of a series, unless it is stale.
    #[must_use]
    pub fn reading(&self, labels: &Labels, now: Timestamp) -> Option<f64> {
        self.value(self.index.id(labels)?, now)
    }

    pub(crate) fn value(&self, id: SeriesId, now: Timestamp) -> Option<f64> {
        let latest = self.tracked.get(id.index())?.latest?;
        (now.saturating_since(latest.at) <= self.config.stale_after).then_some(latest.value)
    }

    pub(crate) fn score(&self, id: SeriesId, now: Timestamp) -> Option<f64> {
        self.value(id, now)?;
        Some(self.tracked.get(id.index())?.score)
    }

    pub(crate) fn series_of(&self, id: SeriesId) -> Option<&Series> {
        Some(&self.tracked.get(id.index())?.series)
    }

    /// What is kept of a series.
    #[must_use]
    pub fn series(&self, labels: &Labels) -> Option<&Series> {
        self.series_of(self.index.id(labels)?)
    }

    /// By how much a value between two kept ones may differ from the earlier of them, in the unit of the series. `None` while
    /// every value is kept.
    #[must_use]
    pub fn error_bound(&self, labels: &Labels) -> Option<f64> {
        let tracked = self.tracked.get(self.index.id(labels)?.index())?;
        tracked.pace.as_ref()?.error_bound()
    }

    /// All series with their labels, in the order of arrival.
    pub fn all(&self) -> impl Iterator<Item = (&Labels, &Series)> {
        let labelled = self.tracked.iter().enumerate();
        labelled.filter_map(|(i, tracked)| Some((self.index.labels_at(i)?, &tracked.series)))
    }

    /// Number of series.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tracked.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tracked.is_empty()
    }
}

impl Intake {
    fn refuse(&mut self, why: Refusal, count: u64) {
        if count > 0 {
            *self.refused.entry(why).or_default() += count;
        }
    }

    /// All that were not taken.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.values().sum()
    }
}

impl Tracked {
    fn new(sampling: Option<Adaptive>) -> Self {
        Self {
            series: Series::default(),
            detector: Detector::light(),
            pace: sampling.map(Pace::new),
            latest: None,
            score: 0.0,
        }
    }

    /// The last value, whether or not it stayed in the history.
    fn last(&self) -> Option<Sample> {
        self.latest.or(self.series.samples().last().copied())
    }

    /// `None` when it is no later than what is there; otherwise the verdict, and whether it stays in the history.
    fn take(&mut self, sample: Sample, kept_max: usize) -> Option<(Verdict, bool)> {
        if self.last().is_some_and(|last| sample.at <= last.at) {
            return None;
        }
        let verdict = self.detector.push(sample).ok()?;
        self.score = verdict.score;
        self.latest = Some(sample);
        let keep = self.pace.as_mut().is_none_or(|pace| pace.offer(sample));
        let is_kept = keep && self.series.push(sample).is_ok();
        // Cut in strides, so that a full series is not moved for every value.
        if self.series.samples().len() > kept_max.saturating_add(kept_max / 8) {
            self.series.keep_last(kept_max);
        }
        Some((verdict, is_kept))
    }
}
