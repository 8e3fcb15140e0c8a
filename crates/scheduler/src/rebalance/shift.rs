//! The worked case of the reference text: machines of which only the utilisation is known, and load that can be shifted
//! in any amount.

use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Ratio};
use thiserror::Error;

use crate::formulas::{Imbalance, Mean};

/// A shift of load from one machine to another; machines are positions in the list that was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Shift {
    /// Machine that gives.
    pub from: usize,
    /// Machine that receives: the one named, else the better one.
    pub to: usize,
    /// The machine that would best receive.
    pub better: usize,
    /// How much: half of the difference between the two, which makes them even; 0 when the receiver is as loaded.
    pub amount: Ratio,
    /// Evenness before.
    pub before: Imbalance,
    /// Evenness after the shift to `to`.
    pub after: Imbalance,
    /// Evenness after a shift to `better`.
    pub after_better: Imbalance,
}

impl Shift {
    /// Whether a named target was kept though another is better.
    #[must_use]
    pub const fn honours_named(&self) -> bool {
        self.to != self.better
    }
}

impl fmt::Display for Shift {
    /// Counts machines from 1 and calls them `V1`, as the reference text does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to, better) = (self.from + 1, self.to + 1, self.better + 1);
        write!(
            f,
            "shift {:.4} from V{from} to V{to}: rms of LB {:.4} -> {:.4}",
            self.amount.get(),
            self.before.rms,
            self.after.rms
        )?;
        if self.honours_named() {
            write!(
                f,
                "; V{to} was named, V{better} is less loaded and would give {:.4}",
                self.after_better.rms
            )
        } else {
            write!(f, "; V{to} is the least loaded")
        }
    }
}

/// Why there is no shift to suggest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShiftError {
    /// There are not two machines.
    #[error("shift load between `{count}` machines: two are needed")]
    TooFew {
        /// How many there are.
        count: usize,
    },
    /// A named machine is not in the list.
    #[error("find machine `{index}` among `{count}` (counted from 0)")]
    Unknown {
        /// The position named.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Source and target are one machine.
    #[error("shift load from machine `{index}` to itself")]
    Same {
        /// The position named twice.
        index: usize,
    },
}

impl ShiftError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// Suggests a shift of load from the most loaded machine (or `from`) to the one after which the root mean square of
/// `LB_i` (formula 2 of `docs/fidelity.md`) is least (or to `to`). Ties go to the lower position.
///
/// ```
/// use skyloom_core::Ratio;
/// use skyloom_scheduler::{formulas::Mean, suggest_shift};
///
/// let u: Vec<Ratio> = [0.6, 0.8, 0.5, 0.7, 0.9].map(|u| Ratio::new(u).unwrap()).to_vec();
/// let shift = suggest_shift(&u, Mean::Arithmetic, None, None)?;
/// assert_eq!((shift.from, shift.to), (4, 2)); // V5 to V3
/// let named = suggest_shift(&u, Mean::Arithmetic, None, Some(0))?;
/// assert_eq!((named.to, named.better), (0, 2)); // V1 as asked; V3 would be better
/// # Ok::<(), skyloom_scheduler::ShiftError>(())
/// ```
///
/// # Errors
/// [`ShiftError::TooFew`], [`ShiftError::Unknown`] or [`ShiftError::Same`] when there is nothing to shift between.
pub fn suggest_shift(
    utilisations: &[Ratio],
    mean: Mean,
    from: Option<usize>,
    to: Option<usize>,
) -> Result<Shift, ShiftError> {
    let count = utilisations.len();
    if count < 2 {
        return Err(ShiftError::TooFew { count });
    }
    if let Some(index) = from.into_iter().chain(to).find(|i| *i >= count) {
        return Err(ShiftError::Unknown { index, count });
    }
    let value = |i: usize| utilisations[i].get();
    let indices = || (0..count).filter(|i| from != Some(*i));
    let from = match from {
        Some(from) => from,
        None => (0..count)
            .filter(|i| to != Some(*i))
            .reduce(|best, i| if value(i) > value(best) { i } else { best })
            .unwrap_or(0),
    };
    if to == Some(from) {
        return Err(ShiftError::Same { index: from });
    }
    let before = evenness(utilisations, mean);
    let after = |to: usize| {
        let amount = ((value(from) - value(to)) / 2.0).max(0.0);
        let mut shifted = utilisations.to_vec();
        shifted[from] = Ratio::new(value(from) - amount).unwrap_or(Ratio::ZERO);
        shifted[to] = Ratio::new((value(to) + amount).min(1.0)).unwrap_or(Ratio::ONE);
        (Ratio::new(amount).unwrap_or(Ratio::ZERO), evenness(&shifted, mean))
    };
    let better = indices()
        .filter(|i| *i != from)
        .reduce(|best, i| if after(i).1.rms < after(best).1.rms { i } else { best })
        .unwrap_or(from);
    let chosen = to.unwrap_or(better);
    let (amount, after_chosen) = after(chosen);
    Ok(Shift {
        from,
        to: chosen,
        better,
        amount,
        before,
        after: after_chosen,
        after_better: after(better).1,
    })
}

/// The list has two machines or more, so that the formula has a value.
fn evenness(utilisations: &[Ratio], mean: Mean) -> Imbalance {
    Imbalance::of(utilisations, mean).expect("invariant: there are two machines or more")
}
