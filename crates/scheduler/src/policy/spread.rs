//! Spread: as few replicas of a service as possible share a fate.

use super::{Choice, Policy, Score};

/// Takes the fault domain with the fewest replicas of the service, in it the machine with the fewest, then what adds
/// least to the bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread;

impl Policy for Spread {
    fn name(&self) -> &'static str {
        "spread"
    }

    fn parts(&self) -> [&'static str; 4] {
        [
            "replicas in the zone",
            "replicas on the machine",
            "extra USD per month",
            "replicas in the region",
        ]
    }

    fn score(&self, choice: &Choice<'_>) -> Score {
        Score([
            f64::from(choice.peers_in_zone),
            f64::from(choice.peers_on_machine),
            choice.extra_per_month.as_usd(),
            f64::from(choice.peers_in_region),
        ])
    }
}
