//! What the holder of a head does: write an object, then make it count.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::{PutMode, UpdateVersion};
use tokio::sync::Mutex;

use super::head::{Head, Journal, Written, document, segment};
use super::{Objects, is_condition};
use crate::store::log::{LogEnd, whole_log};
use crate::store::{Document, Entry, Session, StoreError};

/// Segments that are read at the same time.
const READ_AHEAD: usize = 16;
/// Times that a change which may be made on top of any of our own earlier ones is tried.
const CHANGES_MAX: u32 = 4;

/// A held head.
pub(super) struct ObjectSession {
    objects: Objects,
    nonce: String,
    epoch: u64,
    ttl: Duration,
    /// One change at a time: two of ours over one head would refuse each other.
    local: Mutex<Local>,
}

/// What this session knows.
pub(super) struct Local {
    head: Head,
    version: UpdateVersion,
    /// Whether the head is what it was when we have looked last, as far as this session has changed it. It is not while a
    /// change is under way, and after one that was dropped.
    is_sure: bool,
    /// Where the journal ends as the caller knows it.
    known_end: LogEnd,
    /// Objects and heads so far.
    count: u64,
    /// Names that do not count any more.
    garbage: Vec<String>,
    /// Whether what earlier holders have left was removed.
    is_swept: bool,
}

impl Local {
    pub(super) const fn new(head: Head, version: UpdateVersion) -> Self {
        let known_end = head.journal.end;
        Self {
            head,
            version,
            is_sure: true,
            known_end,
            count: 0,
            garbage: Vec::new(),
            is_swept: false,
        }
    }
}

impl fmt::Debug for ObjectSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ObjectSession({}, epoch {})",
            self.objects.place().display(),
            self.epoch
        )
    }
}

impl ObjectSession {
    pub(super) fn new(objects: Objects, nonce: String, local: Local) -> Self {
        Self {
            objects,
            nonce,
            epoch: local.head.epoch,
            ttl: local.head.ttl(),
            local: Mutex::new(local),
        }
    }

    fn fenced(&self, by: Option<u64>) -> StoreError {
        StoreError::Fenced {
            place: self.objects.place(),
            epoch: self.epoch,
            by,
        }
    }

    /// Looks at the head again.
    async fn look(&self, local: &mut Local) -> Result<(), StoreError> {
        let Some((head, version)) = self.objects.head().await? else {
            // Somebody has removed everything.
            return Err(self.fenced(None));
        };
        if head.epoch != self.epoch || head.holder.is_none() {
            return Err(self.fenced(Some(head.epoch).filter(|epoch| *epoch != self.epoch)));
        }
        (local.head, local.version, local.is_sure) = (head, version, true);
        Ok(())
    }

    async fn settle(&self, local: &mut Local) -> Result<(), StoreError> {
        if local.is_sure { Ok(()) } else { self.look(local).await }
    }

    /// Replaces the head by an edited one. [`StoreError::Moved`] when an earlier change of ours has come in between.
    async fn change(&self, local: &mut Local, edit: &(dyn Fn(&mut Head) + Sync)) -> Result<(), StoreError> {
        let mut head = local.head.clone();
        edit(&mut head);
        local.count += 1;
        head.stamp = format!("{}-{}", self.nonce, local.count);
        let before = local.head.stamp.clone();
        local.is_sure = false;
        let error = match self
            .objects
            .put_head(&head, PutMode::Update(local.version.clone()))
            .await
        {
            Ok(version) => {
                (local.head, local.version, local.is_sure) = (head, version, true);
                return Ok(());
            }
            Err(error) => error,
        };
        // Given back by this very change: then the head has no holder.
        if head.holder.is_none() {
            return match self.objects.head().await? {
                Some((there, _)) if there.stamp == head.stamp => Ok(()),
                _ => Err(self.failed_or_fenced(local, error).await),
            };
        }
        self.look(local).await?;
        if local.head.stamp == head.stamp {
            // It was made, and the answer was lost.
            return Ok(());
        }
        if local.head.stamp != before && is_condition(&error) {
            return Err(StoreError::Moved {
                place: self.objects.place(),
            });
        }
        Err(self.objects.failed("write to", error))
    }

    async fn failed_or_fenced(&self, local: &mut Local, error: object_store::Error) -> StoreError {
        match self.look(local).await {
            Err(fenced @ StoreError::Fenced { .. }) => fenced,
            _ => self.objects.failed("write to", error),
        }
    }

    /// As [`Self::change`], on top of whatever earlier change of ours has come through.
    async fn change_whatever_came(
        &self,
        local: &mut Local,
        edit: &(dyn Fn(&mut Head) + Sync),
    ) -> Result<(), StoreError> {
        let mut tried = 1;
        loop {
            self.settle(local).await?;
            match self.change(local, edit).await {
                Err(StoreError::Moved { .. }) if tried < CHANGES_MAX => tried += 1,
                changed => return changed,
            }
        }
    }

