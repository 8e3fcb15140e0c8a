//! The files beneath a folder in the order of their keys, a page at a time.
//!
//! Memory is the page and the folders on the way to it, not the tree: names of a folder are sorted as if those of
//! folders ended in a slash, which makes depth-first order the byte order of whole keys.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::beneath::{self, Stamp};
use crate::Key;
use crate::key::RESERVED_SEGMENT;
use crate::store::{SkipReason, Skipped};

/// What a walk meets.
#[derive(Debug)]
pub(super) enum Met {
    /// A regular file; [`Walk::folder`] is the folder it is in.
    File { key: Key, stamp: Stamp },
    /// Something else, and whether a page may end at it.
    Skipped {
        skipped: Skipped,
        path: Vec<u8>,
        folder: bool,
    },
}

#[derive(Debug)]
struct Folder {
    fd: OwnedFd,
    /// Path with its closing slash; empty at the top.
    path: Vec<u8>,
    names: VecDeque<Name>,
}

#[derive(Debug)]
struct Name {
    bytes: Vec<u8>,
    kind: FileType,
}

impl Name {
    /// The name as it sorts: that of a folder with a closing slash.
    fn sort_key(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if self.kind == FileType::Directory {
            bytes.push(b'/');
        }
        bytes
    }
}

#[derive(Debug)]
pub(super) struct Walk {
    /// Number of the walk, for [`Index::keep_met`](super::index::Index::keep_met).
    pub(super) number: u64,
    /// Whether it meets every file of the store.
    pub(super) whole: bool,
    prefix: Vec<u8>,
    after: Vec<u8>,
    folders: Vec<Folder>,
}

impl Walk {
    /// The walk over everything that starts with `prefix` and comes after `after`.
    pub(super) fn start(root: BorrowedFd<'_>, number: u64, prefix: &str, after: &[u8]) -> io::Result<Self> {
        let mut walk = Self {
            number,
            whole: prefix.is_empty() && after.is_empty(),
            prefix: prefix.into(),
            after: after.into(),
            folders: Vec::new(),
        };
        let top = root.try_clone_to_owned()?;
        walk.enter(top, Vec::new())?;
        Ok(walk)
    }

    /// The folder in which the last met file is.
    pub(super) fn folder(&self) -> Option<BorrowedFd<'_>> {
        self.folders.last().map(|folder| folder.fd.as_fd())
    }

    /// The next thing; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Met>> {
        while let Some(folder) = self.folders.last_mut() {
            let Some(name) = folder.names.pop_front() else {
                self.folders.pop();
                continue;
            };
            let mut path = folder.path.clone();
            path.extend_from_slice(&name.bytes);
            if let Some(met) = self.meet(name, path)? {
                return Ok(Some(met));
            }
        }
        Ok(None)
    }

    fn meet(&mut self, name: Name, path: Vec<u8>) -> io::Result<Option<Met>> {
        let is_folder = name.kind == FileType::Directory;
        let skip = |reason| {
            Ok(Some(Met::Skipped {
                skipped: Skipped {
                    path: String::from_utf8_lossy(&path).into_owned(),
                    reason,
                },
                path: path.clone(),
                folder: is_folder,
            }))
        };
        let Ok(text) = str::from_utf8(&path) else {
            return skip(SkipReason::NotUtf8);
        };
        let Ok(key) = Key::new(text) else {
            return skip(SkipReason::InvalidKey);
        };
        let Some(at) = self.folder() else { return Ok(None) };
        if is_folder {
            return match beneath::open_folder(at, name.bytes.as_slice()) {
                Ok(fd) if beneath::stat(fd.as_fd(), RESERVED_SEGMENT)?.is_some() => skip(SkipReason::OtherStore),
                Ok(fd) => {
                    let mut inside = path;
                    inside.push(b'/');
                    self.enter(fd, inside).map(|()| None)
                }
                Err(Errno::NOENT) => Ok(None),
                Err(Errno::ACCESS | Errno::PERM) => skip(SkipReason::Unreadable),
                Err(Errno::NOTDIR | Errno::LOOP) => skip(SkipReason::Changing),
                Err(errno) => Err(errno.into()),
            };
        }
        let Some(stat) = beneath::stat(at, name.bytes.as_slice())? else {
            return Ok(None);
        };
        match beneath::not_an_object(stat.st_mode) {
            Some(SkipReason::Folder) => skip(SkipReason::Changing),
            Some(reason) => skip(reason),
            None => Ok(Some(Met::File {
                key,
                stamp: Stamp::of(&stat),
            })),
        }
    }

    /// Reads the names of a folder that can be part of the walk.
    fn enter(&mut self, fd: OwnedFd, path: Vec<u8>) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd)? {
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") || (path.is_empty() && bytes == RESERVED_SEGMENT.as_bytes()) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match beneath::stat(fd.as_fd(), bytes)? {
                    Some(stat) => FileType::from_raw_mode(stat.st_mode),
                    None => continue,
                },
                kind => kind,
            };
            let name = Name {
                bytes: bytes.to_vec(),
                kind,
            };
            let mut sort_key = name.sort_key();
            if self.concerns(&path, &sort_key) {
                sort_key.shrink_to_fit();
                names.push((sort_key, name));
            }
        }
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        let names = names.into_iter().map(|(_, name)| name).collect();
        self.folders.push(Folder { fd, path, names });
        Ok(())
    }

    /// Whether something of this name can start with the prefix and come after the cursor.
    fn concerns(&self, path: &[u8], sort_key: &[u8]) -> bool {
        let mut full = path.to_vec();
        full.extend_from_slice(sort_key);
        let is_folder = sort_key.ends_with(b"/");
        let in_prefix = full.starts_with(&self.prefix) || (is_folder && self.prefix.starts_with(&full));
        let after = self.after.is_empty() || full > self.after || (is_folder && self.after.starts_with(&full));
        in_prefix && after
    }
}
