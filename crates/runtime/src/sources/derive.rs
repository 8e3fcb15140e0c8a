//! From what is exposed to what can be judged: counters become rates per second, histograms quantiles.
//!
//! Rates are increases over the time between two values, and a fall is a restart from zero, as Prometheus' `rate` has it
//! (without its extrapolation to the ends of a window: there is no window). Quantiles are those of
//! `histogram_quantile`: linear within a bucket, over what was added between two values.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_analytics::alert::{Labels, METRIC_NAME};
use skyloom_core::Timestamp;

use super::point::{Kind, Point};

/// The quantiles that a histogram gives.
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99")];
/// The label of a bucket's upper bound.
const BOUND: &str = "le";
const BUCKET: &str = "_bucket";

/// Counters of the last time.
#[derive(Debug, Default)]
pub(super) struct Derive {
    last: BTreeMap<Labels, Last>,
    counters_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Timestamp,
    value: f64,
}

/// What a counter has gained, and over how long.
struct Gain {
    by: f64,
    seconds: f64,
}

/// What could not be followed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfollowed {
    /// New counters for which there is no room.
    pub(super) no_room: u64,
    /// Values that are no later than the last of their counter, or negative, or infinite.
    pub(super) not_later: u64,
}

/// Buckets of one histogram at one moment: upper bound and gain.
type Buckets = BTreeMap<(Labels, Timestamp), Vec<(f64, f64)>>;

impl Derive {
    pub(super) fn new(counters_max: usize) -> Self {
        Self {
            last: BTreeMap::new(),
            counters_max,
        }
    }

    /// Gauges as they are, `NAME:rate` of counters, `NAME:quantile` of histograms; in the order of arrival, quantiles last.
    pub(super) fn derive(&mut self, points: Vec<Point>) -> (Vec<Point>, Unfollowed) {
        let mut out = Vec::with_capacity(points.len());
        let mut buckets = Buckets::new();
        let mut unfollowed = Unfollowed::default();
        for point in points {
            if point.kind == Kind::Gauge {
                out.push(point);
                continue;
            }
            let bound = bound_of(&point.labels);
            let Some(gain) = self.gain(&point, &mut unfollowed) else {
                continue;
            };
            match bound {
                Some(bound) => {
                    let labels = of_histogram(point.labels);
                    buckets.entry((labels, point.at)).or_default().push((bound, gain.by));
                }
                None => out.push(Point {
                    labels: of_counter(point.labels),
                    at: point.at,
                    value: gain.by / gain.seconds,
                    kind: Kind::Gauge,
                }),
            }
        }
        out.extend(
            buckets
                .into_iter()
                .flat_map(|((labels, at), gains)| quantiles(&labels, at, gains)),
        );
        (out, unfollowed)
    }

    /// `None` for the first value of a counter, and for one that cannot be used.
    fn gain(&mut self, point: &Point, unfollowed: &mut Unfollowed) -> Option<Gain> {
        if point.value.is_nan() {
            // The series ends: what follows under its name begins anew.
            self.last.remove(&point.labels);
            return None;
        }
        if !(point.value.is_finite() && point.value >= 0.0) {
            unfollowed.not_later += 1;
            return None;
        }
        let Some(last) = self.last.get_mut(&point.labels) else {
            if self.last.len() < self.counters_max {
                let (at, value) = (point.at, point.value);
                self.last.insert(point.labels.clone(), Last { at, value });
            } else {
                unfollowed.no_room += 1;
            }
            return None;
        };
        let seconds = point.at.saturating_since(last.at).as_secs_f64();
        if seconds <= 0.0 {
            unfollowed.not_later += 1;
            return None;
        }
        let before = last.value;
        *last = Last {
            at: point.at,
            value: point.value,
        };
        let by = match point.kind {
            Kind::Delta => point.value,
            _ if point.value < before => point.value,
            _ => point.value - before,
        };
        Some(Gain { by, seconds })
    }

    /// Forgets counters that have been silent for longer than this.
    pub(super) fn forget(&mut self, now: Timestamp, silent: Duration) {
        self.last.retain(|_, last| now.saturating_since(last.at) <= silent);
    }

    /// Ends a counter, so that its next value is a first one.
    pub(super) fn end(&mut self, labels: &Labels) {
        self.last.remove(labels);
    }
}

/// The series of a counter's rate.
fn of_counter(labels: Labels) -> Labels {
    let name = format!("{}:rate", labels.get(METRIC_NAME));
    labels.with(METRIC_NAME, name)
}

/// What the quantiles of a bucket's histogram have in common.
fn of_histogram(labels: Labels) -> Labels {
    let name = labels.get(METRIC_NAME);
    let name = format!("{}:quantile", name.strip_suffix(BUCKET).unwrap_or(name));
    labels.with(BOUND, "").with(METRIC_NAME, name)
}

/// The series that may have been made of one: its rate, or its histogram's quantiles.
pub(super) fn derived(labels: &Labels) -> Vec<Labels> {
    match bound_of(labels) {
        None => vec![of_counter(labels.clone())],
        Some(_) => {
            let shared = of_histogram(labels.clone());
            let of = |(_, name): &(f64, &str)| shared.clone().with("quantile", *name);
            QUANTILES.iter().map(of).collect()
        }
    }
}

