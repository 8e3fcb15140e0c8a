//! How rare is a size among all sizes so far: the empirical tail, from counts in logarithmic classes.
//!
//! Counts were taken instead of a fitted distribution because the sizes of the parts follow none in particular, and instead
//! of a quantile sketch because adding up 256 counts costs less than keeping one balanced.

use serde::{Deserialize, Serialize};

use crate::bits;

/// Classes per octave: two bits of the mantissa.
const CLASSES_PER_OCTAVE_BITS: u32 = 2;
/// The smallest and the largest class hold everything below 2^-40 and above 2^24.
const EXPONENT_MIN: i32 = -40;
const CLASSES: usize = 1 + 64 * (1 << CLASSES_PER_OCTAVE_BITS);
/// Counts are halved here, so that what was rare a year ago may be rare again.
const COUNT_MAX: u32 = 1 << 14;
/// Beyond the largest size so far the tail is taken to fall by one decade per octave (a Pareto tail of index 3.3).
const DECADES_PER_OCTAVE: f64 = 1.0;
/// Nothing is rarer than this many decades beyond the counts.
const BEYOND_MAX: f64 = 4.0;

/// The sizes so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rank {
    counts: Vec<u16>,
    total: u32,
    #[serde(with = "bits")]
    largest: f64,
}

impl Default for Rank {
    fn default() -> Self {
        Self {
            counts: vec![0; CLASSES],
            total: 0,
            largest: 0.0,
        }
    }
}

impl Rank {
    /// `-log10` of the share of sizes so far that were at least as large (0: nothing special), then counts this one.
    /// Sizes are not negative, not NaN, and without unit.
    pub(super) fn push(&mut self, size: f64) -> f64 {
        let class = class(size);
        let as_large: u32 = self.counts[class..].iter().map(|count| u32::from(*count)).sum();
        let share = f64::from(as_large + 1) / f64::from(self.total + 1);
        let mut decades = -libm::log10(share);
        if size > self.largest && self.total > 0 {
            let octaves = if self.largest > 0.0 {
                libm::log2(size / self.largest)
            } else {
                BEYOND_MAX
            };
            decades += (DECADES_PER_OCTAVE * octaves).min(BEYOND_MAX);
        }
        self.counts[class] += 1;
        self.total += 1;
        self.largest = self.largest.max(size);
        if self.total >= COUNT_MAX {
            self.age();
        }
        decades.max(0.0)
    }

    fn age(&mut self) {
        self.counts.iter_mut().for_each(|count| *count /= 2);
        self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
    }

    pub(super) fn is_sound(&self) -> bool {
        let sum: u32 = self.counts.iter().map(|count| u32::from(*count)).sum();
        self.counts.len() == CLASSES
            && sum == self.total
            && self.total < COUNT_MAX
            && self.largest.is_finite()
            && self.largest >= 0.0
    }

    pub(super) const fn size_bytes() -> usize {
        CLASSES * size_of::<u16>()
    }
}

/// The class of a size: its exponent and the first bits of its mantissa, so straight lines instead of logarithms.
fn class(size: f64) -> usize {
    const MANTISSA_BITS: u32 = 52;
    const BIAS: i32 = 1023;
    if size <= 0.0 {
        return 0;
    }
    let key = size.to_bits() >> (MANTISSA_BITS - CLASSES_PER_OCTAVE_BITS);
    let first = u64::from((BIAS + EXPONENT_MIN).unsigned_abs()) << CLASSES_PER_OCTAVE_BITS;
    usize::try_from(key.saturating_sub(first)).map_or(CLASSES - 1, |above| (above + 1).min(CLASSES - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_rise_with_size_and_hold_the_extremes() {
        let sizes = [0.0, 5e-324, 1e-12, 0.1, 0.124, 0.126, 1.0, 1.3, 1e6, 1e300, f64::MAX];
        let classes: Vec<usize> = sizes.iter().map(|size| class(*size)).collect();
        assert!(classes.is_sorted() && classes[0] == 0 && classes[10] == CLASSES - 1);
        assert!(class(1.0) < class(1.25) && class(1.0) == class(1.2));
    }

    #[test]
    fn the_tail_is_the_share_of_sizes_as_large() {
        let mut rank = Rank::default();
        for i in 0..999_i32 {
            rank.push(f64::from(1 << (i % 10)));
        }
        // 99 of the largest among 999 sizes.
        assert!((rank.push(512.0) - (-libm::log10(100.0 / 1000.0))).abs() < 1e-12);
        assert!(rank.push(1024.0) > 3.9 && rank.push(0.0) <= 0.0);
        (0..100_000).for_each(|_| assert!(rank.push(1.0) < 2.0));
        assert!(rank.is_sound());
    }
}
