//! Two workloads change places where no single move is worth it or fits.
//!
//! Whichever order keeps every state in between allowed is taken; where neither does, one of the two waits on a third
//! node, which is a move more.

use super::Found;
use super::board::{Board, Gain, Hop, Rules, Terms, fall};

/// Most used nodes that give.
const GIVERS: usize = 64;

/// Least used nodes that give back.
const TAKERS: usize = 16;

/// Exchanges that are tried in one round.
const TRIED_MAX: usize = 1024;

/// Nodes on which one of the two may wait.
const PARKING: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Exchange {
    net: f64,
    first: usize,
    second: usize,
}

/// Exchanges workloads of much used and little used nodes, those that give most first; says in `found.more` when one was
/// worth it but took more moves than are left.
pub(super) fn exchange<R: Rules>(board: &mut Board<R>, terms: &Terms, moves_max: usize, found: &mut Found) {
    let limit = found.hops.len() + moves_max;
    for exchange in worth_it(board, terms) {
        let (a, b) = (board.at[exchange.first], board.at[exchange.second]);
        let Some(gain) = gain(board, terms, exchange.first, exchange.second).filter(|g| g.counts(terms)) else {
            continue;
        };
        let Some(hops) = make(board, terms, exchange, [a, b], gain) else {
            continue;
        };
        if found.hops.len() + hops.len() > limit {
            found.more = true;
            for hop in hops.iter().rev() {
                board.shift(hop.workload, hop.from);
            }
            return;
        }
        found.hops.extend(hops);
    }
}

fn worth_it<R: Rules>(board: &mut Board<R>, terms: &Terms) -> Vec<Exchange> {
    let givers: Vec<usize> = board.most_used().take(GIVERS).collect();
    let takers = super::greedy::receivers(board, terms, TAKERS);
    let mut list = Vec::new();
    for &giver in &givers {
        let firsts = board.movable_on(giver);
        for &taker in takers.iter().filter(|t| **t != giver) {
            for second in board.movable_on(taker) {
                for &first in &firsts {
                    let gain = gain(board, terms, first, second).filter(|g| g.counts(terms));
                    list.extend(gain.map(|g| Exchange {
                        net: g.net(terms),
                        first,
                        second,
                    }));
                }
            }
        }
    }
    list.sort_by(|x, y| {
        y.net
            .total_cmp(&x.net)
            .then((x.first, x.second).cmp(&(y.first, y.second)))
    });
    list.truncate(TRIED_MAX);
    list
}

fn gain<R: Rules>(board: &mut Board<R>, terms: &Terms, first: usize, second: usize) -> Option<Gain> {
    let (a, b) = (board.at[first], board.at[second]);
    if a == b {
        return None;
    }
    let given = board.loads.level_after(a, Some(first), Some(second));
    let taken = board.loads.level_after(b, Some(second), Some(first));
    let rms_after = board.loads.rms_after(&board.loads.leaving(a, given), b, taken);
    let worth = board.rules.saves(first, a, b) + board.rules.saves(second, b, a);
    Some(Gain {
        saving: terms.value * fall(board.loads.rms(), rms_after) + worth,
        cost: board.rules.cost(first, a, b) + board.rules.cost(second, b, a),
        rms_after,
    })
}

/// Carries an exchange out in the first order that is allowed throughout; leaves the board as it is when none is.
fn make<R: Rules>(
    board: &mut Board<R>,
    terms: &Terms,
    exchange: Exchange,
    [a, b]: [usize; 2],
    gain: Gain,
) -> Option<Vec<Hop>> {
    let (first, second) = (exchange.first, exchange.second);
    let direct = [vec![(first, b), (second, a)], vec![(second, a), (first, b)]];
    for order in direct {
        if let Some(hops) = follow(board, terms, &order) {
            return Some(hops);
        }
    }
    let parking: Vec<usize> = board
        .least_used()
        .take(PARKING)
        .filter(|c| *c != a && *c != b)
        .collect();
    for c in parking {
        for (waits, goes, home, other) in [(second, first, b, a), (first, second, a, b)] {
            let cost = gain.cost + board.rules.cost(waits, home, c);
            if !(Gain { cost, ..gain }).counts(terms) {
                continue;
            }
            if let Some(hops) = follow(board, terms, &[(waits, c), (goes, home), (waits, other)]) {
                return Some(hops);
            }
        }
    }
    None
}

/// Makes moves one after the other as long as they are allowed; takes them back when one is not.
fn follow<R: Rules>(board: &mut Board<R>, terms: &Terms, moves: &[(usize, usize)]) -> Option<Vec<Hop>> {
    let mut hops = Vec::new();
    for &(workload, to) in moves {
        if board.forbidden(workload, to, terms).is_some() {
            for hop in hops.iter().rev() {
                let Hop { workload, from, .. } = *hop;
                board.shift(workload, from);
            }
            return None;
        }
        hops.push(board.shift(workload, to));
    }
    Some(hops)
}
