//! The form of a journal as bytes: pure, so that a test can cut, flip and swap them without a disk.
//!
//! A header line, then one line per record: eight hexadecimal digits of a CRC-32 over the checksum before it and the
//! record's JSON, a space, the JSON. The chain makes records that were swapped or removed visible. A damaged end is a
//! torn write: the good prefix is used. Damage with good records behind it is an error.
//!
//! An embedded database would do as well; a log that a person can read and a test can cut anywhere is simpler to prove.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const HEADER: &str = "skyloom-journal 1";

/// Where a log ends: what an appender has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnd {
    /// Bytes that are known to be good.
    pub len: u64,
    /// Checksum of the last record.
    chain: u32,
}

/// What is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRead<T> {
    /// Its whole records, oldest first.
    pub records: Vec<T>,
    /// Where the good prefix ends; `None`: not even the header is whole, so nothing was ever recorded.
    pub end: Option<LogEnd>,
}

/// Why a log cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LogError {
    /// A record in the middle is damaged: later ones are good, so it is no torn tail.
    #[error("read record {record}: it is damaged, and later ones are not")]
    Damaged {
        /// Position, from 0.
        record: usize,
    },
    /// The log has a later version than this program knows.
    #[error("read the log: it has version {found}, version {understood} is understood")]
    Version {
        /// Its version.
        found: u32,
        /// The version that is understood.
        understood: u32,
    },
    /// Another form.
    #[error("read the log: {detail}")]
    Format {
        /// What was found and what is understood.
        detail: String,
    },
}

impl LogEnd {
    /// The end of an empty log.
    pub const EMPTY: Self = Self {
        len: HEADER.len() as u64 + 1,
        chain: 0,
    };

    /// The bytes of an empty log.
    #[must_use]
    pub fn empty_log() -> Vec<u8> {
        format!("{HEADER}\n").into_bytes()
    }

    /// The lines that append these records, and where the log ends with them.
    ///
    /// # Panics
    /// Never for types of this workspace, which all have a JSON form.
    #[must_use]
    pub fn append<T: Serialize>(self, records: &[T]) -> (Vec<u8>, Self) {
        let mut chain = self.chain;
        let mut lines = Vec::new();
        for record in records {
            let json = serde_json::to_string(record).expect("invariant: a record has a JSON form");
            chain = checksum(chain, json.as_bytes());
            lines.extend_from_slice(format!("{chain:08x} {json}\n").as_bytes());
        }
        let len = self.len + lines.len() as u64;
        (lines, Self { len, chain })
    }
}

/// Reads a log's bytes.
///
/// # Errors
/// [`LogError`]: another header (a later version), a record that is whole but not understood, or damage before good
/// records.
pub fn read_log<T: DeserializeOwned>(bytes: &[u8]) -> Result<LogRead<T>, LogError> {
    let header = LogEnd::empty_log();
    if !bytes.starts_with(&header) {
        let (records, end) = (Vec::new(), None);
        return if header.starts_with(bytes) {
            Ok(LogRead { records, end })
        } else {
            let first = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            let first = first.lines().next().unwrap_or_default();
            if let Some(found) = version_of(first).filter(|found| Some(*found) > version_of(HEADER)) {
                let understood = version_of(HEADER).unwrap_or_default();
                return Err(LogError::Version { found, understood });
            }
            let detail = format!("expected `{HEADER}`, found `{first}`");
            Err(LogError::Format { detail })
        };
    }
    let (mut records, mut chain, mut len) = (Vec::new(), 0, header.len());
    for line in bytes[header.len()..].split_inclusive(|b| *b == b'\n') {
        let Some((crc, json)) = read_line(line).filter(|(crc, json)| checksum(chain, json) == *crc) else {
            break;
        };
        let record = serde_json::from_slice(json).map_err(|error| LogError::Format {
            detail: format!("record {} is whole but not understood: {error}", records.len()),
        })?;
        records.push(record);
        (chain, len) = (crc, len + line.len());
    }
    if has_good_record(&bytes[len..], chain) {
        let record = records.len();
        return Err(LogError::Damaged { record });
    }
    let len = len as u64;
    let end = Some(LogEnd { len, chain });
    Ok(LogRead { records, end })
}

/// The records of a log that ends at `end` and that never has a torn end, because its writers write wholes: anything
/// less is damage. `path` is what errors call it.
#[cfg(any(feature = "object-store", feature = "postgres"))]
pub(super) fn whole_log<T: DeserializeOwned>(
    bytes: &[u8],
    end: LogEnd,
    path: &std::path::Path,
) -> Result<Vec<T>, super::StoreError> {
    let read = read_log(bytes).map_err(super::journal::in_file(path))?;
    if read.end != Some(end) || bytes.len() as u64 != end.len {
        return Err(super::StoreError::Damaged {
            path: path.to_owned(),
            record: read.records.len(),
        });
    }
    Ok(read.records)
}

fn checksum(chain: u32, json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&chain.to_le_bytes());
    hasher.update(json);
    hasher.finalize()
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
/// Where lines were swapped, the one that belongs here comes later.
/// The number at the end of a header of ours.
fn version_of(header: &str) -> Option<u32> {
    let (name, version) = header.rsplit_once(' ')?;
    HEADER.starts_with(name).then(|| version.parse().ok())?
}

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
        let good = follows(line, &before) || follows(line, &damaged) || follows(line, &[Some(chain)]);
        before = [stated(line), before[0].and_then(|chain| recomputed(chain, line))];
        good
    })
}
