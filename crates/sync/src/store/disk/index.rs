//! Hashes of files whose state has not changed since they were hashed, so that a second listing reads no content.
//!
//! A cache, never the truth: it is thrown away when its checksum does not hold, and each entry counts only while the
//! file's stamp is the same. Size and modification time alone would miss an edit of the same size within one tick of
//! the file system's clock, so an entry made that soon after the file's last change is not believed (as in Git's index).
//! All entries are in memory, about 200 bytes each.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::beneath::Stamp;
use crate::{ContentHash, Key};

/// A file must have rested this long before it was hashed for the hash to be believed by its stamp: the coarsest clock
/// of a file system in use (FAT: two seconds).
const REST_NS: i64 = 2_000_000_000;

const HEADER: &str = "skyloom-index 1 ";

#[derive(Debug, Clone, Copy)]
struct Entry {
    stamp: Stamp,
    hash: ContentHash,
    /// Time of the file system's clock when hashing began.
    hashed_at_ns: i64,
    /// Number of the last walk that met the file.
    walk: u64,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Key, Entry>,
    dirty: bool,
}

/// How sure a hash must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Only if the file had rested when it was hashed.
    Rested,
    /// Also if it had not, because the caller compares the bytes with the hash anyway.
    Checked,
}

impl Index {
    /// The hash of a file in this state, if it is known.
    pub(super) fn find(&self, key: &Key, stamp: &Stamp, trust: Trust, walk: Option<u64>) -> Option<ContentHash> {
        let mut state = self.lock();
        let entry = state.entries.get_mut(key).filter(|entry| entry.stamp == *stamp)?;
        let changed_ns = stamp.mtime_ns.max(stamp.ctime_ns);
        let rested = changed_ns.saturating_add(REST_NS) <= entry.hashed_at_ns;
        if trust == Trust::Rested && !rested {
            return None;
        }
        entry.walk = walk.unwrap_or(entry.walk);
        Some(entry.hash)
    }

    pub(super) fn note(&self, key: &Key, stamp: Stamp, hash: ContentHash, hashed_at_ns: i64, walk: Option<u64>) {
        let mut state = self.lock();
        let walk = walk.unwrap_or(u64::MAX);
        let entry = Entry {
            stamp,
            hash,
            hashed_at_ns,
            walk,
        };
        state.entries.insert(key.clone(), entry);
        state.dirty = true;
    }

    pub(super) fn forget(&self, key: &Key) {
        let mut state = self.lock();
        state.dirty |= state.entries.remove(key).is_some();
    }

    /// Drops what walk number `walk`, which met every file, did not meet (nor was written since).
    pub(super) fn keep_met(&self, walk: u64) {
        let mut state = self.lock();
        let before = state.entries.len();
        state.entries.retain(|_, entry| entry.walk >= walk);
        state.dirty |= state.entries.len() != before;
    }

    /// The bytes to persist, once after each change.
    pub(super) fn take_changes(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        if !std::mem::take(&mut state.dirty) {
            return None;
        }
        let mut body = String::with_capacity(state.entries.len() * 160);
        for (key, entry) in &state.entries {
            let Stamp {
                size,
                mtime_ns,
                ctime_ns,
                inode,
            } = entry.stamp;
            let (hash, at) = (entry.hash, entry.hashed_at_ns);
            body.push_str(&format!("{hash} {size} {mtime_ns} {ctime_ns} {inode} {at} {key}\n"));
        }
        Some(format!("{HEADER}{}\n{body}", ContentHash::of(body.as_bytes())).into_bytes())
    }

    /// Reads what [`Index::take_changes`] gave; anything else gives an empty index.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let entries = parse(bytes).unwrap_or_default();
        let state = State { entries, dirty: false };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Each change is one call on the map, so a poisoned lock hides no half-made state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<Key, Entry>> {
    let text = str::from_utf8(bytes).ok()?;
    let (header, body) = text.split_once('\n')?;
    let checksum: ContentHash = header.strip_prefix(HEADER)?.parse().ok()?;
    if ContentHash::of(body.as_bytes()) != checksum {
        return None;
    }
    body.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(Key, Entry)> {
    let mut fields = line.splitn(7, ' ');
    let hash = fields.next()?.parse().ok()?;
    let stamp = Stamp {
        size: fields.next()?.parse().ok()?,
        mtime_ns: fields.next()?.parse().ok()?,
        ctime_ns: fields.next()?.parse().ok()?,
        inode: fields.next()?.parse().ok()?,
    };
    let hashed_at_ns = fields.next()?.parse().ok()?;
    let entry = Entry {
        stamp,
        hash,
        hashed_at_ns,
        walk: 0,
    };
    Some((Key::new(fields.next()?).ok()?, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(ctime_ns: i64) -> Stamp {
        Stamp {
            size: 1,
            mtime_ns: 0,
            ctime_ns,
            inode: 7,
        }
    }

    #[test]
    fn a_hash_made_too_soon_after_the_last_change_is_not_believed() {
        let (index, key, hash) = (Index::default(), Key::new("a b").unwrap(), ContentHash::of(b"x"));
        for (hashed_at_ns, believed) in [(REST_NS + 4, false), (REST_NS + 5, true)] {
            index.note(&key, stamp(5), hash, hashed_at_ns, None);
            assert_eq!(index.find(&key, &stamp(5), Trust::Rested, None).is_some(), believed);
            assert_eq!(index.find(&key, &stamp(5), Trust::Checked, None), Some(hash));
            assert_eq!(index.find(&key, &stamp(6), Trust::Checked, None), None);
        }
    }

    #[test]
    fn the_persisted_form_comes_back_and_damage_is_seen() {
        let (index, key, hash) = (Index::default(), Key::new("a b/ü").unwrap(), ContentHash::of(b"x"));
        index.note(&key, stamp(5), hash, REST_NS * 2, None);
        let bytes = index.take_changes().unwrap();
        assert!(index.take_changes().is_none());
        let find = |bytes: &[u8]| Index::from_bytes(bytes).find(&key, &stamp(5), Trust::Rested, None);
        assert_eq!(find(&bytes), Some(hash));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(find(&damaged), None, "byte {at}");
            assert_eq!(find(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn what_a_whole_walk_did_not_meet_is_dropped() {
        let (index, hash) = (Index::default(), ContentHash::of(b"x"));
        let keys = ["gone", "met", "written"].map(|k| Key::new(k).unwrap());
        index.note(&keys[0], stamp(5), hash, 9, Some(1));
        index.note(&keys[1], stamp(5), hash, 9, Some(1));
        assert!(index.find(&keys[1], &stamp(5), Trust::Checked, Some(2)).is_some());
        index.note(&keys[2], stamp(5), hash, 9, None);
        index.keep_met(2);
        let known = keys.map(|key| index.find(&key, &stamp(5), Trust::Checked, None).is_some());
        assert_eq!(known, [false, true, true]);
    }
}
