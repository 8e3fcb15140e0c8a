//! Error budgets: how fast an objective's allowance for failure is being used up, over several windows at once.
//!
//! Source: The Site Reliability Workbook (Beyer et al., 2018), chapter 5, "multiwindow, multi-burn-rate alerts": a long
//! window says that it matters, a short one that it still goes on. The windows are shares of the period of the objective:
//! for 30 days the familiar 1 h with 5 min, 6 h with 30 min, and 3 d with 6 h.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Ratio, Timestamp};
use thiserror::Error;

use crate::{bits, num};

/// Counts are kept in so many slots per period: five minutes each for 30 days, the shortest window.
const SLOTS: i64 = 8_640;

/// A pair of windows and the rate at which both together are worth an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BurnWindow {
    /// 2 % of the budget in 1/720 of the period: wake somebody.
    Fast,
    /// 5 % in 1/120: wake somebody.
    Medium,
    /// 10 % in 1/10: write a ticket.
    Slow,
}

/// How fast the budget burns over one pair of windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BurnRate {
    /// Which.
    pub window: BurnWindow,
    /// Rate over the long window: 1 uses the budget up in exactly one period.
    pub long: f64,
    /// Rate over the short one, a twelfth of it.
    pub short: f64,
    /// Both are at least the factor of the window.
    pub fires: bool,
}

/// Why a budget cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ErrorBudgetError {
    /// An objective of 1 leaves no budget, one of 0 asks for nothing.
    #[error("keep an objective of `{objective}`: it must be above 0 and below 1")]
    Objective {
        /// What was asked.
        objective: f64,
    },
    /// The period is too short.
    #[error("keep an objective over `{seconds}` s: it must be at least {SLOTS} s")]
    Period {
        /// What was asked.
        seconds: u64,
    },
    /// A count is negative or not finite, or there are more failures than events; nothing is counted.
    #[error(
        "count `{failed}` failures of `{events}` events: both must be finite, not negative, and failures the fewer"
    )]
    Count {
        /// Events.
        events: f64,
        /// Failures among them.
        failed: f64,
    },
}

impl ErrorBudgetError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// The error budget of one objective; bounded to one period.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::warn::{BurnWindow, ErrorBudget};
/// use skyloom_core::{Ratio, Timestamp};
///
/// let month = Duration::from_secs(30 * 86_400);
/// let mut budget = ErrorBudget::new(Ratio::new(0.999)?, month)?;
/// let minute = |n: i64| Timestamp::from_secs(60 * n);
/// for n in 0..600 {
///     budget.count(minute(n), 1000.0, 0.0)?;
/// }
/// for n in 600..660 {
///     budget.count(minute(n), 1000.0, 20.0)?; // 2 % fail where 0.1 % may
/// }
/// let fast = budget.rates(minute(660)).into_iter().find(|rate| rate.window == BurnWindow::Fast).unwrap();
/// assert!(fast.fires && (fast.long - 20.0).abs() < 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBudget {
    #[serde(with = "bits")]
    allowed: f64,
    period: Duration,
    /// Their numbers rise.
    slots: VecDeque<Slot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Slot {
    number: i64,
    #[serde(with = "bits")]
    events: f64,
    #[serde(with = "bits")]
    failed: f64,
}

impl BurnWindow {
    /// All of them, the fastest first.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Medium, Self::Slow];

    /// Share of the period, as its denominator, and the rate that is worth an alarm.
    const fn shape(self) -> (u32, f64) {
        match self {
            Self::Fast => (720, 14.4),
            Self::Medium => (120, 6.0),
            Self::Slow => (10, 1.0),
        }
    }
}

impl ErrorBudget {
    /// Full: an objective for the share of good events over a period.
    ///
    /// # Errors
    /// [`ErrorBudgetError::Objective`] and [`ErrorBudgetError::Period`].
    pub fn new(objective: Ratio, period: Duration) -> Result<Self, ErrorBudgetError> {
        let allowed = 1.0 - objective.get();
        if allowed <= 0.0 || objective.get() <= 0.0 {
            return Err(ErrorBudgetError::Objective {
                objective: objective.get(),
            });
        }
        let seconds = period.as_secs();
        if i64::try_from(seconds).is_ok_and(|seconds| seconds < SLOTS) {
            return Err(ErrorBudgetError::Period { seconds });
        }
        Ok(Self {
            allowed,
            period,
            slots: VecDeque::new(),
        })
    }

    /// Counts events. What is older than the latest slot goes into that slot: late is better than lost.
    ///
    /// # Errors
    /// [`ErrorBudgetError::Count`].
    pub fn count(&mut self, at: Timestamp, events: f64, failed: f64) -> Result<(), ErrorBudgetError> {
        if !(events.is_finite() && failed >= 0.0 && failed <= events) {
            return Err(ErrorBudgetError::Count { events, failed });
        }
        let number = self.slot(at);
        match self.slots.back_mut() {
            Some(last) if number <= last.number => {
                last.events = num::saturate(last.events + events);
                last.failed = num::saturate(last.failed + failed);
            }
            _ => self.slots.push_back(Slot { number, events, failed }),
        }
        while self
            .slots
            .front()
            .is_some_and(|first| first.number <= number.saturating_sub(SLOTS))
        {
            self.slots.pop_front();
        }
        Ok(())
    }

    fn slot(&self, at: Timestamp) -> i64 {
        let width = i64::try_from(self.period.as_micros() / u128::from(SLOTS.unsigned_abs())).unwrap_or(i64::MAX);
        at.as_micros().div_euclid(width.max(1))
    }

    /// Share of failures, over what is allowed, in the slots of a window that ends now.
    fn rate(&self, now: Timestamp, slots: i64) -> f64 {
        let now = self.slot(now);
        // The slot that has just begun does not count as one.
        let from = now.saturating_sub(slots);
        let within = || self.slots.iter().filter(|slot| (from..=now).contains(&slot.number));
        let events = num::saturate(within().map(|slot| slot.events).sum());
        let failed = num::saturate(within().map(|slot| slot.failed).sum());
        if events > 0.0 {
            failed / events / self.allowed
        } else {
            0.0
        }
    }

    /// The burn rates over every pair of windows, the fastest first; 0 where nothing happened.
    #[must_use]
    pub fn rates(&self, now: Timestamp) -> Vec<BurnRate> {
        let of = |window: BurnWindow| {
            let (part, factor) = window.shape();
            let long_slots = SLOTS / i64::from(part);
            let (long, short) = (self.rate(now, long_slots), self.rate(now, (long_slots / 12).max(1)));
            BurnRate {
                window,
                long,
                short,
                fires: long >= factor && short >= factor,
            }
        };
        BurnWindow::ALL.map(of).to_vec()
    }

    /// Share of the budget of the last period that is left, at most 1 and below 0 when it is overspent.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> f64 {
        1.0 - self.rate(now, SLOTS)
    }

    /// When the budget ends if it goes on burning as over this long window; `None`: not within a period.
    #[must_use]
    pub fn exhausted_at(&self, now: Timestamp, window: BurnWindow) -> Option<Timestamp> {
        let (part, _) = window.shape();
        let rate = self.rate(now, SLOTS / i64::from(part));
        let periods = self.left(now).max(0.0) / rate; // infinite when nothing burns
        if periods.is_nan() || periods > 1.0 {
            return None;
        }
        Some(now.saturating_add(Duration::try_from_secs_f64(self.period.as_secs_f64() * periods).ok()?))
    }
}
