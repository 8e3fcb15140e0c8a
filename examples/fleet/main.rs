//! The cheapest machines that hold these pods: a price list and a pod list in, a purchase with its proof out.
//!
//! The reader learns how a program asks for a fleet ([`sheets`] makes the question from two tables), how it owns the
//! clock that the engine does not have, and that an answer is judged by a checker before anybody acts on it:
//! `fleet --types types.csv --pods pods.csv --seconds 10 --out fleet.json`.

mod decimal;
mod report;
mod sheets;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use skyloom::scheduler::Effort;
use skyloom::scheduler::fleet::{FleetAnswer, FleetProblem, buy, check};

use crate::report::Report;

/// Whatever ends the program early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Buys the cheapest machines that hold pods, and says how near to the cheapest possible that is.
#[derive(Debug, Parser)]
#[command(name = "fleet")]
struct Arguments {
    /// What can be bought: columns cloud, type, cpu_milli, mem_mib, gpus, price (USD per hour), and further resources.
    #[arg(long, value_name = "FILE")]
    types: PathBuf,
    /// What is to be held: columns cpu_milli, mem_mib, gpus, gpu_milli, and further resources.
    #[arg(long, value_name = "FILE")]
    pods: PathBuf,
    /// Seconds for the whole run, reading and writing included.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Where to write the purchase.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
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
    let (names, problem) = sheets::read(&arguments.types, &arguments.pods)?;
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
    report.write(&arguments.out)?;
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
