//! Autoscaling tried on recorded loads before it is switched on: the reactive rule of Kubernetes, the same with a forecast
//! floor, and a clairvoyant that knows what comes.
//!
//! The reader learns what looking ahead buys and costs: `autoscale` alone replays a synthetic day (after two days of history),
//! `autoscale --trace FILE.csv.gz …` adds recorded arrivals (columns `TIMESTAMP, ContextTokens, GeneratedTokens`). What is
//! late and what is paid come from `skyloom::analytics::scale::replay`; the forecast sees the past only.

mod load;
mod rules;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use skyloom::analytics::scale::{ReplayOutcome, clairvoyant, replay};

use crate::load::Load;
use crate::rules::{Ahead, TARGET, reactive};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Replays loads under three rules.
#[derive(Debug, Parser)]
struct Arguments {
    /// Recorded arrivals, gzipped CSV.
    #[arg(long)]
    trace: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut loads = vec![load::synthetic_day()?];
    for path in &arguments.trace {
        loads.push(load::trace(path)?);
    }
    println!(
        "{:<44} {:>8} {:>8} {:>14} {:>8}",
        "", "late", "steps", "replica hours", "changes"
    );
    for load in &loads {
        compare(load)?;
    }
    Ok(())
}

fn compare(load: &Load) -> Result<(), Failure> {
    let Load {
        config, values, max, ..
    } = load;
    let mut hpa = reactive(*max)?;
    let hpa = replay(config, values, |seen| hpa.decide(seen))?;
    let mut ahead = Ahead::new(load)?;
    let ahead = replay(config, values, |seen| ahead.decide(seen))?;
    let plan = clairvoyant(config, values, 1.0, 1, *max)?;
    let mut plan = plan.into_iter();
    let best = replay(config, values, |seen| plan.next().unwrap_or(seen.replicas))?;
    println!("{} ({} replicas at first)", load.name, config.replicas);
    show("reactive (HPA's rule)", &hpa);
    show("with a forecast floor", &ahead);
    show("clairvoyant", &best);
    // The chapter's assertion: looking ahead never serves more late, knowing serves nothing late but what the start finds
    // unprepared, and costs the least.
    if ahead.violated > hpa.violated + 1e-9 || best.violated > hpa.violated || best.replica_hours > ahead.replica_hours
    {
        return Err(format!("gain by looking ahead on `{}` (target {TARGET})", load.name).into());
    }
    Ok(())
}

fn show(name: &str, outcome: &ReplayOutcome) {
    println!(
        "  {name:<42} {:>7.3}% {:>8} {:>14.2} {:>8}",
        100.0 * outcome.violated,
        outcome.steps_violated,
        outcome.replica_hours,
        outcome.changes
    );
}
