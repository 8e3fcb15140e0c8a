//! Least utilised: the rule that the reference text's explanation of its assignment listing describes.

use super::{Choice, Policy, Score, to_buy};

/// Takes the open machine with the lowest utilisation (formula 1 of `docs/fidelity.md`, measured where known); buys
/// the cheapest offer that fits only when no open machine has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeastUtilised;

impl Policy for LeastUtilised {
    fn name(&self) -> &'static str {
        "least-utilised"
    }

    fn parts(&self) -> [&'static str; 4] {
        [
            "machines to buy",
            "utilisation before",
            "extra USD per month",
            "utilisation afterwards",
        ]
    }

    fn score(&self, choice: &Choice<'_>) -> Score {
        let open_load = if choice.open { choice.load_before } else { 0.0 };
        Score([
            to_buy(choice),
            open_load,
            choice.extra_per_month.as_usd(),
            choice.load_after,
        ])
    }
}
