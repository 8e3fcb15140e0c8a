//! What ends on a known day: certificates, reservations, credits.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Ratio, Timestamp};

/// From when to when something is valid.
///
/// ```
/// use skyloom_analytics::warn::{Validity, ValidityState};
/// use skyloom_core::Timestamp;
///
/// let day = |n: i64| Timestamp::from_secs(n * 86_400);
/// let certificate = Validity { from: day(0), until: day(90) };
/// assert_eq!(certificate.state(day(10)), ValidityState::Valid);
/// assert_eq!(certificate.state(day(60)), ValidityState::Due); // a third is left: renew
/// assert_eq!(certificate.state(day(90)), ValidityState::Expired);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// First moment.
    pub from: Timestamp,
    /// The moment it ends.
    pub until: Timestamp,
}

/// Where in its validity something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidityState {
    /// It has not begun.
    NotYet,
    /// It has, and more than a third is left.
    Valid,
    /// At most a third is left: the usual time to renew.
    Due,
    /// At most a tenth is left: renewing has failed for a while.
    Urgent,
    /// It has ended.
    Expired,
}

impl Validity {
    /// Time until it ends; zero once it has.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Duration {
        self.until.saturating_since(now)
    }

    /// Share of the whole that is left, in 0..=1; 0 for a validity that ends before it begins.
    #[must_use]
    pub fn share_left(&self, now: Timestamp) -> Ratio {
        let whole = self.until.saturating_since(self.from).as_secs_f64();
        let share = if whole > 0.0 {
            self.left(now).as_secs_f64() / whole
        } else {
            0.0
        };
        Ratio::new(share.clamp(0.0, 1.0)).unwrap_or(Ratio::ZERO)
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> ValidityState {
        let left = self.share_left(now).get();
        if now >= self.until {
            ValidityState::Expired
        } else if now < self.from {
            ValidityState::NotYet
        } else if left <= 0.1 {
            ValidityState::Urgent
        } else if left <= 1.0 / 3.0 {
            ValidityState::Due
        } else {
            ValidityState::Valid
        }
    }
}
