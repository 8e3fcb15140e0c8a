//! From what a search did to what is to be done: no workload by a detour, and moves that only pay together in one run.

use std::collections::BTreeMap;
use std::ops::Range;

use super::board::{Board, Hop, Rules, Terms};

/// Moves that are walked over to look into detours, in all.
const WALKED_MAX: usize = 100_000;

/// The same moves with detours cut out where every state in between stays allowed; `start` is where they begin.
pub(crate) fn direct<R: Rules + Clone>(start: &Board<R>, hops: &[Hop], terms: &Terms) -> Vec<Hop> {
    let mut hops = hops.to_vec();
    if !has_detour(&hops) {
        return hops;
    }
    let mut board = start.clone();
    let mut walked = 0;
    'again: while walked < WALKED_MAX {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for index in 0..hops.len() {
            let earlier = last.insert(hops[index].workload, index);
            let shorter = earlier.and_then(|first| joined(&mut board, &hops, [first, index], terms, &mut walked));
            if let Some(shorter) = shorter {
                // Something before may be direct now.
                hops = shorter;
                continue 'again;
            }
        }
        break;
    }
    hops
}

/// Places that a joined move is tried at.
const PLACES_MAX: usize = 16;

fn has_detour(hops: &[Hop]) -> bool {
    let mut workloads: Vec<usize> = hops.iter().map(|h| h.workload).collect();
    workloads.sort_unstable();
    workloads.windows(2).any(|pair| pair[0] == pair[1])
}

/// `hops` with two moves of one workload made one, at the last place where that is allowed; `None` when it never is.
fn joined<R: Rules>(
    board: &mut Board<R>,
    hops: &[Hop],
    [first, second]: [usize; 2],
    terms: &Terms,
    walked: &mut usize,
) -> Option<Vec<Hop>> {
    let (from, to) = (hops[first].from, hops[second].to);
    let mut rest = hops.to_vec();
    let moved = rest.remove(second);
    rest.remove(first);
    let mut holds = |hops: &[Hop]| {
        *walked += hops.len();
        *walked <= WALKED_MAX && allowed(board, hops, terms)
    };
    if from == to {
        return holds(&rest).then_some(rest);
    }
    let places = (first..second).rev().take(PLACES_MAX);
    places.into_iter().find_map(|place| {
        let mut hops = rest.clone();
        hops.insert(place, Hop { from, ..moved });
        holds(&hops).then_some(hops)
    })
}

/// Whether every move is allowed when its turn comes; the board is left as it was.
fn allowed<R: Rules>(board: &mut Board<R>, hops: &[Hop], terms: &Terms) -> bool {
    let mut made = 0;
    for hop in hops {
        if board.forbidden(hop.workload, hop.to, terms).is_some() {
            break;
        }
        board.shift(hop.workload, hop.to);
        made += 1;
    }
    for hop in hops[..made].iter().rev() {
        board.shift(hop.workload, hop.from);
    }
    made == hops.len()
}

/// A run of moves that pay for themselves together, and no part of its beginning does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    /// Which moves.
    pub(crate) hops: Range<usize>,
    pub(crate) saving: f64,
    pub(crate) cost: f64,
}

/// Cuts moves with these savings and costs into runs that reach the threshold; all together must reach it.
pub(crate) fn runs(amounts: &[(f64, f64)], threshold: f64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open: Option<Run> = None;
    for (index, (saving, cost)) in amounts.iter().enumerate() {
        let run = open.take().unwrap_or(Run {
            hops: index..index,
            saving: 0.0,
            cost: 0.0,
        });
        let run = Run {
            hops: run.hops.start..index + 1,
            saving: run.saving + saving,
            cost: run.cost + cost,
        };
        if run.saving > 0.0 && run.saving >= threshold * run.cost {
            runs.push(run);
        } else {
            open = Some(run);
        }
    }
    // What is left over joins what came before, until it pays.
    while let Some(left) = open.take() {
        let Some(before) = runs.pop() else {
            return vec![left];
        };
        let run = Run {
            hops: before.hops.start..left.hops.end,
            saving: before.saving + left.saving,
            cost: before.cost + left.cost,
        };
        if run.saving > 0.0 && run.saving >= threshold * run.cost {
            runs.push(run);
        } else {
            open = Some(run);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn moves_that_pay_only_together_are_one_run() {
        // Threshold, savings (each for a cost of 1), and where runs end.
        let rows: [(f64, &[f64], &[usize]); 5] = [
            (2.0, &[3.0, 2.0], &[1, 2]),
            (1.0, &[-1.0, 9.0, 2.0], &[2, 3]),
            (1.0, &[9.0, 2.0, -1.0], &[3]),
            (2.0, &[4.0, 0.5], &[2]),
            (2.0, &[], &[]),
        ];
        for (threshold, savings, expected) in rows {
            let amounts: Vec<(f64, f64)> = savings.iter().map(|s| (*s, 1.0)).collect();
            let ends: Vec<usize> = runs(&amounts, threshold).iter().map(|r| r.hops.end).collect();
            assert_eq!(ends, expected, "{savings:?}");
        }
    }
}
