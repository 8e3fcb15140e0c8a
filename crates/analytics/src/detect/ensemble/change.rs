//! Has the level changed for good, and since when? A two-sided cumulative sum (Page, Biometrika 41, 1954) over residuals in
//! deviations: small shifts that last add up, what only scatters does not.
//!
//! Bayesian run lengths (Adams and MacKay, 2007) were not taken: they cost hundreds of operations per value, and the rank
//! of the sum in its own past already does what their prior does, for whatever noise the series has.

use serde::{Deserialize, Serialize};
use skyloom_core::Timestamp;

use crate::bits;

/// Deviations per value that are granted: a shift of twice this is found soonest.
const SLACK: f64 = 0.5;
/// One value counts at most this many deviations: a spike is not a shift.
const VALUE_MAX: f64 = 3.0;
/// Sums beyond this are not told apart.
const SUM_MAX: f64 = 500.0;

/// Sums to both sides, and since when each has not been zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    up: Side,
    down: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Side {
    #[serde(with = "bits")]
    sum: f64,
    since: Timestamp,
}

impl Default for Change {
    fn default() -> Self {
        let none = Side {
            sum: 0.0,
            since: Timestamp::EPOCH,
        };
        Self { up: none, down: none }
    }
}

impl Change {
    /// Adds a value that is `away` deviations from its level, and gives the larger sum.
    pub(super) fn push(&mut self, at: Timestamp, away: f64) -> f64 {
        let away = away.clamp(-VALUE_MAX, VALUE_MAX);
        self.up.push(at, away);
        self.down.push(at, -away);
        self.up.sum.max(self.down.sum)
    }

    /// When the larger sum began to grow: where the shift is thought to have been.
    pub(super) fn since(&self) -> Timestamp {
        if self.up.sum >= self.down.sum {
            self.up.since
        } else {
            self.down.since
        }
    }

    /// Begins anew: what was told is known.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_sound(&self) -> bool {
        [self.up, self.down]
            .iter()
            .all(|side| (0.0..=SUM_MAX).contains(&side.sum))
    }
}

impl Side {
    fn push(&mut self, at: Timestamp, away: f64) {
        if self.sum <= 0.0 {
            self.since = at;
        }
        self.sum = (self.sum + away - SLACK).clamp(0.0, SUM_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_adds_up_and_is_dated_and_scatter_does_not() {
        let mut change = Change::default();
        let scatter = [0.4, -1.2, 0.9, -0.3, 1.1, -0.9];
        for second in 0..600_i64 {
            let away = scatter[usize::try_from(second).unwrap() % scatter.len()];
            assert!(change.push(Timestamp::from_secs(second), away) < 2.0);
        }
        for second in 600..640_i64 {
            let away = scatter[usize::try_from(second).unwrap() % scatter.len()] - 1.5;
            change.push(Timestamp::from_secs(second), away);
        }
        assert!(change.push(Timestamp::from_secs(640), -1.5) > 35.0);
        let since = change.since().as_micros() / 1_000_000;
        assert!((599..603).contains(&since), "{since}");
        change.reset();
        assert!(change.push(Timestamp::from_secs(641), 0.0) <= 0.0 && change.is_sound());
    }
}
