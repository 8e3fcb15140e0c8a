//! OpenTelemetry's data points as points: names, labels, totals and buckets.

use skyloom_analytics::alert::{Labels, METRIC_NAME};
use skyloom_core::Timestamp;

use super::OtlpError;
use super::message::{
    Buckets, DELTA, ExponentialPoint, ExportMetrics, HistogramPoint, KeyValue, Metric, NOT_RECORDED, NumberPoint,
    Scalar, SummaryPoint,
};
use crate::sources::point::{Kind, Point};

/// Values of one message, every bucket counted.
pub(super) const POINTS_MAX: usize = 100_000;

pub(super) fn points(message: ExportMetrics) -> Result<Vec<Point>, OtlpError> {
    let mut out = Out::default();
    for program in message.resource_metrics {
        let attributes = program.resource.map(|resource| resource.attributes).unwrap_or_default();
        let shared = of_program(&attributes);
        for metric in program.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            out.metric(&metric, &shared)?;
        }
    }
    Ok(out.points)
}

/// `job` and `instance`; the other attributes of a program stay away, as they do in Prometheus.
fn of_program(attributes: &[KeyValue]) -> Labels {
    let value = |key: &str| {
        let found = attributes.iter().find(|attribute| attribute.key == key);
        found.and_then(text).unwrap_or_default()
    };
    let name = value("service.name");
    let job = match value("service.namespace") {
        space if space.is_empty() => name,
        space => format!("{space}/{name}"),
    };
    Labels::default()
        .with("job", job)
        .with("instance", value("service.instance.id"))
}

fn text(attribute: &KeyValue) -> Option<String> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Scalar::String(text) => Some(text.clone()),
        Scalar::Bool(yes) => Some(yes.to_string()),
        Scalar::Int(number) => Some(number.to_string()),
        Scalar::Double(number) => Some(number.to_string()),
    }
}

/// Letters, digits and underscores; what else there is becomes an underscore.
fn name_of(text: &str) -> String {
    let shown = text.chars().map(|c| {
        if c.is_ascii_alphanumeric() || c == '_' || c == ':' {
            c
        } else {
            '_'
        }
    });
    let name: String = shown.collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(nanos / 1000).unwrap_or(i64::MAX))
}

const fn kind(temporality: i32) -> Kind {
    if temporality == DELTA {
        Kind::Delta
    } else {
        Kind::Counter
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^53 lose their last digits, not their rate"
)]
fn float(count: u64) -> f64 {
    count as f64
}

/// The points so far.
#[derive(Default)]
struct Out {
    points: Vec<Point>,
}

/// What the points of one data point have in common.
struct Common<'a> {
    name: &'a str,
    labels: Labels,
    at: Timestamp,
    kind: Kind,
}

impl Out {
    fn metric(&mut self, metric: &Metric, shared: &Labels) -> Result<(), OtlpError> {
        let name = name_of(&metric.name);
        let common = |attributes: &[KeyValue], nanos: u64, kind: Kind| {
            let own = attributes.iter().filter_map(|a| Some((name_of(&a.key), text(a)?)));
            let labels = own.fold(shared.clone(), |labels, (name, value)| labels.with(name, value));
            let at = at(nanos);
            Common {
                name: &name,
                labels,
                at,
                kind,
            }
        };
        for point in metric.gauge.iter().flat_map(|gauge| &gauge.data_points) {
            let common = common(&point.attributes, point.time_unix_nano, Kind::Gauge);
            self.put(&common, "", &[], value(point))?;
        }
        if let Some(sum) = &metric.sum {
            // What may also fall is a gauge by another name; its increments have no meaning on their own.
            let kind = if sum.is_monotonic {
                kind(sum.aggregation_temporality)
            } else {
                Kind::Gauge
            };
            for point in &sum.data_points {
                self.put(
                    &common(&point.attributes, point.time_unix_nano, kind),
                    "",
                    &[],
                    value(point),
                )?;
            }
        }
        if let Some(histogram) = &metric.histogram {
            let kind = kind(histogram.aggregation_temporality);
            for point in &histogram.data_points {
                self.histogram(&common(&point.attributes, point.time_unix_nano, kind), point)?;
            }
        }
        if let Some(histogram) = &metric.exponential_histogram {
            let kind = kind(histogram.aggregation_temporality);
            for point in &histogram.data_points {
                self.exponential(&common(&point.attributes, point.time_unix_nano, kind), point)?;
            }
        }
        for point in metric.summary.iter().flat_map(|summary| &summary.data_points) {
            self.summary(&common(&point.attributes, point.time_unix_nano, Kind::Counter), point)?;
        }
        Ok(())
    }

