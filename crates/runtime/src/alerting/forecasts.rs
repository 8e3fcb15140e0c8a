//! Forecasts that rules ask for: made when first asked, kept for a while, and only so many in one tick.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::MutexGuard;
use std::time::Duration;

use skyloom_analytics::alert::{ForecastLine, Readings, SeriesId};
use skyloom_analytics::forecast::{Fast, Forecast, ForecastConfig, forecast_with};
use skyloom_analytics::prepare::Pipeline;
use skyloom_core::{Sample, Timestamp};

use crate::sources::Gatherer;

/// New forecasts in one tick; rules over further series are told from the older ones until their turn comes.
pub const FORECASTS_PER_TICK: usize = 32;
/// Steps of a forecast: an answer beyond needs a coarser grid, not a longer loop.
const STEPS_MAX: u128 = 240;
/// The spacing of a series is the median of this many of its last gaps.
const GAPS: usize = 64;

/// How forecasts for rules are made.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ForecastPace {
    /// How long one is used before it is made anew.
    pub every: Duration,
    /// Share of the future that its interval is meant to hold.
    pub level: f64,
}

impl Default for ForecastPace {
    /// Anew every five minutes, with an interval of 90 %.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(300),
            level: 0.9,
        }
    }
}

/// What was made so far; one for each series and how far ahead it looks.
#[derive(Debug, Default)]
pub(super) struct Forecasts(BTreeMap<(SeriesId, Duration), Made>);

#[derive(Debug)]
struct Made {
    at: Timestamp,
    /// `None`: the series is too short, or its times make no grid.
    ahead: Option<Forecast>,
}

impl Forecasts {
    /// Forgets everything: series have got other numbers.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Drops those that nobody has renewed for long: their series, or their rules, are gone.
    pub(super) fn drop_old(&mut self, pace: &ForecastPace, now: Timestamp) {
        let longest = pace.every.saturating_mul(10);
        self.0.retain(|_, made| now.saturating_since(made.at) <= longest);
    }
}

/// The gathered series as rules see them at one moment.
pub(super) struct View<'a> {
    gatherer: &'a MutexGuard<'a, Gatherer>,
    forecasts: RefCell<(&'a mut Forecasts, usize)>,
    pace: ForecastPace,
    now: Timestamp,
}

impl<'a> View<'a> {
    pub(super) const fn new(
        gatherer: &'a MutexGuard<'a, Gatherer>,
        forecasts: &'a mut Forecasts,
        pace: ForecastPace,
        now: Timestamp,
    ) -> Self {
        Self {
            gatherer,
            forecasts: RefCell::new((forecasts, FORECASTS_PER_TICK)),
            pace,
            now,
        }
    }

    fn make(&self, series: SeriesId, ahead: Duration) -> Option<Forecast> {
        let samples = self.gatherer.series_of(series)?.samples();
        let step = step(samples, ahead)?;
        let prepared = Pipeline::gauge(step).ok()?.run(samples).ok()?;
        let end = samples.last()?.at;
        // From the last sample on, which may be older than now.
        let until = self.now.saturating_since(end).saturating_add(ahead);
        let horizon = usize::try_from(until.as_nanos().div_ceil(step.as_nanos())).ok()?;
        let config = ForecastConfig::new(horizon.max(1), self.pace.level).ok()?;
        let made = forecast_with(&Fast, &prepared.regular, &config).ok()?;
        Some(prepared.invert(&made))
    }
}

impl Readings for View<'_> {
    fn value(&self, series: SeriesId) -> Option<f64> {
        self.gatherer.value(series, self.now)
    }

    fn anomaly(&self, series: SeriesId) -> Option<f64> {
        self.gatherer.score(series, self.now)
    }

    fn forecast(&self, series: SeriesId, ahead: Duration, line: ForecastLine) -> Option<f64> {
        // What has no value now has no future either.
        self.value(series)?;
        let mut forecasts = self.forecasts.borrow_mut();
        let (made, left) = &mut *forecasts;
        let key = (series, ahead);
        let is_old = made
            .0
            .get(&key)
            .is_none_or(|made| self.now.saturating_since(made.at) >= self.pace.every);
        if is_old && *left > 0 {
            *left -= 1;
            let at = self.now;
            let ahead = self.make(series, ahead);
            made.0.insert(key, Made { at, ahead });
        }
        let steps = &made.0.get(&key)?.ahead.as_ref()?.steps;
        let then = self.now.saturating_add(ahead);
        let step = steps.iter().find(|step| step.at >= then).or(steps.last())?;
        let value = match line {
            ForecastLine::Lo => step.lo,
            ForecastLine::Point => step.point,
            ForecastLine::Hi => step.hi,
        };
        value.is_finite().then_some(value)
    }
}

/// The grid of a forecast: the spacing of the last samples, or coarser where the horizon asks for it. `None` for fewer than
/// three samples.
fn step(samples: &[Sample], ahead: Duration) -> Option<Duration> {
    let last = &samples[samples.len().saturating_sub(GAPS + 1)..];
    let mut gaps: Vec<Duration> = last.windows(2).map(|w| w[1].at.saturating_since(w[0].at)).collect();
    gaps.sort();
    let median = *gaps.get(gaps.len() / 2).filter(|_| gaps.len() > 1)?;
    let coarse = u64::try_from(ahead.as_nanos() / STEPS_MAX)
        .ok()
        .map(Duration::from_nanos)?;
    // Whole microseconds: times have no finer ones.
    let micros = u64::try_from(median.max(coarse).as_micros()).ok()?.max(1);
    Some(Duration::from_micros(micros))
}
