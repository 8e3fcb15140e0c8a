//! Pattern novelty: how far are the last values from the nearest earlier stretches of the series?
//!
//! The mean distance to the nearest few of all windows in memory (nearest-neighbour novelty; Ramaswamy, Rastogi and Shim,
//! SIGMOD 2000, with the mean of the nearest ones instead of the last of them). An index was not taken: two thousand
//! windows of three values cost about a microsecond, and every index over a sliding memory costs more to maintain.

use serde::{Deserialize, Serialize};

use super::HISTORY;
use super::recent::Recent;
use crate::bits;

/// Values per window.
const WINDOW: usize = 3;
/// Nearest windows that count: one alone would let a single earlier incident excuse the next.
const NEAREST: usize = 3;
/// Windows compared at a time.
const LANES: usize = 16;
/// Values in memory are kept within this many units: sums of differences of them stay finite.
const UNITS_MAX: f64 = 1e30;

/// The values that are searched, as single floats in a unit of the series: half the memory to read, and precise enough to
/// say what is near.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Neighbours {
    /// A power of two, so that scaling a series scales it exactly; 0 while the series has not moved.
    #[serde(with = "bits")]
    unit: f64,
    recent: Recent<f32>,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self {
            unit: 0.0,
            recent: Recent::new(HISTORY),
        }
    }
}

impl Neighbours {
    /// Takes the next value, and gives how far the last [`WINDOW`] are from their nearest earlier windows, as a share of the
    /// range; 0 while there are too few.
    pub(super) fn push(&mut self, value: f64, range: f64) -> f64 {
        if self.unit <= 0.0 && range.is_normal() {
            self.unit = power_of_two_below(range);
        }
        let units = if self.unit > 0.0 { value / self.unit } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "clamped to what a single float holds")]
        self.recent.push(units.clamp(-UNITS_MAX, UNITS_MAX) as f32);
        if self.unit > 0.0 {
            f64::from(distance(self.recent.all())) / (range / self.unit)
        } else {
            0.0
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        let is_unit = self.unit.to_bits() == 0 || self.unit.is_normal() && self.unit > 0.0;
        is_unit && self.recent.is_sound(HISTORY, f32::is_finite)
    }

    pub(super) const fn size_bytes(&self) -> usize {
        self.recent.size_bytes()
    }
}

/// The same number with an empty mantissa.
const fn power_of_two_below(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    f64::from_bits(x.to_bits() & EXPONENT)
}

/// Mean absolute difference between the last [`WINDOW`] values and their nearest windows among the earlier ones. `values`
/// are in order, the judged one last; 0 while there are too few.
fn distance(values: &[f32]) -> f32 {
    let Some(last) = values.len().checked_sub(WINDOW) else {
        return 0.0;
    };
    let Some(windows) = last.checked_sub(WINDOW - 1).filter(|windows| *windows >= NEAREST) else {
        return 0.0;
    };
    let now = [values[last], values[last + 1], values[last + 2]];
    // Window i is values[i..i + WINDOW]; the last one ends just before the judged window begins.
    let (first, second, third) = (&values[..windows], &values[1..=windows], &values[2..windows + 2]);
    let mut nearest = [f32::MAX; NEAREST];
    let (a, b, c) = (
        first.chunks_exact(LANES),
        second.chunks_exact(LANES),
        third.chunks_exact(LANES),
    );
    for (i, r) in a.remainder().iter().enumerate() {
        let others = [*r, b.remainder()[i], c.remainder()[i]];
        keep(&mut nearest, between(others, now));
    }
    for ((a, b), c) in a.zip(b).zip(c) {
        let mut distances = [0.0; LANES];
        for i in 0..LANES {
            distances[i] = between([a[i], b[i], c[i]], now);
        }
        if smallest(&distances) < nearest[NEAREST - 1] {
            distances.iter().for_each(|distance| keep(&mut nearest, *distance));
        }
    }
    nearest.iter().sum::<f32>() / 9.0
}

fn between(a: [f32; WINDOW], b: [f32; WINDOW]) -> f32 {
    (a[0] - b[0]).abs() + (a[1] - b[1]).abs() + (a[2] - b[2]).abs()
}

/// By halves, which a compiler turns into a few vector instructions; one after the other it would be a chain of sixteen.
fn smallest(distances: &[f32; LANES]) -> f32 {
    let least = |a: f32, b: f32| if a < b { a } else { b };
    let mut eight = [0.0; LANES / 2];
    for (i, slot) in eight.iter_mut().enumerate() {
        *slot = least(distances[i], distances[i + LANES / 2]);
    }
    let mut four = [0.0; LANES / 4];
    for (i, slot) in four.iter_mut().enumerate() {
        *slot = least(eight[i], eight[i + LANES / 4]);
    }
    least(least(four[0], four[1]), least(four[2], four[3]))
}

fn keep(nearest: &mut [f32; NEAREST], distance: f32) {
    if distance < nearest[2] {
        nearest[2] = distance;
        nearest.sort_unstable_by(f32::total_cmp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All windows sorted by distance, as the words say it.
    fn slow(values: &[f32]) -> f32 {
        let n = values.len();
        if n < 2 * WINDOW + NEAREST - 1 {
            return 0.0;
        }
        let now = &values[n - 3..];
        let mut all: Vec<f32> = values[..n - 3]
            .windows(3)
            .map(|w| w.iter().zip(now).map(|(a, b)| (a - b).abs()).sum::<f32>() / 3.0)
            .collect();
        all.sort_by(f32::total_cmp);
        (all[0] + all[1] + all[2]) / 3.0
    }

    #[test]
    fn the_fast_way_agrees_with_the_slow_one() {
        let mut state = 1_u64;
        let values: Vec<f32> = (0..200)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                f32::from(u16::try_from(state >> 48).unwrap())
            })
            .collect();
        for n in 0..values.len() {
            let (fast, slow) = (distance(&values[..n]), slow(&values[..n]));
            assert!((fast - slow).abs() <= 1e-5 * slow, "{n}: {fast} {slow}");
        }
    }

    #[test]
    fn the_unit_is_a_power_of_two() {
        assert_eq!(
            [1.0, 1.9, 0.3, 1e300]
                .map(power_of_two_below)
                .map(|u| u.log2().fract().to_bits()),
            [0; 4]
        );
        assert_eq!(power_of_two_below(0.3).to_bits(), 0.25_f64.to_bits());
    }
}
