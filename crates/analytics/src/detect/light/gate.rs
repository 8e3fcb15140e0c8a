//! What keeps an alarm from being raised again and again: a refractory period, and precedents.
//!
//! A burst that comes every minute is not news the second time. The gate remembers how far the latest values were from
//! what was expected and lets an alarm through only when it is clearly further out than all of them.

use serde::{Deserialize, Serialize};

use crate::bits;
use crate::detect::Suppression;

/// Values for which the light preset raises no second alarm after one.
pub const REFRACTORY_SAMPLES: u32 = 10;
/// Latest distances that count as precedents for the light preset.
pub const PRECEDENTS: usize = BLOCKS * BLOCK as usize;
/// The distances are kept as the largest of each block: 128 bytes instead of 2 KiB.
const BLOCKS: usize = 16;
/// Values per block.
const BLOCK: u32 = 16;
/// An alarm must be this much further out than every precedent.
const BEYOND: f64 = 1.25;

/// State of the gate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Gate {
    quiet: u32,
    /// Values in the block that is being filled.
    filled: u32,
    /// That block.
    current: usize,
    #[serde(with = "bits::array")]
    largest: [f64; BLOCKS],
}

impl Gate {
    /// Judges an alarm (`wanted`) at a value that lies `away` from the expected one; then remembers that distance when it
    /// is `settled`: the commotion of a start-up is no precedent.
    pub(super) fn pass(&mut self, away: f64, wanted: bool, settled: bool) -> Option<Suppression> {
        let held_back = wanted.then(|| self.held_back(away)).flatten();
        self.quiet = self.quiet.saturating_sub(1);
        if wanted && held_back.is_none() {
            self.quiet = REFRACTORY_SAMPLES;
        }
        if settled {
            self.remember(away);
        }
        held_back
    }

    fn remember(&mut self, away: f64) {
        if self.filled == BLOCK {
            self.filled = 0;
            self.current = (self.current + 1) % BLOCKS;
            self.largest[self.current] = 0.0;
        }
        self.filled += 1;
        self.largest[self.current] = self.largest[self.current].max(away);
    }

    fn held_back(&self, away: f64) -> Option<Suppression> {
        let largest = self.largest.iter().copied().fold(0.0, f64::max);
        if self.quiet > 0 {
            Some(Suppression::Refractory)
        } else if away <= BEYOND * largest {
            Some(Suppression::Precedent)
        } else {
            None
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.current < BLOCKS
            && self.filled <= BLOCK
            && self
                .largest
                .iter()
                .all(|largest| largest.is_finite() && *largest >= 0.0)
    }
}
