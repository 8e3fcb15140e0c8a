//! What can be refused before anything is numbered: names, sizes, volumes, speeds, times.
//!
//! Each function looks at one thing and names the place; folding and ordering are `compile`'s.

use std::collections::BTreeMap;

use super::compile::{End, MILLIS_PER_SECOND, RUN_SECONDS_MAX};
use super::error::DagError;
use super::names::Names;
use super::types::{Dag, DagConfig, Edge, NodeId, Objective};

/// Largest sum of the bytes of all edges, and of what was sent already from one region: an exbibyte.
pub const BYTES_MAX: u64 = 1 << 60;

/// Tasks and data sets together, at most.
pub const NODES_MAX: usize = 1 << 20;

/// Edges, at most.
pub const EDGES_MAX: usize = 1 << 22;

/// Candidates of all tasks together, at most.
pub const CANDIDATES_MAX: usize = 1 << 24;

/// Names to positions.
pub(super) fn names(dag: &Dag) -> Result<Names<'_>, DagError> {
    let tasks = dag.tasks.iter().enumerate().map(|(at, task)| (&task.id, End::Task(at)));
    let data = dag.data.iter().enumerate().map(|(at, data)| (&data.id, End::Data(at)));
    let all = tasks.chain(data);
    if all.clone().any(|(id, _)| id.as_str().is_empty()) {
        return Err(DagError::EmptyName);
    }
    Names::new(all).map_err(|id| DagError::DuplicateNode { id: id.clone() })
}

/// The ends of an edge.
pub(super) fn ends(edge: &Edge, names: &Names<'_>) -> Result<(End, End), DagError> {
    let find = |id: &NodeId| {
        names.find(id.as_str()).ok_or_else(|| DagError::UnknownNode {
            from: edge.from.clone(),
            to: edge.to.clone(),
            missing: id.clone(),
        })
    };
    match (find(&edge.from)?, find(&edge.to)?) {
        (End::Data(_), End::Data(_)) => Err(DagError::DataToData {
            from: edge.from.clone(),
            to: edge.to.clone(),
        }),
        ends => Ok(ends),
    }
}

/// Numbers of things.
pub(super) fn sizes(dag: &Dag) -> Result<(), DagError> {
    let candidates = dag.tasks.iter().map(|task| task.candidates.len()).sum();
    let rows = [
        (
            "tasks and data sets",
            dag.tasks.len().saturating_add(dag.data.len()),
            NODES_MAX,
        ),
        ("edges", dag.edges.len(), EDGES_MAX),
        ("candidates", candidates, CANDIDATES_MAX),
    ];
    match rows.into_iter().find(|(_, count, max)| count > max) {
        Some((what, count, max)) => Err(DagError::TooMany { what, count, max }),
        None => Ok(()),
    }
}

/// Volumes.
pub(super) fn volumes(dag: &Dag, config: &DagConfig) -> Result<(), DagError> {
    let refuse = |of: String, bytes: u64| {
        Err(DagError::TooManyBytes {
            of,
            bytes,
            max: BYTES_MAX,
        })
    };
    let mut sum = 0u64;
    for edge in &dag.edges {
        let bytes = edge.bytes.as_bytes();
        sum = sum.saturating_add(bytes);
        if sum > BYTES_MAX {
            return refuse(format!("from `{}` to `{}`", edge.from, edge.to), bytes);
        }
    }
    let mut sent = BTreeMap::new();
    for already in &config.already_this_month {
        let sum: &mut u64 = sent.entry((&already.region, already.scope)).or_default();
        *sum = sum.saturating_add(already.bytes.as_bytes());
        if *sum > BYTES_MAX {
            return refuse(format!("already sent from `{}`", already.region), *sum);
        }
    }
    Ok(())
}

/// Speeds: none is zero.
pub(super) fn speeds(config: &DagConfig) -> Result<(), DagError> {
    let speeds = &config.speeds;
    let general = [
        (speeds.within_region, "within a region"),
        (speeds.between_regions, "between regions"),
        (speeds.between_clouds, "between clouds"),
    ];
    let general = general.into_iter().map(|(speed, between)| (speed, between.to_owned()));
    let pair = |p: &super::PairSpeed| (p.bytes_per_second, format!("from `{}` to `{}`", p.from, p.to));
    match general
        .chain(speeds.pairs.iter().map(pair))
        .find(|(speed, _)| *speed == Some(0))
    {
        Some((_, between)) => Err(DagError::ZeroSpeed { between }),
        None => Ok(()),
    }
}

/// A budget that is none.
pub(super) fn objective(objective: Objective) -> Result<(), DagError> {
    match objective {
        Objective::CostByDeadline { seconds } => millis(seconds, "deadline", || "the plan".to_owned()).map(|_| ()),
        Objective::Cost | Objective::Time | Objective::TimeByBudget { .. } => Ok(()),
    }
}

/// Seconds as milliseconds, rounded half up.
pub(super) fn millis(seconds: f64, what: &'static str, of: impl Fn() -> String) -> Result<u64, DagError> {
    if !(0.0..=RUN_SECONDS_MAX).contains(&seconds) {
        return Err(DagError::BadSeconds {
            what,
            of: of(),
            seconds,
            max: RUN_SECONDS_MAX,
        });
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above: 0 to 10^12, and rounding to the nearest is wanted"
    )]
    let millis = (seconds * MILLIS_PER_SECOND + 0.5) as u64;
    Ok(millis)
}
