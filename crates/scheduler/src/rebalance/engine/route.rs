//! From what a search did to what is to be done: no workload by a detour, and moves that only pay together in one run.

use std::ops::Range;

use super::board::{Board, Hop, Rules, Terms};

/// Detours that are looked into; each takes a walk over all moves.
const TRIES_MAX: u32 = 200;

/// The same moves with detours cut out where every state in between stays allowed; `start` is where they begin.
pub(crate) fn direct<R: Rules + Clone>(start: &Board<R>, hops: &[Hop], terms: &Terms) -> Vec<Hop> {
    let mut hops = hops.to_vec();
    if !has_detour(&hops) {
        return hops;
    }
    let mut board = start.clone();
    let mut tries = 0;
    let mut index = 0;
    while index < hops.len() && tries < TRIES_MAX {
        let earlier = hops[..index].iter().rposition(|h| h.workload == hops[index].workload);
        match earlier.and_then(|first| joined(&mut board, &hops, [first, index], terms, &mut tries)) {
            // Something before may be direct now.
            Some(shorter) => {
                hops = shorter;
                index = 0;
            }
            None => index += 1,
        }
    }
    hops
}

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
    tries: &mut u32,
) -> Option<Vec<Hop>> {
    let (from, to) = (hops[first].from, hops[second].to);
    let mut rest = hops.to_vec();
    let moved = rest.remove(second);
    rest.remove(first);
    let mut holds = |hops: &[Hop]| {
        *tries += 1;
        *tries <= TRIES_MAX && allowed(board, hops, terms)
    };
    if from == to {
        return holds(&rest).then_some(rest);
    }
    (first..second).rev().find_map(|place| {
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
        let rows: &[(f64, &[(f64, f64)], &[(usize, usize)])] = &[
            (2.0, &[(3.0, 1.0), (2.0, 1.0)], &[(0, 1), (1, 2)]),
            (1.0, &[(-1.0, 1.0), (9.0, 1.0), (2.0, 1.0)], &[(0, 2), (2, 3)]),
            (1.0, &[(9.0, 1.0), (2.0, 1.0), (-1.0, 1.0)], &[(0, 3)]),
            (2.0, &[(4.0, 1.0), (0.5, 1.0)], &[(0, 2)]),
            (2.0, &[], &[]),
        ];
        for (threshold, amounts, expected) in rows {
            let found = runs(amounts, *threshold);
            let found: Vec<(usize, usize)> = found.iter().map(|r| (r.hops.start, r.hops.end)).collect();
            assert_eq!(found, *expected, "{amounts:?}");
        }
    }
}
