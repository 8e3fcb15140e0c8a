//! An append-only file of checksummed records, durable before `append` returns. The form of its bytes is in `log`.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::{read_if_there, replace_file};
use super::error::StoreError;
use super::log::{LogEnd, LogError, LogRead, read_log};

/// What a journal needs of an open file: the seam at which tests put a full or lying disk.
pub trait Medium: Send + fmt::Debug {
    /// Writes all bytes at the end; on an error any part of them may be there.
    ///
    /// # Errors
    /// What the system says, `StorageFull` for a full disk.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written durable.
    ///
    /// # Errors
    /// What the system says; what is durable is then unknown.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes and goes on writing there.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

impl Medium for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(|_| ())
    }
}

/// A journal that is open for appending.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    medium: Box<dyn Medium>,
    end: LogEnd,
    poisoned: bool,
}

/// What opening a journal has found.
#[derive(Debug)]
pub struct Opened<T> {
    /// The journal, at its end.
    pub journal: FileJournal,
    /// Its records, oldest first.
    pub records: Vec<T>,
    /// Bytes of a torn end that were cut off; 0 after a clean stop.
    pub torn_bytes: u64,
}

impl FileJournal {
    /// Opens the journal at `path`, creating an empty one where there is none.
    ///
    /// # Errors
    /// [`StoreError`]: the system refuses, the header is another one (a later version), or a record in the middle is
    /// damaged. The file is then unchanged.
    pub fn open<T: DeserializeOwned>(path: &Path) -> Result<Opened<T>, StoreError> {
        Self::open_on(path, |file| Box::new(file))
    }

    /// As [`FileJournal::open`], writing through `medium` made from the open file.
    ///
    /// # Errors
    /// As [`FileJournal::open`].
    pub fn open_on<T: DeserializeOwned>(
        path: &Path,
        medium: impl FnOnce(File) -> Box<dyn Medium>,
    ) -> Result<Opened<T>, StoreError> {
        let bytes = read_if_there(path)?.unwrap_or_default();
        let read: LogRead<T> = read_log(&bytes).map_err(in_file(path))?;
        if read.end.is_none() {
            replace_file(path, &LogEnd::empty_log())?;
        }
        let torn_bytes = bytes.len() as u64 - read.end.map_or(0, |end| end.len);
        let end = read.end.unwrap_or(LogEnd::EMPTY);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(StoreError::io("open", path))?;
        if torn_bytes > 0 {
            file.set_len(end.len)
                .and_then(|()| file.sync_all())
                .map_err(StoreError::io("truncate", path))?;
        }
        file.seek(SeekFrom::Start(end.len))
            .map_err(StoreError::io("seek", path))?;
        let path = path.to_owned();
        let journal = Self {
            path,
            medium: medium(file),
            end,
            poisoned: false,
        };
        Ok(Opened {
            journal,
            records: read.records,
            torn_bytes,
        })
    }

    /// Appends records and makes them durable with one sync. All of them are there afterwards, or none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk is full or fails; what was written of the batch is cut off again. Where even
    /// that fails, or where the sync failed (what is on disk is then unknown), later calls give
    /// [`StoreError::Poisoned`].
    ///
    /// # Panics
    /// Never for types of this workspace, which all have a JSON form.
    pub fn append<T: Serialize>(&mut self, records: &[T]) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned {
                path: self.path.clone(),
            });
        }
        let (lines, end) = self.end.append(records);
        if let Err(error) = self.medium.write_all(&lines) {
            self.cut_back();
            return Err(StoreError::io("append to", &self.path)(error));
        }
        if let Err(error) = self.medium.sync() {
            self.poisoned = true;
            return Err(StoreError::io("sync", &self.path)(error));
        }
        self.end = end;
        Ok(())
    }

    /// Removes a half-written batch; where that fails the end is unknown and the journal refuses to go on.
    fn cut_back(&mut self) {
        self.poisoned = self.medium.cut(self.end.len).is_err();
    }

    /// All records that are durable, oldest first.
    ///
    /// # Errors
    /// As [`FileJournal::open`].
    pub fn read_back<T: DeserializeOwned>(&self) -> Result<Vec<T>, StoreError> {
        let bytes = read_if_there(&self.path)?.unwrap_or_default();
        Ok(read_log(&bytes).map_err(in_file(&self.path))?.records)
    }

    /// Starts anew with an empty journal: after everything in it has become state. One cut, so that a crash leaves the
    /// old journal or the empty one.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the journal is then poisoned, because its end is unknown.
    pub fn reset(&mut self) -> Result<(), StoreError> {
        let cut = self.medium.cut(LogEnd::EMPTY.len).and_then(|()| self.medium.sync());
        self.poisoned = cut.is_err();
        cut.map_err(StoreError::io("truncate", &self.path))?;
        self.end = LogEnd::EMPTY;
        Ok(())
    }
}

/// A log's failure with the file that it is in.
pub(super) fn in_file(path: &Path) -> impl FnOnce(LogError) -> StoreError {
    let path = path.to_owned();
    move |error| match error {
        LogError::Damaged { record } => StoreError::Damaged { path, record },
        LogError::Version { found, understood } => StoreError::Version {
            path,
            found,
            understood,
        },
        LogError::Format { detail } => StoreError::Format { path, detail },
    }
}
