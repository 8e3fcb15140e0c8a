//! Where `now` comes from. Engines never ask; the runtime asks once and passes it on.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use skyloom_core::Timestamp;

/// A clock. Waiting is tokio's; a test brings a clock that follows tokio's paused time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH.saturating_add(since)
    }
}
