//! Insight from the command line: `forecast -- detect --input FILE_OR_DIR --out DIR` judges series value by value.
//!
//! The reader learns how little it takes to run the default detector over files (`detect.rs`).

mod detect;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Insight from the command line.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judges every value of one file, or of every file in a folder, by those before it.
    Detect(detect::Args),
}

fn main() -> ExitCode {
    // A second `--` (`forecast -- detect -- --input …`) says nothing new.
    let arguments = std::env::args_os().filter(|argument| argument != "--");
    let outcome = match Arguments::parse_from(arguments).command {
        Command::Detect(args) => detect::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error}");
            ExitCode::from(2)
        }
    }
}
