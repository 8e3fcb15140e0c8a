//! One HTTP request and its answer: scrapes, webhooks and probes. Plain HTTP/1.1 to an address that the embedder has named;
//! redirects are answers like any other, and encryption is a proxy's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

/// An `http://` address.
///
/// ```
/// use skyloom_runtime::HttpUrl;
///
/// let url: HttpUrl = "http://localhost:9100/metrics".parse()?;
/// assert_eq!(url.to_string(), "http://localhost:9100/metrics");
/// assert!("https://localhost".parse::<HttpUrl>().is_err());
/// # Ok::<(), skyloom_runtime::HttpError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpUrl {
    host: String,
    port: u16,
    path: String,
}

/// Why there is no good answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The text is no `http://host[:port][/path]`.
    #[error("read `{text}` as an address of the form http://host:port/path")]
    Url {
        /// What was given.
        text: String,
    },
    /// Nobody listens there, or the name is unknown.
    #[error("connect to `{url}`: {detail}")]
    Connect {
        /// Where.
        url: String,
        /// What was said.
        detail: String,
    },
    /// The connection ended before the answer did, or it was no HTTP.
    #[error("get an answer from `{url}`: {detail}")]
    Exchange {
        /// Where.
        url: String,
        /// What was said.
        detail: String,
    },
    /// No whole answer in time.
    #[error("get an answer from `{url}` within {within:?}")]
    TimedOut {
        /// Where.
        url: String,
        /// How long was waited.
        within: Duration,
    },
    /// The answer is longer than it may be.
    #[error("get an answer of at most `{bytes_max}` bytes from `{url}`")]
    TooLong {
        /// Where.
        url: String,
        /// The bound.
        bytes_max: usize,
    },
    /// The answer has a status that is none of success.
    #[error("get a good answer from `{url}`: it was {status}")]
    Status {
        /// Where.
        url: String,
        /// The status.
        status: u16,
    },
}

impl HttpError {
    /// Whether the same request may be sent again: a lost connection, a time-out, 408, 429 and 5xx may pass.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Url { .. } | Self::TooLong { .. } => Class::Invalid,
            Self::Connect { .. } | Self::Exchange { .. } | Self::TimedOut { .. } => Class::Transient,
            Self::Status { status, .. } => match *status {
                429 => Class::Throttled,
                408 | 500..=599 => Class::Transient,
                401 | 403 => Class::Denied,
                404 | 410 => Class::NotFound,
                _ => Class::Invalid,
            },
        }
    }
}

impl HttpUrl {
    /// Host and port, as the header `Host` has them.
    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Host and port: what tells one exporter from another.
    #[must_use]
    pub fn instance(&self) -> String {
        self.authority()
    }
}

impl FromStr for HttpUrl {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        let wrong = || HttpError::Url { text: text.to_owned() };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        // Secrets do not belong into an address: it is shown in errors and logs.
        if uri.scheme_str() != Some("http") || authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(80),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

impl TryFrom<String> for HttpUrl {
    type Error = HttpError;
    fn try_from(text: String) -> Result<Self, HttpError> {
        text.parse()
    }
}

impl From<HttpUrl> for String {
    fn from(url: HttpUrl) -> Self {
        url.to_string()
    }
}

/// What bounds an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) within: Duration,
    pub(crate) answer_bytes_max: usize,
}

/// A status and the body that came with it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// `GET`, and the body of an answer of success.
pub(crate) async fn get(url: &HttpUrl, accept: &str, bounds: Bounds) -> Result<Bytes, HttpError> {
    let request = Request::get(url.path.as_str()).header(hyper::header::ACCEPT, accept);
    good(url, request.body(Full::default()), bounds).await
}

/// `POST` of JSON; only whether it was taken counts.
pub(crate) async fn post_json(url: &HttpUrl, body: Bytes, bounds: Bounds) -> Result<(), HttpError> {
    let request = Request::post(url.path.as_str()).header(hyper::header::CONTENT_TYPE, "application/json");
    good(url, request.body(Full::new(body)), bounds).await.map(drop)
}

type Built = Result<Request<Full<Bytes>>, hyper::http::Error>;

async fn good(url: &HttpUrl, request: Built, bounds: Bounds) -> Result<Bytes, HttpError> {
    let exchange_failed = |detail: String| HttpError::Exchange {
        url: url.to_string(),
        detail,
    };
    let request = request.map_err(|error| exchange_failed(error.to_string()))?;
    let host = url.host.trim_matches(['[', ']']);
    let authority = url.authority();
    let asked = exchange((host, url.port), &authority, request, Some(bounds.answer_bytes_max));
    let answer = match timeout(bounds.within, asked).await {
        Err(_) => {
            return Err(HttpError::TimedOut {
                url: url.to_string(),
                within: bounds.within,
            });
        }
        Ok(Err(ExchangeError::Connect(detail))) => {
            let url = url.to_string();
            return Err(HttpError::Connect { url, detail });
        }
        Ok(Err(ExchangeError::TooLong)) => {
            return Err(HttpError::TooLong {
                url: url.to_string(),
                bytes_max: bounds.answer_bytes_max,
            });
        }
        Ok(Err(ExchangeError::Http(detail))) => return Err(exchange_failed(detail)),
        Ok(Ok(answer)) => answer,
    };
    match answer.status {
        200..=299 => Ok(answer.body),
        status => Err(HttpError::Status {
            url: url.to_string(),
            status,
        }),
    }
}

/// Why an exchange has no answer.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    Connect(String),
    Http(String),
    TooLong,
}

/// One request on a connection of its own; nothing outlives the future. Without a bound the body of the answer is not read.
pub(crate) async fn exchange(
    to: impl ToSocketAddrs,
    authority: &str,
    mut request: Request<Full<Bytes>>,
    answer_bytes_max: Option<usize>,
) -> Result<Answer, ExchangeError> {
    let connected = TcpStream::connect(to).await;
    let stream = connected.map_err(|error| ExchangeError::Connect(error.to_string()))?;
    let failed = |error: hyper::Error| ExchangeError::Http(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let host = authority
        .parse()
        .map_err(|_| ExchangeError::Http(format!("`{authority}` is no host")))?;
    request.headers_mut().insert(HOST, host);
    request
        .headers_mut()
        .insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
    // The connection is driven beside the exchange and dropped with it. It may end in the same moment as the answer
    // arrives: the answer counts.
    let answered = async move {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let status = answer.status().as_u16();
        let Some(bytes_max) = answer_bytes_max else {
            let body = Bytes::new();
            return Ok(Answer { status, body });
        };
        let body = Limited::new(answer.into_body(), bytes_max).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => ExchangeError::TooLong,
            None => ExchangeError::Http(error.to_string()),
        })?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    };
    tokio::pin!(answered, connection);
    tokio::select! {
        answer = &mut answered => answer,
        _ = &mut connection => answered.await,
    }
}
