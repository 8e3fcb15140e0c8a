//! Spot under a deadline: what every policy of the table pays over recorded traces, against on demand and the optimum.
//!
//! The reader learns how much of the saving of somebody who knows the future a policy reaches that does not, that no
//! policy misses a deadline under the safety net, and how little a trace file needs. The columns of the file are
//! `kind,nodes,collection,zone,resource,gap_seconds,points,max_value,mean_value,rle`, where `rle` is
//! `value*count;value*count;…`; without a file, a synthetic trace is replayed.

mod race;
mod traces;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use race::{Race, Report};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Replays policies for spot under a deadline.
#[derive(Debug, Parser)]
struct Arguments {
    /// CSV file of traces; a synthetic trace without it.
    #[arg(long)]
    traces: Option<PathBuf>,
    /// Name of a policy, or `all`.
    #[arg(long, default_value = "all")]
    policy: String,
    /// Hours of work.
    #[arg(long, default_value_t = 24.0)]
    work_hours: f64,
    /// Deadline over work.
    #[arg(long, default_value_t = 1.5)]
    slack: f64,
    /// Dollars per hour on demand.
    #[arg(long, default_value = "3.06")]
    on_demand_price: String,
    /// Dollars per hour as spot.
    #[arg(long, default_value = "0.918")]
    spot_price: String,
    /// Paid minutes without progress after each start.
    #[arg(long, default_value_t = 6.0)]
    overhead_minutes: f64,
    /// Most minutes of work that an eviction takes: the time between two checkpoints.
    #[arg(long, default_value_t = 0.0)]
    loss_minutes: f64,
    /// Starts per trace, evenly over it.
    #[arg(long, default_value_t = 16)]
    starts: usize,
    /// Use traces of one collection and resource, in several zones at the same time, as one market.
    #[arg(long)]
    together: bool,
    /// Only every second trace: `0` the even ones, `1` the odd ones (a check that nothing was fitted to the others).
    #[arg(long)]
    half: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
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
    let mut tracks = match &arguments.traces {
        Some(path) => traces::read(path)?,
        None => vec![traces::synthetic()?],
    };
    if arguments.together {
        tracks = traces::together(tracks);
    }
    if let Some(half) = arguments.half {
        tracks = tracks.into_iter().skip(half % 2).step_by(2).collect();
    }
    let report = Race::new(arguments)?.run(&tracks)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    assertion(&report)
}

/// The chapter's assertion: nobody is late, and nobody beats somebody who knows the future.
fn assertion(report: &Report) -> Result<(), Failure> {
    if report.missed > 0 {
        return Err(format!("meet {} deadlines", report.missed).into());
    }
    match report.total.iter().find(|entry| entry.ratio < report.optimum) {
        Some(entry) => Err(format!("believe `{}`: it costs less than the optimum", entry.policy).into()),
        None => Ok(()),
    }
}
