//! A clock that never goes backwards, around one that may.

use std::sync::{Mutex, PoisonError};

use skyloom_core::Timestamp;
use tokio::time::Instant;

use crate::clock::Clock;

/// Deadlines, budgets and waits are counted with `now`: where the clock goes back they would never end. So time passes as
/// the monotonic clock says until the other one has caught up.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    last: Mutex<Option<(Timestamp, Instant)>>,
}

impl Steady {
    /// The present moment by `clock`, and not before any that was given.
    pub(crate) fn now(&self, clock: &dyn Clock) -> Timestamp {
        let (told, instant) = (clock.now(), Instant::now());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match *last {
            Some((before, at)) if told < before => before.saturating_add(instant.saturating_duration_since(at)),
            _ => told,
        };
        *last = Some((now, instant));
        now
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use super::*;

    #[derive(Debug)]
    struct Jumping(AtomicI64);

    impl Clock for Jumping {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_goes_on_while_the_clock_is_back_and_follows_it_again_later() {
        let (steady, clock) = (Steady::default(), Jumping(AtomicI64::new(1000)));
        let mut told = Vec::new();
        for at in [1000, 400, 401, 1001, 1030] {
            clock.0.store(at, Ordering::Relaxed);
            told.push(steady.now(&clock));
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        assert_eq!(told, [1000, 1010, 1020, 1030, 1030].map(Timestamp::from_secs));
    }
}
