//! Best fit: keep machines full, so that large gaps stay whole.

use super::{Choice, Policy, Score, to_buy};

/// Takes the open machine with the least room left after the replica is on it (mean free share over its dimensions);
/// buys the cheapest offer that fits only when no open machine has room.
///
/// Source: best fit of bin packing (Johnson, 1973), with the mean free share as the measure for several dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BestFit;

impl Policy for BestFit {
    fn name(&self) -> &'static str {
        "best-fit"
    }

    fn parts(&self) -> [&'static str; 4] {
        [
            "machines to buy",
            "free share afterwards",
            "extra USD per month",
            "free share afterwards",
        ]
    }

    fn score(&self, choice: &Choice<'_>) -> Score {
        let open_room = if choice.open { choice.room_after } else { 0.0 };
        Score([
            to_buy(choice),
            open_room,
            choice.extra_per_month.as_usd(),
            choice.room_after,
        ])
    }
}