    fn put(&mut self, common: &Common<'_>, suffix: &str, more: &[(&str, &str)], value: f64) -> Result<(), OtlpError> {
        if self.points.len() == POINTS_MAX {
            return Err(OtlpError::TooMany);
        }
        let name = format!("{}{suffix}", common.name);
        let labels = common.labels.clone().with(METRIC_NAME, name);
        let labels = more
            .iter()
            .fold(labels, |labels, (name, value)| labels.with(*name, *value));
        let (at, kind) = (common.at, common.kind);
        self.points.push(Point {
            labels,
            at,
            value,
            kind,
        });
        Ok(())
    }

    fn total(&mut self, common: &Common<'_>, count: u64, sum: Option<f64>, flags: u32) -> Result<(), OtlpError> {
        self.put(common, "_count", &[], recorded(float(count), flags))?;
        match sum {
            Some(sum) => self.put(common, "_sum", &[], recorded(sum, flags)),
            None => Ok(()),
        }
    }

    fn histogram(&mut self, common: &Common<'_>, point: &HistogramPoint) -> Result<(), OtlpError> {
        self.total(common, point.count, point.sum, point.flags)?;
        let mut below = 0_u64;
        for (i, count) in point.bucket_counts.iter().enumerate() {
            below = below.saturating_add(*count);
            let bound = point
                .explicit_bounds
                .get(i)
                .map_or_else(|| "+Inf".to_owned(), f64::to_string);
            self.put(
                common,
                "_bucket",
                &[("le", &bound)],
                recorded(float(below), point.flags),
            )?;
        }
        Ok(())
    }

    /// Buckets of powers as buckets with bounds: bucket `i` reaches up to `base^(i + 1)`, `base = 2^(2^-scale)`.
    fn exponential(&mut self, common: &Common<'_>, point: &ExponentialPoint) -> Result<(), OtlpError> {
        self.total(common, point.count, point.sum, point.flags)?;
        let power = (-f64::from(point.scale)).exp2();
        let bound = |index: i64| {
            #[expect(clippy::cast_precision_loss, reason = "an index of 32 bits")]
            let index = index as f64;
            (index * power).exp2()
        };
        let mut bounds: Vec<(f64, u64)> = Vec::new();
        let indexed = |buckets: &Buckets| {
            let from = i64::from(buckets.offset);
            (from..).zip(buckets.bucket_counts.clone()).collect::<Vec<_>>()
        };
        for (index, count) in point.negative.iter().flat_map(indexed) {
            bounds.push((-bound(index), count));
        }
        bounds.push((0.0, point.zero_count));
        for (index, count) in point.positive.iter().flat_map(indexed) {
            bounds.push((bound(index + 1), count));
        }
        bounds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut below = 0_u64;
        for (bound, count) in bounds.into_iter().filter(|(bound, _)| bound.is_finite()) {
            below = below.saturating_add(count);
            let bound = bound.to_string();
            self.put(
                common,
                "_bucket",
                &[("le", &bound)],
                recorded(float(below), point.flags),
            )?;
        }
        let all = recorded(float(point.count), point.flags);
        self.put(common, "_bucket", &[("le", "+Inf")], all)
    }

    fn summary(&mut self, common: &Common<'_>, point: &SummaryPoint) -> Result<(), OtlpError> {
        self.total(common, point.count, Some(point.sum), point.flags)?;
        for quantile in &point.quantile_values {
            let gauge = Common {
                name: common.name,
                labels: common.labels.clone(),
                at: common.at,
                kind: Kind::Gauge,
            };
            let share = quantile.quantile.to_string();
            self.put(
                &gauge,
                "",
                &[("quantile", &share)],
                recorded(quantile.value, point.flags),
            )?;
        }
        Ok(())
    }
}

fn value(point: &NumberPoint) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts beyond 2^53 lose their last digits, not their rate"
    )]
    let whole = point.as_int.map(|whole| whole as f64);
    recorded(point.as_double.or(whole).unwrap_or(f64::NAN), point.flags)
}

fn recorded(value: f64, flags: u32) -> f64 {
    if flags & NOT_RECORDED == 0 { value } else { f64::NAN }
}
