//! What `kill -9` in the middle of an apply costs: nothing.
//!
//! A child process brings up two hundred real processes of this machine; it is killed at a random moment, again and
//! again in a new folder. Each time the files must be readable, and a new control plane must find its way to exactly the
//! processes that were asked for: none lost, none doubled, none left over after the teardown. The reader learns what
//! `recover` is for. Linux only, because it counts processes in `/proc`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use skyloom::orchestrator::SagaConfig;
use skyloom::{LocalConfig, LocalProcesses, Manifest, Principal, RuntimeConfig, Skyloom};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Services; each waits for the one before.
const SERVICES: usize = 4;
/// How often an apply is tried after a kill: each attempt goes on where the last one stopped.
const ATTEMPTS: usize = 5;

/// Kills an apply of local processes at random moments.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// How often.
    #[arg(long, default_value_t = 3)]
    kills: u32,
    /// Processes per apply.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(4..=2000))]
    processes: u32,
    /// Chooses the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Applies in this folder and is killed; what the parent calls.
    #[arg(long, hide = true, requires = "marker")]
    child: Option<PathBuf>,
    /// What the processes are known by.
    #[arg(long, hide = true)]
    marker: Option<String>,
}

/// What the kills have come to.
#[derive(Debug, Default, Serialize)]
struct Counted {
    kills: u32,
    /// Kills after which a plan was unfinished.
    interrupted: u32,
    /// Kills after which the files could not be read.
    unreadable: u32,
    /// Processes that nobody asked for, or that outlived the teardown.
    orphans: u64,
    /// Processes beyond one per replica.
    duplicates: u64,
    /// Replicas without a process after the recovery.
    lost: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (&arguments.child, &arguments.marker) {
        (Some(folder), Some(marker)) => bring_up(folder, arguments.processes, marker).await.map(|_| true),
        _ => kill_again_and_again(&arguments).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("failed to count: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn kill_again_and_again(arguments: &Arguments) -> Result<bool, Failure> {
    let mut counted = Counted::default();
    let mut dice = arguments.seed;
    let mut undisturbed = Duration::from_secs(2);
    for round in 0..=arguments.kills {
        let folder = tempfile::tempdir()?;
        let marker = format!("86400.{:08}{round:04}", std::process::id());
        let begun = Instant::now();
        let mut child = spawn(folder.path(), arguments, &marker)?;
        if round == 0 {
            // The first one is left alone, to know how long an apply takes.
            child.wait()?;
            undisturbed = begun.elapsed();
        } else {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let share = u32::try_from(dice >> 40).unwrap_or(0) % 1000;
            tokio::time::sleep(undisturbed * share / 1000).await;
            child.kill()?;
            child.wait()?;
            counted.kills += 1;
        }
        if let Err(error) = account(folder.path(), arguments.processes, &marker, &mut counted).await {
            sweep(&marker)?;
            return Err(error);
        }
    }
    show(&counted, arguments.json)?;
    let wrong = counted.orphans + counted.duplicates + counted.lost + u64::from(counted.unreadable);
    Ok(wrong == 0)
}

fn spawn(folder: &Path, arguments: &Arguments, marker: &str) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--child").arg(folder).arg("--marker").arg(marker);
    command.arg("--processes").arg(arguments.processes.to_string());
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?)
}

/// Goes on after a kill, counts what truly runs, takes all down, counts again.
async fn account(folder: &Path, processes: u32, marker: &str, counted: &mut Counted) -> Result<(), Failure> {
    let sky = match bring_up(folder, processes, marker).await {
        Ok((sky, interrupted)) => {
            counted.interrupted += u32::from(interrupted);
            sky
        }
        Err(error) => {
            eprintln!("failed to go on: {error}");
            counted.unreadable += 1;
            sweep(marker)?;
            return Ok(());
        }
    };
    let status = sky.status().await?;
    let asked = u64::from(processes);
    let running = running(marker)?.len() as u64;
    let healthy = status.healthy() as u64;
    counted.lost += asked.saturating_sub(healthy);
    counted.duplicates += running.saturating_sub(asked);
    counted.orphans += status.strangers.len() as u64;
    sky.destroy(&Principal::new("operator", [])).await?;
    counted.orphans += sweep(marker)?;
    Ok(())
}

/// Brings the processes up from wherever things are; also tells whether a plan was unfinished.
async fn bring_up(folder: &Path, processes: u32, marker: &str) -> Result<(Skyloom, bool), Failure> {
    let local = LocalProcesses::open(LocalConfig::new(folder.join("processes")))?;
    let saga = SagaConfig::new().with_parallelism(std::num::NonZeroU32::MIN.saturating_add(19));
    let sky = Skyloom::builder()
        .state_dir(folder.join("state"))
        .provider(local)
        .config(RuntimeConfig::new().with_saga(saga))
        .build()?;
    let me = Principal::new("operator", []);
    let manifest = Manifest::parse(&manifest(processes, marker)?, "processes.toml")?;
    let interrupted = sky.interrupted().await.is_some();
    sky.recover(&me).await?;
    for _ in 0..ATTEMPTS {
        let proposal = sky.plan(&manifest).await?;
        if proposal.plan.is_empty() {
            return Ok((sky, interrupted));
        }
        sky.apply(proposal, &me).await?;
    }
    Err("there is always something left to do".into())
}

fn manifest(processes: u32, marker: &str) -> Result<String, Failure> {
    let mut text = String::from("version = 1\nname = \"sleepers\"\n[residency]\nallow = [\"EU\"]\n");
    let each = processes as usize / SERVICES;
    for service in 0..SERVICES {
        let replicas = if service == 0 {
            processes as usize - each * (SERVICES - 1)
        } else {
            each
        };
        write!(
            text,
            "[[service]]\nname = \"s{service}\"\nreplicas = {replicas}\nresources = {{ cpu = \"10m\", memory = \"8MiB\" }}\n\
             run = {{ command = [\"sleep\", \"{marker}\"] }}\n"
        )?;
        if let Some(before) = service.checked_sub(1) {
            writeln!(text, "depends_on = [\"s{before}\"]")?;
        }
    }
    Ok(text)
}

/// Processes that run `sleep` with this marker.
fn running(marker: &str) -> Result<Vec<i32>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that ends while it is looked at is not there.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if words.first().is_some_and(|word| word.ends_with(b"sleep")) && words.get(1) == Some(&marker.as_bytes()) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Ends whatever is left with this marker, and says how much that was.
fn sweep(marker: &str) -> Result<u64, Failure> {
    let left = running(marker)?;
    for pid in &left {
        if let Some(pid) = rustix::process::Pid::from_raw(*pid) {
            // Gone already is as good.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    Ok(left.len() as u64)
}

fn show(counted: &Counted, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string(counted)?);
        return Ok(());
    }
    println!(
        "{} kills, {} of them in the middle of a plan",
        counted.kills, counted.interrupted
    );
    println!("  unreadable: {}", counted.unreadable);
    println!("  orphans:    {}", counted.orphans);
    println!("  duplicates: {}", counted.duplicates);
    println!("  lost:       {}", counted.lost);
    Ok(())
}
