//! A clock that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use skyloom_core::Timestamp;
use skyloom_runtime::Clock;

/// Stands still until it is moved. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct HandClock(Arc<AtomicU64>);

impl HandClock {
    /// Begins far from zero, so that it can be set back.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_000_000_000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0
            .fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Somebody sets it. Only the object store's lease goes by this clock.
    #[cfg(feature = "object-store")]
    pub(crate) fn set_back(&self, by: Duration) {
        self.0
            .fetch_sub(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.saturating_add(Duration::from_millis(self.0.load(Ordering::SeqCst)))
    }
}
