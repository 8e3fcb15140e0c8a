//! The cheapest machines that hold these pods: a price list and a pod list in, a purchase with its proof out.
//!
//! The reader learns how a program asks for a fleet ([`sheets`] makes the question from two tables), how it owns the
//! clock that the engine does not have, and that an answer is judged by a checker before anybody acts on it:
//! `fleet --types types.csv --pods pods.csv --seconds 10 --out fleet.json`. In its second form the pods are the services
//! of a manifest and the prices those of several clouds, and traffic is in the cost ([`deployment`]):
//! `fleet --catalog aws-2026-07.csv.gz gcp-2026-08.csv.gz --regions aws/us-east-1,gcp/us-central1 --manifest shop.toml`.

mod catalogue;
mod decimal;
mod deployment;
mod report;
mod sheets;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use skyloom::core::{Date, RegionKey};
use skyloom::scheduler::Effort;
use skyloom::scheduler::fleet::{FleetAnswer, FleetProblem, buy, check};

use crate::catalogue::Purchases;
use crate::report::Report;

/// Whatever ends the program early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Buys the cheapest machines that hold pods or services, and says how near to the cheapest possible that is.
#[derive(Debug, Parser)]
#[command(name = "fleet")]
struct Arguments {
    /// What can be bought: columns cloud, type, cpu_milli, mem_mib, gpus, price (USD per hour), and further resources.
    #[arg(long, value_name = "FILE", requires = "pods", required_unless_present = "manifest")]
    types: Option<PathBuf>,
    /// What is to be held: columns cpu_milli, mem_mib, gpus, gpu_milli, and further resources.
    #[arg(long, value_name = "FILE", requires = "types", required_unless_present = "manifest")]
    pods: Option<PathBuf>,
    /// Price lists to buy from, of the project's columns or SkyPilot's, gzipped or not; later ones win.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "manifest")]
    catalog: Vec<PathBuf>,
    /// Regions to buy in; all that the price lists have by default.
    #[arg(long, value_name = "CLOUD/REGION", value_delimiter = ',', requires = "manifest")]
    regions: Vec<RegionKey>,
    /// Kinds of purchase.
    #[arg(long, value_enum, default_value = "any")]
    purchase: Purchases,
    /// Services to hold, TOML or YAML.
    #[arg(long, value_name = "FILE", requires = "catalog", conflicts_with = "types")]
    manifest: Option<PathBuf>,
    /// When the prices of the price lists held; by default the date in each file's name.
    #[arg(long, value_name = "DATE")]
    as_of: Option<Date>,
    /// Seconds for the whole run, reading and writing included.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Where to write the purchase.
    #[arg(long, value_name = "FILE", required_unless_present = "manifest")]
    out: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds > 0.0 => Ok(seconds),
        _ => Err("not a number of seconds above 0".to_owned()),
    }
}

fn main() -> ExitCode {
    let start = Instant::now();
    match run(&Arguments::parse(), start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments, start: Instant) -> Result<(), Failure> {
    if let Some(manifest) = &arguments.manifest {
        let Arguments {
            catalog,
            as_of,
            regions,
            purchase,
            ..
        } = arguments;
        let catalogue = catalogue::read(catalog, *as_of, regions, *purchase)?;
        return deployment::run(manifest, &catalogue, arguments.seconds, arguments.out.as_ref(), start);
    }
    let (Some(types), Some(pods), Some(out)) = (&arguments.types, &arguments.pods, &arguments.out) else {
        return Err("know what to buy for: give --types, --pods and --out".into());
    };
    let (names, problem) = sheets::read(types, pods)?;
    let answer = buy_within(&problem, arguments.seconds, start)?;
    // The chapter's assertion: an independent checker finds nothing wrong.
    if let Some(violation) = check(&problem, &answer).first() {
        return Err(format!("stand by the answer: {violation}").into());
    }
    let report = Report {
        names: &names,
        problem: &problem,
        answer: &answer,
        seconds: start.elapsed().as_secs_f64(),
    };
    report.write(out)?;
    report.show();
    Ok(())
}

/// The engine has no clock: it asks how much of its allowance is used up, and this program looks at its own.
fn buy_within(problem: &FleetProblem, seconds: f64, start: Instant) -> Result<FleetAnswer, Failure> {
    // Unfolding, checking and writing take about as long again as reading did.
    let read = start.elapsed().as_secs_f64();
    let allowed = (seconds - 0.02 - 2.0 * read).max(0.25 * seconds);
    let spent = || start.elapsed().as_secs_f64() / allowed;
    Ok(buy(problem, &mut Effort::watched(&spent))?)
}
