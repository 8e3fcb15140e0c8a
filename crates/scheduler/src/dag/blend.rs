//! The best of two plans, part by part.
//!
//! Where two plans differ, the tasks that differ hang together in pieces; each piece can be as in the one or as in the
//! other plan, whatever the other pieces are, and only the volumes of the meters know of each other. So thousands of moves
//! of whole subgraphs are priced at the cost of looking at each differing flow once. This is what fills free allowances:
//! solutions under slightly different rates differ in just the pieces that are worth moving. Deadlines are not looked at.

use super::compile::{Compiled, End};
use super::network::FREE;
use super::tally::{Tally, region};
use super::tariff::GRAINS;

/// Times that all pieces are looked at, at most.
const SWEEPS_MAX: usize = 8;

/// Tasks that change together.
#[derive(Debug, Clone, Default)]
struct Piece {
    tasks: Vec<usize>,
    /// Micro-dollars that the tasks cost more in the other plan.
    run: i64,
    /// Bytes that meters count more in the other plan, each meter once.
    volumes: Vec<(usize, i128)>,
    is_changed: bool,
}

/// The cheapest plan found among those that are `plan` in some pieces and `other` in the rest, beginning with `plan`.
pub(super) fn blend(compiled: &Compiled<'_>, plan: &Tally, other: &[usize]) -> Tally {
    let mut pieces = pieces(compiled, &plan.picks, other);
    let mut blended = plan.clone();
    for _ in 0..SWEEPS_MAX {
        let mut is_better = false;
        for piece in &mut pieces {
            let sign = if piece.is_changed { -1 } else { 1 };
            let more: i128 = piece
                .volumes
                .iter()
                .map(|(meter, bytes)| charge(compiled, &blended, *meter, sign * bytes))
                .sum();
            let cost = i128::from(piece.run) * sign * GRAINS + more;
            if cost >= 0 {
                continue;
            }
            piece.is_changed = !piece.is_changed;
            is_better = true;
            blended.egress += more;
            blended.run += if sign > 0 { piece.run } else { -piece.run };
            for (meter, bytes) in &piece.volumes {
                blended.volumes[*meter] = changed(blended.volumes[*meter], sign * bytes);
            }
        }
        if !is_better {
            break;
        }
    }
    for task in pieces
        .iter()
        .filter(|piece| piece.is_changed)
        .flat_map(|piece| &piece.tasks)
    {
        blended.picks[*task] = other[*task];
    }
    blended
}

fn changed(volume: u64, bytes: i128) -> u64 {
    u64::try_from(i128::from(volume) + bytes).unwrap_or(0)
}

fn charge(compiled: &Compiled<'_>, tally: &Tally, meter: usize, bytes: i128) -> i128 {
    let (tariff, volume) = (&compiled.network.meters[meter].tariff, tally.volumes[meter]);
    tariff.cost(changed(volume, bytes)) - tariff.cost(volume)
}

/// The pieces in which two plans differ, by their first task.
fn pieces(compiled: &Compiled<'_>, plan: &[usize], other: &[usize]) -> Vec<Piece> {
    let differs = |task: usize| plan[task] != other[task];
    let mut piece_of = vec![usize::MAX; plan.len()];
    let mut pieces: Vec<Piece> = Vec::new();
    let mut stack = Vec::new();
    for first in 0..plan.len() {
        if !differs(first) || piece_of[first] != usize::MAX {
            continue;
        }
        let number = pieces.len();
        let mut piece = Piece::default();
        piece_of[first] = number;
        stack.push(first);
        while let Some(task) = stack.pop() {
            let choices = &compiled.steps[task].choices;
            piece.run += choices[other[task]].cost - choices[plan[task]].cost;
            piece.tasks.push(task);
            for &flow in compiled.flows_of.row(task) {
                for end in [compiled.flows[flow].from, compiled.flows[flow].to] {
                    if let End::Task(next) = end
                        && differs(next)
                        && piece_of[next] == usize::MAX
                    {
                        piece_of[next] = number;
                        stack.push(next);
                    }
                }
            }
        }
        count(compiled, (plan, other), &mut piece);
        pieces.push(piece);
    }
    pieces
}

/// Counts by how much the volumes differ.
fn count(compiled: &Compiled<'_>, (plan, other): (&[usize], &[usize]), piece: &mut Piece) {
    for &task in &piece.tasks {
        for &number in compiled.flows_of.row(task) {
            let flow = &compiled.flows[number];
            // Between two tasks of the piece: once, at its sender.
            if let (End::Task(from), End::Task(to)) = (flow.from, flow.to)
                && to == task
                && plan[from] != other[from]
            {
                continue;
            }
            for (picks, bytes) in [(plan, -i128::from(flow.bytes)), (other, i128::from(flow.bytes))] {
                let meter = compiled
                    .network
                    .meter_of(region(compiled, picks, flow.from), region(compiled, picks, flow.to));
                if meter != FREE {
                    match piece.volumes.iter_mut().find(|(known, _)| *known == meter as usize) {
                        Some((_, sum)) => *sum += bytes,
                        None => piece.volumes.push((meter as usize, bytes)),
                    }
                }
            }
        }
    }
    piece.volumes.retain(|(_, bytes)| *bytes != 0);
}
