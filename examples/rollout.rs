//! A service of real processes gets a new version by canary; the version is no good, and the old one comes back by itself.
//!
//! The reader learns what `[service.rollout]` does: a quarter of the replicas first, then a half, each stage judged by
//! measurements that a source of the embedder's own takes. Version 2 gives wrong prices, so the measurements refuse it and
//! the generation before is brought back, while a load on the service loses no request and never fewer replicas than the
//! floor are healthy. Version 3 is good and goes all the way. `rollout --json` prints one object; the program ends with 0
//! only when all of this held.

#[path = "shop/http.rs"]
mod http;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::Method;
use axum::routing::get;
use clap::Parser;
use serde::Serialize;
use skyloom::core::Class;
use skyloom::runtime::{AnalysisSource, EndpointsFile, Measure, MeasureError};
use skyloom::{Error, LocalConfig, LocalProcesses, Manifest, Principal, Skyloom};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const REPLICAS: usize = 4;
/// `replicas - max_unavailable` of the manifest below.
const FLOOR: usize = 3;
/// What the article costs, whoever asks.
const PRICE: &str = "42";
/// After SIGTERM a replica still answers whoever has read the list of endpoints just before it left.
const DRAIN: Duration = Duration::from_millis(400);
/// Questions per measurement and replica.
const ASKED: usize = 8;

/// Rolls a service out, twice.
#[derive(Debug, Parser)]
struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Be a replica of this version; what the local driver starts.
    #[arg(long, hide = true)]
    serve: Option<String>,
}

/// What was seen.
#[derive(Debug, Serialize)]
struct Story {
    requests: u64,
    lost: u64,
    replicas: usize,
    floor: usize,
    healthy_min: usize,
    /// Why version 2 was taken back.
    refused: String,
    /// Replicas of version 1 that were made anew.
    restored: usize,
    /// What the replicas answer as, after each step.
    versions: Vec<String>,
    left_behind: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = tokio::runtime::Runtime::new()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run(&arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(version) = &arguments.serve {
        return serve(version).await;
    }
    let folder = tempfile::tempdir()?;
    let sky = Arc::new(open(folder.path())?);
    let me = Principal::new("mira", []);
    let told = tell(&sky, &me).await;
    let torn_down = sky.destroy(&me).await;
    let left_behind = sky.status().await.map_or(1, |status| status.replicas.len());
    let mut story = told?;
    torn_down?;
    story.left_behind = left_behind;
    if arguments.json {
        println!("{}", serde_json::to_string(&story)?);
    } else {
        println!("version 2: {}", story.refused);
        println!(
            "{} requests, {} lost; never fewer than {} of {} healthy, {} have to be; {} made anew; then {}",
            story.requests,
            story.lost,
            story.healthy_min,
            story.replicas,
            story.floor,
            story.restored,
            story.versions.join(", ")
        );
    }
    assert_eq!(
        (story.lost, story.left_behind),
        (0, 0),
        "no request is lost, nothing is left"
    );
    assert!(story.requests > 0 && story.healthy_min >= FLOOR, "{story:?}");
    assert!(story.refused.contains("wrong_prices"), "{story:?}");
    assert_eq!(story.versions, ["v1", "v1", "v3"]);
    Ok(())
}

fn open(folder: &Path) -> Result<Skyloom, Failure> {
    let this_program: PathBuf = std::env::current_exe()?;
    let resolver = move |word: &str| (word == "prices").then(|| this_program.clone());
    let local = LocalProcesses::open(LocalConfig::new(folder.join("processes")).with_resolver(resolver))?;
    let builder = Skyloom::builder().state_dir(folder.join("state")).provider(local);
    Ok(builder.analysis(PriceCheck).build()?)
}

fn manifest(version: &str) -> Result<Manifest, Failure> {
    let text = format!(
        r#"
version = 1
name = "prices"

[[service]]
name = "api"
replicas = {REPLICAS}
resources = {{ cpu = "50m", memory = "32MiB" }}

  [service.run]
  command = ["prices", "--serve", "{version}"]
  ports = [{{ name = "http" }}]

  [service.health]
  http = {{ port = "http", path = "/healthz" }}
  interval = "200ms"

  [service.rollout]
  strategy = "canary"
  max_unavailable = 1
  max_surge = 1
  ready_for = "300ms"
  steps = [{{ replicas = "25%", pause = "1s" }}, {{ replicas = "50%", pause = "1s" }}]
  analysis = {{ metric = "wrong_prices", below = 0.05, for = "2s", interval = "500ms", failures = 1 }}
"#
    );
    Ok(Manifest::parse(&text, "prices.toml")?)
}

async fn tell(sky: &Arc<Skyloom>, me: &Principal) -> Result<Story, Failure> {
    sky.apply(sky.plan(&manifest("v1")?).await?, me).await?;
    let mut versions = vec![version(sky).await?];
    let load = Load::begin(sky.endpoints_file());
    let reverted = match sky.apply(sky.plan(&manifest("v2")?).await?, me).await {
        Err(Error::Reverted(reverted)) => reverted,
        Err(other) => return Err(other.into()),
        Ok(_) => return Err("refuse a version with wrong prices".into()),
    };
    versions.push(version(sky).await?);
    sky.apply(sky.plan(&manifest("v3")?).await?, me).await?;
    versions.push(version(sky).await?);
    let seen = load.end().await?;
    Ok(Story {
        requests: seen.answered.load(Ordering::Relaxed) + seen.lost.load(Ordering::Relaxed),
        lost: seen.lost.load(Ordering::Relaxed),
        replicas: REPLICAS,
        floor: FLOOR,
        healthy_min: seen.healthy_min.load(Ordering::Relaxed),
        refused: reverted.cause.detail,
        restored: reverted.restored.len(),
        versions,
        left_behind: 0,
    })
}

/// The version that all healthy replicas are of.
async fn version(sky: &Skyloom) -> Result<String, Failure> {
    let endpoints = endpoints(&sky.endpoints_file())?;
    let mut versions = Vec::new();
    for address in endpoints {
        let (_, body) = http::call(Method::GET, address, "/version", "").await?;
        versions.push(String::from_utf8_lossy(&body).into_owned());
    }
    versions.dedup();
    match versions.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(format!("find one version, there are {versions:?}").into()),
    }
}

