//! The smallest store that keeps all promises, and the ways in which it can break one: the mutants of the suite.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::Timestamp;
use skyloom_runtime::Clock;
use skyloom_runtime::store::conformance::{Harness, Subject};
use skyloom_runtime::store::{Ask, ControlStore, Document, Entry, Session, StoreError};
use tokio::task::yield_now;

use super::clocks::HandClock;

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    UnfencedAppend,
    UnfencedReplace,
    UnfencedReset,
    UnfencedRenew,
    /// A stale holder gives back somebody else's lease.
    UnfencedRelease,
    /// Looks at the condition, waits, writes: as servers do that take a condition and do not keep it.
    LooksThenTakes,
    /// Takes conditions and ignores them: everybody gets the lease.
    IgnoresConditions,
    /// As `LooksThenTakes`, for appends.
    LooksThenAppends,
    RepeatsEpochs,
    NeverLapses,
    LapsesEarly,
    RenewsNothing,
    /// A released session goes on.
    WritesAfterRelease,
    KeepsReleased,
    /// Says that an append is durable when it is not.
    LiesAboutSync,
    /// The same for documents.
    LiesAboutDocuments,
    /// A document is written in two pieces.
    TearsDocuments,
    /// One document for all names.
    MixesDocuments,
    CutsBigDocuments,
    /// A batch is kept up to its middle.
    HalvesBatches,
    ReversesBatches,
    /// Appends entry by entry: a dropped write leaves a part.
    AppendsPiecewise,
    ResetsNothing,
    /// The reset is forgotten by a crash.
    LiesAboutReset,
    /// Refuses with an untyped error where it should be fenced.
    WrongError,
}

impl Flaw {
    pub(crate) const ALL: [Self; 25] = [
        Self::UnfencedAppend,
        Self::UnfencedReplace,
        Self::UnfencedReset,
        Self::UnfencedRenew,
        Self::UnfencedRelease,
        Self::LooksThenTakes,
        Self::IgnoresConditions,
        Self::LooksThenAppends,
        Self::RepeatsEpochs,
        Self::NeverLapses,
        Self::LapsesEarly,
        Self::RenewsNothing,
        Self::WritesAfterRelease,
        Self::KeepsReleased,
        Self::LiesAboutSync,
        Self::LiesAboutDocuments,
        Self::TearsDocuments,
        Self::MixesDocuments,
        Self::CutsBigDocuments,
        Self::HalvesBatches,
        Self::ReversesBatches,
        Self::AppendsPiecewise,
        Self::ResetsNothing,
        Self::LiesAboutReset,
        Self::WrongError,
    ];
}

/// What is in the store.
#[derive(Debug, Clone, Default)]
struct Kept {
    epoch: u64,
    holder: Option<(String, Timestamp)>,
    ttl: Duration,
    journal: Vec<Entry>,
    documents: BTreeMap<&'static str, Vec<u8>>,
}

/// A store in the memory of this process. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    flaw: Flaw,
    clock: Arc<dyn Clock>,
    /// Moved by the suite; the clock, unless another was given.
    hand: HandClock,
    kept: Arc<Mutex<Kept>>,
    /// What a crash goes back to.
    durable: Arc<Mutex<Kept>>,
}

impl Model {
    pub(crate) fn new(flaw: Flaw) -> Self {
        let hand = HandClock::new();
        Self {
            flaw,
            clock: Arc::new(hand.clone()),
            hand,
            kept: Arc::default(),
            durable: Arc::default(),
        }
    }

