//! Scaling ahead: how long a replica takes to become useful, and how many a forecast asks for by then.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Ratio};
use thiserror::Error;

use crate::num;

/// Start-ups remembered.
const MEMORY: usize = 64;

/// The time from asking for a replica until it is ready, as it was measured.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::scale::LeadTime;
/// use skyloom_core::Ratio;
///
/// let mut lead = LeadTime::new(Duration::from_secs(60));
/// assert_eq!(lead.quantile(Ratio::new(0.9)?), Duration::from_secs(60)); // nothing measured yet
/// for seconds in 1..=10 {
///     lead.observe(Duration::from_secs(seconds));
/// }
/// assert_eq!(lead.quantile(Ratio::new(0.9)?), Duration::from_secs(9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadTime {
    assumed: Duration,
    measured: VecDeque<Duration>,
}

impl LeadTime {
    /// What is assumed until something is measured.
    #[must_use]
    pub const fn new(assumed: Duration) -> Self {
        Self {
            assumed,
            measured: VecDeque::new(),
        }
    }

    /// Takes one start-up into account; the last 64 count.
    pub fn observe(&mut self, took: Duration) {
        if self.measured.len() == MEMORY {
            self.measured.pop_front();
        }
        self.measured.push_back(took);
    }

    /// The lead time that this share of the measured start-ups kept to (nearest rank).
    #[must_use]
    pub fn quantile(&self, share: Ratio) -> Duration {
        let mut sorted: Vec<Duration> = self.measured.iter().copied().collect();
        sorted.sort_unstable();
        let rank = num::index((share.get() * num::count(sorted.len())).ceil(), MEMORY).saturating_sub(1);
        sorted.get(rank).copied().unwrap_or(self.assumed)
    }
}

/// Why a forecast cannot be turned into replicas.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The capacity is not a positive finite number.
    #[error("serve `{capacity}` per replica: it must be finite and above zero")]
    Capacity {
        /// What was given.
        capacity: f64,
    },
}

impl PredictError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// The replicas that must be asked for now, so that the highest of `ahead` is served: loads that are forecast from the
/// moment a replica asked for now is ready until one asked for at the next decision would be. `capacity` is the load that
/// one replica takes at the target. Loads that are not finite are passed over; none at all gives 0.
///
/// # Errors
/// [`PredictError::Capacity`] unless `0 < capacity < ∞`.
pub fn predicted_floor(ahead: &[f64], capacity: f64) -> Result<u32, PredictError> {
    if !(capacity.is_finite() && capacity > 0.0) {
        return Err(PredictError::Capacity { capacity });
    }
    let highest = ahead
        .iter()
        .copied()
        .filter(|load| load.is_finite())
        .fold(0.0, f64::max);
    let replicas = num::index((highest / capacity).ceil(), u32::MAX as usize);
    Ok(u32::try_from(replicas).unwrap_or(u32::MAX))
}
