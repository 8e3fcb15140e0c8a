//! The rule of Kubernetes' horizontal autoscaler: proportional, with tolerance, stabilisation and rate limits.
//!
//! Source: `HorizontalPodAutoscaler` v2 (the algorithm's page of the documentation, and
//! `pkg/controller/podautoscaler/horizontal.go`). A missing metric keeps the replicas as they are; the original does the
//! same when no metric can be read.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use crate::num;

/// Decisions remembered at most, whatever the windows: an hour of one per second.
const MEMORY_MAX: usize = 3_600;
/// The longest window that the original allows.
const WINDOW_MAX: Duration = Duration::from_secs(3_600);

/// How fast the replicas may change in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// By so many per period.
    Replicas {
        /// How many.
        count: u32,
        /// In which time.
        period: Duration,
    },
    /// By such a share, in percent of what there was at the start of the period.
    Percent {
        /// How much.
        percent: u32,
        /// In which time.
        period: Duration,
    },
}

/// Which of several limits counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest.
    Min,
    /// No change in this direction.
    Disabled,
}

/// What is allowed in one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingRules {
    /// The least change that was asked for within this window counts.
    pub stabilisation: Duration,
    /// Relative distance from the target within which nothing changes.
    pub tolerance: f64,
    /// How fast; none at all means as fast as asked.
    pub limits: Vec<Limit>,
    /// Which limit counts.
    pub select: Select,
}

/// Bounds and rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReactiveConfig {
    min: u32,
    max: u32,
    up: ScalingRules,
    down: ScalingRules,
}

/// Why a configuration or a reading is refused.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ReactiveError {
    /// Not `min <= max`, or no replica at all allowed.
    #[error("keep between `{min}` and `{max}` replicas: it must be min <= max and max > 0")]
    Bounds {
        /// Least.
        min: u32,
        /// Most.
        max: u32,
    },
    /// The tolerance is negative or not finite.
    #[error("tolerate a distance of `{tolerance}` from the target: it must be finite and not negative")]
    Tolerance {
        /// What was asked.
        tolerance: f64,
    },
    /// A window or period is longer than an hour.
    #[error("look back over `{seconds}` s: an hour is the most")]
    Window {
        /// What was asked.
        seconds: u64,
    },
}

impl ReactiveError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// How many replicas there should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// Within the bounds.
    pub replicas: u32,
    /// What decided it.
    pub reason: ScaleReason,
}

/// What decided a number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScaleReason {
    /// The reading is near enough to the target.
    WithinTolerance,
    /// The reading asks for it.
    Proportional,
    /// A decision of the recent past holds it.
    Stabilised,
    /// It may not go faster.
    RateLimited,
    /// The bounds hold it.
    Bounded,
    /// There is no reading: nothing changes.
    NoReading,
    /// A forecast asks for more.
    Forecast,
}

impl ReactiveConfig {
    /// The original's defaults: tolerance 0.1; up at once, by 100 % or 4 replicas per 15 s, whichever is more; down to what
    /// was asked for at most within the last 5 minutes, by 100 % per 15 s.
    ///
    /// # Errors
    /// [`ReactiveError::Bounds`] unless `min <= max` and `max > 0`.
    pub fn new(min: u32, max: u32) -> Result<Self, ReactiveError> {
        if min > max || max == 0 {
            return Err(ReactiveError::Bounds { min, max });
        }
        let period = Duration::from_secs(15);
        let rules = |stabilisation, limits| ScalingRules {
            stabilisation: Duration::from_secs(stabilisation),
            tolerance: 0.1,
            limits,
            select: Select::Max,
        };
        let percent = Limit::Percent { percent: 100, period };
        let up = rules(0, vec![percent, Limit::Replicas { count: 4, period }]);
        Ok(Self {
            min,
            max,
            up,
            down: rules(300, vec![percent]),
        })
    }

