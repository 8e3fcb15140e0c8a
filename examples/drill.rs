//! What the loss of a region would come to, found out without losing it.
//!
//! The reader learns how to drill: a shop is brought up on the simulated cloud, its data is synchronised, and then the loss
//! of a region or a whole cloud is rehearsed by the control loop itself on a copy of the inventory, in virtual time, and
//! once more on paper. The report says how long until everything is healthy again (RTO), how old the newest surviving copy
//! of the data is (RPO), what it costs, and what would have no other place by which rule. Nothing of the shop is touched,
//! and the same seed gives the same report.
//!
//! `--lose REGION|CLOUD|REGION:ZONE` says what is lost (by default the region with the most replicas), `--manifest FILE`
//! takes another shop, `--json` prints one object. Exit code 0: everything had another place; 1: something had none;
//! 2: the manifest or the place cannot be used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde::Serialize;
use skyloom::core::{ManifestError, Timestamp};
use skyloom::orchestrator::Place;
use skyloom::orchestrator::drill::{DrillReport, Loss};
use skyloom::provider::sim::{SimCloud, SimConfig};
use skyloom::runtime::{Clock, DrillConfig};
use skyloom::{Error, Manifest, Principal, Skyloom};
use tokio::time::{Instant, sleep};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// When the story begins.
const START: Timestamp = Timestamp::from_secs(1_800_000_000);
/// From the last synchronisation to the loss.
const SINCE_SYNC: Duration = Duration::from_secs(240);
/// Exit code for input that cannot be used.
const BAD_INPUT: u8 = 2;

const SHOP: &str = r#"
version = 1
name = "shop"
[residency]
allow = ["EU"]
[budget]
usd_per_month = 2000

[[service]]
name = "database"
resources = { cpu = "2", memory = "4GiB" }
purchase = "on-demand"
data = ["orders"]
run = { command = ["database"], env = { STORE = "{data.orders}" }, ports = [{ name = "sql" }] }
health = { tcp = { port = "sql" }, interval = "2s" }

[[service]]
name = "backend"
replicas = 4
depends_on = { database = "healthy" }
resources = { cpu = "1", memory = "2GiB" }
egress = { to = "database", per_month = "40GB" }
spread = { over = "region", max_skew = 1 }
regions = ["aws/eu-central-1", "aws/eu-west-1", "gcp/europe-west3"]
run = { command = ["backend"], ports = [{ name = "http" }] }
health = { http = { port = "http", path = "/healthz" }, interval = "2s", healthy_after = 2 }

[[service]]
name = "frontend"
replicas = 3
depends_on = ["backend"]
resources = { cpu = "500m", memory = "512MiB" }
run = { command = ["frontend"], ports = [{ name = "http" }] }

[[data]]
name = "orders"
class = "regulated"
replicas = [{ cloud = "aws", region = "eu-central-1" }, { cloud = "gcp", region = "europe-west3" }]
sync = { mode = "mirror", lag_max = "5m" }
"#;

/// Rehearses the loss of a region or a cloud.
#[derive(Debug, Parser)]
#[command(name = "drill")]
struct Arguments {
    /// What is lost: `aws`, `aws/eu-central-1` or `aws/eu-central-1:a`; by default the region with the most replicas.
    #[arg(long, value_name = "PLACE")]
    lose: Option<String>,
    /// The manifest, TOML or YAML; a built-in shop by default.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// The seed of all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Follows tokio's clock, which is paused: waiting costs no time.
#[derive(Debug, Clone, Copy)]
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        START.saturating_add(self.0.elapsed())
    }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    rto_seconds: Option<f64>,
    rpo_seconds: Option<f64>,
    placed: bool,
    rehearsal: &'a DrillReport,
    dry_run: &'a DrillReport,
}

/// Simulated health is asked by command: nothing listens in the simulated cloud.
fn simulated(mut manifest: Manifest) -> Manifest {
    for service in &mut manifest.services {
        if let Some(check) = &mut service.health {
            check.probe = skyloom::core::HealthProbe::Exec {
                command: vec!["health".to_owned()],
            };
        }
    }
    manifest
}

