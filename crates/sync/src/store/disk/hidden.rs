//! The hidden folder of a disk store: its identity, its locks, the files being written.
//!
//! ```text
//! .skyloom/store.json     identity
//! .skyloom/open.lock      held while a store is opened
//! .skyloom/index          cache of hashes
//! .skyloom/locks/xx       256 lock files, one for each first byte of a key's hash
//! .skyloom/meta/xx/…      user metadata
//! .skyloom/tmp/s-…/       files that one open store is writing; its `lock` is held as long as the store is open
//! ```

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use serde::{Deserialize, Serialize};

use super::beneath::{self, Stamp};
use super::local::Durability;
use crate::key::RESERVED_SEGMENT;
use crate::store::StoreId;
use crate::{ContentHash, Key};

/// Version of `store.json`.
const LAYOUT_VERSION: u32 = 1;

const PRIVATE_FOLDER: Mode = Mode::from_raw_mode(0o700);

/// Identity of a store as it is kept in it.
#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    version: u32,
    id: StoreId,
}

#[derive(Debug)]
pub(super) struct Hidden {
    folder: OwnedFd,
    locks: OwnedFd,
    tmp: OwnedFd,
    session: OwnedFd,
    session_name: String,
    /// Locked as long as this store is open: whoever can lock it may remove the session.
    session_lock: OwnedFd,
    /// A file whose modification time is read as the file system's clock.
    clock: OwnedFd,
    counter: AtomicU64,
}

/// A lock, free when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: OwnedFd,
}

/// A file being written, gone when dropped before it is moved to its place.
#[derive(Debug)]
pub(super) struct Staged<'a> {
    hidden: &'a Hidden,
    pub(super) name: String,
    pub(super) file: File,
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // Gone already where it was moved to its place; otherwise swept when the store is opened next.
        let _ = rustix::fs::unlinkat(&self.hidden.session, self.name.as_str(), AtFlags::empty());
    }
}

impl Hidden {
    /// Opens the hidden folder of `root`, making it where it is missing, and sweeps what dead processes left.
    pub(super) fn open(root: BorrowedFd<'_>) -> io::Result<(Self, StoreId)> {
        let folder = make_folder(root, RESERVED_SEGMENT)?;
        let opening = lock(folder.as_fd(), "open.lock", FlockOperation::LockExclusive)?;
        let locks = make_folder(folder.as_fd(), "locks")?;
        make_folder(folder.as_fd(), "meta")?;
        let tmp = make_folder(folder.as_fd(), "tmp")?;
        sweep(&tmp)?;
        let session_name = format!("s-{}", fresh_id(root)?);
        let session = make_folder(tmp.as_fd(), &session_name)?;
        let session_lock = lock(session.as_fd(), "lock", FlockOperation::NonBlockingLockExclusive)?;
        let clock = create(session.as_fd(), "clock")?.into();
        let hidden = Self {
            folder,
            locks,
            tmp,
            session,
            session_name,
            session_lock: session_lock._file,
            clock,
            counter: AtomicU64::new(0),
        };
        let id = hidden.identity(root)?;
        drop(opening);
        Ok((hidden, id))
    }

    fn identity(&self, root: BorrowedFd<'_>) -> io::Result<StoreId> {
        if let Some(bytes) = self.read("store.json")? {
            let identity: Identity = serde_json::from_slice(&bytes)?;
            if identity.version != LAYOUT_VERSION {
                let text = format!("layout version {} of `.skyloom/store.json`", identity.version);
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            return Ok(identity.id);
        }
        let identity = Identity {
            version: LAYOUT_VERSION,
            id: StoreId::new(fresh_id(root)?),
        };
        self.replace("", "store.json", &serde_json::to_vec(&identity)?, Durability::Synced)?;
        Ok(identity.id)
    }

    /// Waits for the lock of a key, which holds against every thread and process that opened this store.
    pub(super) fn lock(&self, key: &Key) -> io::Result<Lock> {
        let stripe = ContentHash::of(key.as_str().as_bytes()).prefix(2);
        lock(self.locks.as_fd(), &stripe, FlockOperation::LockExclusive)
    }

    /// A new empty file in the session's folder.
    pub(super) fn stage(&self) -> io::Result<Staged<'_>> {
        let name = format!("f-{}", self.counter.fetch_add(1, Ordering::Relaxed));
        let file = create(self.session.as_fd(), &name)?;
        Ok(Staged {
            hidden: self,
            name,
            file,
        })
    }

