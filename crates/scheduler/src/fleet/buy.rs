//! The purchase from question to answer: fold, buy, prove, unfold.

use super::answer::FleetAnswer;
use super::error::FleetError;
use super::fold::fold;
use super::folded::{Bought, Folded};
use super::problem::FleetProblem;
use super::unfold::unfold;
use super::values::bound;
use super::{greedy, solve};
use crate::effort::Effort;

/// The share of the effort by which greedy rules end; the first of them always runs.
const FIRST_SHARE: f64 = 0.04;

/// The share of the effort by which local search on the first answer ends.
const POLISH_SHARE: f64 = 0.05;

/// Buys the cheapest machines found that hold the workloads, and proves how near to the cheapest possible that is.
///
/// Each copy is on one machine or left out with its reason; limits and the budget are never exceeded. A unit of effort
/// is one class looked at for one shape; a first answer is made whatever the effort. Equal questions, limits of effort
/// in units, and replayed logs give equal answers.
///
/// # Errors
///
/// [`FleetError::OverBudget`] when the budget does not pay for the cheapest fleet found (the error says whether that is
/// proven); every other error names what in the question is out of range or not there.
///
/// ```
/// use skyloom_scheduler::Effort;
/// use skyloom_scheduler::fleet::{Amounts, Devices, FleetProblem, MachineOffer, Workload, buy};
///
/// let mut problem = FleetProblem::new(vec!["cpu".to_owned(), "memory".to_owned()]);
/// problem.workloads.push(Workload {
///     need: Amounts([1500, 4096, 0, 0, 0, 0, 0, 0]),
///     devices: Devices::None,
///     copies: 5,
///     per_machine_max: None,
///     eligible: None,
/// });
/// for (cpu, memory, price) in [(2000, 8192, 100), (4000, 16384, 190), (8000, 32768, 390)] {
///     problem.offers.push(MachineOffer {
///         capacity: Amounts([cpu, memory, 0, 0, 0, 0, 0, 0]),
///         devices: 0,
///         nano_usd_per_hour: price,
///     });
/// }
/// let answer = buy(&problem, &mut Effort::units(100_000))?;
/// assert_eq!(answer.nano_usd_per_hour, 390);
/// assert!(answer.lower_bound_nano_usd_per_hour <= 390 && answer.left_out.is_empty());
/// # Ok::<(), skyloom_scheduler::fleet::FleetError>(())
/// ```
pub fn buy(problem: &FleetProblem, effort: &mut Effort<'_>) -> Result<FleetAnswer, FleetError> {
    let fold = fold(problem)?;
    let start = greedy::first(&fold.folded, effort, FIRST_SHARE);
    let start = greedy::polish(&fold.folded, start, effort, POLISH_SHARE);
    let (bought, bound) = if start.missing() > 0 {
        improve_held(&fold.folded, start, effort)
    } else {
        improve(&fold.folded, start, effort)
    };
    let fixed = u128::from(problem.fixed_nano_usd_per_hour);
    let cost = bought.price(&fold.folded) + fixed;
    let bound = bound + fixed;
    debug_assert!(bound <= cost, "a bound of {bound} above a cost of {cost}");
    let bound = bound.min(cost);
    if let Some(budget) = problem
        .budget_nano_usd_per_hour
        .filter(|budget| cost > u128::from(*budget))
    {
        return Err(FleetError::OverBudget {
            least_nano_usd_per_hour: cost,
            lower_bound_nano_usd_per_hour: bound,
            budget_nano_usd_per_hour: budget,
        });
    }
    let (machines, left_out) = unfold(problem, &fold, bought)?;
    Ok(FleetAnswer {
        nano_usd_per_hour: cost,
        lower_bound_nano_usd_per_hour: bound,
        machines,
        left_out,
        effort: effort.log(),
    })
}

/// A purchase at least as good, and the better of the quick bound and the one that took the effort.
fn improve(folded: &Folded, start: Bought, effort: &mut Effort<'_>) -> (Bought, u128) {
    let quick = bound(folded);
    let (bought, bound) = solve::improve(folded, start, effort);
    (bought, bound.max(quick))
}

/// What has no machine has no place in the bound either: the same question about the copies that have one.
fn improve_held(folded: &Folded, mut bought: Bought, effort: &mut Effort<'_>) -> (Bought, u128) {
    let missing = std::mem::take(&mut bought.left_out);
    let mut held = folded.clone();
    for (class, missing) in held.classes.iter_mut().zip(&missing) {
        class.count -= missing;
        class.per_machine_max = class
            .per_machine_max
            .min(u32::try_from(class.count).unwrap_or(u32::MAX));
    }
    let kept: Vec<u32> = (0u32..)
        .zip(&held.classes)
        .filter(|(_, c)| c.count > 0)
        .map(|(at, _)| at)
        .collect();
    held.classes.retain(|class| class.count > 0);
    let rename = |bought: &mut Bought, name: &dyn Fn(u32) -> Option<u32>| {
        for (pattern, _) in &mut bought.machines {
            pattern
                .items
                .iter_mut()
                .for_each(|(class, _)| *class = name(*class).unwrap_or(*class));
        }
    };
    rename(&mut bought, &|class| {
        kept.binary_search(&class).ok().and_then(|at| u32::try_from(at).ok())
    });
    bought.left_out = vec![0; held.classes.len()];
    let (mut bought, bound) = improve(&held, bought, effort);
    rename(&mut bought, &|class| kept.get(class as usize).copied());
    bought.left_out = missing;
    (bought, bound)
}
