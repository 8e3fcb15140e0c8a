//! The server that senders push to: `/api/v1/write` (remote write) and `/v1/metrics` (OTLP), each where its feature is on.
//!
//! It speaks plain HTTP and asks nobody who they are: bind it to loopback or a private network, or put a proxy before it.
//! Connections, bodies and times are bounded; a sender learns by the status whether to send again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::gatherer::Gatherer;
use super::point::Point;
use crate::clock::Clock;

/// Senders at the same time; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 64;
/// A body as it is sent, packed.
const BODY_BYTES_MAX: usize = 8 << 20;
/// From the first byte of a request to its last.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// A server of pushed metrics.
#[derive(Debug)]
pub struct Receiver {
    listener: TcpListener,
    gatherer: Arc<Mutex<Gatherer>>,
    clock: Arc<dyn Clock>,
}

impl Receiver {
    /// Listens; nothing is answered until [`Receiver::serve`].
    ///
    /// # Errors
    /// The operating system's, when the address cannot be bound.
    pub async fn bind(
        address: SocketAddr,
        gatherer: Arc<Mutex<Gatherer>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, std::io::Error> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            gatherer,
            clock,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> Result<SocketAddr, std::io::Error> {
        self.listener.local_addr()
    }

    /// Serves until `stop` resolves. What is under way then is cut off: senders send it again.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, stream) = tokio::select! {
                () = &mut stop => return,
                Some(_) = tasks.join_next() => continue,
                (place, Ok((stream, _))) = accepted => (place, stream),
                // Out of file descriptors, or a connection that ended before it was accepted.
                else => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (gatherer, clock) = (Arc::clone(&self.gatherer), Arc::clone(&self.clock));
            tasks.spawn(async move {
                let _place = place;
                let service = service_fn(move |request| answer(request, Arc::clone(&gatherer), Arc::clone(&clock)));
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(REQUEST_WITHIN)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection of a sender of metrics ended");
                }
            });
        }
    }
}

/// A status, with what to tell the sender's log.
type Refused = (StatusCode, String);

async fn answer(
    request: Request<Incoming>,
    gatherer: Arc<Mutex<Gatherer>>,
    clock: Arc<dyn Clock>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (status, text) = match points_of(request).await {
        Ok((points, done)) => {
            let now = clock.now();
            let intake = gatherer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(points, now);
            if intake.refused() > 0 {
                tracing::debug!(refused = ?intake.refused, "some pushed values were not taken");
            }
            done
        }
        Err(refused) => refused,
    };
    let is_json = text.starts_with('{');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    if is_json {
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    Ok(response)
}

/// The values of a request, and the answer once they are taken.
async fn points_of(request: Request<Incoming>) -> Result<(Vec<Point>, Refused), Refused> {
    let (parts, body) = request.into_parts();
    let header = |name| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value: &hyper::header::HeaderValue| value.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    };
    let (kind, encoding) = (header(CONTENT_TYPE), header(CONTENT_ENCODING));
    let path = parts.uri.path();
    if !is_served(path) {
        return Err((StatusCode::NOT_FOUND, "nothing is received here\n".to_owned()));
    }
    if parts.method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "only POST\n".to_owned()));
    }
    let read = timeout(REQUEST_WITHIN, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let body = match read {
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the body took too long\n".to_owned())),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n".to_owned()));
        }
        Ok(Err(error)) => return Err((StatusCode::BAD_REQUEST, format!("{error}\n"))),
        Ok(Ok(body)) => body.to_bytes(),
    };
    decode(path, &kind, &encoding, &body)
}

fn is_served(path: &str) -> bool {
    (cfg!(feature = "remote-write") && path == WRITE) || (cfg!(feature = "otlp") && path == METRICS)
}

const WRITE: &str = "/api/v1/write";
const METRICS: &str = "/v1/metrics";

fn decode(path: &str, kind: &str, encoding: &str, body: &[u8]) -> Result<(Vec<Point>, Refused), Refused> {
    #[cfg(feature = "remote-write")]
    if path == WRITE {
        return decode_write(kind, encoding, body);
    }
    #[cfg(feature = "otlp")]
    if path == METRICS {
        return decode_metrics(kind, encoding, body);
    }
    let _ = (path, kind, encoding, body);
    Err((StatusCode::NOT_FOUND, String::new()))
}

#[cfg(feature = "remote-write")]
fn decode_write(kind: &str, encoding: &str, body: &[u8]) -> Result<(Vec<Point>, Refused), Refused> {
    // A sender of version 2 that meets this goes back to version 1, as its specification says.
    let is_v1 = kind == "application/x-protobuf"
        || kind.replace(' ', "") == "application/x-protobuf;proto=prometheus.writerequest";
    if !is_v1 || encoding != "snappy" {
        let what = "only remote write 1.0: application/x-protobuf, snappy\n".to_owned();
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, what));
    }
    let bad = |error| (StatusCode::BAD_REQUEST, format!("failed to {error}\n"));
    let points = super::remote_write::decode_remote_write(body).map_err(bad)?;
    Ok((points, (StatusCode::NO_CONTENT, String::new())))
}

#[cfg(feature = "otlp")]
fn decode_metrics(kind: &str, encoding: &str, body: &[u8]) -> Result<(Vec<Point>, Refused), Refused> {
    use super::otlp::{OtlpEncoding, decode_otlp};
    let unsupported = |what: &str| (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{what}\n"));
    let (form, done) = match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => (OtlpEncoding::Protobuf, String::new()),
        "application/json" => (OtlpEncoding::Json, "{}".to_owned()),
        _ => return Err(unsupported("only application/x-protobuf and application/json")),
    };
    let is_gzipped = match encoding {
        "" | "identity" => false,
        "gzip" => true,
        _ => return Err(unsupported("only gzip")),
    };
    let bad = |error| (StatusCode::BAD_REQUEST, format!("failed to {error}\n"));
    let points = decode_otlp(body, form, is_gzipped).map_err(bad)?;
    Ok((points, (StatusCode::OK, done)))
}
