//! Seeded streams of known distribution, and small builders. The generator is written here so that the figures asserted
//! elsewhere do not move with a dependency.

use std::time::Duration;

use skyloom_analytics::RegularSeries;
use skyloom_core::{Sample, Timestamp};

/// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014), and normal numbers from it by Box and Muller.
#[derive(Debug, Clone)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Uniform in 0..1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        f64::from(u32::try_from(z >> 32).unwrap()) / 4_294_967_296.0
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// First-order autoregression of unit variance.
    pub(crate) fn ar(&mut self, phi: f64, len: usize) -> Vec<f64> {
        let mut x = self.normal();
        let innovation = (1.0 - phi * phi).sqrt();
        (0..len)
            .map(|_| {
                x = phi * x + innovation * self.normal();
                x
            })
            .collect()
    }

    /// Random walk with unit steps.
    pub(crate) fn walk(&mut self, len: usize) -> Vec<f64> {
        let mut x = 0.0;
        (0..len)
            .map(|_| {
                x += self.normal();
                x
            })
            .collect()
    }

    /// A profile of this period with standard deviation 2, a slope, and unit noise.
    pub(crate) fn seasonal(&mut self, period: usize, slope: f64, len: usize) -> Vec<f64> {
        let profile: Vec<f64> = (0..period).map(|_| 2.0 * self.normal()).collect();
        (0..len)
            .map(|i| profile[i % period] + slope * real(i) + self.normal())
            .collect()
    }
}

/// A small count as a float.
pub(crate) fn real(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap())
}

/// One value a second.
pub(crate) fn series(values: &[f64]) -> RegularSeries {
    RegularSeries::new(Timestamp::EPOCH, Duration::from_secs(1), values.to_vec()).unwrap()
}

/// One value a second, as samples.
pub(crate) fn samples(values: &[f64]) -> Vec<Sample> {
    let at = |i| Timestamp::from_secs(i64::try_from(i).unwrap());
    values
        .iter()
        .enumerate()
        .map(|(i, &value)| Sample { at: at(i), value })
        .collect()
}

/// Equal up to rounding, relative to the size of the numbers at hand.
pub(crate) fn close(a: f64, b: f64, size: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * size.abs().max(a.abs()).max(b.abs()).max(f64::MIN_POSITIVE)
}
