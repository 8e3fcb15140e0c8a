//! The chapter's answer as JSON, written as it is read: ten thousand tasks are not first made into a tree of values.
//!
//! Amounts are dollars, volumes bytes, times seconds; the fields are described in `docs/scheduler/dag.md`. What people read
//! on a terminal does not belong here.

use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer};
use skyloom::core::RegionKey;
use skyloom::scheduler::dag::{DagPlan, NodeId, Objective, Reason, Rejected, Rule, RunnerUp, Sent, TaskPlan};

use crate::{Failure, finite, seconds, usd};

/// One plan.
#[derive(Serialize)]
pub(crate) struct Answer<'p> {
    cost_usd: f64,
    egress_usd: f64,
    lower_bound_usd: f64,
    gap: Option<f64>,
    proven: bool,
    seconds: f64,
    lower_bound_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    planning_seconds: Option<f64>,
    sent: Vec<SentAnswer<'p>>,
    #[serde(serialize_with = "each")]
    tasks: &'p [TaskPlan],
}

/// Cost against time.
#[derive(Serialize)]
pub(crate) struct FrontAnswer<'p> {
    pub(crate) time_gap: Option<f64>,
    pub(crate) cost_gap: Option<f64>,
    pub(crate) front: Vec<Answer<'p>>,
}

#[derive(Serialize)]
struct SentAnswer<'p> {
    region: &'p RegionKey,
    bytes: u64,
    usd: f64,
    assumed: bool,
}

#[derive(Serialize)]
struct TaskAnswer<'p> {
    id: &'p NodeId,
    offer: &'p str,
    region: &'p RegionKey,
    cost_usd: f64,
    start_seconds: f64,
    end_seconds: f64,
    explain: Explanation<'p>,
}

#[derive(Serialize)]
struct Explanation<'p> {
    runner_up: Option<RunnerUpAnswer<'p>>,
    #[serde(serialize_with = "each_rejected")]
    rejected: &'p [Rejected],
}

#[derive(Serialize)]
struct RunnerUpAnswer<'p> {
    offer: &'p str,
    region: &'p RegionKey,
    dearer_by_usd: f64,
}

#[derive(Serialize)]
struct RejectedAnswer<'p> {
    offer: &'p str,
    region: &'p RegionKey,
    reason: ReasonAnswer,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ReasonAnswer {
    ForbiddenBy(Rule),
    DearerByUsd(f64),
    TooSlowAndCheaperByUsd(f64),
}

impl<'p> Answer<'p> {
    pub(crate) fn of(best: &'p DagPlan, objective: Objective) -> Self {
        let is_time = matches!(objective, Objective::Time | Objective::TimeByBudget { .. });
        let sent = |sent: &'p Sent| SentAnswer {
            region: &sent.region,
            bytes: sent.bytes.as_bytes(),
            usd: usd(sent.cost),
            assumed: sent.is_assumed,
        };
        Self {
            cost_usd: usd(best.cost),
            egress_usd: usd(best.egress),
            lower_bound_usd: usd(best.cost_lower_bound),
            gap: finite(best.gap),
            proven: best.gap <= 0.0,
            seconds: seconds(best.makespan_ms),
            lower_bound_seconds: is_time.then(|| seconds(best.makespan_lower_bound_ms)),
            planning_seconds: None,
            sent: best.sent.iter().map(sent).collect(),
            tasks: &best.tasks,
        }
    }

    pub(crate) const fn planned_in(mut self, seconds: f64) -> Self {
        self.planning_seconds = Some(seconds);
        self
    }
}

/// Prints one line.
pub(crate) fn print(answer: &impl Serialize) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = serde_json::to_writer(&mut out, answer).map_err(io::Error::from);
    let written = written.and_then(|()| writeln!(out)).and_then(|()| out.flush());
    Ok(written.map_err(|error| format!("write the answer: {error}"))?)
}

fn each<S: Serializer>(tasks: &[TaskPlan], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(tasks.iter().map(|task| TaskAnswer {
        id: &task.id,
        offer: &task.offer,
        region: &task.region,
        cost_usd: usd(task.cost),
        start_seconds: seconds(task.start_ms),
        end_seconds: seconds(task.end_ms),
        explain: Explanation {
            runner_up: task.runner_up.as_ref().map(runner_up),
            rejected: &task.rejected,
        },
    }))
}

fn runner_up(other: &RunnerUp) -> RunnerUpAnswer<'_> {
    RunnerUpAnswer {
        offer: &other.offer,
        region: &other.region,
        dearer_by_usd: usd(other.dearer_by),
    }
}

fn each_rejected<S: Serializer>(rejected: &[Rejected], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rejected.iter().map(|other| RejectedAnswer {
        offer: &other.offer,
        region: &other.region,
        reason: match other.reason {
            Reason::Forbidden(rule) => ReasonAnswer::ForbiddenBy(rule),
            Reason::Dearer(more) => ReasonAnswer::DearerByUsd(usd(more)),
            Reason::Slower(less) => ReasonAnswer::TooSlowAndCheaperByUsd(usd(less)),
        },
    }))
}
