//! Whether this controller may act now: what stands before every call that changes something and before every write.
//!
//! Judged by the monotonic clock alone. The time of a lease is counted from before the request that renewed it was sent,
//! and ends a margin early, so that this controller stops before another may begin. A machine that sleeps, or a process
//! that is stopped between the look and the call, is not noticed here: that is what epochs are for, in the store and in
//! the drivers.

use std::path::PathBuf;
use std::sync::Arc;

use skyloom_provider::Cause;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::store::StoreError;

/// Clones share one state.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<watch::Sender<Standing>>);

#[derive(Debug, Clone)]
struct Standing {
    place: PathBuf,
    epoch: u64,
    until: Until,
}

/// How long this controller may act.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// As long as it lives.
    Always,
    /// Until then, unless the lease is renewed.
    Lapse(Instant),
    /// Never again.
    Lost { by: Option<u64> },
}

impl Default for Gate {
    /// Closed: nobody holds anything yet.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Standing {
            place: PathBuf::new(),
            epoch: 0,
            until: Until::Lost { by: None },
        })))
    }
}

impl Gate {
    /// Opens it for a new lease; `None` for one that lasts as long as its process.
    pub(crate) fn open(&self, place: PathBuf, epoch: u64, until: Option<Instant>) {
        let until = until.map_or(Until::Always, Until::Lapse);
        self.0.send_replace(Standing { place, epoch, until });
    }

    /// The lease lasts until then. One that was lost stays lost.
    pub(crate) fn extend(&self, to: Instant) {
        self.0.send_if_modified(|standing| match &mut standing.until {
            Until::Lapse(until) if to > *until => {
                *until = to;
                true
            }
            _ => false,
        });
    }

    /// Somebody else has the lease.
    pub(crate) fn lose(&self, by: Option<u64>) {
        self.0.send_modify(|standing| standing.until = Until::Lost { by });
    }

    /// Refuses when this controller may not act now.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let standing = self.0.borrow();
        let (place, epoch) = (standing.place.clone(), standing.epoch);
        match standing.until {
            Until::Always => Ok(()),
            Until::Lapse(until) if Instant::now() < until => Ok(()),
            Until::Lapse(_) => Err(StoreError::Lapsed { place, epoch }),
            Until::Lost { by } => Err(StoreError::Fenced { place, epoch, by }),
        }
    }

    /// As [`Gate::check`], in the words of a driver.
    pub(crate) fn admit(&self) -> Result<(), Cause> {
        self.check().map_err(|error| match error {
            StoreError::Fenced {
                by: Some(seen), epoch, ..
            } => Cause::StaleEpoch { seen, ours: epoch },
            // Nothing was sent, and it may go through once the lease is renewed.
            other => Cause::Unavailable {
                detail: other.to_string(),
            },
        })
    }

    /// Resolves when this controller may not act any more.
    pub(crate) async fn closed(&self) {
        let mut changes = self.0.subscribe();
        loop {
            let until = changes.borrow_and_update().until;
            let lapse = async move {
                match until {
                    Until::Always => std::future::pending().await,
                    Until::Lapse(at) => sleep_until(at).await,
                    Until::Lost { .. } => {}
                }
            };
            tokio::select! {
                () = lapse => return,
                // The sender lives in `self`.
                _ = changes.changed() => {}
            }
        }
    }
}
