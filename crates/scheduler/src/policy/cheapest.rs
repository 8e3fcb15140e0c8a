//! Cheapest: what the month's bill says, machines and egress together.

use super::{Choice, Policy, Score, to_buy};

/// The least total of machine prices and egress that a portfolio of greedy orders and a local search find within the
/// work budget. It never moves what already runs and still satisfies the rules.
///
/// Spot capacity is taken where a service accepts it and it is cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cheapest;

impl Policy for Cheapest {
    fn name(&self) -> &'static str {
        "cheapest"
    }

    fn parts(&self) -> [&'static str; 4] {
        [
            "extra USD per month",
            "machines to buy",
            "free share afterwards",
            "replicas in the zone",
        ]
    }

    fn score(&self, choice: &Choice<'_>) -> Score {
        let extra = choice.extra_per_month.as_usd();
        Score([
            extra,
            to_buy(choice),
            choice.room_after,
            f64::from(choice.peers_in_zone),
        ])
    }

    fn minimises_cost(&self) -> bool {
        true
    }
}