fn endpoints(file: &Path) -> Result<Vec<SocketAddr>, Failure> {
    let file: EndpointsFile = serde_json::from_slice(&std::fs::read(file)?)?;
    let replicas = file.services.into_values().flatten();
    Ok(replicas
        .filter_map(|replica| replica.ports.into_values().next())
        .collect())
}

/// Buys at new replicas and compares what they ask for with what the article costs.
#[derive(Debug)]
struct PriceCheck;

#[async_trait]
impl AnalysisSource for PriceCheck {
    async fn measure(&self, measure: &Measure) -> Result<Option<f64>, MeasureError> {
        if measure.metric != "wrong_prices" {
            return Ok(None);
        }
        let failed = |error: Failure| MeasureError::new("wrong_prices", Class::Transient, error.to_string());
        let (mut asked, mut wrong) = (0_u32, 0_u32);
        for address in measure
            .replicas
            .iter()
            .filter_map(|replica| replica.endpoints.values().next())
        {
            for _ in 0..ASKED {
                let (_, body) = http::call(Method::GET, *address, "/price", "").await.map_err(failed)?;
                asked += 1;
                wrong += u32::from(body != PRICE.as_bytes());
            }
        }
        Ok((asked > 0).then(|| f64::from(wrong) / f64::from(asked)))
    }
}

/// What a load on the service has seen.
#[derive(Debug)]
struct Seen {
    answered: AtomicU64,
    lost: AtomicU64,
    healthy_min: AtomicUsize,
    over: AtomicBool,
}

/// A load on the service: one request after the other, each to the next healthy replica, none of them repeated.
#[derive(Debug)]
struct Load {
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl Load {
    fn begin(file: PathBuf) -> Self {
        let seen = Arc::new(Seen {
            answered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            healthy_min: AtomicUsize::new(usize::MAX),
            over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut turn = 0_usize;
            while !shared.over.load(Ordering::Relaxed) {
                turn = turn.wrapping_add(1);
                one_request(&shared, &file, turn).await;
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
        Self { seen, task }
    }

    async fn end(self) -> Result<Arc<Seen>, Failure> {
        self.seen.over.store(true, Ordering::Relaxed);
        self.task.await?;
        Ok(self.seen)
    }
}

async fn one_request(seen: &Seen, file: &Path, turn: usize) {
    let healthy = endpoints(file).unwrap_or_default();
    seen.healthy_min.fetch_min(healthy.len(), Ordering::Relaxed);
    let Some(address) = turn.checked_rem(healthy.len()).map(|i| healthy[i]) else {
        seen.lost.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let answered = match http::call(Method::GET, address, "/price", "").await {
        Ok((status, _)) => status.is_success(),
        Err(_) => false,
    };
    let count = if answered { &seen.answered } else { &seen.lost };
    count.fetch_add(1, Ordering::Relaxed);
}

/// A replica: tells its version and a price until SIGTERM, and for a moment longer.
async fn serve(version: &str) -> Result<(), Failure> {
    let port: u16 = std::env::var("SKYLOOM_PORT_HTTP")?.parse()?;
    let (own, is_wrong) = (version.to_owned(), version == "v2");
    let turn = AtomicUsize::new(0);
    let price = move || {
        // Version 2 gets one price of two wrong.
        let wrong = is_wrong && turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        std::future::ready(if wrong { "24" } else { PRICE })
    };
    let price = Arc::new(price);
    let routes = Router::new()
        .route("/healthz", get(|| async { "well" }))
        .route("/version", get(move || std::future::ready(own.clone())))
        .route("/price", get(move || price()));
    let mut term = signal(SignalKind::terminate())?;
    let stop = async move {
        term.recv().await;
        tokio::time::sleep(DRAIN).await;
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, routes).with_graceful_shutdown(stop).await?;
    Ok(())
}
