//! The disk store itself: the calls of the port, in terms of the rooms beside this file.
//!
//! It blocks: a call returns a future that is ready when it is first polled. Run it where blocking is allowed; the crate
//! brings no runtime and starts no thread.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::beneath::{self, Hashed, Stamp, cause};
use super::commit::etag_of;
use super::hidden::Hidden;
use super::index::{Index, Trust};
use super::sidecar;
use super::walk::{Met, Walk};
use crate::hash::Hasher;
use crate::store::{
    ByteStream, CHUNK_BYTES_MAX, Capabilities, Cause, Condition, Cursor, Download, Etag, Head, Metadata, ObjectMeta,
    PAGE_OBJECTS_MAX, Page, SkipReason, Skipped, Store, StoreError, StoreId, StoreOperation,
};
use crate::{ContentHash, Key};

/// Longest name of a file on the file systems of Linux.
const SEGMENT_BYTES_MAX: u32 = 255;

/// What is promised when a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// It survives a power failure: file and folder are flushed to the device.
    #[default]
    Synced,
    /// It survives a crash of the program, not of the machine. For data that can be made again; many times quicker.
    Buffered,
}

impl Durability {
    pub(super) fn sync_io(self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Self::Synced => Ok(rustix::io::retry_on_intr(|| rustix::fs::fsync(fd))?),
            Self::Buffered => Ok(()),
        }
    }

    pub(super) fn sync(self, fd: BorrowedFd<'_>) -> Result<(), Cause> {
        self.sync_io(fd).map_err(Cause::from_io)
    }
}

/// A store of plain files beneath one folder.
///
/// Every regular file there is an object, whoever wrote it; its tag is its content hash. Links are never followed, and
/// what is no object is reported as skipped. Several processes may open one folder: conditions hold among all of them.
/// A program that writes files there without this store is respected as far as the file system allows: a file that it
/// replaced is never overwritten unseen, but one that it keeps open and writes in place may be caught half-written
/// between two of its writes, as any backup would catch it.
///
/// ```
/// # futures::executor::block_on(async {
/// use skyloom_sync::{Key, LocalDisk, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// std::fs::write(folder.join("a.txt"), "put there by anybody")?;
/// let store = LocalDisk::open(folder)?;
/// assert_eq!(store.head(&Key::new("a.txt")?).await?.meta.size, 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct LocalDisk {
    name: String,
    id: StoreId,
    pub(super) root: OwnedFd,
    pub(super) hidden: Hidden,
    pub(super) index: Arc<Index>,
    pub(super) durability: Durability,
    case_sensitive: bool,
    /// Number of writes through this value, by which a suspended walk sees that it is out of date.
    writes: AtomicU64,
    walks: AtomicU64,
    suspended: Mutex<Option<Suspended>>,
}

/// A listing between two pages: going on from here saves reading the folders anew for each page.
#[derive(Debug)]
struct Suspended {
    walk: Walk,
    prefix: String,
    at: Cursor,
    writes: u64,
}

