//! Insight from the command line: forecasts of a file of series, with intervals.
//!
//! The reader learns what a forecast of hundreds of series takes (`forecast.rs`), and how series are read (`table.rs`).
//! `forecast --input train.csv --horizon 48 --periods 24,168 --out forecast.csv --intervals 0.95`

mod forecast;
mod table;

use std::process::ExitCode;

use clap::Parser;

/// Insight from the command line.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    forecast: forecast::Args,
}

fn main() -> ExitCode {
    match forecast::run(&Arguments::parse().forecast) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error}");
            ExitCode::from(2)
        }
    }
}
