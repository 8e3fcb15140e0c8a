//! Random: the rule that the reference text's assignment listing executes, made repeatable by a seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Choice, Policy, Score, to_buy};

/// Takes any open machine with room, each with equal chance; when there is none, any offer that fits.
///
/// The number drawn for an option depends on the seed, the replica and the option, not on how many options were looked
/// at before: so the order of the input does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random {
    /// Seed; equal seeds give equal placements.
    pub seed: u64,
}

impl Policy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn parts(&self) -> [&'static str; 4] {
        ["machines to buy", "number drawn", "", ""]
    }

    fn score(&self, choice: &Choice<'_>) -> Score {
        let mut seed = [0; 32];
        let replica = crate::model::fnv1a(choice.replica.to_string().as_bytes());
        for (chunk, word) in seed.chunks_exact_mut(8).zip([self.seed, replica, choice.option, 0]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let drawn = f64::from(ChaCha8Rng::from_seed(seed).next_u32());
        Score([to_buy(choice), drawn, 0.0, 0.0])
    }
}
