//! Where `now` comes from. Engines never ask; the runtime asks once and passes it on.

use std::fmt;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use skyloom_core::Timestamp;

/// A clock. Waiting is tokio's; a test brings a clock that follows tokio's paused time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system, read once per process; from then on time passes as the monotonic clock says.
///
/// Deadlines are compared with it, so it neither jumps nor goes back when somebody sets the system's clock. The price:
/// a correction of the system's clock shows after a restart only.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The first reading of both clocks.
static BEGUN: LazyLock<(Timestamp, Instant)> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (Timestamp::EPOCH.saturating_add(since), Instant::now())
});

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let (start, instant) = &*BEGUN;
        start.saturating_add(instant.elapsed())
    }
}
