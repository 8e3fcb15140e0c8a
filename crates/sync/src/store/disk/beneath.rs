//! Steps beneath an open folder that never follow a link, so that no name can lead outside the root.
//!
//! Paths are walked segment by segment from file descriptors. Checking a path first and opening it by name later would
//! leave a gap in which a folder can be replaced by a link.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::local::Durability;
use crate::hash::Hasher;
use crate::store::{CHUNK_BYTES_MAX, Cause, SkipReason};
use crate::{ContentHash, Key};

/// Times that a file is hashed anew when it changed meanwhile, before it counts as changing all the time.
const HASH_ATTEMPTS_MAX: u32 = 3;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What tells two states of a file apart without reading it. The change time is in it because the modification time
/// can be set to anything by anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
    pub(super) inode: u64,
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: nanos(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            ctime_ns: nanos(stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
            inode: stat.st_ino,
        }
    }

    /// Whether a file that was moved may be the same as before: a rename changes the change time.
    pub(super) fn same_but_moved(&self, other: &Self) -> bool {
        (self.size, self.mtime_ns, self.inode) == (other.size, other.mtime_ns, other.inode)
    }
}

fn nanos(secs: i64, nanos: i64) -> i64 {
    secs.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Why `stat` is no object; none for a regular file.
pub(super) fn not_an_object(mode: u32) -> Option<SkipReason> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => None,
        FileType::Symlink => Some(SkipReason::Symlink),
        FileType::Directory => Some(SkipReason::Folder),
        _ => Some(SkipReason::Special),
    }
}

pub(super) fn open_folder(at: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(at, name, FOLDER, Mode::empty())
}

/// Opens a regular file for reading; never waits for the other end of a pipe.
pub(super) fn open_file(at: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty()).map(File::from)
}

pub(super) fn stat(at: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(super) fn cause(errno: Errno) -> Cause {
    Cause::from_io(errno.into())
}

/// The folder of a key; [`Cause::NotFound`] when it is not there.
pub(super) fn open_parent(root: BorrowedFd<'_>, key: &Key) -> Result<OwnedFd, Cause> {
    walk_to_parent(root, key, |at, name| match open_folder(at, name) {
        // A file or a link on the way: nothing beneath it can be an object.
        Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => Err(Cause::NotFound),
        other => other.map_err(cause),
    })
}

/// The folder of a key, made where it is missing.
pub(super) fn make_parent(root: BorrowedFd<'_>, key: &Key, durability: Durability) -> Result<OwnedFd, Cause> {
    walk_to_parent(root, key, |at, name| match open_folder(at, name) {
        Err(Errno::NOENT) => {
            match rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o777)) {
                Ok(()) => durability.sync(at)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(cause(errno)),
            }
            open_folder(at, name).map_err(cause)
        }
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let mode = stat(at, name).map_err(cause)?.map_or(0, |stat| stat.st_mode);
            let by = not_an_object(mode).unwrap_or(SkipReason::Object);
            Err(Cause::Occupied { by })
        }
        other => other.map_err(cause),
    })
}

fn walk_to_parent(
    root: BorrowedFd<'_>,
    key: &Key,
    mut step: impl FnMut(BorrowedFd<'_>, &str) -> Result<OwnedFd, Cause>,
) -> Result<OwnedFd, Cause> {
    let mut at = root.try_clone_to_owned().map_err(Cause::from_io)?;
    let (folder, _) = key.split_last();
    for name in folder.split('/').filter(|name| !name.is_empty()) {
        at = step(at.as_fd(), name)?;
    }
    Ok(at)
}

/// Removes the folders of a key that became empty, deepest first. Best effort: an empty folder is no object.
pub(super) fn prune_parents(root: BorrowedFd<'_>, key: &Key) {
    let ancestors: Vec<&str> = key.ancestors().collect();
    for ancestor in ancestors.into_iter().rev() {
        let Ok(folder) = Key::new(ancestor) else { return };
        let Ok(parent) = open_parent(root, &folder) else { return };
        if rustix::fs::unlinkat(&parent, folder.split_last().1, AtFlags::REMOVEDIR).is_err() {
            return;
        }
    }
}

/// What hashing a file came to.
pub(super) enum Hashed {
    Known { hash: ContentHash, stamp: Stamp },
    NotAnObject(SkipReason),
}

/// Hashes an open file from its start. A file that changes meanwhile is hashed anew; one that never rests is
/// [`SkipReason::Changing`].
pub(super) fn hash_file(file: &mut File) -> io::Result<Hashed> {
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    for _ in 0..HASH_ATTEMPTS_MAX {
        let before = rustix::fs::fstat(&*file)?;
        if let Some(reason) = not_an_object(before.st_mode) {
            return Ok(Hashed::NotAnObject(reason));
        }
        file.rewind()?;
        let mut hasher = Hasher::default();
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let after = Stamp::of(&rustix::fs::fstat(&*file)?);
        let (hash, bytes) = hasher.finish();
        if after == Stamp::of(&before) && bytes == after.size {
            return Ok(Hashed::Known { hash, stamp: after });
        }
    }
    Ok(Hashed::NotAnObject(SkipReason::Changing))
}
