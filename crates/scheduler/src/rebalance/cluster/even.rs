//! Even utilisation: the search as it is, and why it found nothing.

use super::answer::Refusal;
use super::book::Book;
use super::plan::nothing_to_move;
use super::report::{Account, Draft};
use crate::effort::Effort;
use crate::formulas::CostBenefit;
use crate::rebalance::engine::{Board, Terms, obstacles, search};

pub(super) fn draft<'a>(start: &Board<Book<'a>>, terms: &Terms, effort: &mut Effort<'_>) -> Draft<'a> {
    if let Some(refusal) = nothing_to_move(start) {
        return Draft::refused(refusal);
    }
    let mut board = start.clone();
    let found = search(&mut board, terms, effort);
    let refusal = found.hops.is_empty().then(|| refusal(&mut board, terms, found.more));
    let more = found.more || matches!(refusal, Some(Refusal::TooManyMoves { .. }));
    Draft {
        hops: found.hops,
        account: Account::Evenness { value: terms.value },
        more,
        exhaustive: found.exhaustive,
        refusal,
        ..Draft::default()
    }
}

fn refusal(board: &mut Board<Book<'_>>, terms: &Terms, more: bool) -> Refusal {
    let obstacles = obstacles(board, terms);
    let too_many = more || terms.moves_max == 0 && obstacles.best.is_some_and(|best| best.counts(terms));
    match obstacles.best {
        _ if too_many => Refusal::TooManyMoves {
            moves_max: u32::try_from(terms.moves_max).unwrap_or(u32::MAX),
        },
        Some(best) => Refusal::NotWorthIt {
            best: CostBenefit::Ratio(best.cost / best.saving),
            threshold: terms.threshold,
        },
        None if !obstacles.rejected.is_empty() => Refusal::Forbidden {
            rejected: obstacles.rejected,
        },
        None => Refusal::NothingToGain { rms: board.loads.rms() },
    }
}
