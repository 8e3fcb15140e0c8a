//! OpenTelemetry's metrics over HTTP (OTLP 1.x): protobuf or its JSON form, plain or gzipped.
//!
//! Names and attributes become names and labels as OpenTelemetry's rules for Prometheus have it: dots become underscores,
//! `service.name` is the job. The messages are in `message`, by hand: the generated tree brings a gRPC stack.

mod message;
mod points;

use std::io::Read;

use prost::Message;
use skyloom_core::Class;
use thiserror::Error;

use self::message::ExportMetrics;
use super::point::Point;

/// A message once it is unpacked.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpEncoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// Not gzipped, though it was said to be.
    #[error("unpack a message of OpenTelemetry: {detail}")]
    Gzip {
        /// What was said.
        detail: String,
    },
    /// Unpacked it is too long.
    #[error("unpack a message of OpenTelemetry of more than `{MESSAGE_BYTES_MAX}` bytes")]
    TooLong,
    /// No such message.
    #[error("read a message of OpenTelemetry: {detail}")]
    Form {
        /// What was said.
        detail: String,
    },
    /// More data points than one message may have.
    #[error("take more than `{}` values from one message of OpenTelemetry", points::POINTS_MAX)]
    TooMany,
}

impl OtlpError {
    /// Always [`Class::Invalid`]: senders must not repeat the message.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// Reads the body of a request to `/v1/metrics`.
///
/// Sums that only rise are counters, told as totals or as increments; histograms, exponential ones too, become buckets with
/// the label `le`; what is marked as not recorded is NaN, which ends its series.
///
/// # Errors
/// [`OtlpError`].
pub fn decode_otlp(body: &[u8], encoding: OtlpEncoding, is_gzipped: bool) -> Result<Vec<Point>, OtlpError> {
    let unpacked;
    let body = if is_gzipped {
        unpacked = unpack(body)?;
        unpacked.as_slice()
    } else {
        body
    };
    let form = |detail: String| OtlpError::Form { detail };
    let message = match encoding {
        OtlpEncoding::Protobuf => ExportMetrics::decode(body).map_err(|error| form(error.to_string()))?,
        OtlpEncoding::Json => serde_json::from_slice(body).map_err(|error| form(error.to_string()))?,
    };
    points::points(message)
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, OtlpError> {
    let mut unpacked = Vec::new();
    let limit = MESSAGE_BYTES_MAX as u64 + 1;
    let read = flate2::read::GzDecoder::new(body)
        .take(limit)
        .read_to_end(&mut unpacked);
    read.map_err(|error| OtlpError::Gzip {
        detail: error.to_string(),
    })?;
    if unpacked.len() > MESSAGE_BYTES_MAX {
        return Err(OtlpError::TooLong);
    }
    Ok(unpacked)
}
