//! Seeded chance: the same seed and stream give the same draws on every platform.
//!
//! Purposes have streams of their own, so that turning faults on does not change how long a machine takes to start.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A probability in parts per thousand, 0..=1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PerMille(u16);

impl PerMille {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// Always.
    pub const ALWAYS: Self = Self(1000);

    /// This many in a thousand; more than 1000 counts as 1000.
    #[must_use]
    pub const fn new(parts: u16) -> Self {
        Self(if parts > 1000 { 1000 } else { parts })
    }

    /// Parts in a thousand.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// One stream of draws. Every draw takes exactly one word of the stream, whatever its bounds, so that a changed
/// probability does not shift the draws after it.
#[derive(Debug, Clone)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number in `0..bound`; 0 when `bound` is 0. Multiply and shift: the bias is below `bound / 2^64`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// Whether something of this probability happens.
    pub(crate) fn happens(&mut self, chance: PerMille) -> bool {
        self.below(1000) < u64::from(chance.0)
    }

    /// A duration in `least..=most` in whole microseconds.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let width = most.saturating_sub(least).as_micros();
        let drawn = self.below(u64::try_from(width).unwrap_or(u64::MAX).saturating_add(1));
        least.saturating_add(Duration::from_micros(drawn))
    }
}
