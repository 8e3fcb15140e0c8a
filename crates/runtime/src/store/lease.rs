//! One controller at a time: an advisory lock that dies with its process, and an epoch that only grows.
//!
//! The epoch goes into every mutation, so that a driver can refuse a controller that has lost its lease without
//! knowing. A lock file that merely exists would outlive a crash; this one does not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

/// The lease, held while this value lives.
#[derive(Debug)]
pub struct Lease {
    /// Holds the lock.
    file: File,
    path: PathBuf,
    epoch: u64,
}

impl Lease {
    /// Takes the lease at `path` and raises its epoch durably.
    ///
    /// # Errors
    /// [`StoreError::Held`] when another controller has it; [`StoreError::Format`] when the epoch cannot be read;
    /// [`StoreError::Io`] otherwise.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(StoreError::io("open", path))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => StoreError::Held {
                path: path.to_owned(),
                holder: None,
                lapses_within: None,
            },
            other => StoreError::io("lock", path)(other.into()),
        })?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(StoreError::io("read", path))?;
        let last = parse_epoch(path, &text)?;
        let epoch = last.saturating_add(1);
        // One write of one width, over the lock file itself (another file of its name would not be locked). Counting up
        // changes digits from the left-most that grows, so that a write cut anywhere leaves the old number or a larger.
        file.write_all_at(format!("{epoch:020}\n").as_bytes(), 0)
            .map_err(StoreError::io("write", path))?;
        file.sync_all().map_err(StoreError::io("sync", path))?;
        let path = path.to_owned();
        Ok(Self { file, path, epoch })
    }

    /// Refuses when the lock is not worth anything any more: the file of that name is another one, or a later holder
    /// has written its epoch into it.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or [`StoreError::Io`] when the system does not let us look.
    pub fn check(&self) -> Result<(), StoreError> {
        let fenced = |by| StoreError::Fenced {
            place: self.path.clone(),
            epoch: self.epoch,
            by,
        };
        let there = match fs::metadata(&self.path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(fenced(None)),
            Err(error) => return Err(StoreError::io("look at", &self.path)(error)),
        };
        let ours = self.file.metadata().map_err(StoreError::io("look at", &self.path))?;
        let is_ours = (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        let text = if is_ours {
            let mut bytes = [0; 20];
            let read = self
                .file
                .read_at(&mut bytes, 0)
                .map_err(StoreError::io("read", &self.path))?;
            String::from_utf8_lossy(&bytes[..read]).into_owned()
        } else {
            fs::read_to_string(&self.path).map_err(StoreError::io("read", &self.path))?
        };
        match parse_epoch(&self.path, &text) {
            Ok(epoch) if is_ours && epoch == self.epoch => Ok(()),
            Ok(epoch) => Err(fenced(Some(epoch).filter(|epoch| *epoch > self.epoch))),
            Err(_) => Err(fenced(None)),
        }
    }

    /// Gives the lock back; the epoch stays used.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn release(&self) -> Result<(), StoreError> {
        flock(&self.file, FlockOperation::Unlock).map_err(|errno| StoreError::io("unlock", &self.path)(errno.into()))
    }

    /// Counts holders: higher than that of every holder before.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// The epoch in a lease file; 0 where there is none yet.
fn parse_epoch(path: &Path, text: &str) -> Result<u64, StoreError> {
    match text.trim() {
        "" => Ok(0),
        number => number.parse().map_err(|_| StoreError::Format {
            path: path.to_owned(),
            detail: "the epoch is not a number".to_owned(),
        }),
    }
}
