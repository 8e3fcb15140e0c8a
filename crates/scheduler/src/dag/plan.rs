//! The four objectives, each by the search for the cheapest plan within a deadline.
//!
//! The fastest plan (within a budget, or at all) is found by halving the deadlines between a lower bound and the time of
//! a known plan: what is too short is proven so, or left open where the work ends, and then shows as a gap.

use std::cell::OnceCell;

use skyloom_core::{Catalogue, MicroUsd};

use crate::effort::Effort;

use super::compile::{Compiled, NO_DEADLINE, compile};
use super::error::{DagError, Rule};
use super::explain;
use super::node::Node;
use super::report::DagPlan;
use super::search::{Found, Rules, cheapest, micros};
use super::tally::{Tally, Timing};
use super::types::{Dag, DagConfig, Objective};
use super::windows::Windows;
use super::{checks, paths};

/// The best plan for the objective, as far as `effort` allows, with a bound; a unit of effort is about a thousand table
/// entries looked at, a few microseconds. A first plan is always made.
///
/// Exact (gap 0) where the effort suffices: for cost that is so for chains, trees and graphs of low treewidth of any size
/// whose senders stay within one tier, for a hundred tasks of any shape as a rule, and for anything small; within a deadline
/// for anything small, and for chains and trees of some hundred tasks.
///
/// ```
/// use skyloom_core::{Bytes, Catalogue, MicroUsdPerHour};
/// use skyloom_scheduler::Effort;
/// use skyloom_scheduler::dag::{Candidate, Dag, DagConfig, Edge, Objective, Task, plan};
///
/// let candidate = |region: &str, micros: i64| -> Result<Candidate, skyloom_core::IdError> {
///     let (offer, per_hour) = ("m".to_owned(), MicroUsdPerHour::from_micros(micros));
///     Ok(Candidate { offer, region: region.parse()?, per_hour, run_seconds: 3600.0, nodes: 1 })
/// };
/// let first = Task::new("first".into(), vec![candidate("aws/us-east-1", 500_000)?, candidate("gcp/us-east1", 400_000)?]);
/// let second = Task::new("second".into(), vec![candidate("aws/us-east-1", 500_000)?]);
/// let edge = Edge { from: "first".into(), to: "second".into(), bytes: Bytes::from_gib(10) };
/// let dag = Dag { tasks: vec![first, second], data: Vec::new(), edges: vec![edge] };
/// // Going to the other cloud would save 0.10 USD and cost 1.20 USD for 10 GiB.
/// let best = plan(&dag, &Catalogue::builtin(), &DagConfig::new(Objective::Cost), &mut Effort::units(1_000_000))?;
/// assert_eq!((best.cost.to_string().as_str(), best.gap), ("1.00 USD", 0.0));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Errors
/// [`DagError`] names what is wrong with the input, the rule that cannot be met, or that the work was used up before a
/// plan within the rules was found.
pub fn plan(
    dag: &Dag,
    catalogue: &Catalogue,
    config: &DagConfig,
    effort: &mut Effort<'_>,
) -> Result<DagPlan, DagError> {
    let is_cost = config.objective == Objective::Cost;
    let own_deadlines = dag.tasks.iter().any(|task| task.finish_within_seconds.is_some());
    let compiled = compile(dag, catalogue, config, !is_cost || own_deadlines)?;
    let planner = Planner::new(&compiled, config);
    match config.objective {
        Objective::Cost => planner.by_deadline(NO_DEADLINE, effort),
        Objective::CostByDeadline { seconds } => {
            let deadline = checks::millis(seconds, "deadline", || "the plan".to_owned())?;
            planner.by_deadline(deadline, effort)
        }
        Objective::Time => planner.fastest(None, effort),
        Objective::TimeByBudget { budget } => planner.fastest(Some(budget), effort),
    }
}

/// A compiled question with its configuration.
#[derive(Debug)]
pub(super) struct Planner<'p> {
    compiled: &'p Compiled<'p>,
    config: &'p DagConfig,
    /// Fast plans to begin with where time matters.
    quick: OnceCell<Vec<Vec<usize>>>,
}

impl<'p> Planner<'p> {
    pub(super) const fn new(compiled: &'p Compiled<'p>, config: &'p DagConfig) -> Self {
        Self {
            compiled,
            config,
            quick: OnceCell::new(),
        }
    }

    fn quick(&self) -> &[Vec<usize>] {
        self.quick.get_or_init(|| paths::quick(self.compiled))
    }

    fn rules(&self, deadline: u64, enough: Option<i64>, share: f64) -> Rules {
        Rules {
            deadline,
            direct_max: self.config.direct_max,
            // What is decided in full is a table of one entry.
            table_entries_max: self.config.table_entries_max.max(1),
            enough,
            share,
        }
    }

    fn is_timed(&self, deadline: u64) -> bool {
        deadline != NO_DEADLINE || self.compiled.has_deadlines()
    }

    /// The cheapest plan in time.
    pub(super) fn search(
        &self,
        deadline: u64,
        share: f64,
        effort: &mut Effort<'_>,
    ) -> Result<(Tally, Found), DagError> {
        let known = if self.is_timed(deadline) { self.quick() } else { &[] };
        let found = cheapest(self.compiled, self.rules(deadline, None, share), known, effort);
        match (&found.best, found.bound) {
            (Some(best), _) => Ok((best.clone(), found)),
            (None, Some(_)) => Err(DagError::OutOfWork { rule: Rule::Deadline }),
            (None, None) => Err(self.too_slow(deadline)),
        }
    }

