//! Insight from the command line: forecasts of a file of series, with intervals, and alarms in files of values.
//!
//! The reader learns what a forecast of hundreds of series takes (`forecast.rs`), how series are read (`table.rs`, times by `stamp.rs`), and how
//! little it takes to run the default detector over files (`detect.rs`).
//! `forecast --input train.csv --horizon 48 --periods 24,168 --out forecast.csv --intervals 0.95`
//! `forecast detect --input FILE_OR_DIR --out DIR`

mod detect;
mod forecast;
mod stamp;
mod table;

use std::fmt::Display;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Insight from the command line.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    forecast: Option<forecast::Args>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judges every value of one file, or of every file in a folder, by those before it.
    Detect(detect::Args),
}

fn main() -> ExitCode {
    // A second `--` (`forecast -- detect -- --input …`) says nothing new.
    let arguments = Arguments::parse_from(std::env::args_os().filter(|argument| argument != "--"));
    match arguments {
        Arguments {
            command: Some(Command::Detect(args)),
            ..
        } => ended(detect::run(args)),
        Arguments {
            forecast: Some(args), ..
        } => ended(forecast::run(&args)),
        Arguments { .. } => Arguments::command()
            .error(
                clap::error::ErrorKind::MissingRequiredArgument,
                "--input, --horizon and --out are needed",
            )
            .exit(),
    }
}

/// Exit code 2 with the reason when something failed.
fn ended<E: Display>(outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error}");
            ExitCode::from(2)
        }
    }
}
