//! The audit log on disk: one line per record, and the newest signed checkpoint beside it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use skyloom_security::audit::{AuditLog, AuditRecord, LogKey};

use super::StoreError;
use super::atomic::{read_if_there, replace_file};
use super::journal::Medium;

/// An audit log that is open for appending.
///
/// At most one record is ever unsigned: where its checkpoint could not be written, the next append signs first.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    medium: Box<dyn Medium>,
    /// Bytes that are known to be good.
    len: u64,
    log: AuditLog,
    /// Records that the checkpoint on disk covers, as far as is known.
    signed: u64,
    key: LogKey,
    poisoned: bool,
}

impl AuditFile {
    /// Opens `audit.log` in `folder`, creating it where there is none. What is there must be what `key` has signed,
    /// with one record more at most (a crash between a record and its checkpoint). A torn last line (a crash while
    /// appending) is cut off: it was never acknowledged, so nothing was done on its strength.
    ///
    /// A log and its checkpoint that were removed or put back together are not noticed here: that takes a checkpoint
    /// kept elsewhere, see [`skyloom_security::audit::verify`].
    ///
    /// # Errors
    /// [`StoreError::AuditAltered`] when the log was changed, or signed by another key; other [`StoreError`]s when the
    /// system refuses or the log is not text. The file is then unchanged.
    pub fn open(folder: &Path, key: LogKey) -> Result<Self, StoreError> {
        Self::open_on(folder, key, |file| Box::new(file))
    }

    /// As [`AuditFile::open`], writing records through `medium` made from the open file.
    ///
    /// # Errors
    /// As [`AuditFile::open`].
    pub fn open_on(
        folder: &Path,
        key: LogKey,
        medium: impl FnOnce(File) -> Box<dyn Medium>,
    ) -> Result<Self, StoreError> {
        let path = folder.join("audit.log");
        let bytes = read_if_there(&path)?.unwrap_or_default();
        let len = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let lines = text(&path, &bytes[..len])?;
        let note_path = checkpoint_path(&path);
        let note = read_if_there(&note_path)?;
        let note = note.as_deref().map(|note| text(&note_path, note)).transpose()?;
        let lines: Vec<&str> = lines.split_terminator('\n').collect();
        let log = AuditLog::resume(&lines, note, &key.verifying_key()).map_err(|source| StoreError::AuditAltered {
            path: path.clone(),
            source,
        })?;
        let signed = note.and_then(|note| key.verifying_key().open(note).ok());
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(StoreError::io("open", &path))?;
        let (mut medium, torn) = (medium(file), len < bytes.len());
        let len = len as u64;
        // Also without a torn end: it sets the place to write at.
        medium.cut(len).map_err(StoreError::io("truncate", &path))?;
        if torn {
            medium.sync().map_err(StoreError::io("sync", &path))?;
        }
        Ok(Self {
            path,
            medium,
            len,
            log,
            signed: signed.map_or(0, |checkpoint| checkpoint.size),
            key,
            poisoned: false,
        })
    }

    /// Appends a record, makes it durable, and signs a checkpoint over the log.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the caller must then refuse what the record is about. Where only the checkpoint could not be
    /// written, the record is there and is signed by the next append. Where a half-written record could not be removed,
    /// or the sync failed (what is on disk is then unknown), later calls give [`StoreError::Poisoned`].
    pub fn append(&mut self, record: AuditRecord) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned {
                path: self.path.clone(),
            });
        }
        if self.signed < self.log.len() {
            self.sign()?;
        }
        let line = self.log.next_line(record);
        let bytes = format!("{line}\n");
        if let Err(error) = self.medium.write_all(bytes.as_bytes()) {
            self.poisoned = self.medium.cut(self.len).is_err();
            return Err(StoreError::io("append to", &self.path)(error));
        }
        if let Err(error) = self.medium.sync() {
            self.poisoned = true;
            return Err(StoreError::io("sync", &self.path)(error));
        }
        self.len += bytes.len() as u64;
        self.log.appended(&line);
        self.sign()
    }

    /// Replaces the checkpoint by one over all records.
    fn sign(&mut self) -> Result<(), StoreError> {
        let note = self.log.checkpoint(&self.key);
        replace_file(&checkpoint_path(&self.path), note.as_bytes())?;
        self.signed = self.log.len();
        Ok(())
    }

    /// The lines and the newest checkpoint as they are on disk, for verification.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub fn read_back(&self) -> Result<(Vec<String>, String), StoreError> {
        let read = |path: &Path| -> Result<String, StoreError> {
            let bytes = read_if_there(path)?.unwrap_or_default();
            text(path, &bytes).map(str::to_owned)
        };
        let lines = read(&self.path)?.split_terminator('\n').map(str::to_owned).collect();
        Ok((lines, read(&checkpoint_path(&self.path))?))
    }

    /// The key that signs.
    #[must_use]
    pub const fn key(&self) -> &LogKey {
        &self.key
    }
}

fn checkpoint_path(log: &Path) -> PathBuf {
    log.with_file_name("audit.checkpoint")
}

fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, StoreError> {
    std::str::from_utf8(bytes).map_err(|_| StoreError::Format {
        path: path.to_owned(),
        detail: "it is not UTF-8".to_owned(),
    })
}
