//! Metrics that are pushed: remote write and OpenTelemetry, over a real socket, written by an encoder of the test's own.
#![cfg(all(feature = "remote-write", feature = "otlp"))]

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use skyloom_analytics::alert::METRIC_NAME;
use skyloom_core::Timestamp;
use skyloom_runtime::Clock;
use skyloom_runtime::sources::{
    GatherConfig, Gatherer, Kind, OtlpEncoding, OtlpError, Point, Receiver, RemoteWriteError, decode_otlp,
    decode_remote_write,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Protobuf's wire format, as little of it as the messages need.
#[derive(Debug, Clone, Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
        self
    }

    fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        let mut tagged = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        tagged.0.extend_from_slice(bytes);
        tagged
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn part(self, field: u64, part: &Self) -> Self {
        self.bytes(field, &part.0)
    }

    fn number(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    fn fixed(self, field: u64, bits: u64) -> Self {
        let mut tagged = self.varint(field << 3 | 1);
        tagged.0.extend_from_slice(&bits.to_le_bytes());
        tagged
    }

    fn double(self, field: u64, value: f64) -> Self {
        self.fixed(field, value.to_bits())
    }
}

fn label(name: &str, value: &str) -> Wire {
    Wire::default().text(1, name).text(2, value)
}

/// A series with samples `(milliseconds, value)`.
fn series(name: &str, samples: &[(i64, f64)]) -> Wire {
    let labels = Wire::default()
        .part(1, &label("__name__", name))
        .part(1, &label("job", "web"));
    samples.iter().fold(labels, |series, (at, value)| {
        let sample = Wire::default().double(1, *value).number(2, u64::try_from(*at).unwrap());
        series.part(2, &sample)
    })
}

fn packed(all: &[Wire]) -> Vec<u8> {
    let request = all.iter().fold(Wire::default(), |request, one| request.part(1, one));
    snap::raw::Encoder::new().compress_vec(&request.0).unwrap()
}

#[test]
fn a_message_of_remote_write_is_read() {
    let body = packed(&[
        series("served_total", &[(1000, 7.0), (2000, 9.0)]),
        series("queue", &[(1000, 4.5)]),
    ]);
    let points = decode_remote_write(&body).unwrap();
    let point =
        |name, kind, second, value| Point::new(name, &[("job", "web")], kind, Timestamp::from_secs(second), value);
    let expected = [
        point("served_total", Kind::Counter, 1, 7.0),
        point("served_total", Kind::Counter, 2, 9.0),
        point("queue", Kind::Gauge, 1, 4.5),
    ];
    assert_eq!(points, expected);
}

#[test]
fn a_message_that_lies_about_its_length_takes_no_memory() {
    // Snappy's length first: four gigabytes, and then nothing.
    let body = Wire::default().varint(0xffff_ffff).0;
    let error = decode_remote_write(&body).unwrap_err();
    assert!(
        matches!(
            error,
            RemoteWriteError::TooLong { .. } | RemoteWriteError::Snappy { .. }
        ),
        "{error}"
    );
}

proptest! {
    /// No bytes make a decoder panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_remote_write(&bytes);
        let packed = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
        let _ = decode_remote_write(&packed);
        for encoding in [OtlpEncoding::Protobuf, OtlpEncoding::Json] {
            for is_gzipped in [false, true] {
                let _ = decode_otlp(&bytes, encoding, is_gzipped);
            }
        }
    }
}

/// A counter, a gauge, a histogram, an exponential one and a summary, as OpenTelemetry's JSON.
const METRICS: &str = r#"{"resourceMetrics": [{
  "resource": {"attributes": [
    {"key": "service.name", "value": {"stringValue": "web"}},
    {"key": "service.instance.id", "value": {"stringValue": "a"}},
    {"key": "tags", "value": {"arrayValue": {"values": []}}}]},
  "scopeMetrics": [{"scope": {"name": "x"}, "metrics": [
    {"name": "http.requests", "unit": "1", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
      {"attributes": [{"key": "http.code", "value": {"intValue": "200"}}], "timeUnixNano": "5000000000", "asInt": "41"}]}},
    {"name": "heap", "gauge": {"dataPoints": [{"timeUnixNano": 5000000000, "asDouble": 2.5},
      {"attributes": [{"key": "old", "value": {"boolValue": true}}], "timeUnixNano": "5000000000", "flags": 1}]}},
    {"name": "took", "histogram": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA", "dataPoints": [
      {"timeUnixNano": "5000000000", "count": "6", "sum": 3.5, "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.5, 1]}]}},
    {"name": "size", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [
      {"timeUnixNano": "5000000000", "count": "7", "sum": 9, "scale": 0, "zeroCount": "1",
       "positive": {"offset": 1, "bucketCounts": ["2", "3"]}, "negative": {"offset": 0, "bucketCounts": ["1"]}}]}},
    {"name": "wait", "summary": {"dataPoints": [{"timeUnixNano": "5000000000", "count": "3", "sum": 1.5,
      "quantileValues": [{"quantile": 0.5, "value": 0.25}]}]}}
  ]}]}]}"#;

fn rows(points: &[Point]) -> Vec<(String, String, Kind, f64)> {
    let row = |point: &Point| {
        let rest = point
            .labels
            .iter()
            .filter(|(name, _)| !["__name__", "job", "instance"].contains(name));
        let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!((point.labels.get("job"), point.labels.get("instance")), ("web", "a"));
        assert_eq!(point.at, Timestamp::from_secs(5));
        (
            point.labels.get(METRIC_NAME).to_owned(),
            rest.join(","),
            point.kind,
            point.value,
        )
    };
    points.iter().map(row).collect()
}

