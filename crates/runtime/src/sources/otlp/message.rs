//! The messages of `opentelemetry/proto/metrics/v1` that are used, by field number and by name in JSON. What is not named is
//! skipped by both.
//!
//! JSON has numbers of 64 bits as text, and leaves out what is empty.

use prost::{Message, Oneof};
use serde::{Deserialize, Deserializer};

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(super) struct $name { $($(#[$attr])* pub(super) $field: $type),* }
    )*};
}

messages! {
    /// The whole body.
    ExportMetrics {
        #[prost(message, repeated, tag = "1")]
        resource_metrics: Vec<ResourceMetrics>,
    }
    /// What one program measured.
    ResourceMetrics {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        scope_metrics: Vec<ScopeMetrics>,
    }
    /// The program.
    Resource {
        #[prost(message, repeated, tag = "1")]
        attributes: Vec<KeyValue>,
    }
    /// What one library in it measured.
    ScopeMetrics {
        #[prost(message, repeated, tag = "2")]
        metrics: Vec<Metric>,
    }
    /// Data points of one name: exactly one of the five is there.
    Metric {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, optional, tag = "5")]
        gauge: Option<Numbers>,
        #[prost(message, optional, tag = "7")]
        sum: Option<Numbers>,
        #[prost(message, optional, tag = "9")]
        histogram: Option<Histogram>,
        #[prost(message, optional, tag = "10")]
        exponential_histogram: Option<ExponentialHistogram>,
        #[prost(message, optional, tag = "11")]
        summary: Option<Summary>,
    }
    /// A gauge or a sum; a gauge has no temporality.
    Numbers {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<NumberPoint>,
        #[prost(int32, tag = "2")]
        #[serde(deserialize_with = "temporality")]
        aggregation_temporality: i32,
        #[prost(bool, tag = "3")]
        is_monotonic: bool,
    }
    /// Counts within bounds.
    Histogram {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<HistogramPoint>,
        #[prost(int32, tag = "2")]
        #[serde(deserialize_with = "temporality")]
        aggregation_temporality: i32,
    }
    /// Counts within powers.
    ExponentialHistogram {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<ExponentialPoint>,
        #[prost(int32, tag = "2")]
        #[serde(deserialize_with = "temporality")]
        aggregation_temporality: i32,
    }
    /// Quantiles that the program computed.
    Summary {
        #[prost(message, repeated, tag = "1")]
        data_points: Vec<SummaryPoint>,
    }
    /// One number.
    NumberPoint {
        #[prost(message, repeated, tag = "7")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "3")]
        #[serde(deserialize_with = "number")]
        time_unix_nano: u64,
        #[prost(double, optional, tag = "4")]
        #[serde(deserialize_with = "double")]
        as_double: Option<f64>,
        #[prost(sfixed64, optional, tag = "6")]
        #[serde(deserialize_with = "maybe_number")]
        as_int: Option<i64>,
        #[prost(uint32, tag = "8")]
        flags: u32,
    }
    /// One histogram.
    HistogramPoint {
        #[prost(message, repeated, tag = "9")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "3")]
        #[serde(deserialize_with = "number")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")]
        #[serde(deserialize_with = "number")]
        count: u64,
        #[prost(double, optional, tag = "5")]
        #[serde(deserialize_with = "double")]
        sum: Option<f64>,
        #[prost(fixed64, repeated, tag = "6")]
        #[serde(deserialize_with = "numbers")]
        bucket_counts: Vec<u64>,
        #[prost(double, repeated, tag = "7")]
        explicit_bounds: Vec<f64>,
        #[prost(uint32, tag = "10")]
        flags: u32,
    }
    /// One exponential histogram.
    ExponentialPoint {
        #[prost(message, repeated, tag = "1")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "3")]
        #[serde(deserialize_with = "number")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")]
        #[serde(deserialize_with = "number")]
        count: u64,
        #[prost(double, optional, tag = "5")]
        #[serde(deserialize_with = "double")]
        sum: Option<f64>,
        #[prost(sint32, tag = "6")]
        scale: i32,
        #[prost(fixed64, tag = "7")]
        #[serde(deserialize_with = "number")]
        zero_count: u64,
        #[prost(message, optional, tag = "8")]
        positive: Option<Buckets>,
        #[prost(message, optional, tag = "9")]
        negative: Option<Buckets>,
        #[prost(uint32, tag = "10")]
        flags: u32,
    }
    /// Counts of neighbouring powers.
    Buckets {
        #[prost(sint32, tag = "1")]
        offset: i32,
        #[prost(uint64, repeated, tag = "2")]
        #[serde(deserialize_with = "numbers")]
        bucket_counts: Vec<u64>,
    }
    /// One summary.
    SummaryPoint {
        #[prost(message, repeated, tag = "7")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "3")]
        #[serde(deserialize_with = "number")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")]
        #[serde(deserialize_with = "number")]
        count: u64,
        #[prost(double, tag = "5")]
        sum: f64,
        #[prost(message, repeated, tag = "6")]
        quantile_values: Vec<QuantileValue>,
        #[prost(uint32, tag = "8")]
        flags: u32,
    }
    /// A quantile of a summary.
    QuantileValue {
        #[prost(double, tag = "1")]
        quantile: f64,
        #[prost(double, tag = "2")]
        value: f64,
    }
    /// An attribute.
    KeyValue {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(message, optional, tag = "2")]
        value: Option<AnyValue>,
    }
    /// Its value.
    AnyValue {
        #[prost(oneof = "Scalar", tags = "1, 2, 3, 4")]
        #[serde(flatten)]
        value: Option<Scalar>,
    }
}

