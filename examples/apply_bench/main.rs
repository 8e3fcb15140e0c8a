//! What a plan of thousands of steps costs: the control plane alone, on a provider that does nothing.
//!
//! The graph is layers of `--width` services; each waits for two of the layer above. Every step is written ahead and
//! synced to the store before its call, and observed after it. The reader learns what a plan, an apply and an empty plan
//! cost in processor time and memory, that the second plan has nothing to do, and that all is gone in the end.
//!
//! Where things run is not the question here: one machine type is on offer, and each service goes where it fits best.

#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "a database that was not built in is never started")
)]
mod database;
mod layers;
mod store;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use skyloom::core::RetryPolicy;
use skyloom::orchestrator::SagaConfig;
use skyloom::provider::Noop;
use skyloom::scheduler::{BestFit, PlaceConfig};
use skyloom::{Catalogue, Event, Principal, RuntimeConfig, Skyloom};

use layers::Layers;
use store::{Backend, Chosen, StoreKind};
use tokio::sync::broadcast::{self, error::RecvError};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What can be bought.
const OFFER: &str = "aws/eu-central-1 m6i.8xlarge";

/// Measures plan and apply of a layered graph.
#[derive(Debug, Parser)]
struct Arguments {
    /// Services, of one replica each.
    #[arg(long, default_value_t = 1000)]
    nodes: usize,
    /// Services per layer; 1 gives a chain.
    #[arg(long, default_value_t = 50)]
    width: usize,
    /// Where journal and state are kept.
    #[arg(long, value_enum, default_value = "dir")]
    store: StoreKind,
    /// Address of the store: `s3://BUCKET/PREFIX`, or that of a database.
    #[arg(long)]
    url: Option<String>,
    /// Calls under way at the same time.
    #[arg(long, default_value_t = 256)]
    parallelism: u32,
    /// Gives each service a port, and the addresses of those that it waits for.
    #[arg(long)]
    ports: bool,
    /// Watches what happens meanwhile.
    #[arg(long)]
    watch: bool,
    /// Writes the graph as JSON, for a peer to carry out.
    #[arg(long)]
    graph: Option<PathBuf>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    nodes: usize,
    width: usize,
    store: StoreKind,
    /// What the store really was.
    backend: Backend,
    edges: usize,
    steps: usize,
    /// Processor time of the first plan: look, placement, steps.
    plan_cpu_seconds: f64,
    /// From the first record to the last, by the clock on the wall.
    apply_seconds: f64,
    /// Processor time of the same.
    apply_cpu_seconds: f64,
    /// Processor time of a plan with nothing to do.
    second_plan_cpu_seconds: f64,
    second_plan_steps: usize,
    /// Wall and processor time of taking all down again.
    destroy_seconds: f64,
    destroy_cpu_seconds: f64,
    /// Events that a watcher was given or told that it has missed.
    events: u64,
    /// Largest resident size of this process after the first plan.
    plan_peak_mib: f64,
    /// The same after the second plan.
    peak_mib: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).await {
        Ok(measured) => {
            show(&measured, arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("failed to {error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                eprint!(": {inner}");
                cause = inner.source();
            }
            eprintln!();
            ExitCode::from(2)
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<Measured, Failure> {
    let (nodes, width) = (arguments.nodes, arguments.width);
    if nodes == 0 || width == 0 {
        return Err(format!("lay out {nodes} nodes in layers of {width}: both have to be 1 at least").into());
    }
    let layers = Layers::new(nodes, width);
    if let Some(path) = &arguments.graph {
        layers.save(path)?;
    }
    let manifest = layers.manifest(arguments.ports)?;
    let folder = tempfile::tempdir()?;
    let provider = Noop::new();
    let Chosen {
        database: _database,
        sky,
        backend,
    } = open(arguments, folder.path(), provider.clone()).await?;

    let before = cpu();
    let proposal = sky.plan_with(&manifest, &BestFit).await?;
    let plan_cpu_seconds = cpu() - before;
    let plan_peak_mib = peak_mib()?;
    let steps = proposal.plan.steps.len();

    let watcher = arguments.watch.then(|| tokio::spawn(watch(sky.watch())));
    let me = Principal::new("bench", []);
    let (before, begun) = (cpu(), Instant::now());
    sky.apply(proposal, &me).await?;
    let (apply_cpu_seconds, apply_seconds) = (cpu() - before, begun.elapsed().as_secs_f64());

    let before = cpu();
    let second = sky.plan_with(&manifest, &BestFit).await?;
    let second_plan_cpu_seconds = cpu() - before;
    let second_plan_steps = second.plan.steps.len();
    if second_plan_steps != 0 || provider.count() != steps {
        let made = provider.count();
        return Err(format!("apply: {steps} steps have made {made} things, and {second_plan_steps} are left").into());
    }
    let peak_mib = peak_mib()?;

    let (before, begun) = (cpu(), Instant::now());
    sky.destroy(&me).await?;
    let (destroy_cpu_seconds, destroy_seconds) = (cpu() - before, begun.elapsed().as_secs_f64());
    if provider.count() != 0 {
        return Err(format!("take all down: {} things are left", provider.count()).into());
    }
    sky.close().await?;
    drop(sky);
    let events = match watcher {
        Some(watcher) => watcher.await?,
        None => 0,
    };
    Ok(Measured {
        nodes,
        width,
        store: arguments.store,
        backend,
        edges: layers.edges(),
        steps,
        plan_cpu_seconds,
        apply_seconds,
        apply_cpu_seconds,
        second_plan_cpu_seconds,
        second_plan_steps,
        destroy_seconds,
        destroy_cpu_seconds,
        events,
        plan_peak_mib,
        peak_mib,
    })
}

/// A control plane over the provider that does nothing.
async fn open(arguments: &Arguments, folder: &Path, provider: Noop) -> Result<Chosen, Failure> {
    let parallelism =
        NonZeroU32::new(arguments.parallelism).ok_or("apply with a parallelism of 0: nothing would begin")?;
    let retry = RetryPolicy::new(3, Duration::from_millis(10), Duration::from_millis(100));
    let saga = SagaConfig::new().with_parallelism(parallelism).with_retry(retry);
    let place = PlaceConfig::new().with_replicas_max(u32::try_from(arguments.nodes)?);
    let sky = Skyloom::builder()
        .state_dir(folder)
        .provider(provider)
        .catalogue(Catalogue::builtin().retain(|offer| offer.key.to_string() == OFFER))
        .config(RuntimeConfig::new().with_saga(saga).with_place(place));
    store::open(sky, arguments.store, arguments.url.as_deref()).await
}

/// Counts events to the end, those that this watcher was too slow for included.
async fn watch(mut events: broadcast::Receiver<Event>) -> u64 {
    let mut count = 0;
    loop {
        match events.recv().await {
            Ok(_) => count += 1,
            Err(RecvError::Lagged(missed)) => count += missed,
            Err(RecvError::Closed) => return count,
        }
    }
}

/// Processor time of this process, all threads, in seconds.
fn cpu() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(spent.tv_sec).unwrap_or(0),
        u32::try_from(spent.tv_nsec).unwrap_or(0),
    )
    .as_secs_f64()
}

/// The largest resident size so far, as Linux counts it.
fn peak_mib() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u32 = line
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .ok_or("the system does not tell the resident size")?
        .trim()
        .parse()?;
    Ok(f64::from(kib) / 1024.0)
}

fn show(measured: &Measured, json: bool) {
    if json {
        match serde_json::to_string(measured) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("failed to print: {error}"),
        }
        return;
    }
    println!(
        "{} services in layers of {}, {} edges, {} steps",
        measured.nodes, measured.width, measured.edges, measured.steps
    );
    println!(
        "plan         {:.3} s CPU, {:.0} MiB",
        measured.plan_cpu_seconds, measured.plan_peak_mib
    );
    println!(
        "apply        {:.3} s, {:.3} s CPU",
        measured.apply_seconds, measured.apply_cpu_seconds
    );
    println!(
        "second plan  {:.3} s CPU, {} steps",
        measured.second_plan_cpu_seconds, measured.second_plan_steps
    );
    println!(
        "destroy      {:.3} s, {:.3} s CPU",
        measured.destroy_seconds, measured.destroy_cpu_seconds
    );
    println!("peak         {:.0} MiB", measured.peak_mib);
}