#[test]
fn every_sort_of_metric_of_opentelemetry_is_read() {
    let points = decode_otlp(METRICS.as_bytes(), OtlpEncoding::Json, false).unwrap();
    let mut found = rows(&points);
    let recorded_nothing = found.remove(2);
    assert!(recorded_nothing.3.is_nan() && recorded_nothing.1 == "old=true");
    let expected = [
        ("http_requests", "http_code=200", Kind::Counter, 41.0),
        ("heap", "", Kind::Gauge, 2.5),
        ("took_count", "", Kind::Delta, 6.0),
        ("took_sum", "", Kind::Delta, 3.5),
        ("took_bucket", "le=0.5", Kind::Delta, 1.0),
        ("took_bucket", "le=1", Kind::Delta, 3.0),
        ("took_bucket", "le=+Inf", Kind::Delta, 6.0),
        ("size_count", "", Kind::Counter, 7.0),
        ("size_sum", "", Kind::Counter, 9.0),
        // Scale 0: powers of two. Bucket 0 of the negative ones holds -2 to -1, buckets 1 and 2 of the positive ones up
        // to 4 and 8.
        ("size_bucket", "le=-1", Kind::Counter, 1.0),
        ("size_bucket", "le=0", Kind::Counter, 2.0),
        ("size_bucket", "le=4", Kind::Counter, 4.0),
        ("size_bucket", "le=8", Kind::Counter, 7.0),
        ("size_bucket", "le=+Inf", Kind::Counter, 7.0),
        ("wait_count", "", Kind::Counter, 3.0),
        ("wait_sum", "", Kind::Counter, 1.5),
        ("wait", "quantile=0.5", Kind::Gauge, 0.25),
    ];
    assert_eq!(
        found,
        expected.map(|(name, labels, kind, value)| (name.to_owned(), labels.to_owned(), kind, value))
    );
}

/// A counter of 41 as protobuf.
fn counted() -> Vec<u8> {
    let attribute = |key: &str, value: &str| {
        let value = Wire::default().text(1, value);
        Wire::default().text(1, key).part(2, &value)
    };
    let point = Wire::default().fixed(3, 5_000_000_000).fixed(6, 41);
    let sum = Wire::default().part(1, &point).number(2, 2).number(3, 1);
    let metric = Wire::default().text(1, "http.requests").text(2, "of all").part(7, &sum);
    let resource = Wire::default()
        .part(1, &attribute("service.name", "web"))
        .part(1, &attribute("service.instance.id", "a"));
    let scope = Wire::default().part(2, &metric);
    let program = Wire::default().part(1, &resource).part(2, &scope);
    Wire::default().part(1, &program).0
}

#[test]
fn protobuf_says_the_same_as_json() {
    let points = decode_otlp(&counted(), OtlpEncoding::Protobuf, false).unwrap();
    assert_eq!(
        rows(&points),
        [("http_requests".to_owned(), String::new(), Kind::Counter, 41.0)]
    );
}

#[test]
fn a_gzip_bomb_is_refused() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0_u8; 1 << 20];
    for _ in 0..40 {
        packed.write_all(&zeros).unwrap();
    }
    let body = packed.finish().unwrap();
    assert_eq!(decode_otlp(&body, OtlpEncoding::Json, true), Err(OtlpError::TooLong));
}

#[derive(Debug)]
struct At(i64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0)
    }
}

/// Sends a request as bytes and gives the status line.
async fn post(to: SocketAddr, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head = format!(
        "{head}Host: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses may stop reading.
    let _ = stream.write_all(body).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_are_answered_by_status_and_their_series_are_gathered() {
    let gatherer = Arc::new(Mutex::new(Gatherer::new(GatherConfig::new())));
    let any = "127.0.0.1:0".parse().unwrap();
    let receiver = Receiver::bind(any, Arc::clone(&gatherer), Arc::new(At(20)))
        .await
        .unwrap();
    let to = receiver.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(receiver.serve(async { drop(stopped.await) }));
    let write = "POST /api/v1/write HTTP/1.1\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
    let otlp = "POST /v1/metrics HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n";
    let json = "POST /v1/metrics HTTP/1.1\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let good = packed(&[series("served_total", &[(1000, 7.0), (2000, 9.0)])]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(METRICS.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let version_two = "POST /api/v1/write HTTP/1.1\r\nContent-Encoding: snappy\r\n\
        Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n";
    let long = vec![0_u8; 9 << 20];
    let rows: [(&str, &[u8], &str); 9] = [
        (write, &good, "204"),
        (write, b"\xff\xff", "400"),
        (version_two, &good, "415"),
        (write, &long, "413"),
        (otlp, &counted(), "200"),
        (otlp, b"\xff\xff", "400"),
        (json, &gzip, "200"),
        ("GET /v1/metrics HTTP/1.1\r\n", b"", "405"),
        ("POST /elsewhere HTTP/1.1\r\n", b"", "404"),
    ];
    for (i, (head, body, expected)) in rows.into_iter().enumerate() {
        let status = post(to, head, body).await;
        // A refused body of megabytes may end as a reset before the status is read.
        let is_reset = body.len() > 1 << 20 && status.is_empty();
        assert!(status.contains(expected) || is_reset, "request {i}: {status}");
    }
    let names: Vec<String> = {
        let gatherer = gatherer.lock().unwrap();
        gatherer
            .all()
            .map(|(labels, _)| labels.get(METRIC_NAME).to_owned())
            .collect()
    };
    assert!(
        ["served_total:rate", "heap"]
            .iter()
            .all(|name| names.iter().any(|n| n == name)),
        "{names:?}"
    );
    drop(stop);
    serving.await.unwrap();
    assert!(TcpStream::connect(to).await.is_err(), "it has stopped listening");
}
