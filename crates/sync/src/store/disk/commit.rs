//! The moment in which an object appears, is replaced or goes: conditions checked and kept under the key's lock.
//!
//! The lock holds among users of this store. Against programs that write the plain files without it, the file that is
//! replaced or deleted is first taken aside, looked at, and put back when it is not the one that was expected.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use super::beneath::{self, Hashed, Stamp, cause};
use super::hidden::Staged;
use super::index::Trust;
use super::local::LocalDisk;
use super::sidecar;
use crate::store::{Cause, Condition, Etag, Metadata, ObjectMeta, SkipReason};
use crate::{ContentHash, Key};

/// Times that a write is tried anew because somebody changed the folder meanwhile.
const COMMIT_ATTEMPTS_MAX: u32 = 8;

/// The object that has a key at the moment.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) stamp: Stamp,
    pub(super) hash: ContentHash,
    mode: u32,
}

/// Tag of a content on disk: its hash, so that plain files have one too.
pub(super) fn etag_of(hash: &ContentHash) -> Etag {
    Etag::new(hash.to_string())
}

fn unmet(condition: &Condition, found: Option<&ContentHash>) -> Cause {
    Cause::Precondition {
        expected: condition.clone(),
        found: found.map(etag_of),
    }
}

impl LocalDisk {
    /// Gives a file that is completely written its name, if the condition holds.
    pub(super) fn commit_put(
        &self,
        key: &Key,
        staged: &Staged<'_>,
        content: (ContentHash, u64),
        condition: &Condition,
        metadata: &Metadata,
    ) -> Result<ObjectMeta, Cause> {
        let _lock = self.hidden.lock(key).map_err(Cause::from_io)?;
        let (hash, size) = content;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let parent = match beneath::make_parent(self.root.as_fd(), key, self.durability) {
                // Somebody removed a folder that had become empty while it was walked.
                Err(Cause::NotFound) => continue,
                other => other?,
            };
            let (parent, name) = (parent.as_fd(), key.split_last().1);
            let found = self.current(parent, name, key)?;
            if !condition.holds(found.as_ref().map(|found| etag_of(&found.hash)).as_ref()) {
                return Err(unmet(condition, found.map(|found| found.hash).as_ref()));
            }
            sidecar::write(&self.hidden, key, &hash, metadata, self.durability)?;
            let placed = match &found {
                None => self.place_new(parent, name, staged),
                Some(found) => self.place_over(parent, name, staged, found),
            };
            match placed {
                Ok(()) => {}
                // Somebody else made or replaced the file, or removed the folder, since it was looked at.
                Err(Errno::EXIST | Errno::AGAIN | Errno::NOENT) => continue,
                Err(errno) => return Err(cause(errno)),
            }
            self.durability.sync(parent)?;
            self.touched();
            if let Some(old) = found.filter(|old| old.hash != hash) {
                sidecar::remove(&self.hidden, key, &old.hash)?;
            }
            let stamp = Stamp::of(&rustix::fs::fstat(&staged.file).map_err(cause)?);
            let now_ns = self.hidden.now_ns().map_err(Cause::from_io)?;
            self.index.note(key, stamp, hash, now_ns, None);
            return Ok(ObjectMeta {
                key: key.clone(),
                size,
                etag: etag_of(&hash),
                hash: Some(hash),
            });
        }
        Err(Cause::Changed)
    }

    /// Gives the file its name where nothing has it.
    fn place_new(&self, parent: BorrowedFd<'_>, name: &str, staged: &Staged<'_>) -> Result<(), Errno> {
        let (session, from) = (self.hidden.session(), staged.name.as_str());
        match rustix::fs::renameat_with(session, from, parent, name, RenameFlags::NOREPLACE) {
            // A file system without the flag: a hard link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(session, from, parent, name, AtFlags::empty())
            }
            other => other,
        }
    }

    /// Gives the file its name in place of `found`, keeping the permissions.
    fn place_over(
        &self,
        parent: BorrowedFd<'_>,
        name: &str,
        staged: &Staged<'_>,
        found: &Current,
    ) -> Result<(), Errno> {
        let (session, from) = (self.hidden.session(), staged.name.as_str());
        rustix::fs::fchmod(&staged.file, Mode::from_raw_mode(found.mode & 0o777))?;
        let exchange = || rustix::fs::renameat_with(session, from, parent, name, RenameFlags::EXCHANGE);
        match exchange() {
            Ok(()) => {}
            // A file system that cannot exchange: between users of this store the lock is enough.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return rustix::fs::renameat(session, from, parent, name);
            }
            Err(errno) => return Err(errno),
        }
        if self.is_what_was_found(from, found) {
            return rustix::fs::unlinkat(session, from, AtFlags::empty());
        }
        exchange()?;
        Err(Errno::AGAIN)
    }

    /// Deletes an object, if the condition holds.
    pub(super) fn commit_delete(&self, key: &Key, condition: &Condition) -> Result<(), Cause> {
        let _lock = self.hidden.lock(key).map_err(Cause::from_io)?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let parent = beneath::open_parent(self.root.as_fd(), key)?;
            let (parent, name) = (parent.as_fd(), key.split_last().1);
            let found = self.find(parent, name, key)?.ok_or(Cause::NotFound)?;
            if !condition.holds(Some(&etag_of(&found.hash))) {
                return Err(unmet(condition, Some(&found.hash)));
            }
            let aside = self.hidden.stage().map_err(Cause::from_io)?;
            let session = self.hidden.session();
            rustix::fs::renameat(parent, name, session, aside.name.as_str()).map_err(cause)?;
            if !self.is_what_was_found(&aside.name, &found) {
                // Not what was to be deleted: back to its place, unless a still newer one took it.
                self.place_new(parent, name, &aside).map_err(cause)?;
                continue;
            }
            self.durability.sync(parent)?;
            self.touched();
            self.index.forget(key);
            sidecar::remove(&self.hidden, key, &found.hash)?;
            beneath::prune_parents(self.root.as_fd(), key);
            return Ok(());
        }
        Err(Cause::Changed)
    }

    /// Whether the file that was taken aside is the one that was found before.
    fn is_what_was_found(&self, aside: &str, found: &Current) -> bool {
        let same = || -> io::Result<bool> {
            let session = self.hidden.session();
            let mut file = beneath::open_file(session, aside)?;
            let stamp = Stamp::of(&rustix::fs::fstat(&file)?);
            if stamp.same_but_moved(&found.stamp) {
                return Ok(true);
            }
            let hashed = beneath::hash_file(&mut file)?;
            Ok(matches!(hashed, Hashed::Known { hash, .. } if hash == found.hash))
        };
        same().unwrap_or(false)
    }

    /// The object of a key; an empty folder of that name is no object and gives way.
    fn current(&self, parent: BorrowedFd<'_>, name: &str, key: &Key) -> Result<Option<Current>, Cause> {
        match self.find(parent, name, key) {
            Err(Cause::Occupied { by: SkipReason::Folder }) => {
                match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT) => Ok(None),
                    Err(_) => Err(Cause::Occupied { by: SkipReason::Folder }),
                }
            }
            other => other,
        }
    }

    /// The object of a key, with a hash that is sure.
    pub(super) fn find(&self, parent: BorrowedFd<'_>, name: &str, key: &Key) -> Result<Option<Current>, Cause> {
        let Some(stat) = beneath::stat(parent, name).map_err(cause)? else {
            return Ok(None);
        };
        if let Some(by) = beneath::not_an_object(stat.st_mode) {
            return Err(Cause::Occupied { by });
        }
        let stamp = Stamp::of(&stat);
        let mode = stat.st_mode;
        if let Some(hash) = self.index.find(key, &stamp, Trust::Rested, None) {
            return Ok(Some(Current { stamp, hash, mode }));
        }
        let mut file = match beneath::open_file(parent, name) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => {
                return Err(Cause::Occupied {
                    by: SkipReason::Symlink,
                });
            }
            Err(errno) => return Err(cause(errno)),
        };
        let now_ns = self.hidden.now_ns().map_err(Cause::from_io)?;
        match beneath::hash_file(&mut file).map_err(Cause::from_io)? {
            Hashed::Known { hash, stamp } => {
                self.index.note(key, stamp, hash, now_ns, None);
                Ok(Some(Current { stamp, hash, mode }))
            }
            Hashed::NotAnObject(SkipReason::Changing) => Err(Cause::Changed),
            Hashed::NotAnObject(by) => Err(Cause::Occupied { by }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// What the lock cannot keep out: a program that replaces the file between look and rename.
    #[test]
    fn a_file_that_was_replaced_since_it_was_looked_at_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalDisk::open(folder.path()).unwrap();
        let (path, key) = (folder.path().join("a"), Key::new("a").unwrap());
        let write = |text: &str| {
            std::fs::File::create(&path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap()
        };
        write("seen");
        let found = store.find(store.root.as_fd(), "a", &key).unwrap().unwrap();
        write("edited meanwhile");
        let mut staged = store.hidden.stage().unwrap();
        staged.file.write_all(b"new").unwrap();
        let placed = store.place_over(store.root.as_fd(), "a", &staged, &found);
        assert_eq!(placed, Err(Errno::AGAIN));
        let now = store.find(store.root.as_fd(), "a", &key).unwrap().unwrap();
        assert_eq!(now.hash, ContentHash::of(b"edited meanwhile"));
        store.place_over(store.root.as_fd(), "a", &staged, &now).unwrap();
        let now = store.find(store.root.as_fd(), "a", &key).unwrap().unwrap();
        assert_eq!(now.hash, ContentHash::of(b"new"));
    }
}