    fn by_deadline(&self, deadline: u64, effort: &mut Effort<'_>) -> Result<DagPlan, DagError> {
        let (best, found) = self.search(deadline, 1.0, effort)?;
        let mut plan = self.report(&best, &found, deadline);
        plan.gap = gap(plan.cost.as_micros(), plan.cost_lower_bound.as_micros());
        Ok(plan)
    }

    /// The fastest plan that costs no more, and the cheapest of those.
    fn fastest(&self, budget: Option<MicroUsd>, effort: &mut Effort<'_>) -> Result<DagPlan, DagError> {
        let (mut best, mut least) = self.first_within(budget, effort)?;
        let mut low = least;
        let mut high = Timing::of(self.compiled, &best.picks).makespan;
        let enough = budget.map_or(i64::MAX, MicroUsd::as_micros);
        let steps = (u64::BITS - high.saturating_sub(low).leading_zeros()).max(1);
        let mut step = 0;
        while low < high {
            let middle = u64::midpoint(low, high);
            step += 1;
            let share = 0.2 + 0.5 * f64::from(step.min(steps)) / f64::from(steps);
            let rules = self.rules(middle, Some(enough), share);
            let found = cheapest(self.compiled, rules, self.quick(), effort);
            match found.best.filter(|tally| micros(tally.cost()) <= enough) {
                Some(tally) => {
                    high = Timing::of(self.compiled, &tally.picks).makespan;
                    best = tally;
                }
                None => {
                    if found.bound.is_none_or(|bound| bound > enough) {
                        least = middle + 1;
                    }
                    low = middle + 1;
                }
            }
        }
        let known = [best.picks.clone()];
        let found = cheapest(self.compiled, self.rules(high, None, 1.0), &known, effort);
        let best = found.best.clone().unwrap_or(best);
        let mut plan = self.report(&best, &found, high);
        plan.makespan_lower_bound_ms = least;
        plan.gap = gap(signed(plan.makespan_ms), signed(least));
        Ok(plan)
    }

    /// Some plan within the budget, and a lower bound of the time of all.
    fn first_within(&self, budget: Option<MicroUsd>, effort: &mut Effort<'_>) -> Result<(Tally, u64), DagError> {
        let node = Node::all(self.compiled);
        let windows = Windows::of(self.compiled, &node.domains, NO_DEADLINE);
        let least = windows.makespan(self.compiled, &node.domains);
        let enough = budget.map_or(i64::MAX, MicroUsd::as_micros);
        let fits = |picks: &&Vec<usize>| {
            let timing = Timing::of(self.compiled, picks);
            timing.is_within(self.compiled, NO_DEADLINE)
                && micros(Tally::of(self.compiled, (*picks).clone()).cost()) <= enough
        };
        let fastest = self
            .quick()
            .iter()
            .filter(fits)
            .min_by_key(|picks| Timing::of(self.compiled, picks).makespan);
        if let Some(picks) = fastest {
            return Ok((Tally::of(self.compiled, picks.clone()), least));
        }
        let rules = self.rules(NO_DEADLINE, Some(enough), 0.2);
        let found = cheapest(self.compiled, rules, &[], effort);
        match (found.best, found.bound) {
            (Some(tally), _) if micros(tally.cost()) <= enough => Ok((tally, least)),
            (_, Some(bound)) if bound > enough => Err(DagError::OverBudget {
                asked: MicroUsd::from_micros(enough),
                least: MicroUsd::from_micros(bound),
            }),
            (_, Some(_)) => Err(DagError::OutOfWork {
                rule: if budget.is_some() { Rule::Budget } else { Rule::Deadline },
            }),
            (_, None) => Err(self.too_slow(NO_DEADLINE)),
        }
    }

    /// What stands against a deadline that cannot be met.
    fn too_slow(&self, deadline: u64) -> DagError {
        let node = Node::all(self.compiled);
        let windows = Windows::of(self.compiled, &node.domains, NO_DEADLINE);
        for (task, step) in self.compiled.steps.iter().enumerate() {
            let earliest = windows.earliest[task].iter().copied().min().unwrap_or(0);
            if earliest > step.latest {
                return DagError::TooSlow {
                    of: format!("task `{}`", step.task.id),
                    asked_ms: step.latest,
                    least_ms: earliest,
                };
            }
        }
        if self.compiled.has_deadlines() {
            return DagError::DeadlinesContradict;
        }
        let least = windows.makespan(self.compiled, &node.domains);
        DagError::TooSlow {
            of: "all tasks".to_owned(),
            asked_ms: deadline,
            // Proven not to be in time, whatever the bound of each task alone says.
            least_ms: least.max(deadline.saturating_add(1)),
        }
    }

    /// The plan with its costs; gap and bound of the time are the objective's.
    pub(super) fn report(&self, best: &Tally, found: &Found, deadline: u64) -> DagPlan {
        let cost = micros(best.cost());
        let timed = self.is_timed(deadline).then_some(deadline);
        let sent = explain::sent(self.compiled, best);
        DagPlan {
            cost: MicroUsd::from_micros(cost),
            egress: MicroUsd::from_micros(cost - best.run),
            cost_lower_bound: MicroUsd::from_micros(found.bound.unwrap_or(cost).min(cost)),
            makespan_ms: Timing::of(self.compiled, &best.picks).makespan,
            makespan_lower_bound_ms: 0,
            gap: 0.0,
            has_assumed_prices: sent.iter().any(|sent| sent.is_assumed),
            tasks: explain::tasks(self.compiled, best, timed, self.config.explain),
            sent,
        }
    }
}

/// (found - bound) / bound.
pub(super) fn gap(found: i64, bound: i64) -> f64 {
    if found <= bound {
        return 0.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio for people; decisions compare the integers"
    )]
    let (found, bound) = (found as f64, bound as f64);
    if bound > 0.0 {
        (found - bound) / bound
    } else {
        f64::INFINITY
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
