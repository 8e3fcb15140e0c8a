//! Probabilities as people write them: decimals of at most twelve places, held as integers.
//!
//! Whether three replicas that are each down one time in ten reach 0.999 must not depend on how 0.1 rounds in binary.

use skyloom_core::Ratio;

/// One, in the unit of [`Chance`].
pub(super) const ONE: u64 = 1_000_000_000_000;

/// A probability in units of 10^-12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const ZERO: Self = Self(0);

    /// The decimal that the number was written as; between two decimals the larger, so that what may fail fails no less.
    pub(super) fn new(ratio: Ratio) -> Self {
        // Reading a decimal and scaling it are off by half a unit in the last place each, 2.3e-16 together.
        let scaled = ratio.get() * 1e12;
        let units = libm::ceil(scaled - scaled * 4e-16).clamp(0.0, 1e12);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number in 0..=10^12"
        )]
        Self(units as u64)
    }

    pub(super) const fn units(self) -> u64 {
        self.0
    }

    pub(super) const fn complement(self) -> Self {
        Self(ONE - self.0)
    }

    /// Correctly rounded: off by at most half a unit in the last place.
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    pub(super) fn as_f64(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_as_written_and_others_up() {
        let rows = [
            (0.0, 0),
            (0.1, 100_000_000_000),
            (0.9995, 999_500_000_000),
            (1.0, ONE),
            (1e-12, 1),
            (1e-15, 1),
            (1e-14, 1),
            (1.0 / 3.0, 333_333_333_334),
            (1.0 - 1e-12, ONE - 1),
        ];
        for (value, units) in rows {
            assert_eq!(Chance::new(Ratio::new(value).unwrap()).units(), units, "{value}");
        }
    }
}