    /// The entries of these segments, which must be all that were ever appended.
    async fn read_journal(&self, journal: &Journal) -> Result<Vec<Entry>, StoreError> {
        let gets = stream::iter(journal.segments()).map(|name| async move { self.objects.get(&name).await });
        let bodies: Vec<Option<Vec<u8>>> = gets.buffered(READ_AHEAD).try_collect().await?;
        let mut bytes = LogEnd::empty_log();
        // What is missing shows in the checksums and in the end.
        bodies
            .into_iter()
            .flatten()
            .for_each(|body| bytes.extend_from_slice(&body));
        whole_log(&bytes, journal.end, &self.objects.place().join("journal"))
    }
}

#[async_trait]
impl Session for ObjectSession {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn ttl(&self) -> Option<Duration> {
        Some(self.ttl)
    }

    fn place(&self) -> PathBuf {
        self.objects.place()
    }

    /// Removes what does not count any more as well: here, where no plan waits for it.
    async fn renew(&self) -> Result<(), StoreError> {
        let mut local = self.local.lock().await;
        let edit = |head: &mut Head| head.renewals = head.renewals.wrapping_add(1);
        self.change_whatever_came(&mut local, &edit).await?;
        let garbage = std::mem::take(&mut local.garbage);
        let unswept = (!std::mem::replace(&mut local.is_swept, true)).then(|| local.head.clone());
        drop(local);
        if !garbage.is_empty() {
            self.objects.forget(garbage).await;
        }
        if let Some(head) = unswept {
            self.objects.sweep(&head).await;
        }
        Ok(())
    }

    async fn release(&self) -> Result<(), StoreError> {
        let mut local = self.local.lock().await;
        if local.head.holder.is_none() {
            return Ok(());
        }
        self.change_whatever_came(&mut local, &|head| head.holder = None)
            .await?;
        local.head.holder = None;
        local.is_sure = false;
        Ok(())
    }

    async fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        let mut local = self.local.lock().await;
        self.look(&mut local).await?;
        let Some(written) = local.head.documents.get(document.name()).cloned() else {
            return Ok(None);
        };
        let bytes = self.objects.get(&written.object).await?;
        let is_it = |bytes: &Vec<u8>| bytes.len() as u64 == written.bytes && crc32fast::hash(bytes) == written.crc;
        bytes.filter(is_it).map(Some).ok_or_else(|| StoreError::Format {
            path: self.objects.place().join(written.object.clone()),
            detail: "it is not what was written".to_owned(),
        })
    }

    async fn replace(&self, name: Document, bytes: &[u8]) -> Result<(), StoreError> {
        let mut local = self.local.lock().await;
        self.settle(&mut local).await?;
        local.count += 1;
        let written = Written {
            object: document(name.name(), self.epoch, local.count),
            bytes: bytes.len() as u64,
            crc: crc32fast::hash(bytes),
        };
        self.objects.put_once(&written.object, bytes).await?;
        let old = local.head.documents.get(name.name()).map(|old| old.object.clone());
        let edit = |head: &mut Head| {
            head.documents.insert(name.name().to_owned(), written.clone());
        };
        self.change_whatever_came(&mut local, &edit).await?;
        local.garbage.extend(old);
        Ok(())
    }

    async fn journal(&self) -> Result<Vec<Entry>, StoreError> {
        let mut local = self.local.lock().await;
        self.look(&mut local).await?;
        let journal = local.head.journal.clone();
        let entries = self.read_journal(&journal).await?;
        local.known_end = journal.end;
        Ok(entries)
    }

    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut local = self.local.lock().await;
        self.settle(&mut local).await?;
        if local.head.journal.end != local.known_end {
            return Err(StoreError::Moved {
                place: self.objects.place(),
            });
        }
        if entries.is_empty() {
            return Ok(());
        }
        let (lines, end) = local.known_end.append(entries);
        local.count += 1;
        let number = local.count;
        self.objects.put_once(&segment(self.epoch, number), &lines).await?;
        let epoch = self.epoch;
        self.change(&mut local, &|head| head.journal.push(epoch, number, end))
            .await?;
        local.known_end = end;
        Ok(())
    }

    async fn reset(&self) -> Result<(), StoreError> {
        let mut local = self.local.lock().await;
        self.settle(&mut local).await?;
        let old = local.head.journal.segments();
        self.change_whatever_came(&mut local, &Head::empty_journal).await?;
        local.known_end = LogEnd::EMPTY;
        local.garbage.extend(old);
        Ok(())
    }
}
