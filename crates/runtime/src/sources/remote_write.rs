//! Prometheus' remote write, version 1.0: a protobuf message in Snappy's block format.
//!
//! The message has four small types, so they stand here by hand; the field numbers are those of the specification
//! (prometheus.io/docs/specs/prw/remote_write_spec). Metadata and exemplars are skipped: a name tells what is a counter.

use prost::Message;
use skyloom_analytics::alert::{Labels, METRIC_NAME};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use super::point::{Kind, Point};

/// A message once it is unpacked.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// Samples of one message; senders put 2,000 into one by default.
const SAMPLES_MAX: usize = 100_000;

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RemoteWriteError {
    /// Not in Snappy's block format.
    #[error("unpack a message of remote write: {detail}")]
    Snappy {
        /// What was said.
        detail: String,
    },
    /// Unpacked it is too long.
    #[error("unpack a message of remote write of `{bytes}` bytes: at most {MESSAGE_BYTES_MAX} are taken")]
    TooLong {
        /// What it says of itself.
        bytes: usize,
    },
    /// No such protobuf message.
    #[error("read a message of remote write: {detail}")]
    Protobuf {
        /// What was said.
        detail: String,
    },
    /// More samples than one message may have.
    #[error("take more than `{SAMPLES_MAX}` samples from one message of remote write")]
    TooMany,
}

impl RemoteWriteError {
    /// Always [`Class::Invalid`]: senders must not repeat the message.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp_ms: i64,
}

/// Reads the body of a remote-write request. Names that end in `_total`, `_bucket`, `_count` or `_sum` are counters, as the
/// naming rules of Prometheus have it; a NaN ends its series.
///
/// # Errors
/// [`RemoteWriteError`].
pub fn decode_remote_write(body: &[u8]) -> Result<Vec<Point>, RemoteWriteError> {
    let snappy = |error: snap::Error| RemoteWriteError::Snappy {
        detail: error.to_string(),
    };
    // The length is the sender's word; it is looked at before memory is taken for it.
    let bytes = snap::raw::decompress_len(body).map_err(snappy)?;
    if bytes > MESSAGE_BYTES_MAX {
        return Err(RemoteWriteError::TooLong { bytes });
    }
    let message = snap::raw::Decoder::new().decompress_vec(body).map_err(snappy)?;
    let request = WriteRequest::decode(message.as_slice()).map_err(|error| RemoteWriteError::Protobuf {
        detail: error.to_string(),
    })?;
    let samples: usize = request.timeseries.iter().map(|series| series.samples.len()).sum();
    if samples > SAMPLES_MAX {
        return Err(RemoteWriteError::TooMany);
    }
    let points = request.timeseries.into_iter().flat_map(|series| {
        let labels: Labels = series.labels.into_iter().map(|l| (l.name, l.value)).collect();
        let kind = kind(labels.get(METRIC_NAME));
        series.samples.into_iter().map(move |sample| Point {
            labels: labels.clone(),
            at: Timestamp::from_micros(sample.timestamp_ms.saturating_mul(1000)),
            value: sample.value,
            kind,
        })
    });
    Ok(points.collect())
}

fn kind(name: &str) -> Kind {
    let is_counter = ["_total", "_bucket", "_count", "_sum"]
        .iter()
        .any(|end| name.ends_with(end));
    if is_counter { Kind::Counter } else { Kind::Gauge }
}
