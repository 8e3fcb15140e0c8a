//! What a rebalance is for, within which bounds, and what its moves must earn.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, MicroUsd, MicroUsdPerHour};
use thiserror::Error;

use super::describe::Offer;
use crate::formulas::Mean;

/// What a plan is to bring about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Even utilisation: the root mean square of `LB_i` (formula 2) falls.
    Balance {
        /// What an hour at an imbalance of 1 would cost; what the cluster costs, or earns, is a fair value.
        value: MicroUsdPerHour,
    },
    /// A cheaper fleet: machines are drained and given back.
    Consolidate {
        /// Machines that may be bought where that lets dearer ones be given back; may be empty.
        offers: Vec<Offer>,
    },
    /// Quiet neighbours: who suffers, or who makes others suffer, moves to where there is room for what it really uses.
    Neighbours {
        /// What an hour of a workload that stands still costs.
        value: MicroUsdPerHour,
        /// Use over request beyond which a workload counts as noisy; at least 1.
        burst: f64,
        /// Measured slow-downs up to this count as none, 0 to 1.
        tolerance: f64,
    },
}

/// Bounds and prices of a plan. Nothing that costs money has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Settings {
    /// What it is for.
    pub goal: Goal,
    /// Most moves.
    pub moves_max: u32,
    /// How long a saving is counted.
    pub horizon: Duration,
    /// What a move costs where the workload does not say.
    pub move_cost: MicroUsd,
    /// Saving over the horizon over cost that is asked for: 1 asks that a move earns what it costs, 2 twice that.
    pub threshold: f64,
    /// The part of a receiver that may be used after it received, over 0 and at most 1.
    pub ceiling: f64,
    /// `Ū` of formula 2.
    pub mean: Mean,
}

impl Settings {
    /// Moves that earn what they cost, to receivers that may be used wholly, against the arithmetic mean.
    #[must_use]
    pub const fn new(goal: Goal, moves_max: u32, horizon: Duration, move_cost: MicroUsd) -> Self {
        Self {
            goal,
            moves_max,
            horizon,
            move_cost,
            threshold: 1.0,
            ceiling: 1.0,
            mean: Mean::Arithmetic,
        }
    }

    /// The same with another threshold.
    #[must_use]
    pub const fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// The same with room kept free on receivers.
    #[must_use]
    pub const fn with_ceiling(mut self, ceiling: f64) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// The same against another mean.
    #[must_use]
    pub const fn with_mean(mut self, mean: Mean) -> Self {
        self.mean = mean;
        self
    }

    /// Whether the numbers can be worked with.
    ///
    /// # Errors
    /// [`SettingsError`] for a number that is not finite or outside its range.
    pub fn check(&self) -> Result<(), SettingsError> {
        let refuse = |value: f64, what, expected| Err(SettingsError { value, what, expected });
        if !(self.threshold.is_finite() && self.threshold >= 0.0) {
            return refuse(self.threshold, "threshold", "finite and not negative");
        }
        if !(self.ceiling > 0.0 && self.ceiling <= 1.0) {
            return refuse(self.ceiling, "ceiling", "over 0 and at most 1");
        }
        if self.move_cost < MicroUsd::ZERO {
            return refuse(self.move_cost.as_usd(), "cost of a move", "not negative");
        }
        match &self.goal {
            Goal::Balance { value } | Goal::Neighbours { value, .. } if *value < MicroUsdPerHour::ZERO => {
                refuse(value.as_usd(), "value of an hour", "not negative")
            }
            Goal::Neighbours { burst, .. } if !(burst.is_finite() && *burst >= 1.0) => {
                refuse(*burst, "factor of a noisy workload", "finite and at least 1")
            }
            Goal::Neighbours { tolerance, .. } if !(0.0..=1.0).contains(tolerance) => {
                refuse(*tolerance, "tolerance of slow-downs", "0 to 1")
            }
            Goal::Balance { .. } | Goal::Consolidate { .. } | Goal::Neighbours { .. } => Ok(()),
        }
    }
}

/// A number of the settings that cannot be worked with.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("accept `{value}` as {what}: it must be {expected}")]
#[non_exhaustive]
pub struct SettingsError {
    /// What was given.
    pub value: f64,
    /// What it stands for.
    pub what: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

impl SettingsError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}
