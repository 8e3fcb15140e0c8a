//! How many calls per second: a pure decision on the time it is given. Waiting belongs to the runtime, which is why
//! there is no decorator that sleeps.

use std::num::NonZeroU32;
use std::time::Duration;

use skyloom_core::Timestamp;

/// A token bucket as the generic cell rate algorithm keeps it (ITU-T I.371, annex A, virtual scheduling): one time
/// instead of a count, exact in whole microseconds.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use skyloom_core::Timestamp;
/// use skyloom_provider::{Admission, RateLimit};
///
/// let [two, ten] = [2, 10].map(|n| NonZeroU32::new(n).expect("above zero"));
/// let mut limit = RateLimit::new(ten, two); // 10 calls per second, 2 at once
/// let now = Timestamp::EPOCH;
/// assert_eq!([limit.take(now), limit.take(now)], [Admission::Go, Admission::Go]);
/// let wait = Duration::from_millis(100);
/// assert_eq!(limit.take(now), Admission::Wait(wait));
/// assert_eq!(limit.take(now.saturating_add(wait)), Admission::Go);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Time between calls at the steady rate, at least one microsecond.
    interval: Duration,
    /// How far ahead of time `next` may be for a call to go.
    tolerance: Duration,
    /// When the bucket will be full again.
    next: Timestamp,
}

/// Whether a call may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may, and was counted.
    Go,
    /// It may not before this long; it was not counted.
    Wait(Duration),
}

impl RateLimit {
    /// At most `per_second` calls per second in the long run and `burst` at once; the bucket is full at first.
    ///
    /// The time between calls is rounded up to whole microseconds, so that the rate is never above what was asked for
    /// (and never above a million per second).
    #[must_use]
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let interval = Duration::from_micros(1_000_000_u64.div_ceil(u64::from(per_second.get())));
        Self {
            interval,
            tolerance: interval.saturating_mul(burst.get() - 1),
            next: Timestamp::from_micros(i64::MIN),
        }
    }

    /// Takes one call out of the bucket, or says how long to wait. A clock that went back counts as an empty bucket,
    /// never as a longer wait than one interval.
    pub fn take(&mut self, now: Timestamp) -> Admission {
        let full_at = now.saturating_add(self.tolerance).saturating_add(self.interval);
        let next = self.next.clamp(now, full_at);
        let ahead = next.saturating_since(now);
        if ahead > self.tolerance {
            return Admission::Wait(ahead - self.tolerance);
        }
        self.next = next.saturating_add(self.interval);
        Admission::Go
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: u32, burst: u32) -> RateLimit {
        RateLimit::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    #[test]
    fn a_clock_that_goes_back_waits_at_most_one_interval() {
        let mut limit = limit(10, 3);
        let later = Timestamp::from_secs(1_000_000);
        assert_eq!(limit.take(later), Admission::Go);
        assert_eq!(
            limit.take(Timestamp::EPOCH),
            Admission::Wait(Duration::from_millis(100))
        );
    }

    #[test]
    fn extremes_neither_panic_nor_block_for_ever() {
        let mut limit = limit(u32::MAX, u32::MAX);
        for now in [i64::MIN, 0, i64::MAX] {
            assert_eq!(limit.take(Timestamp::from_micros(now)), Admission::Go, "{now}");
        }
    }

    proptest::proptest! {
        /// In any window, no more calls go than the burst and the rate allow; and who waits as told then goes.
        #[test]
        fn the_rate_is_never_exceeded(per_second in 1u32..50, burst in 1u32..6, gaps in proptest::collection::vec(0u64..400_000, 1..80)) {
            let mut limit = limit(per_second, burst);
            let (mut now, mut gone) = (0u64, Vec::new());
            for gap in gaps {
                now += gap;
                let at = |micros: u64| Timestamp::from_micros(i64::try_from(micros).unwrap());
                if let Admission::Wait(wait) = limit.take(at(now)) {
                    now += u64::try_from(wait.as_micros()).unwrap();
                    proptest::prop_assert_eq!(limit.take(at(now)), Admission::Go);
                }
                gone.push(now);
            }
            for (i, from) in gone.iter().enumerate() {
                for (j, to) in gone.iter().enumerate().skip(i) {
                    let allowed = u64::from(burst) + (to - from) * u64::from(per_second) / 1_000_000;
                    proptest::prop_assert!(u64::try_from(j - i + 1).unwrap() <= allowed);
                }
            }
        }
    }
}