    /// One whose leases end by this clock.
    pub(crate) fn on(flaw: Flaw, clock: impl Clock + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..Self::new(flaw)
        }
    }

    pub(crate) fn end_lease(&self) {
        let ttl = self.kept().ttl;
        self.hand.advance(ttl);
    }

    /// Everything that is in the journal.
    pub(crate) fn entries(&self) -> Vec<String> {
        self.kept().journal.iter().map(|entry| entry.get().to_owned()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// Makes what is kept durable, but for what the flaw leaves out.
    fn sync(&self, flaw: Option<Flaw>) {
        if Some(self.flaw) == flaw {
            return;
        }
        *self.durable.lock().unwrap() = self.kept().clone();
    }
}

#[async_trait]
impl ControlStore for Model {
    async fn take(&self, ask: &Ask) -> Result<Arc<dyn Session>, StoreError> {
        let lasts = |kept: &Kept| {
            let factor = if self.flaw == Flaw::LapsesEarly { 3 } else { 1 };
            match &kept.holder {
                Some((_, until)) if self.flaw == Flaw::NeverLapses => *until > Timestamp::EPOCH,
                Some((_, until)) => {
                    self.clock.now().saturating_add(kept.ttl * (factor - 1) / 3) < *until
                        && self.flaw != Flaw::IgnoresConditions
                }
                None => false,
            }
        };
        if lasts(&self.kept()) {
            return Err(StoreError::Held {
                path: PathBuf::from("model"),
                holder: None,
                lapses_within: None,
            });
        }
        if self.flaw == Flaw::LooksThenTakes {
            yield_now().await;
        }
        let mut kept = self.kept();
        kept.epoch += u64::from(self.flaw != Flaw::RepeatsEpochs || kept.epoch == 0);
        kept.holder = Some((ask.holder.clone(), self.clock.now().saturating_add(ask.ttl)));
        kept.ttl = ask.ttl;
        let epoch = kept.epoch;
        drop(kept);
        self.sync(None);
        Ok(Arc::new(Held {
            model: self.clone(),
            epoch,
            ttl: ask.ttl,
        }))
    }
}

#[derive(Debug)]
struct Held {
    model: Model,
    epoch: u64,
    ttl: Duration,
}

impl Held {
    fn check(&self, kept: &Kept, unfenced: Flaw) -> Result<(), StoreError> {
        let flaw = self.model.flaw;
        let is_free = kept.holder.is_none() && flaw != Flaw::WritesAfterRelease;
        if flaw == unfenced || (kept.epoch == self.epoch && !is_free) {
            return Ok(());
        }
        let place = PathBuf::from("model");
        if flaw == Flaw::WrongError {
            return Err(StoreError::Moved { place });
        }
        Err(StoreError::Fenced {
            place,
            epoch: self.epoch,
            by: Some(kept.epoch),
        })
    }
}

#[async_trait]
impl Session for Held {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn ttl(&self) -> Option<Duration> {
        Some(self.ttl)
    }

    fn place(&self) -> PathBuf {
        PathBuf::from("model")
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let mut kept = self.model.kept();
        self.check(&kept, Flaw::UnfencedRenew)?;
        if self.model.flaw != Flaw::RenewsNothing {
            let until = self.model.clock.now().saturating_add(self.ttl);
            let holder = kept.holder.take().map_or_else(String::new, |(holder, _)| holder);
            kept.holder = Some((holder, until));
        }
        Ok(())
    }

    async fn release(&self) -> Result<(), StoreError> {
        let mut kept = self.model.kept();
        if kept.epoch == self.epoch && kept.holder.is_none() {
            return Ok(());
        }
        self.check(&kept, Flaw::UnfencedRelease)?;
        if self.model.flaw != Flaw::KeepsReleased {
            kept.holder = None;
        }
        drop(kept);
        self.model.sync(None);
        Ok(())
    }

    async fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        let name = if self.model.flaw == Flaw::MixesDocuments {
            "all"
        } else {
            document.name()
        };
        Ok(self.model.kept().documents.get(name).cloned())
    }

    async fn replace(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        let flaw = self.model.flaw;
        self.check(&self.model.kept(), Flaw::UnfencedReplace)?;
        let name = if flaw == Flaw::MixesDocuments {
            "all"
        } else {
            document.name()
        };
        if flaw == Flaw::TearsDocuments {
            let first = bytes[..bytes.len() / 2].to_vec();
            self.model.kept().documents.insert(name, first);
            yield_now().await;
        }
        let kept_bytes = if flaw == Flaw::CutsBigDocuments {
            bytes.len().min(1 << 20)
        } else {
            bytes.len()
        };
        self.model.kept().documents.insert(name, bytes[..kept_bytes].to_vec());
        self.model.sync(Some(Flaw::LiesAboutDocuments));
        Ok(())
    }

    async fn journal(&self) -> Result<Vec<Entry>, StoreError> {
        Ok(self.model.kept().journal.clone())
    }

    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let flaw = self.model.flaw;
        self.check(&self.model.kept(), Flaw::UnfencedAppend)?;
        if flaw == Flaw::LooksThenAppends {
            yield_now().await;
        }
        let mut entries = entries.to_vec();
        match flaw {
            Flaw::HalvesBatches => entries.truncate(entries.len().div_ceil(2)),
            Flaw::ReversesBatches => entries.reverse(),
            Flaw::AppendsPiecewise => {
                for entry in entries.drain(..) {
                    self.model.kept().journal.push(entry);
                    yield_now().await;
                }
            }
            _ => {}
        }
        self.model.kept().journal.extend(entries);
        self.model.sync(Some(Flaw::LiesAboutSync));
        Ok(())
    }

    async fn reset(&self) -> Result<(), StoreError> {
        let mut kept = self.model.kept();
        self.check(&kept, Flaw::UnfencedReset)?;
        if self.model.flaw != Flaw::ResetsNothing {
            kept.journal.clear();
        }
        drop(kept);
        self.model.sync(Some(Flaw::LiesAboutReset));
        Ok(())
    }
}

/// Where models come from.
pub(crate) struct Models(pub(crate) Flaw);

#[async_trait]
impl Harness for Models {
    fn name(&self) -> String {
        format!("model with flaw {:?}", self.0)
    }

    async fn fresh(&self) -> Box<dyn Subject> {
        Box::new(Model::new(self.0))
    }
}

#[async_trait]
impl Subject for Model {
    fn open(&self) -> Arc<dyn ControlStore> {
        Arc::new(self.clone())
    }

    async fn lapse(&self) {
        self.end_lease();
    }

    async fn pass(&self, time: Duration) -> bool {
        self.hand.advance(time);
        true
    }

    async fn crash(&self) {
        let durable = self.durable.lock().unwrap().clone();
        *self.kept() = durable;
    }
}