    pub(super) fn session(&self) -> BorrowedFd<'_> {
        self.session.as_fd()
    }

    /// The file system's own clock, in nanoseconds: another machine may serve the files.
    pub(super) fn now_ns(&self) -> io::Result<i64> {
        rustix::io::pwrite(&self.clock, b".", 0)?;
        Ok(Stamp::of(&rustix::fs::fstat(&self.clock)?).mtime_ns)
    }

    /// A file of the hidden folder, by a path of plain names; none when it is not there.
    pub(super) fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let mut file = match beneath::open_file(self.folder.as_fd(), path) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Replaces `name` in a folder of the hidden folder (empty: the hidden folder itself) atomically.
    pub(super) fn replace(&self, folder: &str, name: &str, bytes: &[u8], durability: Durability) -> io::Result<()> {
        let into = match folder {
            "" => self.folder.try_clone()?,
            _ => make_folder(self.folder.as_fd(), folder)?,
        };
        let mut staged = self.stage()?;
        staged.file.write_all(bytes)?;
        durability.sync_io(staged.file.as_fd())?;
        rustix::fs::renameat(&self.session, staged.name.as_str(), &into, name)?;
        durability.sync_io(into.as_fd())
    }

    pub(super) fn remove(&self, path: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.folder, path, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Best effort: a session that stays is swept when the store is opened next. The lock is still held here.
        let _ = remove_session(&self.tmp, &self.session_name, &self.session);
        let _ = rustix::fs::flock(&self.session_lock, FlockOperation::Unlock);
    }
}

/// Removes the sessions that nobody holds.
fn sweep(tmp: &OwnedFd) -> io::Result<()> {
    for name in names(tmp)? {
        let Ok(session) = beneath::open_folder(tmp.as_fd(), name.as_str()) else {
            continue;
        };
        if lock(session.as_fd(), "lock", FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Its owner may be removing it at the same time; what stays is swept the next time.
            let _ = remove_session(tmp, &name, &session);
        }
    }
    Ok(())
}

fn remove_session(tmp: &OwnedFd, name: &str, session: &OwnedFd) -> io::Result<()> {
    for file in names(session)? {
        rustix::fs::unlinkat(session, file.as_str(), AtFlags::empty())?;
    }
    rustix::fs::unlinkat(tmp, name, AtFlags::REMOVEDIR)?;
    Ok(())
}

/// Names in one of our own folders; all are UTF-8.
fn names(folder: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn make_folder(at: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(at, path, PRIVATE_FOLDER) {
        Ok(()) | Err(Errno::EXIST) => Ok(beneath::open_folder(at, path)?),
        Err(errno) => Err(errno.into()),
    }
}

fn create(at: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o666))?.into())
}

fn lock(at: BorrowedFd<'_>, name: &str, how: FlockOperation) -> io::Result<Lock> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o600))?;
    retry_on_intr(|| rustix::fs::flock(&file, how))?;
    Ok(Lock { _file: file })
}

/// 32 hexadecimal digits that nobody else has: the process, the folder and the standard library's random keys.
fn fresh_id(root: BorrowedFd<'_>) -> io::Result<String> {
    let stat = rustix::fs::fstat(root)?;
    let random = [(); 2].map(|()| RandomState::new().hash_one(stat.st_ino));
    let text = format!(
        "{} {:?} {} {random:?}",
        std::process::id(),
        Stamp::of(&stat),
        stat.st_dev
    );
    Ok(ContentHash::of(text.as_bytes()).prefix(32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_a_key_holds_against_another_opening_of_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let root: OwnedFd = File::options().read(true).open(folder.path()).unwrap().into();
        let (one, two) = (
            Hidden::open(root.as_fd()).unwrap().0,
            Hidden::open(root.as_fd()).unwrap().0,
        );
        let key = Key::new("a").unwrap();
        let stripe = ContentHash::of(b"a").prefix(2);
        let try_two = || lock(two.locks.as_fd(), &stripe, FlockOperation::NonBlockingLockExclusive).is_ok();
        let held = one.lock(&key).unwrap();
        assert!(!try_two());
        drop(held);
        assert!(try_two());
    }

    #[test]
    fn what_a_dead_process_left_is_swept_and_what_a_living_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root: OwnedFd = File::options().read(true).open(folder.path()).unwrap().into();
        let living = Hidden::open(root.as_fd()).unwrap().0;
        let staged = living.stage().unwrap();
        let dead = make_folder(living.tmp.as_fd(), "s-dead").unwrap();
        create(dead.as_fd(), "f-0").unwrap();
        let other = Hidden::open(root.as_fd()).unwrap().0;
        let mut sessions = vec![living.session_name.clone(), other.session_name.clone()];
        sessions.sort();
        let mut found = names(&living.tmp).unwrap();
        found.sort();
        assert_eq!(found, sessions);
        assert!(names(&living.session).unwrap().contains(&staged.name));
        drop(other);
        assert_eq!(names(&living.tmp).unwrap(), std::slice::from_ref(&living.session_name));
    }
}
