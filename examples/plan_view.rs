//! A plan and its services as pictures: SVG and Mermaid, and what changes from one plan to another.
//!
//! The reader learns how to place, plan, compare and draw without a runtime or a provider: a manifest goes in, nothing is
//! touched. `cargo run --example plan_view -- --svg plan.svg --graph graph.svg` draws the shop of the other chapters.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use skyloom::core::{Plan, ServiceName, Snapshot, Timestamp, check_places};
use skyloom::orchestrator::{PlanRequest, ServiceGraph, SvgConfig, confine, plan_for, render_mermaid, render_svg};
use skyloom::scheduler::{Cheapest, PlaceConfig, Problem, place};
use skyloom::{Catalogue, Manifest};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The manifest that is drawn when none is given.
const SHOP: &str = include_str!("shop/shop.toml");
/// Exit code for a manifest that cannot be read, is wrong, or cannot be planned.
const BAD_INPUT: u8 = 2;

/// Draws the plan of a manifest.
#[derive(Debug, Parser)]
struct Arguments {
    /// The manifest, TOML or YAML; the shop's own by default.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Another manifest: print what its plan has otherwise.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Plan for these services only, and for what they need.
    #[arg(long, value_name = "SERVICE")]
    target: Vec<String>,
    /// Write the plan as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the service graph as SVG.
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    /// Write the plan as a Mermaid flow chart.
    #[arg(long, value_name = "FILE")]
    mermaid: Option<PathBuf>,
    /// Fold more steps of one kind and one service than this into one box.
    #[arg(long, default_value_t = 6)]
    fold_above: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is printed with `--json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    plan: &'a Plan,
    steps: usize,
    svg_bytes: usize,
    svg_boxes: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let manifest = read(arguments.manifest.as_ref())?;
    let plan = planned(&manifest, &arguments.target)?;
    let picture = render_svg(&plan, &SvgConfig::new().with_fold_above(arguments.fold_above));
    let graph = ServiceGraph::build(&manifest)?.to_svg();
    for (path, text) in [
        (&arguments.svg, picture.clone()),
        (&arguments.graph, graph),
        (&arguments.mermaid, render_mermaid(&plan)),
    ] {
        if let Some(path) = path {
            fs::write(path, text).map_err(|error| format!("write `{}`: {error}", path.display()))?;
        }
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let report = Report {
            steps: plan.steps.len(),
            svg_bytes: picture.len(),
            svg_boxes: picture.matches("<g>").count(),
            plan: &plan,
        };
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "{plan}")?;
    }
    if let Some(other) = &arguments.compare {
        let other = planned(&read(Some(other))?, &arguments.target)?;
        writeln!(out, "{}", plan.diff(&other))?;
    }
    // A picture is a function of its plan, and a plan is like itself.
    assert_eq!(
        picture,
        render_svg(&plan, &SvgConfig::new().with_fold_above(arguments.fold_above))
    );
    assert!(plan.diff(&plan).is_empty());
    Ok(())
}

fn read(path: Option<&PathBuf>) -> Result<Manifest, Failure> {
    let Some(path) = path else {
        return Ok(Manifest::parse(SHOP, "shop.toml")?);
    };
    let bytes = fs::read(path).map_err(|error| format!("read the manifest `{}`: {error}", path.display()))?;
    Ok(Manifest::parse_bytes(&bytes, &path.to_string_lossy())?)
}

/// The plan from nothing to the manifest, at the least cost.
fn planned(manifest: &Manifest, targets: &[String]) -> Result<Plan, Failure> {
    let names: Result<_, _> = targets.iter().map(ServiceName::new).collect();
    let names: std::collections::BTreeSet<ServiceName> = names?;
    let confined = if names.is_empty() {
        None
    } else {
        Some(confine(manifest, None, &names)?)
    };
    let manifest = confined.as_ref().map_or(manifest, |confined| &confined.manifest);
    let catalogue = Catalogue::builtin();
    check_places(manifest, &catalogue)?;
    let snapshot = Snapshot::empty(0, Timestamp::EPOCH);
    let problem = Problem {
        manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let placement = place(&problem, &Cheapest, &PlaceConfig::new())?;
    let targets = confined.as_ref().map(|confined| &confined.targets);
    Ok(plan_for(
        &PlanRequest::new(manifest, &placement, &snapshot).with_targets(targets),
    )?)
}
