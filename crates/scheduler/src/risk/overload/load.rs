//! The chance that workloads on one machine use more than it has, and whether that is small enough.
//!
//! The chance constraint P(use > capacity) <= epsilon becomes mean + z x deviation <= capacity. Sums stay whole numbers, so
//! that the order of workloads does not matter. Which workloads share a machine is `pack`'s.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Dimension, Ratio, Resources};
use statrs::distribution::{ContinuousCDF, Normal};
use thiserror::Error;

/// Smallest chance that can be asked for: beyond it neither a measured variance nor a quantile means anything.
const EPSILON_MIN: f64 = 1e-12;

/// Why a chance constraint is refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum OverloadError {
    /// The chance is not a number between 0 (certainty is not to be had) and one half (less than the mean).
    #[error("allow an overload with probability `{value}`: it must be at least {EPSILON_MIN} and at most 0.5")]
    Epsilon {
        /// What was given.
        value: f64,
    },
}

impl OverloadError {
    /// What kind of failure this is: the input is wrong as it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// What is known of the distribution of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tail {
    /// The sum on a machine is close to normal: many workloads, none of which dominates.
    Normal,
    /// Nothing but mean and variance: Cantelli's inequality, P(X - mean >= t) <= var / (var + t^2). Holds always, and
    /// costs more machines.
    Cantelli,
}

/// What a workload uses: mean and standard deviation, in every dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Use {
    /// Mean.
    pub mean: Resources,
    /// Standard deviation; zero in a dimension that is used steadily.
    pub deviation: Resources,
}

impl Use {
    /// Any total order, so that equal sizes are packed in an order that does not depend on that of the input.
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |used: &Self| Dimension::ALL.map(|d| (used.mean.get(d), used.deviation.get(d)));
        key(self).cmp(&key(other))
    }
}

/// A chance constraint for one machine.
///
/// The effective size of a load in a dimension is mean + z x deviation, with z the normal quantile of 1 - epsilon, or
/// sqrt((1 - epsilon) / epsilon) by Cantelli. Where several dimensions vary, each gets an equal part of epsilon, so that
/// the chance of an overload in any of them stays below it (union bound).
///
/// After Cohen, Keller, Mirrokni and Zadimoghaddam, "Overcommitment in Cloud Services: Bin Packing with Chance
/// Constraints", Management Science 65 (2019); with a common factor and several dimensions added.
///
/// ```
/// use skyloom_core::{Bytes, Millicores, Ratio, Resources};
/// use skyloom_scheduler::risk::overload::{Load, Overload, Tail, Use};
///
/// let cpu = |n: u64| Resources::new(Millicores::from_millicores(n), Bytes::ZERO);
/// let each = Use { mean: cpu(1000), deviation: cpu(400) };
/// let (mut alone, mut ten) = (Load::default(), Load::default());
/// alone.add(&each);
/// (0..10).for_each(|_| ten.add(&each));
///
/// let normal = Overload::new(0.01, Tail::Normal, Ratio::ZERO)?;
/// assert!(normal.fits(&ten, &cpu(12_943)) && !normal.fits(&ten, &cpu(12_942)));
/// // Ten together need less than ten times what one needs.
/// assert!(!normal.fits(&alone, &cpu(1930)));
/// # Ok::<(), skyloom_scheduler::risk::overload::OverloadError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overload {
    /// Deviations to leave free when 1, 2, 3 or 4 dimensions vary.
    factors: [f64; 4],
    correlation: f64,
}

impl Overload {
    /// A constraint that allows an overload with probability `epsilon`. `correlation` is that between any two workloads
    /// of a machine, by one common factor: 0 when they vary independently, 1 when they peak together.
    ///
    /// # Errors
    /// [`OverloadError::Epsilon`] for NaN, and outside 10^-12 to 0.5.
    pub fn new(epsilon: f64, tail: Tail, correlation: Ratio) -> Result<Self, OverloadError> {
        if !(EPSILON_MIN..=0.5).contains(&epsilon) {
            return Err(OverloadError::Epsilon { value: epsilon });
        }
        Ok(Self {
            factors: [1.0, 2.0, 3.0, 4.0].map(|dimensions| factor(epsilon / dimensions, tail)),
            correlation: correlation.get(),
        })
    }

