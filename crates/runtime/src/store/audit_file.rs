//! The audit log on disk: one line per record, and the newest signed checkpoint beside it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use skyloom_security::audit::{AuditLog, AuditRecord, LogKey};

use super::StoreError;
use super::atomic::{read_if_there, replace_file};

/// An audit log that is open for appending.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    file: File,
    log: AuditLog,
    key: LogKey,
}

impl AuditFile {
    /// Opens `audit.log` in `folder`, creating it where there is none. A torn last line (a crash while appending) is
    /// cut off: it was never acknowledged, so nothing was done on its strength.
    ///
    /// # Errors
    /// [`StoreError`] when the system refuses or the log is not text.
    pub fn open(folder: &Path, key: LogKey) -> Result<Self, StoreError> {
        let path = folder.join("audit.log");
        let bytes = read_if_there(&path)?.unwrap_or_default();
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let text = std::str::from_utf8(&bytes[..whole]).map_err(|_| StoreError::Format {
            path: path.clone(),
            detail: "it is not UTF-8".to_owned(),
        })?;
        let log = AuditLog::from_lines(text.lines());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(StoreError::io("truncate", &path))?;
        }
        Ok(Self { path, file, log, key })
    }

    /// Appends a record, makes it durable, and signs a checkpoint over the log.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the caller must then refuse what the record is about.
    pub fn append(&mut self, record: AuditRecord) -> Result<(), StoreError> {
        let line = self.log.next_line(record);
        let before = self.file.metadata().map_err(StoreError::io("stat", &self.path))?.len();
        let written = self
            .file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let _ = self.file.set_len(before);
            return Err(StoreError::io("append to", &self.path)(error));
        }
        self.log.appended(&line);
        replace_file(&self.checkpoint_path(), self.log.checkpoint(&self.key).as_bytes())
    }

    /// The lines and the newest checkpoint as they are on disk, for verification.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub fn read_back(&self) -> Result<(Vec<String>, String), StoreError> {
        let text = |path: &Path| -> Result<String, StoreError> {
            let bytes = read_if_there(path)?.unwrap_or_default();
            String::from_utf8(bytes).map_err(|_| StoreError::Format {
                path: path.to_owned(),
                detail: "it is not UTF-8".to_owned(),
            })
        };
        let lines = text(&self.path)?.lines().map(str::to_owned).collect();
        Ok((lines, text(&self.checkpoint_path())?))
    }

    /// The key that signs.
    #[must_use]
    pub const fn key(&self) -> &LogKey {
        &self.key
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.path.with_file_name("audit.checkpoint")
    }
}
