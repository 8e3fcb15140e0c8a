//! The main job, told as a story: a shop is decided, rehearsed, broken and healed, balanced, synced, watched, guarded,
//! and taken down, on one machine and on real processes.
//!
//! The reader learns how a program embeds skyloom: [`story`] is the whole of it. [`serve`] is the shop itself, which the
//! local driver starts by running this program again.

mod chapters;
mod http;
mod outside;
mod progress;
mod report;
mod serve;
mod show;
mod story;

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use skyloom::core::ManifestError;
use skyloom::{Error, Manifest};

use crate::report::Story;

/// Whatever ends the program early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The manifest that is used when none is given.
const SHOP: (&str, &str) = ("examples/shop/shop.toml", include_str!("shop.toml"));

/// Exit code for a manifest that cannot be read, is wrong, or cannot be satisfied.
const BAD_MANIFEST: u8 = 2;
/// Exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// Deploys a shop on this machine and shows what skyloom does.
#[derive(Debug, Parser)]
#[command(name = "shop")]
struct Arguments {
    /// Print the story as one JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Only decide, and print the placement.
    #[arg(long)]
    plan: bool,
    /// The manifest, TOML or YAML; the shop's own by default.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Serve one role of the shop; used by the local driver.
    #[arg(long, value_name = "ROLE", hide = true)]
    serve: Option<String>,
}

/// How the program ended.
enum Ended {
    Well,
    Interrupted,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(role) = &arguments.serve {
        return match serve::serve(role).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => fail(&failure),
        };
    }
    match run(&arguments).await {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(failure) => fail(&failure),
    }
}

/// Prints a failure with its causes and gives its exit code.
fn fail(failure: &Failure) -> ExitCode {
    eprintln!("failed to {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    if is_about_the_manifest(failure) {
        ExitCode::from(BAD_MANIFEST)
    } else {
        ExitCode::FAILURE
    }
}

fn is_about_the_manifest(failure: &Failure) -> bool {
    let by_plan = matches!(
        failure.downcast_ref(),
        Some(Error::UnknownPlace(_) | Error::Graph(_) | Error::Place(_) | Error::Unsatisfied(_) | Error::Plan(_))
    );
    by_plan || failure.is::<ManifestError>() || failure.is::<Unreadable>()
}

/// A manifest file of which nothing could be read.
#[derive(Debug)]
struct Unreadable {
    path: PathBuf,
    source: std::io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read the manifest `{}`", self.path.display())
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

async fn run(arguments: &Arguments) -> Result<Ended, Failure> {
    let manifest = read_manifest(arguments)?;
    if arguments.plan {
        let decided = chapters::decide::decide(&manifest)?;
        if arguments.json {
            print_line(&serde_json::to_string(&report::Plan::of(&manifest, &decided))?)?;
        } else {
            print_line(&show::decision(&manifest, &decided)?)?;
        }
        return decided.require_complete().map(|()| Ended::Well).map_err(Failure::from);
    }
    match story::tell(manifest, !arguments.json).await? {
        Some(story) => {
            if arguments.json {
                print_line(&serde_json::to_string(&story)?)?;
            }
            check(&story)?;
            Ok(Ended::Well)
        }
        None => Ok(Ended::Interrupted),
    }
}

/// The answer itself: unlike the story's words it must arrive.
fn print_line(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{text}").map_err(|error| format!("write to standard output: {error}"))?)
}

fn read_manifest(arguments: &Arguments) -> Result<Manifest, Failure> {
    let Some(path) = &arguments.manifest else {
        return Ok(Manifest::parse(SHOP.1, SHOP.0)?);
    };
    let unreadable = |source| Unreadable {
        path: path.clone(),
        source,
    };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    Ok(Manifest::parse_bytes(&bytes, &path.display().to_string())?)
}

/// The chapter's last assertion: exit code 0 only when all went well.
fn check(story: &Story) -> Result<(), Failure> {
    // A manifest without replicas has nobody to kill or to load.
    let (killed, loaded) = (!story.healed.replica.is_empty(), !story.anomaly.replica.is_empty());
    let problems: Vec<&str> = [
        (story.running == story.placement.len(), "not every replica ran"),
        (
            !killed || story.healed.killed != story.healed.replaced,
            "the killed replica was not replaced",
        ),
        (story.sync.verified, "the copy of the data was not verified"),
        (!loaded || story.anomaly.flagged, "the injected anomaly was not flagged"),
        (story.denied, "the stranger was not denied"),
        (story.audit.verified, "the audit trail was not verified"),
        (story.left_behind == 0, "something was left behind"),
    ]
    .into_iter()
    .filter_map(|(holds, what)| (!holds).then_some(what))
    .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(format!("tell the story: {}", problems.join(", ")).into())
    }
}
