//! What keeps an alarm from being raised again and again: a refractory period, and precedents.
//!
//! A burst that comes every minute is not news the second time. The gate remembers how far the latest values were from
//! what was expected and lets an alarm through only when it is clearly further out than all of them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::bits;

/// Values for which no second alarm is raised after one.
pub const REFRACTORY_SAMPLES: u32 = 10;
/// Latest distances that count as precedents: 2 KiB per series, the bulk of a detector's state.
pub const PRECEDENTS: usize = 256;
/// An alarm must be this much further out than every precedent.
const BEYOND: f64 = 1.25;

/// Why an alarm is not raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// One was raised less than [`REFRACTORY_SAMPLES`] samples ago.
    Refractory,
    /// One of the last [`PRECEDENTS`] values was (nearly) as far out.
    Precedent,
}

/// State of the gate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Gate {
    quiet: u32,
    #[serde(with = "bits::queue")]
    precedents: VecDeque<f64>,
}

impl Gate {
    /// Judges an alarm (`wanted`) at a value that lies `away` from the expected one; then remembers that distance when it
    /// is `settled`: the commotion of a start-up is no precedent.
    pub(crate) fn pass(&mut self, away: f64, wanted: bool, settled: bool) -> Option<Suppression> {
        let held_back = wanted.then(|| self.held_back(away)).flatten();
        self.quiet = self.quiet.saturating_sub(1);
        if wanted && held_back.is_none() {
            self.quiet = REFRACTORY_SAMPLES;
        }
        if settled {
            if self.precedents.len() == PRECEDENTS {
                self.precedents.pop_front();
            }
            self.precedents.push_back(away);
        }
        held_back
    }

    fn held_back(&self, away: f64) -> Option<Suppression> {
        let largest = self.precedents.iter().copied().fold(0.0, f64::max);
        if self.quiet > 0 {
            Some(Suppression::Refractory)
        } else if away <= BEYOND * largest {
            Some(Suppression::Precedent)
        } else {
            None
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.precedents.len() <= PRECEDENTS && self.precedents.iter().all(|p| p.is_finite() && *p >= 0.0)
    }
}
