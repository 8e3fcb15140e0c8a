//! Fast plans at once: each task where it ends earliest, or where the longest way from it to the end is shortest.
//!
//! Along the edges the first is the fastest plan of anything in which tasks join (each has one successor at most); against
//! them the second is that of anything that forks (one predecessor at most); both of a chain. For other shapes they are
//! good plans without a proof.

use super::compile::{Compiled, End};
use super::descend::gathered;
use super::node::Node;
use super::windows::Windows;

/// Such plans, and the fastest and cheapest of each region.
pub(super) fn quick(compiled: &Compiled<'_>) -> Vec<Vec<usize>> {
    let mut plans = vec![backwards(compiled), forwards(compiled)];
    plans.extend(gathered(compiled, true));
    plans.extend(gathered(compiled, false));
    plans.sort();
    plans.dedup();
    plans
}

/// Far enough for every way to the end.
const FAR: u64 = 1 << 62;

/// From the last task to the first, each where what follows can start earliest.
fn backwards(compiled: &Compiled<'_>) -> Vec<usize> {
    let node = Node::all(compiled);
    let windows = Windows::of(compiled, &node.domains, FAR);
    let mut picks = vec![0; compiled.steps.len()];
    for task in (0..picks.len()).rev() {
        let arrives = |pick: usize| {
            let region = compiled.steps[task].choices[pick].region;
            let end = windows.earliest[task][pick];
            let mut latest = end;
            for &flow in compiled.flows_of.row(task) {
                let to = match (compiled.flows[flow].from, compiled.flows[flow].to) {
                    (End::Task(_), End::Data(to)) => to,
                    (End::Task(from), End::Task(to)) if from == task => compiled.steps[to].choices[picks[to]].region,
                    _ => continue,
                };
                latest = latest.max(end.saturating_add(compiled.millis(flow, region, to)));
            }
            (latest, compiled.steps[task].choices[pick].cost, pick)
        };
        picks[task] = best(compiled, task, arrives);
    }
    picks
}

/// From the first task to the last, each where the longest way through it is shortest.
fn forwards(compiled: &Compiled<'_>) -> Vec<usize> {
    let node = Node::all(compiled);
    let windows = Windows::of(compiled, &node.domains, FAR);
    let mut picks = vec![0; compiled.steps.len()];
    let mut ends = vec![0u64; picks.len()];
    for task in 0..picks.len() {
        let way = |pick: usize| {
            let behind = FAR.saturating_sub(windows.latest[task][pick]);
            (
                end(compiled, task, pick, &picks, &ends).saturating_add(behind),
                compiled.steps[task].choices[pick].cost,
                pick,
            )
        };
        let pick = best(compiled, task, way);
        ends[task] = end(compiled, task, pick, &picks, &ends);
        picks[task] = pick;
    }
    picks
}

/// When a task ends, the tasks before it being decided.
fn end(compiled: &Compiled<'_>, task: usize, pick: usize, picks: &[usize], ends: &[u64]) -> u64 {
    let choice = &compiled.steps[task].choices[pick];
    let arrives = |flow: &usize| match (compiled.flows[*flow].from, compiled.flows[*flow].to) {
        (End::Data(from), _) => compiled.millis(*flow, from, choice.region),
        (End::Task(other), End::Task(to)) if to == task => {
            let from = compiled.steps[other].choices[picks[other]].region;
            ends[other].saturating_add(compiled.millis(*flow, from, choice.region))
        }
        _ => 0,
    };
    let start = compiled.flows_of.row(task).iter().map(arrives).max().unwrap_or(0);
    start.saturating_add(choice.millis)
}

fn best(compiled: &Compiled<'_>, task: usize, rank: impl Fn(usize) -> (u64, i64, usize)) -> usize {
    let ranks = (0..compiled.steps[task].choices.len()).map(rank);
    ranks.min().map_or(0, |(_, _, pick)| pick)
}
