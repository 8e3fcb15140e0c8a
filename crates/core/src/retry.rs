//! Whether and when to try again: a pure decision. Waiting is the runtime's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Class;

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Try again after this long.
    After(Duration),
    /// Give up: attempts or class do not allow another.
    GiveUp,
}

/// Exponential backoff without jitter of its own: a caller that wants jitter passes it in, so that decisions replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    attempts_max: u32,
    first: Duration,
    longest: Duration,
}

impl RetryPolicy {
    /// At most `attempts_max` attempts in all, waiting `first`, then twice as long each time up to `longest`.
    #[must_use]
    pub const fn new(attempts_max: u32, first: Duration, longest: Duration) -> Self {
        Self {
            attempts_max,
            first,
            longest,
        }
    }

    /// Attempts in all.
    #[must_use]
    pub const fn attempts_max(&self) -> u32 {
        self.attempts_max
    }

    /// The decision after `failed` attempts (1 after the first) of which the last had `class`.
    ///
    /// `jitter_thousandths` shortens the wait by up to that many thousandths (values over 1000 count as 1000).
    /// A throttled call waits at least twice the plain backoff.
    #[must_use]
    pub fn decide(&self, failed: u32, class: Class, jitter_thousandths: u32) -> RetryDecision {
        if !class.is_retryable() || failed >= self.attempts_max {
            return RetryDecision::GiveUp;
        }
        let doublings = failed.saturating_sub(1) + u32::from(class == Class::Throttled);
        let plain = self
            .first
            .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(self.longest);
        let cut = plain.saturating_mul(jitter_thousandths.min(1000)) / 1000;
        RetryDecision::After(plain - cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let policy = RetryPolicy::new(5, Duration::from_millis(100), Duration::from_millis(350));
        let waits: Vec<_> = (1..=5).map(|n| policy.decide(n, Class::Transient, 0)).collect();
        let ms = |n| RetryDecision::After(Duration::from_millis(n));
        assert_eq!(waits, [ms(100), ms(200), ms(350), ms(350), RetryDecision::GiveUp]);
        assert_eq!(policy.decide(1, Class::Throttled, 0), ms(200));
        assert_eq!(policy.decide(1, Class::Invalid, 0), RetryDecision::GiveUp);
        assert_eq!(policy.decide(1, Class::Transient, 500), ms(50));
        assert_eq!(policy.decide(1, Class::Transient, 9999), ms(0));
    }
}
