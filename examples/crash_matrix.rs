//! What "nothing is orphaned, doubled or lost" means, and how it is shown.
//!
//! Each seed is a world: a cloud with its faults, a deployment that runs, and a second wish. The controller dies before
//! every move of the second wish, and once more on its way back; and the answer of every call is lost, with a word and
//! without. An oracle that knows only the cloud's event log and the durable bytes judges after every move. Then the
//! protocol is broken on purpose, in more than twenty ways, and each must be caught: a proof that cannot fail is none.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use skyloom_testkit::crash::{MatrixReport, Mutant, mutants, story, worlds};

/// Crashes controllers on simulated clouds, at every step.
#[derive(Debug, Parser)]
struct Arguments {
    /// Worlds to explore.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Worlds in which a mutant must be caught.
    #[arg(long, default_value_t = 400)]
    mutant_worlds: u64,
    /// Threads; the report does not depend on their number.
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// Tells what led to the first violation of this world, and nothing else.
    #[arg(long)]
    story: Option<u64>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// The report as JSON.
#[derive(Debug, Serialize)]
struct Printed {
    #[serde(flatten)]
    matrix: MatrixReport,
    mutants: usize,
    mutants_caught: usize,
    /// What caught each mutant.
    caught: BTreeMap<String, String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(end) = arguments.from.checked_add(arguments.seeds) else {
        eprintln!(
            "failed to count the seeds: `{}` and `{}` are too many",
            arguments.from, arguments.seeds
        );
        return ExitCode::from(2);
    };
    if let Some(seed) = arguments.story {
        story(seed, None).iter().for_each(|line| println!("{line}"));
        return ExitCode::SUCCESS;
    }
    let matrix = worlds(arguments.from..end, arguments.threads);
    let broken = mutants(arguments.mutant_worlds);
    let caught = broken.iter().filter_map(|(mutant, shown)| {
        let (seed, invariant, why) = shown.as_ref()?;
        Some((format!("{mutant:?}"), format!("{invariant:?} in world {seed}: {why}")))
    });
    let caught: BTreeMap<String, String> = caught.collect();
    let printed = Printed {
        matrix,
        mutants: Mutant::ALL.len(),
        mutants_caught: caught.len(),
        caught,
    };
    if arguments.json {
        match serde_json::to_string(&printed) {
            Ok(json) => println!("{json}"),
            Err(error) => eprintln!("failed to print the report: {error}"),
        }
    } else {
        show(
            &printed,
            broken
                .iter()
                .filter(|(_, shown)| shown.is_none())
                .map(|(mutant, _)| *mutant),
        );
    }
    let well = printed.matrix.is_clean() && printed.mutants_caught == printed.mutants;
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(printed: &Printed, missed: impl Iterator<Item = Mutant>) {
    let matrix = &printed.matrix;
    println!(
        "{} worlds, {} crashes, {} lost answers",
        matrix.worlds, matrix.crashes, matrix.lost_replies
    );
    for (invariant, count) in &matrix.violations {
        println!("  {invariant}: {count} violations");
    }
    for (seed, why) in matrix.seeds.iter().take(20) {
        println!("  seed {seed}: {why}");
    }
    println!("{} of {} mutants caught", printed.mutants_caught, printed.mutants);
    for (mutant, how) in &printed.caught {
        println!("  {mutant}: {how}");
    }
    missed.for_each(|mutant| println!("  {mutant:?} was NOT caught"));
}
