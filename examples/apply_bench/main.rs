//! What a plan of thousands of steps costs: the control plane alone, on a provider that does nothing.
//!
//! The graph is layers of `--width` services; each waits for two of the layer above. Every step is written ahead and
//! synced to the store before its call, and observed after it. The reader learns what a plan, an apply and an empty plan
//! cost in processor time and memory, and that the second plan has nothing to do.
//!
//! Where things run is not the question here: one machine type is on offer, and each service goes where it fits best.

mod noop;

use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use skyloom::core::{Condition, Dependency, RetryPolicy, ServiceName};
use skyloom::orchestrator::SagaConfig;
use skyloom::scheduler::{BestFit, PlaceConfig};
use skyloom::{Catalogue, Manifest, Principal, RuntimeConfig, Skyloom};

use noop::Noop;

/// The service that all others are like.
const ONE: &str = r#"
version = 1
name = "layers"
[[service]]
name = "model"
resources = { cpu = "1m", memory = "1MiB" }
run = { command = ["noop"] }
"#;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What can be bought.
const OFFER: &str = "aws/eu-central-1 m6i.8xlarge";

/// Measures plan and apply of a layered graph.
#[derive(Debug, Parser)]
struct Arguments {
    /// Services, of one replica each.
    #[arg(long, default_value = "1000")]
    nodes: NonZeroUsize,
    /// Services per layer; 1 gives a chain.
    #[arg(long, default_value = "50")]
    width: NonZeroUsize,
    /// Where journal and state are kept.
    #[arg(long, value_enum, default_value = "dir")]
    store: StoreKind,
    /// Calls under way at the same time.
    #[arg(long, default_value = "256")]
    parallelism: NonZeroU32,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum StoreKind {
    /// A directory of this machine.
    Dir,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    nodes: usize,
    width: usize,
    store: StoreKind,
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
    /// Largest resident size of this process after the first plan.
    plan_peak_mib: f64,
    /// Largest resident size of this process.
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
            eprintln!("failed to measure: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<Measured, Failure> {
    let (nodes, width) = (arguments.nodes.get(), arguments.width.get());
    let manifest = layers(nodes, width)?;
    let folder = tempfile::tempdir()?;
    let provider = Noop::new();
    let saga = SagaConfig::new()
        .with_parallelism(arguments.parallelism)
        .with_retry(RetryPolicy::new(
            3,
            Duration::from_millis(10),
            Duration::from_millis(100),
        ));
    let place = PlaceConfig::new().with_replicas_max(u32::try_from(nodes)?);
    let sky = Skyloom::builder()
        .state_dir(folder.path())
        .provider(provider.clone())
        .catalogue(Catalogue::builtin().retain(|offer| offer.key.to_string() == OFFER))
        .config(RuntimeConfig::new().with_saga(saga).with_place(place))
        .build()?;

    let before = cpu();
    let proposal = sky.plan_with(&manifest, &BestFit).await?;
    let plan_cpu_seconds = cpu() - before;
    let plan_peak_mib = peak_mib()?;
    let steps = proposal.plan.steps.len();

    let (before, begun) = (cpu(), Instant::now());
    sky.apply(proposal, &Principal::new("bench", [])).await?;
    let (apply_cpu_seconds, apply_seconds) = (cpu() - before, begun.elapsed().as_secs_f64());

    let before = cpu();
    let second = sky.plan_with(&manifest, &BestFit).await?;
    let second_plan_cpu_seconds = cpu() - before;
    let second_plan_steps = second.plan.steps.len();
    if second_plan_steps != 0 || provider.count() != steps {
        let made = provider.count();
        return Err(format!("{steps} steps have made {made} things, and {second_plan_steps} steps are left").into());
    }
    Ok(Measured {
        nodes,
        width,
        store: arguments.store,
        steps,
        plan_cpu_seconds,
        apply_seconds,
        apply_cpu_seconds,
        second_plan_cpu_seconds,
        second_plan_steps,
        plan_peak_mib,
        peak_mib: peak_mib()?,
    })
}

/// A manifest of layers. Made from one service that is read as text, because a text may name ten thousand at most.
fn layers(nodes: usize, width: usize) -> Result<Manifest, Failure> {
    let mut manifest = Manifest::parse(ONE, "layers.toml")?;
    let model = manifest.services.remove(0);
    let name = |node: usize| ServiceName::new(format!("n{node}"));
    for node in 0..nodes {
        let mut service = model.clone();
        service.name = name(node)?;
        if let Some(above) = (node / width).checked_sub(1) {
            let mut needed = vec![node % width, (node + 1) % width];
            needed.dedup();
            for place in needed {
                service.depends_on.push(Dependency {
                    service: name(above * width + place)?,
                    condition: Condition::Healthy,
                    at: None,
                });
            }
        }
        manifest.services.push(service);
    }
    Ok(manifest)
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
        "{} services in layers of {}, {} steps",
        measured.nodes, measured.width, measured.steps
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
    println!("peak         {:.0} MiB", measured.peak_mib);
}