    /// With rules of one's own for both directions.
    ///
    /// # Errors
    /// [`ReactiveError::Tolerance`] and [`ReactiveError::Window`].
    pub fn with_rules(mut self, up: ScalingRules, down: ScalingRules) -> Result<Self, ReactiveError> {
        for rules in [&up, &down] {
            if !(rules.tolerance.is_finite() && rules.tolerance >= 0.0) {
                return Err(ReactiveError::Tolerance {
                    tolerance: rules.tolerance,
                });
            }
            let windows = rules.limits.iter().map(Limit::period).chain([rules.stabilisation]);
            if let Some(window) = windows.into_iter().find(|window| *window > WINDOW_MAX) {
                return Err(ReactiveError::Window {
                    seconds: window.as_secs(),
                });
            }
        }
        (self.up, self.down) = (up, down);
        Ok(self)
    }
}

impl Limit {
    const fn period(&self) -> Duration {
        match self {
            Self::Replicas { period, .. } | Self::Percent { period, .. } => *period,
        }
    }
}

/// The autoscaler of one service: its rules, and what it decided of late. Goes through serde and on as if nothing happened.
///
/// ```
/// use skyloom_analytics::scale::{Reactive, ReactiveConfig};
/// use skyloom_core::Timestamp;
///
/// let mut scaler = Reactive::new(ReactiveConfig::new(1, 10)?);
/// // 3 replicas at 90 % where 60 % is wanted: ceil(3 · 1.5) = 5.
/// assert_eq!(scaler.decide(3, Some(0.9 / 0.6), Timestamp::EPOCH).replicas, 5);
/// # Ok::<(), skyloom_analytics::scale::ReactiveError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reactive {
    config: ReactiveConfig,
    /// What the reading alone asked for.
    asked: VecDeque<(Timestamp, u32)>,
    /// Replicas before and after each change that was decided.
    changes: VecDeque<(Timestamp, u32, u32)>,
}

impl Reactive {
    /// Nothing decided yet.
    #[must_use]
    pub const fn new(config: ReactiveConfig) -> Self {
        Self {
            config,
            asked: VecDeque::new(),
            changes: VecDeque::new(),
        }
    }

    /// Decides, from the replicas there are and the ratio of what is measured per replica to its target (`None`: not
    /// measured; NaN, infinite or negative is taken for that). The decision is remembered as carried out.
    pub fn decide(&mut self, current: u32, ratio: Option<f64>, now: Timestamp) -> Decision {
        self.decide_at_least(current, ratio, 0, now)
    }

    /// The same with a floor that a forecast asks for (see [`super::predicted_floor`]): it may raise the answer within the
    /// bounds and rate limits, and never lowers it.
    pub fn decide_at_least(&mut self, current: u32, ratio: Option<f64>, floor: u32, now: Timestamp) -> Decision {
        self.forget(now);
        if self.asked.is_empty() {
            // What runs when nothing is known yet was asked for: a fresh autoscaler takes nothing down at once.
            self.asked.push_back((now, current));
        }
        let (min, max) = (self.config.min, self.config.max);
        let bounded = |replicas: u32| replicas.clamp(min, max);
        let ratio = ratio.filter(|ratio| ratio.is_finite() && *ratio >= 0.0);
        let (asked, why) = match ratio {
            None => (current, ScaleReason::NoReading),
            Some(ratio) => self.proportional(current, ratio),
        };
        let (wanted, mut reason) = if floor > asked {
            (floor, ScaleReason::Forecast)
        } else {
            (asked, why)
        };
        let within = bounded(wanted);
        if within != wanted {
            reason = ScaleReason::Bounded;
        }
        let stable = self.stabilised(current, within, now);
        if stable != within {
            reason = ScaleReason::Stabilised;
        }
        let allowed = self.rate_limited(current, stable, now);
        if allowed != stable {
            reason = ScaleReason::RateLimited;
        }
        // Limits count from what there is; the bounds hold even when there is more or less.
        let replicas = bounded(allowed);
        self.remember(current, within, replicas, now);
        Decision { replicas, reason }
    }

