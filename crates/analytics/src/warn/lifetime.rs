//! The risk that a node fails soon, from its own failures so far and what is usual in its fleet.
//!
//! Failures are taken for a Poisson process whose rate is not known: a gamma prior from the fleet, updated by the node's own
//! history, gives the probability of at least one failure in closed form (a Lomax distribution; Gelman et al., Bayesian Data
//! Analysis, 3rd ed., section 2.6). Our deviation: a failure counts half after a half-life, and so does the time without
//! one, so that a node that was repaired is trusted again. A Weibull fit was not taken: a node rarely fails often enough
//! to have a shape.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Ratio, Timestamp};
use thiserror::Error;

use crate::num;

/// Failures kept; older ones count for next to nothing at any useful half-life.
const FAILURES_MAX: usize = 1_000;

/// What a node went through.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::warn::FailureHistory;
/// use skyloom_core::Timestamp;
///
/// let day = Duration::from_secs(86_400);
/// let at = |n: i64| Timestamp::from_secs(n * 86_400);
/// // The fleet's nodes fail about once in 200 days.
/// let mut steady = FailureHistory::new(at(0), 200 * day, 90 * day)?;
/// let mut shaky = steady.clone();
/// for n in [80, 88, 95, 99] {
///     shaky.failed(at(n));
/// }
/// let week = 7 * day;
/// assert!(steady.risk(at(100), week).get() < 0.05);
/// assert!(shaky.risk(at(100), week).get() > 0.10);
/// # Ok::<(), skyloom_analytics::warn::FailureHistoryError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureHistory {
    since: Timestamp,
    fleet_mean: Duration,
    half_life: Duration,
    /// In rising order.
    failures: Vec<Timestamp>,
}

/// Why a history cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FailureHistoryError {
    /// The fleet's mean time between failures is zero.
    #[error("expect a failure every `0` s: the fleet's mean must be longer")]
    Mean,
    /// The half-life is zero.
    #[error("forget failures with a half-life of `0`: it must be longer")]
    HalfLife,
}

impl FailureHistoryError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl FailureHistory {
    /// A node that is known since then; `fleet_mean` is the mean time between failures in its fleet, which counts as much
    /// as one failure of its own; a failure counts half after `half_life`.
    ///
    /// # Errors
    /// [`FailureHistoryError`] for a mean or half-life of zero.
    pub const fn new(since: Timestamp, fleet_mean: Duration, half_life: Duration) -> Result<Self, FailureHistoryError> {
        if fleet_mean.is_zero() {
            return Err(FailureHistoryError::Mean);
        }
        if half_life.is_zero() {
            return Err(FailureHistoryError::HalfLife);
        }
        Ok(Self {
            since,
            fleet_mean,
            half_life,
            failures: Vec::new(),
        })
    }

    /// Takes down a failure; the latest 1,000 are kept.
    pub fn failed(&mut self, at: Timestamp) {
        let place = self.failures.partition_point(|other| *other <= at);
        self.failures.insert(place, at);
        if self.failures.len() > FAILURES_MAX {
            self.failures.remove(0);
        }
    }

    /// Probability of at least one failure within `horizon` from `now`, in 0..=1. Failures after `now` are not looked at.
    #[must_use]
    pub fn risk(&self, now: Timestamp, horizon: Duration) -> Ratio {
        let half_life = self.half_life.as_secs_f64();
        let known = self.failures.iter().filter(|at| **at <= now);
        let failures: f64 = known
            .map(|at| libm::exp2(-now.saturating_since(*at).as_secs_f64() / half_life))
            .sum();
        // The time at risk fades as the failures do: the integral of the same weight.
        let lived = now.saturating_since(self.since).as_secs_f64();
        let exposed = half_life / std::f64::consts::LN_2 * -libm::expm1(-lived / half_life * std::f64::consts::LN_2);
        let time = self.fleet_mean.as_secs_f64() + exposed;
        let ahead = horizon.as_secs_f64();
        let survives = libm::exp(-(1.0 + failures) * libm::log1p(ahead / time));
        Ratio::new(num::saturate(1.0 - survives).clamp(0.0, 1.0)).unwrap_or(Ratio::ONE)
    }
}
