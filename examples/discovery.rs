//! Finding each other through a rollout, a scale-down and the loss of a region, under load, on real processes.
//!
//! The reader learns what the list of endpoints promises: it holds healthy replicas only, and a replica leaves it before it
//! is told to stop, so callers who read the list for each request lose none when something is stopped gracefully. Clients
//! ask without a pause while every replica is replaced by a new version, while two are taken away, and while all processes
//! of one region are killed with SIGKILL; what was on its way to a killed process may fail and is counted apart.

#[path = "shop/http.rs"]
mod http;
#[path = "shop/outside.rs"]
mod outside;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use clap::Parser;
use hyper::Method;
use hyper::body::Bytes;
use serde::Serialize;
use skyloom::core::RegionKey;
use skyloom::runtime::EndpointsFile;
use skyloom::{LocalConfig, LocalProcesses, Manifest, Principal, Skyloom};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::sleep;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long a request takes: long enough that some are always under way.
const WORK: Duration = Duration::from_millis(20);
/// Longest time until a killed region is healed.
const HEALED_WITHIN: Duration = Duration::from_secs(15);

/// Asks real processes without a pause while they are replaced, taken away and killed.
#[derive(Debug, Parser)]
#[command(name = "discovery")]
struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Clients that ask at the same time.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(4..=64))]
    clients: u32,
    /// Serve; used by the local driver.
    #[arg(long, hide = true)]
    serve: bool,
}

/// What the clients have met.
#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    /// Requests that failed although nobody was killed where they went.
    lost: AtomicU64,
    /// Requests to a process that was killed.
    abrupt: AtomicU64,
    /// Reads of a list without anybody in it.
    nobody: AtomicU64,
    /// Addresses of killed processes.
    killed: Mutex<BTreeSet<SocketAddr>>,
    versions: Mutex<BTreeMap<String, u64>>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Told {
    clients: u32,
    answered: u64,
    lost_graceful: u64,
    failed_abrupt: u64,
    found_nobody: u64,
    killed: usize,
    answered_by_version: BTreeMap<String, u64>,
    rollout_seconds: f64,
    scale_down_seconds: f64,
    region_healed_seconds: f64,
    left_behind: usize,
}

fn manifest(version: u32, replicas: u32) -> Result<Manifest, Failure> {
    let text = format!(
        r#"
        version = 1
        name = "discovery"
        [[service]]
        name = "web"
        replicas = {replicas}
        resources = {{ cpu = "250m", memory = "128MiB" }}
        regions = ["aws/eu-central-1", "aws/eu-west-1"]
        spread = {{ over = "region", max_skew = 1 }}
        [service.run]
        command = ["web", "--serve"]
        env = {{ VERSION = "{version}" }}
        ports = [{{ name = "http" }}]
        [service.health]
        http = {{ port = "http", path = "/healthz" }}
        interval = "200ms"
        [service.rollout]
        max_surge = 2
        max_unavailable = 1
        "#
    );
    Ok(Manifest::parse(&text, "discovery.rs")?)
}

/// Answers with its version, after a moment of work, until SIGTERM; what is under way then is finished.
async fn serve() -> Result<(), Failure> {
    let version = std::env::var("VERSION").unwrap_or_default();
    let port: u16 = std::env::var("SKYLOOM_PORT_HTTP")
        .or_else(|_| std::env::var("SKYLOOM_PORT_http"))?
        .parse()?;
    let work = move || async move {
        sleep(WORK).await;
        version
    };
    let routes = Router::new()
        .route("/", get(work))
        .route("/healthz", get(|| async { "well" }));
    let mut term = signal(SignalKind::terminate())?;
    let stop = async move {
        term.recv().await;
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, routes).with_graceful_shutdown(stop).await?)
}

/// Addresses of healthy replicas now.
fn addresses(list: &Path) -> Vec<SocketAddr> {
    let file = std::fs::read(list).ok();
    let file = file.and_then(|bytes| serde_json::from_slice::<EndpointsFile>(&bytes).ok());
    let listed = file
        .and_then(|mut file| file.services.remove("web"))
        .unwrap_or_default();
    listed
        .iter()
        .flat_map(|endpoint| endpoint.ports.values().copied())
        .collect()
}

