//! Making a plan cheaper by moving single tasks, and all tasks of one region to another, exactly priced.
//!
//! What it finds are plans to be beaten, not proofs.

use super::compile::Compiled;
use super::network::FREE;
use super::tally::{Tally, Timing, region};
use super::tariff::GRAINS;

/// Rounds over all tasks at most.
const ROUNDS_MAX: usize = 12;

/// Moves tasks as long as that makes the plan cheaper and keeps it in time. Costs O(choices × flows) per round, and
/// O(tasks + flows) more for each move that is tried where time is limited. Not `all`: only tasks with traffic that is paid
/// for, which is where a plan that is best under a relaxation can be bettered.
pub(super) fn descend(compiled: &Compiled<'_>, tally: &mut Tally, deadline: Option<u64>, all: bool) {
    let mut scratch = Vec::new();
    let in_time =
        |picks: &[usize]| deadline.is_none_or(|deadline| Timing::of(compiled, picks).is_within(compiled, deadline));
    for _ in 0..ROUNDS_MAX {
        let mut changed = false;
        for task in 0..compiled.steps.len() {
            if !all && !pays(compiled, tally, task) {
                continue;
            }
            let choices = &compiled.steps[task].choices;
            let own = choices[tally.picks[task]].cost;
            let most = tally.traffic(compiled, task, &mut scratch);
            let might_pay = |pick: &usize| i128::from(choices[*pick].cost - own) * GRAINS < most;
            let mut moves: Vec<(i128, usize)> = (0..choices.len())
                .filter(might_pay)
                .map(|pick| (tally.delta(compiled, task, pick, &mut scratch), pick))
                .filter(|(delta, _)| *delta < 0)
                .collect();
            moves.sort_unstable();
            let before = tally.picks[task];
            for (_, pick) in moves {
                tally.picks[task] = pick;
                let allowed = in_time(&tally.picks);
                tally.picks[task] = before;
                if allowed {
                    tally.set(compiled, task, pick, &mut scratch);
                    changed = true;
                    break;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// Whether some traffic of a task is counted.
fn pays(compiled: &Compiled<'_>, tally: &Tally, task: usize) -> bool {
    compiled.flows_of.row(task).iter().any(|flow| {
        let flow = &compiled.flows[*flow];
        let (from, to) = (
            region(compiled, &tally.picks, flow.from),
            region(compiled, &tally.picks, flow.to),
        );
        compiled.network.meter_of(from, to) != FREE
    })
}

/// The plan with every task that has a choice there in one region, the others where they are cheapest; one per region
/// that some task can run in, together with the cheapest of each task alone.
pub(super) fn gathered(compiled: &Compiled<'_>, fastest: bool) -> Vec<Vec<usize>> {
    let regions = (0..compiled.network.regions.len()).map(Some);
    let pick = |region: Option<usize>| {
        let of_step = |step: &super::compile::Step<'_>| {
            let rank = |(at, choice): (usize, &super::compile::Choice)| {
                let first = if fastest {
                    choice.millis
                } else {
                    choice.cost.unsigned_abs()
                };
                (region != Some(choice.region) && region.is_some(), first, at)
            };
            step.choices
                .iter()
                .enumerate()
                .map(rank)
                .min()
                .map_or(0, |(_, _, at)| at)
        };
        compiled.steps.iter().map(of_step).collect()
    };
    std::iter::once(None).chain(regions).map(pick).collect()
}
