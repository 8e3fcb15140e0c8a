//! Policies: how the feasible options of one replica are ranked.
//!
//! A policy never sees an infeasible option and cannot soften a hard rule. One file per policy and one line in
//! [`BUILTIN`]; properties, benches and docs iterate over the table. `docs/adding-a-policy.md` shows how to add one.

mod best_fit;
mod cheapest;
mod least_utilised;
mod random;
mod spread;

use std::cmp::Ordering;
use std::fmt;

use skyloom_core::{MicroUsd, ReplicaId};

pub use best_fit::BestFit;
pub use cheapest::Cheapest;
pub use least_utilised::LeastUtilised;
pub use random::Random;
pub use spread::Spread;

/// One feasible option for one replica, as facts.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Choice<'a> {
    /// Which replica.
    pub replica: &'a ReplicaId,
    /// A number that stands for the option, equal for equal options whatever the order of the input.
    pub option: u64,
    /// Whether the machine is there already or was opened by this decision; otherwise it has to be bought.
    pub open: bool,
    /// What taking it adds to the month's bill: the machine's price unless another replica pays it already, and the
    /// change of egress, which may be negative.
    pub extra_per_month: MicroUsd,
    /// Utilisation of the machine before (formula 1, folded by dominant share; measured where it is known).
    pub load_before: f64,
    /// Utilisation after.
    pub load_after: f64,
    /// Mean over the machine's dimensions of what would remain free, 0..=1.
    pub room_after: f64,
    /// Replicas of the same service on the machine.
    pub peers_on_machine: u32,
    /// Replicas of the same service in the fault domain (the zone, or a region without zones).
    pub peers_in_zone: u32,
    /// Replicas of the same service in the region.
    pub peers_in_region: u32,
}

/// Parts of a score, compared one after the other; lower is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score(pub [f64; 4]);

impl Score {
    /// Total order, part by part.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let parts = self.0.iter().zip(&other.0);
        parts
            .map(|(a, b)| a.total_cmp(b))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// The first part in which the two differ.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<usize> {
        self.0.iter().zip(&other.0).position(|(a, b)| a.total_cmp(b).is_ne())
    }
}

/// How options are ranked.
///
/// Implementors: a score depends on its [`Choice`] and on the policy's own fields only (no clock, no hidden state), is
/// finite, and is lower for what is preferred. Ties are broken by the engine: what is open first, then by id.
pub trait Policy: fmt::Debug {
    /// Name, as it is written into a placement.
    fn name(&self) -> &'static str;

    /// What the parts of [`Policy::score`] are, for explanations.
    fn parts(&self) -> [&'static str; 4];

    /// Ranks one feasible option.
    fn score(&self, choice: &Choice<'_>) -> Score;

    /// Whether the engine should search for the least total cost after the first pass, instead of leaving each
    /// replica where the score put it. `false` unless the policy says otherwise.
    fn minimises_cost(&self) -> bool {
        false
    }
}

/// One line of [`BUILTIN`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Builtin {
    /// Name, equal to [`Policy::name`].
    pub name: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// Makes it; policies that draw nothing ignore the seed.
    pub new: fn(seed: u64) -> Box<dyn Policy>,
}

/// All policies of this crate, sorted by name. The line is the whole registration.
pub const BUILTIN: &[Builtin] = &[
    Builtin {
        name: "best-fit",
        doc: "the open machine that is left fullest; buys the cheapest offer when none has room",
        new: |_| Box::new(BestFit),
    },
    Builtin {
        name: "cheapest",
        doc: "the least total of machines and egress, by portfolio and local search",
        new: |_| Box::new(Cheapest),
    },
    Builtin {
        name: "least-utilised",
        doc: "the open machine that is least used; buys the cheapest offer when none has room",
        new: |_| Box::new(LeastUtilised),
    },
    Builtin {
        name: "random",
        doc: "any open machine with equal chance, then any offer; seeded",
        new: |seed| Box::new(Random { seed }),
    },
    Builtin {
        name: "spread",
        doc: "the fault domain, then the machine, with fewest replicas of the service; then the cheapest",
        new: |_| Box::new(Spread),
    },
];

/// The policy of that name; `None` when there is none.
#[must_use]
pub fn by_name(name: &str, seed: u64) -> Option<Box<dyn Policy>> {
    BUILTIN.iter().find(|b| b.name == name).map(|b| (b.new)(seed))
}

/// 1 for what has to be bought, 0 for what is open: the first part of every score that fills machines before buying.
fn to_buy(choice: &Choice<'_>) -> f64 {
    if choice.open { 0.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_names_are_true() {
        assert!(BUILTIN.is_sorted_by_key(|b| b.name));
        for builtin in BUILTIN {
            assert_eq!((builtin.new)(7).name(), builtin.name);
            assert!(by_name(builtin.name, 7).is_some());
        }
        assert!(by_name("no-such-policy", 0).is_none());
    }

    #[test]
    fn scores_compare_part_by_part() {
        let (a, b) = (Score([0.0, 1.0, 9.0, 0.0]), Score([0.0, 2.0, 0.0, 0.0]));
        assert_eq!(a.compare(&b), Ordering::Less);
        assert_eq!((a.first_difference(&b), a.first_difference(&a)), (Some(1), None));
    }
}
