//! The search for moves, over numbers: who may go where is asked from [`Rules`], everything else is here.
//!
//! Manifests and plain clusters come to the same search; they differ in their rules and in what a move is worth besides
//! evenness. Names, texts and money types stay outside.

mod ahead;
mod board;
mod greedy;
mod loads;
mod route;
mod swap;

pub(crate) use board::{Board, Gain, Hop, Ranked, Rules, Terms, fall};
pub(crate) use greedy::obstacles;
pub(crate) use loads::Loads;
pub(crate) use route::{Run, direct, runs};

use crate::effort::Effort;

/// Units (candidates weighed) that looking ahead may take; a world that needs more is searched greedily.
pub(crate) const AHEAD_UNITS: u64 = 120_000;

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Moves in order; each is allowed when its turn comes.
    pub(crate) hops: Vec<Hop>,
    /// Whether more was worth it but exceeded the moves or the effort that were allowed.
    pub(crate) more: bool,
    /// Whether every assignment within reach was weighed, so that nothing better is within reach.
    pub(crate) exhaustive: bool,
}

/// Moves that make the most of `terms`; `board` is left as it is after them.
///
/// Repeats what finds moves until it finds none. Every round depends on the board alone, not on the rounds before it,
/// so that a second search on the result finds nothing, unless this one ended with `more`.
pub(crate) fn search<R: Rules + Clone>(board: &mut Board<R>, terms: &Terms, effort: &mut Effort<'_>) -> Found {
    let start = board.clone();
    let mut found = Found::default();
    let width = ahead::width(board, terms);
    loop {
        board.loads.refresh();
        let left = terms.moves_max - found.hops.len();
        let round = match width {
            Some(width) => ahead::best(board, terms, left, width, effort),
            None => greedy::descend(board, terms, left, effort),
        };
        let (none, ended) = (round.hops.is_empty(), round.more);
        found.exhaustive = round.exhaustive && (found.hops.is_empty() || none && found.exhaustive);
        found.hops.extend(round.hops);
        let shorter = direct(&start, &found.hops, terms);
        let saved = shorter.len() < found.hops.len();
        found.hops = shorter;
        // Moves that became one leave room for another.
        if ended && !saved || none {
            found.more = ended;
            break;
        }
    }
    if let Some(width) = width.filter(|_| !found.more && !found.hops.is_empty()) {
        // What a fresh search with all its moves would still do.
        let again = ahead::best(board, terms, terms.moves_max, width, effort);
        found.more = !again.hops.is_empty() || again.more;
        for hop in again.hops.iter().rev() {
            board.shift(hop.workload, hop.from);
        }
    }
    found
}
