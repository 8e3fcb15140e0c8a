//! A graph of tasks over clouds: where each task runs, what that costs with its traffic, and how far from the best it is.
//!
//! The reader learns what egress does to the choice of a cloud, what a lower bound says, and what an hour less costs.
//! Without arguments a pipeline over the built-in catalogue is planned for each objective. `docs/scheduler/dag.md` has the
//! fields of `--input` and of `--json`.

mod answer;
mod input;
mod pipeline;
mod random;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use skyloom::Catalogue;
use skyloom::core::MicroUsd;
use skyloom::scheduler::Effort;
use skyloom::scheduler::dag::{DagConfig, DagPlan, FrontConfig, Objective, Speeds, front, plan};

use answer::{Answer, FrontAnswer, print};
use input::{Input, Question};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Plans a graph of tasks over clouds.
#[derive(Debug, Parser)]
struct Arguments {
    /// A graph as JSON (see `docs/scheduler/dag.md`).
    #[arg(long, conflicts_with = "random")]
    input: Option<PathBuf>,
    /// A random graph of so many tasks over the built-in catalogue.
    #[arg(long)]
    random: Option<usize>,
    /// Candidates of each random task.
    #[arg(long, default_value_t = 10)]
    candidates: usize,
    /// Seed of the random graph.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shape of the random graph.
    #[arg(long, value_enum, default_value_t = Shape::General)]
    shape: Shape,
    /// GiB that each region of the random graph has sent already in this month, to the internet and to other regions each.
    /// The default is past every free allowance; at 0 a large graph is also a knapsack of free gigabytes.
    #[arg(long, default_value_t = random::SENT_GIB)]
    sent_gib: u32,
    /// What is wanted.
    #[arg(long, value_enum)]
    objective: Option<Goal>,
    /// Seconds, for `cost-by-deadline`.
    #[arg(long)]
    deadline: Option<f64>,
    /// Dollars, for `time-by-budget`.
    #[arg(long)]
    budget: Option<MicroUsd>,
    /// Show cost against time instead of one plan.
    #[arg(long)]
    pareto: bool,
    /// Times closer than this share need not be told apart in `--pareto`.
    #[arg(long, default_value_t = 0.0)]
    time_step: f64,
    /// Units of work at most; a unit is a few microseconds.
    #[arg(long, default_value_t = 100_000)]
    work: u64,
    /// Leave out what else there was for each task.
    #[arg(long)]
    no_explain: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    Chain,
    Tree,
    General,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Goal {
    Cost,
    Time,
    CostByDeadline,
    TimeByBudget,
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
    let question = question(arguments)?;
    let config = DagConfig::new(Objective::Cost)
        .with_speeds(question.speeds.clone())
        .with_already_this_month(question.already.clone())
        .with_explain(!arguments.no_explain);
    let is_demonstration = arguments.input.is_none() && arguments.random.is_none();
    if arguments.pareto {
        return show_front(arguments, &question, &config);
    }
    if is_demonstration && arguments.objective.is_none() {
        return demonstrate(arguments, &question, &config);
    }
    let config = config.with_objective(objective(arguments)?);
    let start = Instant::now();
    let best = solve(arguments, &question, &config)?;
    let planning = start.elapsed().as_secs_f64();
    if arguments.json {
        print(&Answer::of(&best, config.objective).planned_in(planning))?;
    } else {
        show(&best);
        println!("planned in {:.3} ms", planning * 1000.0);
    }
    assert_bounds(&best)
}

fn question(arguments: &Arguments) -> Result<Question, Failure> {
    if let Some(path) = &arguments.input {
        let text = fs::read(path).map_err(|error| format!("read `{}`: {error}", path.display()))?;
        let input: Input =
            serde_json::from_slice(&text).map_err(|error| format!("read `{}`: {error}", path.display()))?;
        return input.question();
    }
    let catalogue = Catalogue::builtin();
    let dag = match arguments.random {
        Some(0) => return Err("plan a random graph of no tasks".into()),
        Some(_) if arguments.candidates == 0 => return Err("plan random tasks without candidates".into()),
        Some(tasks) => {
            let shape = match arguments.shape {
                Shape::Chain => random::Shape::Chain,
                Shape::Tree => random::Shape::Tree,
                Shape::General => random::Shape::General,
            };
            random::random(&catalogue, tasks, arguments.candidates, arguments.seed, shape)
        }
        None => pipeline::pipeline(&catalogue)?,
    };
    let sent_gib = if arguments.random.is_some() {
        arguments.sent_gib
    } else {
        0
    };
    Ok(Question {
        dag,
        already: random::already(&catalogue, sent_gib),
        catalogue,
        speeds: Speeds::default(),
    })
}

fn objective(arguments: &Arguments) -> Result<Objective, Failure> {
    Ok(match arguments.objective.unwrap_or(Goal::Cost) {
        Goal::Cost => Objective::Cost,
        Goal::Time => Objective::Time,
        Goal::CostByDeadline => Objective::CostByDeadline {
            seconds: arguments
                .deadline
                .ok_or("meet a deadline that is not given: --deadline SECONDS")?,
        },
        Goal::TimeByBudget => Objective::TimeByBudget {
            budget: arguments
                .budget
                .ok_or("keep a budget that is not given: --budget USD")?,
        },
    })
}

fn solve(arguments: &Arguments, question: &Question, config: &DagConfig) -> Result<DagPlan, Failure> {
    Ok(plan(
        &question.dag,
        &question.catalogue,
        config,
        &mut Effort::units(arguments.work),
    )?)
}

/// The chapter's assertion: the bound is one.
fn assert_bounds(best: &DagPlan) -> Result<(), Failure> {
    if best.cost_lower_bound <= best.cost && best.makespan_lower_bound_ms <= best.makespan_ms && best.gap >= 0.0 {
        Ok(())
    } else {
        Err("keep a lower bound below the cost".into())
    }
}

/// The cheapest pipeline, the fastest, one between by each way to ask for it, and what staying in one region costs.
fn demonstrate(arguments: &Arguments, question: &Question, config: &DagConfig) -> Result<(), Failure> {
    let cheapest = solve(arguments, question, config)?;
    let fastest = solve(arguments, question, &config.clone().with_objective(Objective::Time))?;
    let between = u64::midpoint(cheapest.makespan_ms, fastest.makespan_ms);
    let seconds = seconds(between);
    let by_deadline = config.clone().with_objective(Objective::CostByDeadline { seconds });
    let in_time = solve(arguments, question, &by_deadline)?;
    let budget = in_time.cost;
    let by_budget = config.clone().with_objective(Objective::TimeByBudget { budget });
    let in_budget = solve(arguments, question, &by_budget)?;
    let rows = [
        ("cheapest", &cheapest),
        ("cheapest within a deadline", &in_time),
        ("fastest within that one's cost", &in_budget),
        ("fastest", &fastest),
    ];
    if arguments.json {
        let answers: BTreeMap<&str, Answer<'_>> = rows
            .map(|(name, best)| (name, Answer::of(best, Objective::Cost)))
            .into();
        print(&answers)?;
    } else {
        for (name, best) in rows {
            println!("== {name}");
            show(best);
        }
    }
    rows.iter().try_for_each(|(_, best)| assert_bounds(best))?;
    let ordered = cheapest.cost <= in_time.cost
        && in_time.makespan_ms <= between
        && in_budget.makespan_ms <= in_time.makespan_ms
        && fastest.makespan_ms <= in_budget.makespan_ms;
    if ordered {
        Ok(())
    } else {
        Err("order the plans by cost and time".into())
    }
}

fn show_front(arguments: &Arguments, question: &Question, config: &DagConfig) -> Result<(), Failure> {
    let fineness = FrontConfig::new().with_time_step(arguments.time_step);
    let effort = &mut Effort::units(arguments.work);
    let config = config.clone().with_explain(false);
    let front = front(&question.dag, &question.catalogue, &config, &fineness, effort)?;
    if arguments.json {
        print(&FrontAnswer {
            time_gap: finite(front.time_gap),
            cost_gap: finite(front.cost_gap),
            front: front
                .plans
                .iter()
                .map(|best| Answer::of(best, Objective::Cost))
                .collect(),
        })?;
    } else {
        println!("{:>14} {:>12}", "USD", "seconds");
        for best in &front.plans {
            println!("{:>14.6} {:>12.3}", usd(best.cost), seconds(best.makespan_ms));
        }
        println!(
            "every plan there could be is matched within {:.4}% of its time and {:.4}% of its cost",
            front.time_gap * 100.0,
            front.cost_gap * 100.0
        );
    }
    let steps = || front.plans.windows(2);
    if steps().all(|pair| pair[0].cost < pair[1].cost && pair[0].makespan_ms > pair[1].makespan_ms) {
        Ok(())
    } else {
        Err("order the front by cost and time".into())
    }
}

fn show(best: &DagPlan) {
    println!(
        "{:.6} USD (traffic {:.6}), at least {:.6}; {:.3} s; gap {:.6}%",
        usd(best.cost),
        usd(best.egress),
        usd(best.cost_lower_bound),
        seconds(best.makespan_ms),
        best.gap * 100.0
    );
    const SHOWN_MAX: usize = 40;
    for task in best.tasks.iter().take(SHOWN_MAX) {
        let runner_up = task.runner_up.as_ref().map_or_else(String::new, |other| {
            format!(
                "; next {} {} for {:+.6} USD",
                other.region,
                other.offer,
                usd(other.dearer_by)
            )
        });
        println!(
            "  {:<16} {} {} at {:.6} USD, {:.0} to {:.0} s{runner_up}",
            task.id,
            task.region,
            task.offer,
            usd(task.cost),
            seconds(task.start_ms),
            seconds(task.end_ms)
        );
    }
    for sent in &best.sent {
        println!("  {} sends {} for {:.6} USD", sent.region, sent.bytes, usd(sent.cost));
    }
}

/// JSON has no infinity: null.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown to people; exact up to nine billion dollars"
)]
pub(crate) fn usd(amount: MicroUsd) -> f64 {
    amount.as_micros() as f64 / 1e6
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown to people; exact up to 2^53 milliseconds"
)]
pub(crate) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
