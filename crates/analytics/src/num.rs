//! Arithmetic that several rooms share: counts as floats, order statistics, and a scale on which nothing overflows.
//!
//! Models do not belong here. Sums of squares of raw values are nowhere in this crate: a value of 1e300 is legal, its
//! square is not, so every model sees values that [`Unit`] has mapped into -1..=1.

/// `1.4826 · MAD` estimates the standard deviation of a normal distribution (1 / Φ⁻¹(3/4)).
pub(crate) const MAD_TO_SD: f64 = 1.482_602_218_505_602;

/// A count as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts here are lengths of series, far below 2^53"
)]
pub(crate) const fn count(n: usize) -> f64 {
    n as f64
}

/// The whole part of a non-negative float as an index, at most `max`; NaN and negatives give 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=max first; `as` maps NaN to 0"
)]
pub(crate) fn index(x: f64, max: usize) -> usize {
    (x.clamp(0.0, count(max)) as usize).min(max)
}

/// The nearest finite float: infinities become the largest finite ones. NaN cannot reach it (see callers).
pub(crate) const fn saturate(x: f64) -> f64 {
    x.clamp(-f64::MAX, f64::MAX)
}

/// Arithmetic mean without overflow; 0 for an empty slice.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let n = count(values.len().max(1));
    values.iter().map(|v| v / n).sum()
}

/// Root mean square; 0 for an empty slice. For values on the unit scale only.
pub(crate) fn rms(values: &[f64]) -> f64 {
    let n = count(values.len().max(1));
    (values.iter().map(|v| v * v).sum::<f64>() / n).sqrt()
}

/// Least-squares slope per step; 0 for fewer than two values. For values on the unit scale only.
pub(crate) fn slope(values: &[f64]) -> f64 {
    let middle = count(values.len().saturating_sub(1)) / 2.0;
    let mean = mean(values);
    let (mut cross, mut square) = (0.0, 0.0);
    for (i, v) in values.iter().enumerate() {
        let t = count(i) - middle;
        cross += t * (v - mean);
        square += t * t;
    }
    if square > 0.0 { cross / square } else { 0.0 }
}

/// Median of the slice (mean of the two middle ones for an even length); reorders it; 0 for an empty slice.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return 0.0;
    }
    values.sort_unstable_by(f64::total_cmp);
    values[(n - 1) / 2] / 2.0 + values[n / 2] / 2.0
}

/// The affine map that takes a set of values into -1..=1, and back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unit {
    centre: f64,
    half: f64,
}

impl Unit {
    /// The map of these values; `None` when they are all (as good as) equal or there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let lo = values.iter().copied().reduce(f64::min)?;
        let hi = values.iter().copied().reduce(f64::max)?;
        let unit = Self {
            centre: lo / 2.0 + hi / 2.0,
            half: hi / 2.0 - lo / 2.0,
        };
        unit.half.is_normal().then_some(unit)
    }

    pub(crate) fn to_unit(self, value: f64) -> f64 {
        (value - self.centre) / self.half
    }

    /// Back to the original scale; what lies beyond the largest float stays at the largest.
    pub(crate) fn to_value(self, z: f64) -> f64 {
        saturate(self.centre + saturate(z * self.half))
    }

    /// The standard size of one unit, for lengths (not positions).
    pub(crate) const fn half(self) -> f64 {
        self.half
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_scale_holds_the_largest_floats() {
        let unit = Unit::of(&[-f64::MAX, 0.0, f64::MAX]).unwrap();
        for (v, z) in [(-f64::MAX, -1.0), (0.0, 0.0), (f64::MAX, 1.0)] {
            assert!((unit.to_unit(v) - z).abs() < 1e-15);
            assert!(unit.to_value(z).is_finite());
        }
        assert!(unit.to_value(10.0).is_finite());
        assert_eq!(Unit::of(&[3.0, 3.0]), None);
        assert_eq!(Unit::of(&[0.0, 5e-324]), None);
        assert_eq!(Unit::of(&[]), None);
    }

    #[test]
    fn order_statistics_and_indices_at_their_borders() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-15);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-15);
        assert!(median(&mut [f64::MAX, f64::MAX]).is_finite());
        assert!(mean(&[f64::MAX, f64::MAX]).is_finite());
        assert_eq!(
            [index(f64::NAN, 9), index(-1.0, 9), index(3.7, 9), index(1e300, 9)],
            [0, 0, 3, 9]
        );
    }
}