    /// Whether the load overruns the capacity with at most the allowed probability.
    #[must_use]
    pub fn fits(&self, load: &Load, capacity: &Resources) -> bool {
        let factor = self.factor_for(load);
        Dimension::ALL.iter().zip(&load.sums).all(|(dimension, sums)| {
            let free = u128::from(capacity.get(*dimension)).checked_sub(sums.mean);
            // Whole numbers below 2^53, or rounded by at most one in 2^53, which the factor's margin covers.
            free.is_some_and(|free| factor * self.deviation(sums) <= as_f64(free))
        })
    }

    /// What the load counts as in each dimension, in the order of [`Dimension::ALL`] and its units.
    #[must_use]
    pub fn effective(&self, load: &Load) -> [f64; 4] {
        let factor = self.factor_for(load);
        load.sums.map(|sums| as_f64(sums.mean) + factor * self.deviation(&sums))
    }

    /// As [`Overload::effective`], with the factor of a single dimension: at most what any part of the load counts as.
    pub(super) fn effective_at_least(&self, load: &Load) -> [f64; 4] {
        load.sums
            .map(|sums| as_f64(sums.mean) + self.factors[0] * self.deviation(&sums))
    }

    fn factor_for(&self, load: &Load) -> f64 {
        let varying = load.sums.iter().filter(|sums| sums.variance > 0).count();
        self.factors[varying.saturating_sub(1)]
    }

    /// By one common factor of correlation r: (1 - r) x sum of variances + r x (sum of deviations)^2.
    fn deviation(&self, sums: &Sums) -> f64 {
        let together = as_f64(sums.deviation) * as_f64(sums.deviation);
        let variance = (1.0 - self.correlation) * as_f64(sums.variance) + self.correlation * together;
        libm::sqrt(variance)
    }
}

/// Deviations above the mean that are overrun with probability `epsilon`, rounded up to a multiple of 10^-9 and a margin,
/// so that a quantile's last digits decide nothing.
fn factor(epsilon: f64, tail: Tail) -> f64 {
    let exact = match tail {
        Tail::Normal => -Normal::standard().inverse_cdf(epsilon),
        Tail::Cantelli => libm::sqrt((1.0 - epsilon) / epsilon),
    };
    (libm::ceil(exact.max(0.0) * 1e9) + 1.0) * 1e-9
}

/// Sums in one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sums {
    mean: u128,
    deviation: u128,
    /// Saturates at 2^128: what large sums are added up to fits nowhere.
    variance: u128,
}

/// What a machine's workloads use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    sums: [Sums; 4],
}

impl Load {
    /// Adds a workload.
    pub fn add(&mut self, used: &Use) {
        for (dimension, sums) in Dimension::ALL.iter().zip(&mut self.sums) {
            let deviation = u128::from(used.deviation.get(*dimension));
            sums.mean = sums.mean.saturating_add(u128::from(used.mean.get(*dimension)));
            sums.deviation = sums.deviation.saturating_add(deviation);
            sums.variance = sums.variance.saturating_add(deviation * deviation);
        }
    }

    pub(super) fn mean_of(used: &Use) -> [f64; 4] {
        Dimension::ALL.map(|dimension| Self::whole(used.mean.get(dimension)))
    }

    pub(super) fn whole(amount: u64) -> f64 {
        as_f64(u128::from(amount))
    }

    /// The load of all these workloads.
    pub fn of<'a>(uses: impl IntoIterator<Item = &'a Use>) -> Self {
        let mut load = Self::default();
        for used in uses {
            load.add(used);
        }
        load
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "rounded by one in 2^53; the factor's margin is larger"
)]
fn as_f64(n: u128) -> f64 {
    n as f64
}
