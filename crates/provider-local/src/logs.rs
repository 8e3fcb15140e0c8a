//! The output of a replica: read from the end, kept within a bound.
//!
//! A replica writes its log itself, without a pipe through the controller: a pipe would break with the controller's
//! death, and the replica with it. So a log is bounded from outside: when it takes more than twice what is kept, the
//! oldest part is given back to the file system as a hole, which neither races with the writer nor moves its position.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::FallocateFlags;

/// Most of a log that one call looks at.
const TAIL_BYTES: u64 = 1 << 20;
/// Holes are made in whole blocks of this size.
const BLOCK_BYTES: u64 = 4096;

/// The last `lines` lines, oldest first, out of the last MiB; bytes that are not UTF-8 are replaced. A line that is
/// cut by that bound is left out, unless it is the only one.
pub(crate) fn tail(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut all: Vec<&str> = text.lines().collect();
    if from > 0 && all.len() > 1 {
        all.remove(0);
    }
    let skipped = all.len().saturating_sub(lines);
    Ok(all.into_iter().skip(skipped).map(str::to_owned).collect())
}

/// Gives the oldest output back when more than twice `kept` bytes of disk are used. A file system without holes keeps
/// all of it.
pub(crate) fn trim(path: &Path, kept: u64) -> io::Result<()> {
    let metadata = match path.metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let used = metadata.blocks().saturating_mul(512); // st_blocks counts in 512 bytes, whatever the file system
    let hole = metadata.len().saturating_sub(kept) / BLOCK_BYTES * BLOCK_BYTES;
    if used <= kept.saturating_mul(2) || hole == 0 {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).open(path)?;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(file, flags, 0, hole) {
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        other => other.map_err(io::Error::from),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn log(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file.as_file().sync_all().unwrap();
        file
    }

    #[test]
    fn the_last_lines_come_oldest_first() {
        let rows: [(&[u8], usize, &[&str]); 6] = [
            (b"", 3, &[]),
            (b"a\nb\nc\n", 2, &["b", "c"]),
            (b"a\nb\nc", 9, &["a", "b", "c"]),
            (b"a\n\nb\n", 2, &["", "b"]),
            (b"a\n", 0, &[]),
            (b"\xff\r\nz", 2, &["\u{fffd}", "z"]),
        ];
        for (content, lines, expected) in rows {
            assert_eq!(tail(log(content).path(), lines).unwrap(), expected, "{content:?}");
        }
        assert!(tail(Path::new("/nowhere/at/all"), 5).unwrap().is_empty());
    }

    #[test]
    fn a_long_log_is_read_from_its_last_mebibyte() {
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        let file = log(&line.repeat(20_000));
        let read = tail(file.path(), usize::MAX).unwrap();
        assert!((10_000..=10_486).contains(&read.len()), "{}", read.len());
        assert!(read.iter().all(|l| l.len() == 99), "no cut line");
    }

    #[test]
    fn a_trimmed_log_gives_disk_back_and_keeps_its_end() {
        let kept = TAIL_BYTES;
        let file = log(&b"0123456\n".repeat(1 << 19)); // 4 MiB
        let before = file.path().metadata().unwrap();
        trim(file.path(), kept).unwrap();
        let after = file.path().metadata().unwrap();
        assert_eq!(after.len(), before.len(), "the writer's position stays");
        assert!(
            after.blocks() * 512 <= kept + 2 * BLOCK_BYTES,
            "{} bytes used",
            after.blocks() * 512
        );
        assert_eq!(tail(file.path(), 2).unwrap(), ["0123456", "0123456"]);
    }
}