/// Values that can be labels; lists and maps are not.
#[derive(Clone, PartialEq, Oneof, Deserialize)]
pub(super) enum Scalar {
    /// Text.
    #[prost(string, tag = "1")]
    #[serde(rename = "stringValue")]
    String(String),
    /// Yes or no.
    #[prost(bool, tag = "2")]
    #[serde(rename = "boolValue")]
    Bool(bool),
    /// A whole number.
    #[prost(int64, tag = "3")]
    #[serde(rename = "intValue")]
    Int(#[serde(deserialize_with = "number")] i64),
    /// Any number.
    #[prost(double, tag = "4")]
    #[serde(rename = "doubleValue")]
    Double(f64),
}

/// A number, or the same as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose<T> {
    Plain(T),
    Text(String),
}

impl<T: std::str::FromStr> Loose<T> {
    fn read<E: serde::de::Error>(self) -> Result<T, E> {
        match self {
            Self::Plain(number) => Ok(number),
            Self::Text(text) => text.parse().map_err(|_| E::custom(format!("`{text}` is no number"))),
        }
    }
}

fn number<'de, D: Deserializer<'de>, T: Deserialize<'de> + std::str::FromStr>(from: D) -> Result<T, D::Error> {
    Loose::deserialize(from)?.read()
}

fn maybe_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Option::<Loose<i64>>::deserialize(from)?.map(Loose::read).transpose()
}

fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let loose = Vec::<Loose<u64>>::deserialize(from)?;
    loose.into_iter().map(Loose::read).collect()
}

/// Also `"NaN"` and `"Infinity"`, which JSON has no numbers for.
fn double<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Option::<Loose<f64>>::deserialize(from)?.map(Loose::read).transpose()
}

/// By number, or by name as some senders have it.
fn temporality<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    Ok(match Loose::<i32>::deserialize(from)? {
        Loose::Plain(number) => number,
        Loose::Text(name) if name == "AGGREGATION_TEMPORALITY_DELTA" => DELTA,
        Loose::Text(name) if name == "AGGREGATION_TEMPORALITY_CUMULATIVE" => CUMULATIVE,
        Loose::Text(_) => 0,
    })
}

/// What was added since the last point.
pub(super) const DELTA: i32 = 1;
/// The whole since the beginning.
pub(super) const CUMULATIVE: i32 = 2;
/// The bit of `flags` that says that nothing was recorded.
pub(super) const NOT_RECORDED: u32 = 1;