/// Asks again and again, a replica from the list of this very moment each time.
async fn client(number: usize, list: PathBuf, counts: Arc<Counts>, stop: Arc<AtomicBool>) {
    let mut turn = number;
    while !stop.load(Ordering::Relaxed) {
        let listed = addresses(&list);
        let Some(address) = listed.get(turn % listed.len().max(1)).copied() else {
            counts.nobody.fetch_add(1, Ordering::Relaxed);
            sleep(WORK).await;
            continue;
        };
        turn += 1;
        match http::call(Method::GET, address, "/", Bytes::new()).await {
            Ok((status, version)) if status.is_success() => {
                counts.answered.fetch_add(1, Ordering::Relaxed);
                let version = String::from_utf8_lossy(&version).into_owned();
                *locked(&counts.versions).entry(version).or_default() += 1;
            }
            _ if locked(&counts.killed).contains(&address) => {
                counts.abrupt.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                counts.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn apply(sky: &Skyloom, manifest: &Manifest, me: &Principal) -> Result<Duration, Failure> {
    let begun = Instant::now();
    sky.apply(sky.plan(manifest).await?, me).await?;
    Ok(begun.elapsed())
}

/// Kills every process of one region, and heals until all are healthy again.
async fn lose_region(sky: &Skyloom, me: &Principal, counts: &Counts) -> Result<Duration, Failure> {
    let status = sky.status().await?;
    let region: RegionKey = "aws/eu-west-1".parse()?;
    let there = |machine| {
        let machine = status.machines.iter().find(|known| known.id == machine);
        machine.is_some_and(|machine| machine.site.region == region)
    };
    let victims = status.replicas.iter().filter(|replica| there(replica.machine.clone()));
    let victims: Vec<_> = victims.collect();
    // Known before they are killed, so that no failure is counted as graceful that is none.
    locked(&counts.killed).extend(victims.iter().flat_map(|victim| victim.endpoints.values().copied()));
    let begun = Instant::now();
    let list = sky.endpoints_file().display().to_string();
    for victim in &victims {
        outside::kill(&victim.replica, &list)?;
    }
    loop {
        sky.heal(me).await?;
        let now = sky.status().await?;
        let is_back = |victim: &&skyloom::runtime::ReplicaStatus| {
            let known = |other: &skyloom::runtime::ReplicaStatus| other.resource == victim.resource;
            !now.replicas.iter().any(known)
        };
        if now.healthy() == status.replicas.len() && victims.iter().all(is_back) {
            break;
        }
        if begun.elapsed() > HEALED_WITHIN {
            return Err("heal the killed region in time".into());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(begun.elapsed())
}

async fn story(arguments: &Arguments, folder: &Path) -> Result<Told, Failure> {
    let program = std::env::current_exe()?;
    let resolver = move |word: &str| (word == "web").then(|| program.clone());
    let local = LocalProcesses::open(LocalConfig::new(folder.join("processes")).with_resolver(resolver))?;
    let sky = Skyloom::builder()
        .state_dir(folder.join("state"))
        .provider(local)
        .build()?;
    let me = Principal::new("mira", []);
    apply(&sky, &manifest(1, 6)?, &me).await?;
    let (counts, stop) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let list = sky.endpoints_file();
    let mut clients = JoinSet::new();
    for number in 0..usize::try_from(arguments.clients)? {
        clients.spawn(client(number, list.clone(), Arc::clone(&counts), Arc::clone(&stop)));
    }
    let told = under_load(arguments, &sky, &me, &counts).await;
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    sky.destroy(&me).await?;
    let (rollout, scale_down, healed) = told?;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Told {
        clients: arguments.clients,
        answered: count(&counts.answered),
        lost_graceful: count(&counts.lost),
        failed_abrupt: count(&counts.abrupt),
        found_nobody: count(&counts.nobody),
        killed: locked(&counts.killed).len(),
        answered_by_version: locked(&counts.versions).clone(),
        rollout_seconds: rollout.as_secs_f64(),
        scale_down_seconds: scale_down.as_secs_f64(),
        region_healed_seconds: healed.as_secs_f64(),
        left_behind: outside::count(&list.display().to_string()),
    })
}

async fn under_load(
    arguments: &Arguments,
    sky: &Skyloom,
    me: &Principal,
    counts: &Counts,
) -> Result<(Duration, Duration, Duration), Failure> {
    let say = |text: String| {
        if !arguments.json {
            println!("{text}");
        }
    };
    let so_far = || {
        let (answered, lost) = (
            counts.answered.load(Ordering::Relaxed),
            counts.lost.load(Ordering::Relaxed),
        );
        format!("{answered} answered, {lost} lost")
    };
    let rollout = apply(sky, &manifest(2, 6)?, me).await?;
    say(format!("every replica replaced in {rollout:.1?}: {}", so_far()));
    let scale_down = apply(sky, &manifest(2, 4)?, me).await?;
    say(format!("two taken away in {scale_down:.1?}: {}", so_far()));
    let healed = lose_region(sky, me, counts).await?;
    say(format!("a region killed and healed in {healed:.1?}: {}", so_far()));
    Ok((rollout, scale_down, healed))
}

async fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let told = story(arguments, folder.path()).await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&told)?);
    } else {
        println!(
            "{} clients: {} answered, {} lost, {} failed at the {} processes that were killed",
            told.clients, told.answered, told.lost_graceful, told.failed_abrupt, told.killed
        );
    }
    assert!(told.answered_by_version.len() == 2, "both versions answered: {told:?}");
    assert!(
        told.killed > 0 && told.found_nobody == 0,
        "the others carried on: {told:?}"
    );
    Ok(told.lost_graceful == 0 && told.left_behind == 0)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = if arguments.serve {
        serve().await.map(|()| true)
    } else {
        run(&arguments).await
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::FAILURE
        }
    }
}
