//! A report of real series as one page: what was measured, what comes next, what was odd and why, and which alerts fired.
//!
//! The reader learns how the parts of insight fit together (`study.rs`): samples are prepared and continued with an interval,
//! each value is judged by those before it, and rules make alerts of that. `draw.rs` turns it into pictures, `page.rs` into a
//! file that needs nothing from elsewhere.
//! `insight` draws a generated week; `insight --live 10` this machine for ten seconds; `insight --input FILE_OR_DIR` files with
//! the columns `timestamp` and `value`. `--out report.html` says where to.

mod draw;
mod page;
mod series;
#[path = "../forecast/stamp.rs"]
mod stamp;
mod study;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::study::{Study, Wanted};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Draws a report of series.
#[derive(Debug, Parser)]
struct Arguments {
    /// A CSV file with the columns `timestamp` and `value`, or a folder with such files at any depth.
    #[arg(long, conflicts_with = "live")]
    input: Option<PathBuf>,
    /// Watch this machine for so many seconds.
    #[arg(long)]
    live: Option<u32>,
    /// The page to write.
    #[arg(long, default_value = "report.html")]
    out: PathBuf,
    /// Steps to look ahead; an eighth of the series by default.
    #[arg(long)]
    horizon: Option<usize>,
    /// Share of the future that the interval is meant to hold.
    #[arg(long, default_value_t = 0.9)]
    level: f64,
    /// Also alert while a value is above this.
    #[arg(long)]
    above: Option<f64>,
    /// Most series that are drawn; the liveliest come first.
    #[arg(long, default_value_t = 24)]
    most: usize,
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
    let (source, all) = match (&arguments.input, arguments.live) {
        (Some(path), _) => (format!("{}", path.display()), series::read(path)?),
        (None, Some(seconds)) => (
            "this machine".to_owned(),
            series::live(Duration::from_secs(seconds.into()))?,
        ),
        (None, None) => ("a generated week".to_owned(), series::generated()),
    };
    let wanted = Wanted {
        horizon: arguments.horizon,
        level: arguments.level,
        above: arguments.above,
    };
    let found = all.len();
    let mut studies = Vec::new();
    for one in all.into_iter().take(arguments.most) {
        studies.push(Study::of(one, &wanted)?);
    }
    let page = page::page(&source, found, &studies)?;
    std::fs::write(&arguments.out, &page).map_err(|error| format!("write `{}`: {error}", arguments.out.display()))?;
    for study in &studies {
        println!("{}", study.line());
    }
    println!(
        "{} of {found} series drawn into {}",
        studies.len(),
        arguments.out.display()
    );
    check(&studies, &page)
}

/// The chapter's assertion: every series has its picture, every interval holds its point, every alarm is told, and nothing is
/// fetched from elsewhere.
fn check(studies: &[Study], page: &str) -> Result<(), Failure> {
    let pictures = page.matches("<svg").count();
    if pictures != studies.len() {
        return Err(format!("draw `{}` series: {pictures} pictures are there", studies.len()).into());
    }
    let alarms: usize = studies.iter().map(|study| study.alarms.len()).sum();
    let told = page.matches("class=\"alarm\"").count();
    if told != alarms {
        return Err(format!("tell of `{alarms}` alarms: {told} are there").into());
    }
    let is_bounded = |study: &Study| {
        study
            .ahead
            .iter()
            .all(|s| s.lo <= s.point && s.point <= s.hi && s.lo.is_finite())
    };
    if !studies.iter().all(is_bounded) || ["src=", "url(", "@import"].iter().any(|outside| page.contains(outside)) {
        return Err("keep every point inside its interval and the page to itself".into());
    }
    Ok(())
}
