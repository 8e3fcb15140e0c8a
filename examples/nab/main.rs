//! The Numenta Anomaly Benchmark: how the default detector scores on labelled series, and how far to believe that.
//!
//! The reader learns how the benchmark scores (`score.rs`), what a detector that never fires, one that always knows and
//! a windowed Gaussian get (so that the scorer can be compared with the published table), and what is left of the
//! default detector's score when its settings are chosen on one half of the files and scored on the other half:
//! `nab --data ../shared/data/nab --cross-validate 60`. The detectors see time stamps and values only; labels are read by the scorer.

mod corpus;
mod detectors;
mod score;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use skyloom::analytics::detect::{Part, Weights};

use crate::corpus::File;
use crate::detectors::Contestant;
use crate::score::{Curve, PROFILES};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where an alarm of the default detector begins.
const ALARM_SCORE: f64 = 0.5;

/// Scores detectors on the benchmark.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder with `data` and `labels`.
    #[arg(long)]
    data: PathBuf,
    /// Also choose the weights of the parts on one half of the files and score the other half, from this many settings
    /// drawn around the default.
    #[arg(long, default_value_t = 0)]
    cross_validate: u32,
    /// Weigh a part of the default preset by another factor, `PART=FACTOR`; may be given several times.
    #[arg(long, value_parser = detectors::weight)]
    weigh: Vec<(Part, f64)>,
    /// Print the misses and false alarms of the default detector, file by file.
    #[arg(long)]
    files: bool,
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
    let files = corpus::read(&arguments.data)?;
    let windows: usize = files.iter().map(|file| file.windows.len()).sum();
    println!("{} series, {windows} labelled windows", files.len());
    println!(
        "{:<26} {:>9} {:>9} {:>9}   best threshold",
        "", PROFILES[0].name, PROFILES[1].name, PROFILES[2].name
    );
    let mut weights = Weights::default();
    for (part, factor) in &arguments.weigh {
        weights = weights.with(*part, *factor)?;
    }
    let mut best = Vec::new();
    for contestant in Contestant::ALL {
        let scores: Vec<Vec<f64>> = files.iter().map(|file| contestant.scores(file, weights)).collect();
        let curves = Curve::of_all(&files, &scores);
        let row = PROFILES.map(|profile| Curve::best(&curves, &files, profile));
        show(contestant.name(), row.map(|(score, _)| score), Some(row[0].1));
        best.push((contestant, row[0].0));
        if contestant == Contestant::Default {
            show(
                "  at the fixed threshold",
                PROFILES.map(|p| Curve::at(&curves, &files, p, ALARM_SCORE)),
                None,
            );
            groups(&files, &curves);
            if arguments.files {
                misses(&files, &scores);
            }
        }
    }
    if arguments.cross_validate > 0 {
        validate::run(&files, arguments.cross_validate)?;
    }
    assert_known(&best)
}

fn show(name: &str, row: [f64; 3], threshold: Option<f64>) {
    let threshold = threshold.map_or_else(String::new, |threshold| format!("{threshold:.3}"));
    println!(
        "{name:<26} {:>9.2} {:>9.2} {:>9.2}   {threshold}",
        row[0], row[1], row[2]
    );
}

/// The default detector, group by group, at the fixed threshold.
fn groups(files: &[File], curves: &[Curve]) {
    let mut names: Vec<&str> = files.iter().map(File::group).collect();
    names.dedup();
    for name in names {
        let inside = |i: &usize| files[*i].group() == name;
        let picked: Vec<usize> = (0..files.len()).filter(inside).collect();
        if picked.iter().any(|i| !files[*i].windows.is_empty()) {
            let row = PROFILES.map(|p| Curve::at_some(curves, files, &picked, p, ALARM_SCORE));
            show(&format!("  {name}"), row, None);
        }
    }
}

fn misses(files: &[File], scores: &[Vec<f64>]) {
    for (file, scores) in files.iter().zip(scores) {
        let alarms: Vec<usize> = (file.probation..scores.len())
            .filter(|i| scores[*i] >= ALARM_SCORE)
            .collect();
        let missed = file
            .windows
            .iter()
            .filter(|w| !alarms.iter().any(|i| (w.0..=w.1).contains(i)));
        let is_false = |i: &&usize| !file.windows.iter().any(|w| (w.0..=w.1).contains(*i));
        let wrong: Vec<&usize> = alarms.iter().filter(is_false).collect();
        println!(
            "  {}: {} of {} windows missed, {} false alarms at rows {wrong:?}",
            file.name,
            missed.count(),
            file.windows.len(),
            wrong.len()
        );
    }
}

/// The chapter's assertion: the scorer gives what the benchmark defines and publishes, and the default preset is ahead of
/// what it is compared with, but for the one that knows.
fn assert_known(best: &[(Contestant, f64)]) -> Result<(), Failure> {
    let of = |wanted: Contestant| {
        best.iter()
            .find(|(contestant, _)| *contestant == wanted)
            .map(|(_, score)| *score)
    };
    if of(Contestant::Default) <= of(Contestant::Light) || of(Contestant::Default) <= of(Contestant::WindowedGaussian) {
        return Err("keep the default preset ahead of the baselines".into());
    }
    for (contestant, score) in best {
        if let Some(published) = contestant.published()
            && (score - published).abs() > 0.01
        {
            return Err(format!(
                "score `{}` as published: {score:.3}, not {published}",
                contestant.name()
            )
            .into());
        }
    }
    Ok(())
}
