//! The lease as the control plane holds it: renewed in the background, and every call of the store with its end.
//!
//! What the lease is made of is the store's; when it is renewed and when this controller stops is decided here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::gate::Gate;
use crate::store::{Ask, ControlStore, Document, Entry, JournalEntry, Lease, Session, StoreError};

/// How long a lease lasts and how long the store is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseConfig {
    /// How long the lease lasts without renewal: how long another controller waits after a crash of this one. A store
    /// whose lease dies with its process does not need it.
    pub ttl: Duration,
    /// How long opening waits for a lease that somebody else holds. A store without a clock of its own has to be watched
    /// for the whole time of a lease that nobody gave back: wait longer than that.
    pub wait: Duration,
    /// How long a call of the store may take. After it, what it was to change is in doubt, and a plan under way halts.
    pub call_within: Duration,
}

impl LeaseConfig {
    /// 15 s without renewal, no waiting, 30 s for a call.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ttl: Duration::from_secs(15),
            wait: Duration::ZERO,
            call_within: Duration::from_secs(30),
        }
    }

    /// The same with a lease that lasts this long.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// The same, waiting this long for a lease that is held.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The same with this end of every call.
    #[must_use]
    pub const fn with_call_within(mut self, within: Duration) -> Self {
        self.call_within = within;
        self
    }
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// The holder acts for this share of the lease's time only: the rest is for a clock that runs faster elsewhere, and for
/// what was begun at the last moment.
const ACT_FOR: (u32, u32) = (3, 4);
/// Renewals in the time of a lease, so that two may fail before it matters.
const RENEWALS: u32 = 4;
/// Between two attempts while somebody else holds the lease.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A held lease.
#[derive(Debug)]
pub(crate) struct Hold {
    session: Arc<dyn Session>,
    gate: Gate,
    within: Duration,
    renewal: Option<AbortHandle>,
    /// Where the state is elsewhere: keeps other controllers of this machine out of the folder with the audit log.
    _folder: Option<Lease>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
    }
}

impl Hold {
    /// Takes the lease, waiting as the configuration says, and keeps it renewed.
    pub(crate) async fn take(
        store: &dyn ControlStore,
        config: &LeaseConfig,
        holder: String,
        gate: Gate,
        folder: Option<Lease>,
    ) -> Result<Self, StoreError> {
        let ask = Ask {
            holder,
            ttl: config.ttl,
        };
        let give_up = Instant::now() + config.wait;
        let (begun, session) = loop {
            let begun = Instant::now();
            let late = || StoreError::Late {
                operation: "take the lease of",
                place: PathBuf::from("the store"),
                after: config.call_within,
            };
            let taken = timeout(config.call_within, store.take(&ask)).await;
            match taken.unwrap_or_else(|_| Err(late())) {
                Ok(session) => break (begun, session),
                Err(StoreError::Held { .. }) if Instant::now() < give_up => {
                    sleep(ASK_AGAIN.min(give_up.saturating_duration_since(Instant::now()))).await;
                }
                Err(error) => return Err(error),
            }
        };
        let ttl = session.ttl();
        let until = ttl.map(|ttl| begun + act_for(ttl));
        gate.open(session.place(), session.epoch(), until);
        let renewal = ttl.map(|ttl| {
            let keeping = keep_renewed(Arc::clone(&session), gate.clone(), ttl, config.call_within);
            tokio::spawn(keeping).abort_handle()
        });
        Ok(Self {
            session,
            gate,
            within: config.call_within,
            renewal,
            _folder: folder,
        })
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.session.epoch()
    }

    /// Whether this controller may act now, and when it may not any more.
    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The journal's entries, understood.
    pub(crate) async fn entries(&self) -> Result<Vec<JournalEntry>, StoreError> {
        let entries = self.journal().await?;
        let read = |(record, entry): (usize, &Entry)| {
            serde_json::from_str(entry.get()).map_err(|error| StoreError::Format {
                path: self.path("journal"),
                detail: format!("record {record} is whole but not understood: {error}"),
            })
        };
        entries.iter().enumerate().map(read).collect()
    }

