//! The default store: a folder of this machine.
//!
//! The lease is a kernel lock on the file `lease`, so that it dies with its process and needs neither renewal nor a clock.
//! A lock can be lost all the same without its holder's knowing: somebody removes or replaces the file, or a network file
//! system drops its locks. So every write looks first whether the file of that name is still the locked one and still
//! holds this session's epoch; look and write are one under a second lock, on the folder itself, for which a new holder
//! waits before it reads. Only where both locks are lost at once a write may slip in between.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::{FlockOperation, flock};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::atomic::{read_if_there, replace_file, replace_private};
use super::control_store::{Ask, ControlStore, Document, Entry, Session};
use super::{FileJournal, Lease, StoreError};

/// State in a folder.
#[derive(Debug, Clone)]
pub struct DirStore {
    folder: PathBuf,
}

impl DirStore {
    /// The store in this folder, which is created with the first lease.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { folder }
    }
}

#[async_trait]
impl ControlStore for DirStore {
    /// Everything here is done when it returns for the first time: it never waits, and needs no executor.
    async fn take(&self, _ask: &Ask) -> Result<Arc<dyn Session>, StoreError> {
        let folder = &self.folder;
        fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        let lease = Lease::take(&folder.join("lease"))?;
        let writing = File::open(folder).map_err(StoreError::io("open", folder))?;
        // A write of an earlier holder that is under way ends first; later ones see the new epoch.
        lock(&writing, FlockOperation::LockExclusive, folder)?;
        let opened = FileJournal::open::<Entry>(&folder.join("journal"))?;
        if opened.torn_bytes > 0 {
            tracing::warn!(bytes = opened.torn_bytes, "the journal's torn end was cut off");
        }
        lock(&writing, FlockOperation::Unlock, folder)?;
        let held = Held {
            writing,
            folder: folder.clone(),
            lease,
            journal: Arc::new(Mutex::new(opened.journal)),
            is_released: AtomicBool::new(false),
        };
        Ok(Arc::new(DirSession(Arc::new(held))))
    }
}

/// A held folder.
struct DirSession(Arc<Held>);

/// What is kept until the last write has ended, also when nobody waits for it any more: otherwise the next controller
/// could read the journal while it is still written.
struct Held {
    /// The folder, locked while something is written.
    writing: File,
    folder: PathBuf,
    lease: Lease,
    /// Locked by every write, in the order in which they were begun: one that was dropped ends before the next begins.
    journal: Arc<Mutex<FileJournal>>,
    is_released: AtomicBool,
}

impl fmt::Debug for DirSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DirSession({}, epoch {})",
            self.0.folder.display(),
            self.0.lease.epoch()
        )
    }
}

impl Held {
    /// Writes while the lease is ours, and not otherwise.
    fn write<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        lock(&self.writing, FlockOperation::LockExclusive, &self.folder)?;
        let written = self.check().and_then(|()| write());
        let unlocked = lock(&self.writing, FlockOperation::Unlock, &self.folder);
        written.and_then(|value| unlocked.map(|()| value))
    }

    /// Refuses when the lease is not ours any more.
    fn check(&self) -> Result<(), StoreError> {
        if self.is_released.load(Ordering::Acquire) {
            return Err(StoreError::Fenced {
                place: self.folder.clone(),
                epoch: self.lease.epoch(),
                by: None,
            });
        }
        self.lease.check()
    }

    fn path(&self, document: Document) -> PathBuf {
        self.folder.join(document.name())
    }

    /// The journal, when earlier writes have ended. Ready at once when there are none, whatever the executor.
    async fn journal(&self) -> OwnedMutexGuard<FileJournal> {
        let journal = Arc::clone(&self.journal);
        match Arc::clone(&journal).try_lock_owned() {
            Ok(locked) => locked,
            Err(_) => journal.lock_owned().await,
        }
    }
}

#[async_trait]
impl Session for DirSession {
    fn epoch(&self) -> u64 {
        self.0.lease.epoch()
    }

    fn ttl(&self) -> Option<Duration> {
        None
    }

    fn place(&self) -> PathBuf {
        self.0.folder.clone()
    }

    async fn renew(&self) -> Result<(), StoreError> {
        self.0.check()
    }

    async fn release(&self) -> Result<(), StoreError> {
        let _journal = self.0.journal().await;
        if self.0.is_released.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.0.lease.release()
    }

    async fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        read_if_there(&self.0.path(document))
    }

    async fn replace(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.0.path(document);
        // One at a time on this session too: the lock on the folder is the session's.
        let _journal = self.0.journal().await;
        self.0.write(|| match document {
            Document::IDENTITY => replace_private(&path, bytes),
            _ => replace_file(&path, bytes),
        })
    }

    async fn journal(&self) -> Result<Vec<Entry>, StoreError> {
        self.0.journal().await.read_back()
    }

    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return self.0.check();
        }
        let (held, entries) = (Arc::clone(&self.0), entries.to_vec());
        let mut journal = self.0.journal().await;
        write_aside(&self.0.folder, move || held.write(|| journal.append(&entries))).await
    }

    async fn reset(&self) -> Result<(), StoreError> {
        let mut journal = self.0.journal().await;
        self.0.write(|| journal.reset())
    }
}

fn lock(folder: &File, operation: FlockOperation, path: &Path) -> Result<(), StoreError> {
    flock(folder, operation).map_err(|errno| StoreError::io("lock", path)(errno.into()))
}

/// Syncs without blocking the executor.
async fn write_aside(
    folder: &Path,
    write: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
) -> Result<(), StoreError> {
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => written,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The executor shuts down and has not begun the write.
            Err(cancelled) => {
                let not_begun = std::io::Error::new(std::io::ErrorKind::Interrupted, cancelled);
                Err(StoreError::io("append to", &folder.join("journal"))(not_begun))
            }
        },
    }
}
