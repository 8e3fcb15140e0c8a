//! One controller at a time: an advisory lock that dies with its process, and an epoch that only grows.
//!
//! The epoch goes into every mutation, so that a driver can refuse a controller that has lost its lease without
//! knowing. A lock file that merely exists would outlive a crash; this one does not.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

/// The lease, held while this value lives.
#[derive(Debug)]
pub struct Lease {
    /// Holds the lock.
    _file: File,
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
            rustix::io::Errno::WOULDBLOCK => StoreError::Held { path: path.to_owned() },
            other => StoreError::io("lock", path)(other.into()),
        })?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(StoreError::io("read", path))?;
        let last: u64 = match text.trim() {
            "" => 0,
            number => number.parse().map_err(|_| StoreError::Format {
                path: path.to_owned(),
                detail: "the epoch is not a number".to_owned(),
            })?,
        };
        let epoch = last.saturating_add(1);
        // One write of one width, over the lock file itself (another file of its name would not be locked). Counting up
        // changes digits from the left-most that grows, so that a write cut anywhere leaves the old number or a larger.
        file.write_all_at(format!("{epoch:020}\n").as_bytes(), 0)
            .map_err(StoreError::io("write", path))?;
        file.sync_all().map_err(StoreError::io("sync", path))?;
        Ok(Self { _file: file, epoch })
    }

    /// Counts holders: higher than that of every holder before.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}