/// The upper bound of a bucket; `None` for what is none.
fn bound_of(labels: &Labels) -> Option<f64> {
    let bound = Some(labels.get(BOUND)).filter(|text| !text.is_empty())?;
    labels.get(METRIC_NAME).ends_with(BUCKET).then_some(())?;
    bound.parse().ok().filter(|bound: &f64| !bound.is_nan())
}

fn quantiles(labels: &Labels, at: Timestamp, mut gains: Vec<(f64, f64)>) -> Vec<Point> {
    gains.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    // A bucket that was read a moment later than a wider one may count more: never less than the narrower ones.
    let mut most = 0.0_f64;
    for (_, gain) in &mut gains {
        most = most.max(*gain);
        *gain = most;
    }
    let shown = QUANTILES.iter().filter_map(|(share, name)| {
        Some(Point {
            labels: labels.clone().with("quantile", *name),
            at,
            value: quantile(&gains, *share)?,
            kind: Kind::Gauge,
        })
    });
    shown.collect()
}

/// By linear interpolation within the bucket where the rank falls; the highest bound where that bucket has none. `None`
/// where nothing was added, or without a last bucket for everything.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let (last, below) = buckets.split_last()?;
    let total = last.1;
    if !(last.0.is_infinite() && last.0 > 0.0 && total > 0.0 && !below.is_empty()) {
        return None;
    }
    let rank = share * total;
    let i = below.iter().position(|(_, gain)| *gain >= rank);
    let Some(i) = i else {
        return below.last().map(|(bound, _)| *bound).filter(|bound| bound.is_finite());
    };
    let (hi, count) = below[i];
    let (lo, before) = match i.checked_sub(1) {
        Some(before) => below[before],
        None if hi > 0.0 => (0.0, 0.0),
        None => (hi, 0.0),
    };
    let within = if count > before {
        (rank - before) / (count - before)
    } else {
        1.0
    };
    Some(lo + (hi - lo) * within).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(second: i64, value: f64) -> Point {
        Point::new(
            "served_total",
            &[("job", "web")],
            Kind::Counter,
            Timestamp::from_secs(second),
            value,
        )
    }

    fn values(derive: &mut Derive, point: Point) -> Vec<f64> {
        derive.derive(vec![point]).0.iter().map(|point| point.value).collect()
    }

    #[test]
    fn rates_are_gains_over_time_and_a_fall_is_a_restart() {
        let mut derive = Derive::new(9);
        let rows = [
            (0, 100.0, vec![]),
            (10, 150.0, vec![5.0]),
            (10, 160.0, vec![]),
            (20, 30.0, vec![3.0]),
            (30, f64::NAN, vec![]),
            (40, 1000.0, vec![]),
            (50, 1000.0, vec![0.0]),
        ];
        for (second, value, expected) in rows {
            assert_eq!(values(&mut derive, counter(second, value)), expected, "at {second} s");
        }
    }

    #[test]
    fn what_is_told_as_increments_gives_the_same_rates() {
        let mut derive = Derive::new(9);
        let delta = |second, value| Point {
            kind: Kind::Delta,
            ..counter(second, value)
        };
        assert!(values(&mut derive, delta(0, 7.0)).is_empty());
        assert_eq!(values(&mut derive, delta(10, 50.0)), [5.0]);
        assert_eq!(values(&mut derive, delta(20, 10.0)), [1.0]);
    }

    #[test]
    fn quantiles_are_those_of_histogram_quantile() {
        // The worked example of Prometheus' documentation: a rank within a bucket is on a straight line.
        let buckets = [(0.1, 10.0), (0.5, 60.0), (1.0, 100.0), (f64::INFINITY, 100.0)];
        assert_eq!(quantile(&buckets, 0.1), Some(0.1));
        assert!(quantile(&buckets, 0.5).is_some_and(|q| (q - 0.42).abs() < 1e-12));
        assert_eq!(quantile(&buckets, 0.8), Some(0.75));
        let beyond = [(0.1, 10.0), (f64::INFINITY, 100.0)];
        assert_eq!(quantile(&beyond, 0.5), Some(0.1));
        assert_eq!(quantile(&[(0.1, 0.0), (f64::INFINITY, 0.0)], 0.5), None);
        assert_eq!(
            quantile(&[(0.1, 3.0), (1.0, 4.0)], 0.5),
            None,
            "no bucket for everything"
        );
    }

    #[test]
    fn counters_are_bounded_and_forgotten_when_silent() {
        let mut derive = Derive::new(2);
        let named = |name: &str, second| Point::new(name, &[], Kind::Counter, Timestamp::from_secs(second), 1.0);
        let (_, unfollowed) = derive.derive(vec![named("a", 0), named("b", 50), named("c", 50)]);
        assert_eq!(unfollowed.no_room, 1);
        derive.forget(Timestamp::from_secs(60), Duration::from_secs(30));
        let (_, unfollowed) = derive.derive(vec![named("c", 60)]);
        assert_eq!(unfollowed.no_room, 0);
    }
}