    fn proportional(&self, current: u32, ratio: f64) -> (u32, ScaleReason) {
        let tolerance = if ratio > 1.0 {
            self.config.up.tolerance
        } else {
            self.config.down.tolerance
        };
        if (1.0 - tolerance..=1.0 + tolerance).contains(&ratio) || current == 0 {
            return (current, ScaleReason::WithinTolerance);
        }
        (replicas((f64::from(current) * ratio).ceil()), ScaleReason::Proportional)
    }

    fn stabilised(&self, current: u32, wanted: u32, now: Timestamp) -> u32 {
        let within = |window: Duration| {
            let recent = self
                .asked
                .iter()
                .filter(move |(at, _)| now.saturating_since(*at) < window);
            recent.map(|(_, asked)| *asked)
        };
        let up = within(self.config.up.stabilisation).fold(wanted, u32::min);
        let down = within(self.config.down.stabilisation).fold(wanted, u32::max);
        if current < up {
            up
        } else if current > down {
            down
        } else {
            current
        }
    }

    fn rate_limited(&self, current: u32, wanted: u32, now: Timestamp) -> u32 {
        if wanted > current {
            wanted.min(self.bound(&self.config.up, current, true, now)).max(current)
        } else if wanted < current {
            wanted
                .max(self.bound(&self.config.down, current, false, now))
                .min(current)
        } else {
            current
        }
    }

    /// As far as the limits of one direction let it go.
    fn bound(&self, rules: &ScalingRules, current: u32, is_up: bool, now: Timestamp) -> u32 {
        let reach = |limit: &Limit| {
            let start = self.at_start(current, limit.period(), now);
            match *limit {
                Limit::Replicas { count, .. } if is_up => start.saturating_add(count),
                Limit::Replicas { count, .. } => start.saturating_sub(count),
                Limit::Percent { percent, .. } => {
                    let share = f64::from(percent) / 100.0;
                    let start = f64::from(start);
                    if is_up {
                        replicas((start * (1.0 + share)).ceil())
                    } else {
                        replicas((start * (1.0 - share)).floor())
                    }
                }
            }
        };
        let reaches = rules.limits.iter().map(reach);
        let far = if is_up { u32::MAX } else { 0 };
        match (rules.select, is_up) {
            (Select::Disabled, _) => current,
            (Select::Max, true) | (Select::Min, false) => reaches.max().unwrap_or(far),
            (Select::Min, true) | (Select::Max, false) => reaches.min().unwrap_or(far),
        }
    }

    /// Replicas at the start of a period that ends now: what there is, without the changes since.
    fn at_start(&self, current: u32, period: Duration, now: Timestamp) -> u32 {
        let since = self
            .changes
            .iter()
            .filter(|(at, _, _)| now.saturating_since(*at) < period);
        let moved: i64 = since.map(|(_, from, to)| i64::from(*to) - i64::from(*from)).sum();
        u32::try_from((i64::from(current) - moved).max(0)).unwrap_or(u32::MAX)
    }

    fn remember(&mut self, current: u32, asked: u32, replicas: u32, now: Timestamp) {
        self.asked.push_back((now, asked));
        if replicas != current {
            self.changes.push_back((now, current, replicas));
        }
        while self.asked.len() > MEMORY_MAX {
            self.asked.pop_front();
        }
        while self.changes.len() > MEMORY_MAX {
            self.changes.pop_front();
        }
    }

    fn forget(&mut self, now: Timestamp) {
        self.asked.retain(|(at, _)| now.saturating_since(*at) <= WINDOW_MAX);
        self.changes
            .retain(|(at, _, _)| now.saturating_since(*at) <= WINDOW_MAX);
    }
}

/// A non-negative float as a number of replicas.
fn replicas(x: f64) -> u32 {
    u32::try_from(num::index(x, u32::MAX as usize)).unwrap_or(u32::MAX)
}