impl LocalDisk {
    /// Opens the store in a folder, which is made where it is missing, and makes its hidden folder `.skyloom`.
    ///
    /// # Errors
    /// [`StoreError`] when the folder cannot be made, read or written, or was written by a newer version.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, StoreError> {
        let root = root.as_ref();
        let name = root.display().to_string();
        Self::open_io(root, name.clone())
            .map_err(|error| StoreError::new(name, StoreOperation::Open, None, Cause::from_io(error)))
    }

    /// The same with another promise.
    #[must_use]
    pub const fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    fn open_io(path: &Path, name: String) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        let (hidden, id) = Hidden::open(root.as_fd())?;
        // An index that cannot be read is no loss: it is made anew.
        let index = hidden.read("index").ok().flatten().unwrap_or_default();
        let case_sensitive = beneath::stat(hidden.session(), "CLOCK")?.is_none();
        Ok(Self {
            name,
            id,
            root,
            hidden,
            index: Arc::new(Index::from_bytes(&index)),
            durability: Durability::Synced,
            case_sensitive,
            writes: AtomicU64::new(0),
            walks: AtomicU64::new(0),
            suspended: Mutex::new(None),
        })
    }

    /// Notes that something was written.
    pub(super) fn touched(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
    }

    fn fail(&self, operation: StoreOperation, key: Option<&Key>, cause: Cause) -> StoreError {
        StoreError::new(self.name.as_str(), operation, key, cause)
    }

    /// Goes on where the last page ended, if nothing was written since, or walks anew.
    fn resume(&self, prefix: &str, after: Option<&Cursor>) -> io::Result<Walk> {
        let suspended = self.suspended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writes = self.writes.load(Ordering::SeqCst);
        match suspended {
            Some(s) if s.prefix == prefix && Some(&s.at) == after && s.writes == writes => Ok(s.walk),
            _ => {
                let number = self.walks.fetch_add(1, Ordering::SeqCst) + 1;
                Walk::start(self.root.as_fd(), number, prefix, after.map_or(&[], Cursor::as_bytes))
            }
        }
    }

    fn list_page(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, Cause> {
        let writes = self.writes.load(Ordering::SeqCst);
        let mut walk = self.resume(prefix, after).map_err(Cause::from_io)?;
        let now_ns = self.hidden.now_ns().map_err(Cause::from_io)?;
        let (mut objects, mut skipped) = (Vec::new(), Vec::new());
        let next = loop {
            let at = match walk.next().map_err(Cause::from_io)? {
                None => break None,
                Some(Met::File { key, stamp }) => {
                    let at = Cursor::after(key.as_str());
                    match self.look(&walk, &key, &stamp, now_ns)? {
                        Some(Ok(meta)) => objects.push(meta),
                        Some(Err(skip)) => skipped.push(skip),
                        None => {}
                    }
                    at
                }
                Some(Met::Skipped {
                    skipped: skip,
                    path,
                    folder,
                }) => {
                    skipped.push(skip);
                    // A page never ends at a folder: what sorts beneath it would have to come after it.
                    if folder {
                        continue;
                    }
                    Cursor::after(path)
                }
            };
            if objects.len() >= limit || skipped.len() >= limit {
                break Some(at);
            }
        };
        match &next {
            Some(at) => {
                let suspended = Suspended {
                    walk,
                    prefix: prefix.to_owned(),
                    at: at.clone(),
                    writes,
                };
                *self.suspended.lock().unwrap_or_else(PoisonError::into_inner) = Some(suspended);
            }
            None => self.walked(&walk),
        }
        Ok(Page { objects, skipped, next })
    }

    /// What a listing says of a file; none when it is gone.
    fn look(
        &self,
        walk: &Walk,
        key: &Key,
        stamp: &Stamp,
        now_ns: i64,
    ) -> Result<Option<Result<ObjectMeta, Skipped>>, Cause> {
        let object = |hash: ContentHash, size| {
            Ok(Some(Ok(ObjectMeta {
                key: key.clone(),
                size,
                etag: etag_of(&hash),
                hash: Some(hash),
            })))
        };
        let skip = |reason| {
            let path = key.as_str().to_owned();
            Ok(Some(Err(Skipped { path, reason })))
        };
        if let Some(hash) = self.index.find(key, stamp, Trust::Rested, Some(walk.number)) {
            return object(hash, stamp.size);
        }
        let Some(folder) = walk.folder() else { return Ok(None) };
        let mut file = match beneath::open_file(folder, key.split_last().1) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::ACCESS | Errno::PERM) => return skip(SkipReason::Unreadable),
            Err(Errno::LOOP) => return skip(SkipReason::Symlink),
            Err(errno) => return Err(cause(errno)),
        };
        match beneath::hash_file(&mut file).map_err(Cause::from_io)? {
            Hashed::Known { hash, stamp } => {
                self.index.note(key, stamp, hash, now_ns, Some(walk.number));
                object(hash, stamp.size)
            }
            Hashed::NotAnObject(reason) => skip(reason),
        }
    }

    /// A listing came to its end: the index loses what is gone and is written down. A cache that cannot be written is
    /// made anew next time, so that is no error of the listing.
    fn walked(&self, walk: &Walk) {
        if walk.whole {
            self.index.keep_met(walk.number);
        }
        self.write_index();
    }

    fn write_index(&self) {
        if let Some(bytes) = self.index.take_changes() {
            let _ = self.hidden.replace("", "index", &bytes, Durability::Buffered);
        }
    }

    fn open_object(&self, key: &Key) -> Result<(File, Stamp, ContentHash), Cause> {
        let parent = beneath::open_parent(self.root.as_fd(), key)?;
        let mut file = match beneath::open_file(parent.as_fd(), key.split_last().1) {
            Ok(file) => file,
            Err(Errno::LOOP) => {
                return Err(Cause::Occupied {
                    by: SkipReason::Symlink,
                });
            }
            Err(errno) => return Err(cause(errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(cause)?;
        match beneath::not_an_object(stat.st_mode) {
            None => {}
            // A folder is no object of this name.
            Some(SkipReason::Folder) => return Err(Cause::NotFound),
            Some(by) => return Err(Cause::Occupied { by }),
        }
        let stamp = Stamp::of(&stat);
        // The bytes are compared with the hash as they are read, so a hash that is not sure does no harm.
        if let Some(hash) = self.index.find(key, &stamp, Trust::Checked, None) {
            return Ok((file, stamp, hash));
        }
        let now_ns = self.hidden.now_ns().map_err(Cause::from_io)?;
        let (hash, stamp) = match beneath::hash_file(&mut file).map_err(Cause::from_io)? {
            Hashed::Known { hash, stamp } => (hash, stamp),
            Hashed::NotAnObject(_) => return Err(Cause::Changed),
        };
        self.index.note(key, stamp, hash, now_ns, None);
        file.rewind().map_err(Cause::from_io)?;
        Ok((file, stamp, hash))
    }

    fn head_of(&self, key: &Key) -> Result<Head, Cause> {
        let parent = beneath::open_parent(self.root.as_fd(), key)?;
        let found = match self.find(parent.as_fd(), key.split_last().1, key) {
            Err(Cause::Occupied { by: SkipReason::Folder }) => None,
            other => other?,
        };
        let found = found.ok_or(Cause::NotFound)?;
        self.describe(key, found.stamp.size, found.hash)
    }

    fn describe(&self, key: &Key, size: u64, hash: ContentHash) -> Result<Head, Cause> {
        let meta = ObjectMeta {
            key: key.clone(),
            size,
            etag: etag_of(&hash),
            hash: Some(hash),
        };
        let metadata = sidecar::read(&self.hidden, key, &hash)?;
        Ok(Head { meta, metadata })
    }

    fn open_download(&self, key: &Key, if_match: Option<&Etag>) -> Result<Download, Cause> {
        let (file, stamp, hash) = self.open_object(key)?;
        let found = etag_of(&hash);
        if let Some(tag) = if_match.filter(|tag| **tag != found) {
            return Err(Cause::Precondition {
                expected: Condition::IfMatch(tag.clone()),
                found: Some(found),
            });
        }
        let head = self.describe(key, stamp.size, hash)?;
        let body = FileBody {
            file,
            hasher: Some(Hasher::default()),
            expected: (hash, stamp.size),
            index: Arc::clone(&self.index),
            key: key.clone(),
            store: self.name.clone(),
        };
        Ok(Download {
            head,
            body: Box::new(body),
        })
    }
}

impl Drop for LocalDisk {
    fn drop(&mut self) {
        self.write_index();
    }
}

/// The bytes of a file, which at their end must have had the hash that was promised.
struct FileBody {
    file: File,
    /// Gone at the end.
    hasher: Option<Hasher>,
    expected: (ContentHash, u64),
    index: Arc<Index>,
    key: Key,
    store: String,
}

impl FileBody {
    fn read(&mut self) -> Result<Option<Vec<u8>>, Cause> {
        let Some(hasher) = &mut self.hasher else {
            return Ok(None);
        };
        let mut chunk = Vec::new();
        let limit = CHUNK_BYTES_MAX as u64;
        let read = (&mut self.file)
            .take(limit)
            .read_to_end(&mut chunk)
            .map_err(Cause::from_io)?;
        if read > 0 {
            hasher.update(&chunk);
            return Ok(Some(chunk));
        }
        let found = hasher.finish();
        self.hasher = None;
        if found != self.expected {
            self.index.forget(&self.key);
            return Err(Cause::Changed);
        }
        Ok(None)
    }
}

#[async_trait]
impl ByteStream for FileBody {
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        self.read()
            .map_err(|cause| StoreError::new(self.store.as_str(), StoreOperation::Get, Some(&self.key), cause))
    }
}

#[async_trait]
impl Store for LocalDisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> &StoreId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            folders: true,
            case_sensitive: self.case_sensitive,
            segment_bytes_max: Some(SEGMENT_BYTES_MAX),
            ..Capabilities::full()
        }
    }

    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let limit = if limit == 0 {
            PAGE_OBJECTS_MAX
        } else {
            limit.min(PAGE_OBJECTS_MAX)
        };
        self.list_page(prefix, after, limit)
            .map_err(|cause| self.fail(StoreOperation::List, None, cause))
    }

    async fn head(&self, key: &Key) -> Result<Head, StoreError> {
        self.head_of(key)
            .map_err(|cause| self.fail(StoreOperation::Head, Some(key), cause))
    }

    async fn get(&self, key: &Key, if_match: Option<&Etag>) -> Result<Download, StoreError> {
        self.open_download(key, if_match)
            .map_err(|cause| self.fail(StoreOperation::Get, Some(key), cause))
    }

    async fn put(
        &self,
        key: &Key,
        body: &mut dyn ByteStream,
        condition: &Condition,
        metadata: &Metadata,
    ) -> Result<ObjectMeta, StoreError> {
        let fail = |cause| self.fail(StoreOperation::Put, Some(key), cause);
        let mut staged = self.hidden.stage().map_err(|error| fail(Cause::from_io(error)))?;
        let mut hasher = Hasher::default();
        while let Some(chunk) = body.next_chunk().await? {
            hasher.update(&chunk);
            let written = staged.file.write_all(&chunk);
            written.map_err(|error| fail(Cause::from_io(error)))?;
        }
        self.durability.sync(staged.file.as_fd()).map_err(fail)?;
        self.commit_put(key, &staged, hasher.finish(), condition, metadata)
            .map_err(fail)
    }

    async fn delete(&self, key: &Key, condition: &Condition) -> Result<(), StoreError> {
        self.commit_delete(key, condition).map_err(|cause| match cause {
            Cause::Occupied { by: SkipReason::Folder } => self.fail(StoreOperation::Delete, Some(key), Cause::NotFound),
            cause => self.fail(StoreOperation::Delete, Some(key), cause),
        })
    }
}
