//! Cost against time: plans of which none is both cheaper and faster than another.
//!
//! From the cheapest plan on, the deadline is set below the makespan of the plan just found and the cheapest plan in time
//! is looked for (the epsilon-constraint method, Haimes, Lasdon and Wismer, 1971), until there is none. A step shorter
//! than each plan's makespan by one millisecond gives the whole front; a longer one gives a coarser one with a guarantee.

use skyloom_core::Catalogue;

use crate::effort::Effort;

use super::compile::{NO_DEADLINE, compile};
use super::error::DagError;
use super::plan::{Planner, gap};
use super::report::{DagPlan, Front};
use super::types::{Dag, DagConfig};

/// How fine a front is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FrontConfig {
    /// Plans whose times are closer than this share need not be told apart, 0 to 1; 0: all plans.
    pub time_step: f64,
    /// Plans at most; where it is reached, `time_gap` says how much faster there might be.
    pub plans_max: usize,
}

impl FrontConfig {
    /// All plans, a thousand at most.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            time_step: 0.0,
            plans_max: 1000,
        }
    }

    /// The same with another step.
    #[must_use]
    pub const fn with_time_step(mut self, share: f64) -> Self {
        self.time_step = share;
        self
    }

    /// The same with another number of plans.
    #[must_use]
    pub const fn with_plans_max(mut self, plans: usize) -> Self {
        self.plans_max = plans;
        self
    }
}

impl Default for FrontConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// The front of cost and makespan. The objective of `config` does not matter; its speeds and what was sent do, and the
/// deadlines of the tasks hold. Each point takes as long as [`super::plan`] for a deadline; four plans may take
/// half of the effort, the next four half of the rest, and so on.
///
/// # Errors
/// As [`super::plan`]: [`DagError`].
pub fn front(
    dag: &Dag,
    catalogue: &Catalogue,
    config: &DagConfig,
    fineness: &FrontConfig,
    effort: &mut Effort<'_>,
) -> Result<Front, DagError> {
    let compiled = compile(dag, catalogue, config, true)?;
    let planner = Planner::new(&compiled, config);
    let step = if (0.0..1.0).contains(&fineness.time_step) {
        fineness.time_step
    } else {
        0.0
    };
    let mut plans: Vec<DagPlan> = Vec::new();
    let mut deadline = NO_DEADLINE;
    let (mut cost_gap, mut time_gap) = (0.0f64, step);
    loop {
        let (best, found) = match planner.search(deadline, share_of(plans.len()), effort) {
            Ok(answer) => answer,
            Err(DagError::TooSlow { .. } | DagError::DeadlinesContradict) if !plans.is_empty() => break,
            Err(DagError::OutOfWork { .. }) if !plans.is_empty() => {
                time_gap = f64::INFINITY;
                break;
            }
            Err(error) => return Err(error),
        };
        let mut plan = planner.report(&best, &found, deadline);
        plan.gap = gap(plan.cost.as_micros(), plan.cost_lower_bound.as_micros());
        cost_gap = cost_gap.max(plan.gap);
        // As cheap as the one before and faster: that one is not needed.
        while plans.last().is_some_and(|last| last.cost >= plan.cost) {
            plans.pop();
        }
        let makespan = plan.makespan_ms;
        plans.push(plan);
        if makespan == 0 {
            break;
        }
        if plans.len() >= fineness.plans_max {
            time_gap = f64::INFINITY;
            break;
        }
        deadline = shorter(makespan, step);
    }
    Ok(Front {
        plans,
        time_gap,
        cost_gap,
    })
}

/// How much of the effort may be used when so many plans are known and another is looked for: half, three quarters, …
fn share_of(plans: usize) -> f64 {
    let halvings = u32::try_from(plans.min(20)).unwrap_or(20) / 4 + 1;
    1.0 - 1.0 / f64::from(1u32 << halvings)
}

/// The next deadline: below the makespan by the step, by a millisecond at least.
fn shorter(makespan: u64, step: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 to 1 times a makespan below 2^61; a rounded deadline is as good"
    )]
    let next = (makespan as f64 / (1.0 + step)) as u64;
    next.min(makespan.saturating_sub(1))
}