async fn story(arguments: &Arguments, manifest: &Manifest, folder: &Path) -> Result<ExitCode, Failure> {
    let clock = Virtual(Instant::now());
    let cloud = SimCloud::new(SimConfig::new(arguments.seed, START)).following(move || clock.now());
    let builder = Skyloom::builder().state_dir(folder).provider(cloud.clone());
    let sky = builder.clock(clock).build()?;
    let me = Principal::new("mira", []);
    sky.apply(sky.plan(manifest).await?, &me).await?;
    for data in &manifest.data {
        sky.sync(&data.name, &me).await?;
    }
    sleep(SINCE_SYNC).await;

    let loss = match &arguments.lose {
        Some(text) => Loss::from(text.parse::<Place>()?),
        None => busiest(&sky).await?,
    };
    let before = cloud.at_present().oracle();
    let config = DrillConfig::rehearsal(arguments.seed);
    let rehearsal = sky.drill(&loss, &config).await?;
    let again = sky.drill(&loss, &config).await?;
    let dry_run = sky.drill(&loss, &DrillConfig::dry_run()).await?;
    if arguments.json {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let printed = Printed {
            rto_seconds: seconds(rehearsal.rto()),
            rpo_seconds: seconds(rehearsal.rpo()),
            placed: rehearsal.is_placed(),
            rehearsal: &rehearsal,
            dry_run: &dry_run,
        };
        println!("{}", serde_json::to_string(&printed)?);
    } else {
        println!("{rehearsal}\n{dry_run}");
    }
    assert_eq!(cloud.at_present().oracle(), before, "a drill touches nothing");
    assert_eq!(
        serde_json::to_string(&rehearsal)?,
        serde_json::to_string(&again)?,
        "the same seed gives the same report"
    );
    assert_eq!(rehearsal.unplaced, dry_run.unplaced, "both kinds decide alike");
    if !rehearsal.is_placed() {
        return Ok(ExitCode::FAILURE);
    }
    assert!(
        rehearsal.rto().is_some(),
        "what has a place is healthy again in the end"
    );
    Ok(ExitCode::SUCCESS)
}

/// The region with the most replicas.
async fn busiest(sky: &Skyloom) -> Result<Loss, Failure> {
    let status = sky.status().await?;
    let mut counts = BTreeMap::new();
    for replica in &status.replicas {
        let machine = status.machines.iter().find(|machine| machine.id == replica.machine);
        if let Some(machine) = machine {
            *counts.entry(machine.site.region.clone()).or_insert(0) += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    Ok(Loss::Region(most.ok_or("find a replica to lose")?.0))
}

fn read(arguments: &Arguments) -> Result<Manifest, Failure> {
    let manifest = match &arguments.manifest {
        None => Manifest::parse(SHOP, "drill.rs")?,
        Some(path) => {
            let bytes =
                std::fs::read(path).map_err(|error| Unreadable(format!("read `{}`: {error}", path.display())))?;
            Manifest::parse_bytes(&bytes, &path.display().to_string())?
        }
    };
    if let Some(place) = &arguments.lose {
        place.parse::<Place>()?;
    }
    Ok(simulated(manifest))
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreadable(String);

fn run() -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse();
    let manifest = read(&arguments)?;
    let folder = tempfile::tempdir()?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build()?;
    runtime.block_on(story(&arguments, &manifest, folder.path()))
}

fn is_bad_input(failure: &Failure) -> bool {
    let refused = matches!(
        failure.downcast_ref(),
        Some(
            Error::UnknownPlace(_)
                | Error::UnknownLoss(_)
                | Error::Graph(_)
                | Error::Place(_)
                | Error::Unsatisfied(_)
                | Error::Plan(_)
        )
    );
    refused
        || failure.is::<ManifestError>()
        || failure.is::<Unreadable>()
        || failure.is::<skyloom::orchestrator::PlaceNameError>()
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(if is_bad_input(&failure) { BAD_INPUT } else { 1 })
        }
    }
}
