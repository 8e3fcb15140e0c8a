//! What one look has come to at one place.

use serde::{Deserialize, Serialize};

use super::Place;

/// Replicas that have to be gone all together before that says something about their place: one that is gone is one that
/// is gone.
const GONE_MIN: u32 = 2;

/// How a place answered in one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Which: a region, or a zone of it.
    pub place: Place,
    /// Things there that were asked for.
    pub asked: u32,
    /// Those about which there was an answer, "there is no such thing" included.
    pub answered: u32,
    /// Replicas that should be there.
    pub replicas: u32,
    /// Those that are not there any more, or whose machine is not.
    pub gone: u32,
}

/// What is wrong with a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symptom {
    /// Nothing there can be asked.
    Silent,
    /// It answers, and everything that was there is gone.
    Empty,
}

/// What a look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Good,
    Bad(Symptom),
    /// Nobody was asked.
    None,
}

impl Contact {
    pub(super) const fn sign(&self) -> Sign {
        if self.asked == 0 {
            Sign::None
        } else if self.answered == 0 {
            Sign::Bad(Symptom::Silent)
        } else if self.replicas >= GONE_MIN && self.gone >= self.replicas {
            Sign::Bad(Symptom::Empty)
        } else {
            Sign::Good
        }
    }
}
