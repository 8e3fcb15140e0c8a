//! An append-only file of checksummed records, durable before `append` returns.
//!
//! Form: a header line, then one line per record: eight hexadecimal digits of a CRC-32 over the checksum before it and
//! the record's JSON, a space, the JSON. The chain makes records that were swapped or removed visible. A damaged end is
//! a torn write: the good prefix is used and the rest cut off. Damage with good records behind it is an error.
//!
//! An embedded database would do as well; a log that a person can read and a test can cut anywhere is simpler to prove.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::{read_if_there, replace_file};
use super::error::StoreError;

const HEADER: &str = "skyloom-journal 1";

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
    /// Bytes that are known to be good.
    len: u64,
    /// Checksum of the last record.
    chain: u32,
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
        let parsed: Parsed<T> = parse(&bytes, path)?;
        if parsed.len == 0 {
            // No file, or a torn header: nothing was ever recorded.
            replace_file(path, format!("{HEADER}\n").as_bytes())?;
        }
        let len = parsed.len.max(HEADER.len() as u64 + 1);
        let torn_bytes = bytes.len() as u64 - parsed.len;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(StoreError::io("open", path))?;
        if torn_bytes > 0 {
            file.set_len(len)
                .and_then(|()| file.sync_all())
                .map_err(StoreError::io("truncate", path))?;
        }
        file.seek(SeekFrom::Start(len)).map_err(StoreError::io("seek", path))?;
        let (path, chain) = (path.to_owned(), parsed.chain);
        let journal = Self {
            path,
            medium: medium(file),
            len,
            chain,
            poisoned: false,
        };
        Ok(Opened {
            journal,
            records: parsed.records,
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
        let mut chain = self.chain;
        let mut lines = Vec::new();
        for record in records {
            let json = serde_json::to_string(record).expect("invariant: a record has a JSON form");
            chain = checksum(chain, json.as_bytes());
            lines.extend_from_slice(format!("{chain:08x} {json}\n").as_bytes());
        }
        if let Err(error) = self.medium.write_all(&lines) {
            self.cut_back();
            return Err(StoreError::io("append to", &self.path)(error));
        }
        if let Err(error) = self.medium.sync() {
            self.poisoned = true;
            return Err(StoreError::io("sync", &self.path)(error));
        }
        self.len += lines.len() as u64;
        self.chain = chain;
        Ok(())
    }

    /// Removes a half-written batch; where that fails the end is unknown and the journal refuses to go on.
    fn cut_back(&mut self) {
        self.poisoned = self.medium.cut(self.len).is_err();
    }

    /// All records that are durable, oldest first.
    ///
    /// # Errors
    /// As [`FileJournal::open`].
    pub fn read_back<T: DeserializeOwned>(&self) -> Result<Vec<T>, StoreError> {
        Ok(parse(&read_if_there(&self.path)?.unwrap_or_default(), &self.path)?.records)
    }

    /// Starts anew with an empty journal: after everything in it has become state. One cut, so that a crash leaves the
    /// old journal or the empty one.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the journal is then poisoned, because its end is unknown.
    pub fn reset(&mut self) -> Result<(), StoreError> {
        let len = HEADER.len() as u64 + 1;
        let cut = self.medium.cut(len).and_then(|()| self.medium.sync());
        self.poisoned = cut.is_err();
        cut.map_err(StoreError::io("truncate", &self.path))?;
        (self.len, self.chain) = (len, 0);
        Ok(())
    }
}

fn checksum(chain: u32, json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&chain.to_le_bytes());
    hasher.update(json);
    hasher.finalize()
}

struct Parsed<T> {
    records: Vec<T>,
    /// Length of the good prefix; 0: not even the header is whole.
    len: u64,
    chain: u32,
}

fn parse<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<Parsed<T>, StoreError> {
    let header = format!("{HEADER}\n");
    if !bytes.starts_with(header.as_bytes()) {
        return if header.as_bytes().starts_with(bytes) {
            Ok(Parsed {
                records: Vec::new(),
                len: 0,
                chain: 0,
            })
        } else {
            let first = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            let detail = format!(
                "expected `{HEADER}`, found `{}`",
                first.lines().next().unwrap_or_default()
            );
            Err(StoreError::Format {
                path: path.to_owned(),
                detail,
            })
        };
    }
    let (mut records, mut chain, mut len) = (Vec::new(), 0, header.len());
    for line in bytes[header.len()..].split_inclusive(|b| *b == b'\n') {
        let Some((crc, json)) = read_line(line).filter(|(crc, json)| checksum(chain, json) == *crc) else {
            break;
        };
        let record = serde_json::from_slice(json).map_err(|error| StoreError::Format {
            path: path.to_owned(),
            detail: format!("record {} is whole but not understood: {error}", records.len()),
        })?;
        records.push(record);
        (chain, len) = (crc, len + line.len());
    }
    if has_good_record(&bytes[len..], chain) {
        return Err(StoreError::Damaged {
            path: path.to_owned(),
            record: records.len(),
        });
    }
    Ok(Parsed {
        records,
        len: len as u64,
        chain,
    })
}

/// Checksum and JSON of a whole line; `None` for anything else.
fn read_line(line: &[u8]) -> Option<(u32, &[u8])> {
    let body = line.strip_suffix(b"\n")?;
    let (crc, json) = (body.get(..8)?, body.get(9..)?);
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    (body[8] == b' ').then_some((crc, json))
}

/// The checksum that a line states, also where the rest of it is damaged.
fn stated(line: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(line.get(..8)?).ok()?, 16).ok()
}

/// The checksum that a line should state, if it comes behind one with checksum `chain`.
fn recomputed(chain: u32, line: &[u8]) -> Option<u32> {
    let json = line.strip_suffix(b"\n")?.get(9..)?;
    Some(checksum(chain, json))
}

/// Whether behind the first bad record, which `rest` begins with, there is a good one. `chain` is the checksum of the
/// record before.
///
/// A record can be checked when the checksum of the one before it is known. That of a damaged record is: it stands in
/// the line where the damage is in the JSON, the space or the line end, and follows from the JSON where the damage is
/// in the checksum. Damage may also make a line end, or take one away, so that the next record begins within the line.
fn has_good_record(rest: &[u8], chain: u32) -> bool {
    let mut lines = rest.split_inclusive(|b| *b == b'\n');
    let Some(first) = lines.next() else { return false };
    let damaged = [stated(first), recomputed(chain, first)];
    let follows = |line: &[u8], before: &[Option<u32>]| {
        read_line(line).is_some_and(|(crc, json)| before.iter().flatten().any(|chain| checksum(*chain, json) == crc))
    };
    if (1..first.len()).any(|start| follows(&first[start..], &damaged)) {
        return true;
    }
    let mut before = damaged;
    lines.any(|line| {
        let good = follows(line, &before) || follows(line, &damaged);
        before = [stated(line), before[0].and_then(|chain| recomputed(chain, line))];
        good
    })
}
