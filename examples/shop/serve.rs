//! The services of the shop: this program, started again by the local driver as `shop --serve ROLE`.
//!
//! One server for every role, told apart by its environment as the manifest gives it: with `STORE` it keeps orders as
//! files there (a database); with a list of addresses such as `BACKEND` it forwards to a replica of that service, taken
//! in turn from the live list of `SKYLOOM_ENDPOINTS`; with neither it answers by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, put};
use skyloom::runtime::EndpointsFile;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::http::call;

/// Longest that one request may keep a processor busy.
const BURN_MAX: Duration = Duration::from_secs(2);

/// What a replica knows.
#[derive(Debug)]
struct Role {
    name: String,
    store: Option<PathBuf>,
    upstream: Option<Upstream>,
    turn: AtomicUsize,
}

/// The service that a replica calls.
#[derive(Debug)]
struct Upstream {
    service: String,
    at_start: Vec<SocketAddr>,
    live: Option<PathBuf>,
}

/// Serves until SIGTERM, on every port that the driver gave.
pub(crate) async fn serve(role: &str) -> Result<(), Failure> {
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let role = Arc::new(Role {
        name: role.to_owned(),
        store: env.get("STORE").map(PathBuf::from),
        upstream: upstream(&env),
        turn: AtomicUsize::new(0),
    });
    if let Some(store) = &role.store {
        tokio::fs::create_dir_all(store).await?;
    }
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/burn", get(burn))
        .route("/orders", get(count_orders))
        .route("/orders/{id}", put(put_order))
        .fallback(|| async { "skyloom shop\n" })
        .with_state(Arc::clone(&role));
    let mut servers = Vec::new();
    for (name, port) in env
        .iter()
        .filter_map(|(k, v)| Some((k.strip_prefix("SKYLOOM_PORT_")?, v.parse::<u16>().ok()?)))
    {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("{} serves port {name} at 127.0.0.1:{port}", role.name);
        let stop = termination()?;
        servers.push(tokio::spawn(
            axum::serve(listener, routes.clone())
                .with_graceful_shutdown(stop)
                .into_future(),
        ));
    }
    if servers.is_empty() {
        termination()?.await;
    }
    for server in servers {
        server.await??;
    }
    println!("{} has stopped", role.name);
    Ok(())
}

/// Resolves at SIGTERM.
fn termination() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut term = signal(SignalKind::terminate())?;
    Ok(async move {
        term.recv().await;
    })
}

/// The first variable whose value is a list of addresses, other than the driver's own.
fn upstream(env: &BTreeMap<String, String>) -> Option<Upstream> {
    let addresses = |text: &str| {
        text.split(',')
            .map(|a| a.parse().ok())
            .collect::<Option<Vec<SocketAddr>>>()
    };
    env.iter()
        .filter(|(name, _)| !name.starts_with("SKYLOOM_"))
        .find_map(|(name, value)| {
            Some(Upstream {
                service: name.to_lowercase(),
                at_start: addresses(value)?,
                live: env.get("SKYLOOM_ENDPOINTS").map(PathBuf::from),
            })
        })
}

impl Upstream {
    /// Addresses of healthy replicas now; those known at start where the live list does not tell.
    fn addresses(&self) -> Vec<SocketAddr> {
        let read = |path: &Path| serde_json::from_slice::<EndpointsFile>(&std::fs::read(path).ok()?).ok();
        let live = self.live.as_deref().and_then(read).and_then(|file| {
            let replicas = file.services.get(self.service.as_str())?.clone();
            Some(
                replicas
                    .iter()
                    .filter_map(|r| r.ports.values().next().copied())
                    .collect::<Vec<_>>(),
            )
        });
        live.filter(|list| !list.is_empty())
            .unwrap_or_else(|| self.at_start.clone())
    }
}

impl Role {
    /// Sends the request on to the replicas in turn until one answers.
    async fn forward(&self, upstream: &Upstream, method: Method, path: &str, body: Bytes) -> (StatusCode, Bytes) {
        let addresses = upstream.addresses();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for i in 0..addresses.len() {
            let address = addresses[(first + i) % addresses.len()];
            if let Ok(answer) = call(method.clone(), address, path, body.clone()).await {
                return answer;
            }
        }
        (
            StatusCode::BAD_GATEWAY,
            Bytes::from(format!("no replica of {} answers\n", upstream.service)),
        )
    }
}

async fn healthz(State(role): State<Arc<Role>>) -> (StatusCode, String) {
    let good = role.store.as_ref().is_none_or(|store| store.is_dir());
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, format!("{}\n", role.name))
}

/// Keeps a processor busy for `ms` milliseconds: the load that the story adds.
async fn burn(Query(query): Query<BTreeMap<String, u64>>) -> StatusCode {
    let time = Duration::from_millis(query.get("ms").copied().unwrap_or(100)).min(BURN_MAX);
    let busy = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
    });
    if busy.await.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

async fn count_orders(State(role): State<Arc<Role>>) -> (StatusCode, Bytes) {
    match (&role.store, &role.upstream) {
        (Some(store), _) => match std::fs::read_dir(store) {
            Ok(entries) => (StatusCode::OK, Bytes::from(format!("{}\n", entries.count()))),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::from(format!("{error}\n"))),
        },
        (None, Some(upstream)) => role.forward(upstream, Method::GET, "/orders", Bytes::new()).await,
        (None, None) => (StatusCode::NOT_FOUND, Bytes::from_static(b"no orders here\n")),
    }
}

/// Keeps an order as a file of its own; replaced as a whole, so that a reader never sees half of it.
async fn put_order(
    State(role): State<Arc<Role>>,
    UrlPath(id): UrlPath<String>,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, Bytes) {
    let Some(store) = &role.store else {
        return match &role.upstream {
            Some(upstream) => role.forward(upstream, Method::PUT, uri.path(), body).await,
            None => (StatusCode::NOT_FOUND, Bytes::from_static(b"no orders here\n")),
        };
    };
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return (
            StatusCode::BAD_REQUEST,
            Bytes::from_static(b"an order id has letters, digits and hyphens\n"),
        );
    }
    let (beside, path) = (
        store.with_file_name(format!(".{id}.new")),
        store.join(format!("{id}.json")),
    );
    match replace(&beside, &path, &body).await {
        Ok(()) => (StatusCode::CREATED, Bytes::new()),
        Err(error) => {
            // What was written so far is of no use; if it cannot be removed either, the next attempt writes over it.
            let _ = tokio::fs::remove_file(&beside).await;
            (StatusCode::INSUFFICIENT_STORAGE, Bytes::from(format!("{error}\n")))
        }
    }
}

/// Renames only what was written as a whole: half an order never takes the place of a good one.
async fn replace(beside: &Path, path: &Path, body: &[u8]) -> std::io::Result<()> {
    tokio::fs::write(beside, body).await?;
    tokio::fs::rename(beside, path).await
}