    /// What messages call a document, or the journal.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.session.place().join(name)
    }

    pub(crate) async fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        self.bounded("read", self.session.read(document)).await
    }

    pub(crate) async fn replace(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        self.gate.check()?;
        self.bounded("replace a document of", self.session.replace(document, bytes))
            .await
    }

    pub(crate) async fn journal(&self) -> Result<Vec<Entry>, StoreError> {
        self.bounded("read the journal of", self.session.journal()).await
    }

    pub(crate) async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.gate.check()?;
        self.bounded("append to", self.session.append(entries)).await
    }

    pub(crate) async fn reset(&self) -> Result<(), StoreError> {
        self.gate.check()?;
        self.bounded("empty the journal of", self.session.reset()).await
    }

    /// Gives the lease back; nothing is changed by this controller any more.
    pub(crate) async fn release(&self) -> Result<(), StoreError> {
        self.gate.lose(None);
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
        let released = self.bounded("give back the lease of", self.session.release()).await;
        match released {
            // Somebody has it already.
            Err(StoreError::Fenced { .. }) => Ok(()),
            released => released,
        }
    }

    async fn bounded<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let answer = timeout(self.within, call).await.unwrap_or_else(|_| {
            Err(StoreError::Late {
                operation,
                place: self.session.place(),
                after: self.within,
            })
        });
        if let Err(StoreError::Fenced { by, .. }) = &answer {
            self.gate.lose(*by);
        }
        answer
    }
}

fn act_for(ttl: Duration) -> Duration {
    ttl * ACT_FOR.0 / ACT_FOR.1
}

/// Renews until the lease is somebody else's. A renewal that fails is tried again; one that comes through after the
/// lease had lapsed shows that nobody else has taken it, and counts.
async fn keep_renewed(session: Arc<dyn Session>, gate: Gate, ttl: Duration, call_within: Duration) {
    let every = ttl / RENEWALS;
    loop {
        sleep(every).await;
        let begun = Instant::now();
        match timeout(call_within.min(every), session.renew()).await {
            Ok(Ok(())) => gate.extend(begun + act_for(ttl)),
            Ok(Err(StoreError::Fenced { by, .. })) => {
                tracing::error!(epoch = session.epoch(), ?by, "another controller has taken the lease");
                gate.lose(by);
                return;
            }
            Ok(Err(error)) => tracing::warn!(error = crate::call::chain(&error), "the lease could not be renewed"),
            Err(_) => tracing::warn!("the store has not answered a renewal in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gate_closes_a_quarter_before_the_lease_ends_and_opens_again_by_renewal_only() {
        let ttl = Duration::from_secs(12);
        let gate = Gate::default();
        assert!(
            matches!(gate.check(), Err(StoreError::Fenced { .. })),
            "closed before the first lease"
        );
        let begun = Instant::now();
        gate.open(PathBuf::from("there"), 3, Some(begun + act_for(ttl)));
        sleep(Duration::from_millis(8_999)).await;
        gate.check().unwrap();
        gate.closed().await;
        assert_eq!(begun.elapsed().as_secs(), 9);
        assert!(matches!(gate.check(), Err(StoreError::Lapsed { epoch: 3, .. })));
        gate.extend(Instant::now() + act_for(ttl));
        gate.check().unwrap();
        // What came late does not shorten.
        gate.extend(begun);
        gate.check().unwrap();
        gate.lose(Some(4));
        gate.extend(Instant::now() + ttl);
        assert!(matches!(gate.check(), Err(StoreError::Fenced { by: Some(4), .. })));
        assert!(matches!(
            gate.admit(),
            Err(skyloom_provider::Cause::StaleEpoch { seen: 4, ours: 3 })
        ));
    }
}
