//! The head: the lease, and which objects count. Pure; its form is JSON, so that a person can read it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::store::log::LogEnd;
use crate::store::{Ask, StoreError};

const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    version: u32,
    pub(super) epoch: u64,
    /// `None`: the lease was given back.
    pub(super) holder: Option<String>,
    ttl_ms: u64,
    /// Counts renewals: what a contender watches. Other changes make no lease longer.
    pub(super) renewals: u64,
    /// Another in every head that is ever written: by it a writer knows its own.
    pub(super) stamp: String,
    /// By name.
    pub(super) documents: BTreeMap<String, Written>,
    pub(super) journal: Journal,
}

/// An object that was written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) object: String,
    pub(super) bytes: u64,
    pub(super) crc: u32,
}

/// The journal: segments in order, each a batch, in the form of the file of a directory store without its header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    pub(super) runs: Vec<Run>,
    /// Where all of them together end, with the checksum of the last entry.
    pub(super) end: LogEnd,
}

/// Segments of one holder that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    epoch: u64,
    first: u64,
    last: u64,
}

/// Name of the object that a holder writes as its `number`-th.
pub(super) fn segment(epoch: u64, number: u64) -> String {
    format!("journal/{epoch:020}-{number:020}")
}

/// As [`segment`], for a document.
pub(super) fn document(name: &str, epoch: u64, number: u64) -> String {
    format!("document/{name}/{epoch:020}-{number:020}")
}

/// The epoch in the name of an object that is written once; `None` for any other object.
pub(super) fn object_epoch(name: &str) -> Option<u64> {
    if !["journal/", "document/", "check/"]
        .iter()
        .any(|folder| name.starts_with(folder))
    {
        return None;
    }
    name.rsplit('/').next()?.get(..20)?.parse().ok()
}

impl Journal {
    const EMPTY: Self = Self {
        runs: Vec::new(),
        end: LogEnd::EMPTY,
    };

    pub(super) fn push(&mut self, epoch: u64, number: u64, end: LogEnd) {
        self.end = end;
        match self.runs.last_mut() {
            Some(run) if run.epoch == epoch && run.last.checked_add(1) == Some(number) => run.last = number,
            _ => self.runs.push(Run {
                epoch,
                first: number,
                last: number,
            }),
        }
    }

    /// Names of the segments, in order.
    pub(super) fn segments(&self) -> Vec<String> {
        let of_run = |run: &Run| {
            let epoch = run.epoch;
            (run.first..=run.last).map(move |number| segment(epoch, number))
        };
        self.runs.iter().flat_map(of_run).collect()
    }
}

impl Head {
    /// The head of a store in which nothing ever was.
    pub(super) fn first(ask: &Ask, nonce: &str) -> Self {
        let nothing = Self {
            version: VERSION,
            epoch: 0,
            holder: None,
            ttl_ms: 0,
            renewals: 0,
            stamp: String::new(),
            documents: BTreeMap::new(),
            journal: Journal::EMPTY,
        };
        nothing.next(ask, nonce)
    }

    /// The head with which the next holder begins.
    pub(super) fn next(&self, ask: &Ask, nonce: &str) -> Self {
        Self {
            epoch: self.epoch.saturating_add(1),
            holder: Some(ask.holder.clone()),
            ttl_ms: u64::try_from(ask.ttl.as_millis()).unwrap_or(u64::MAX),
            renewals: 0,
            stamp: format!("{nonce}-0"),
            ..self.clone()
        }
    }

    pub(super) const fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    pub(super) fn empty_journal(&mut self) {
        self.journal = Journal::EMPTY;
    }

    /// Whether an object of this name counts.
    pub(super) fn names(&self, name: &str) -> bool {
        self.documents.values().any(|written| written.object == name)
            || self.journal.runs.iter().any(|run| {
                (run.first == run.last && segment(run.epoch, run.first) == name)
                    || (segment(run.epoch, run.first).as_str() <= name && name <= segment(run.epoch, run.last).as_str())
            })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a head has a JSON form")
    }

    /// `path` is what errors call it.
    pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let misread = |error: serde_json::Error| StoreError::Format {
            path: path.to_owned(),
            detail: error.to_string(),
        };
        let versioned: Versioned = serde_json::from_slice(bytes).map_err(misread)?;
        if versioned.version != VERSION {
            return Err(StoreError::Version {
                path: path.to_owned(),
                found: versioned.version,
                understood: VERSION,
            });
        }
        serde_json::from_slice(bytes).map_err(misread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_fold_and_name_their_segments_in_order() {
        let mut journal = Journal::EMPTY;
        for (epoch, number) in [(1, 4), (1, 5), (1, 7), (2, 0), (2, 1)] {
            journal.push(epoch, number, LogEnd::EMPTY);
        }
        assert_eq!(journal.runs.len(), 3);
        let expected: Vec<String> = [(1, 4), (1, 5), (1, 7), (2, 0), (2, 1)]
            .map(|(e, n)| segment(e, n))
            .into();
        assert_eq!(journal.segments(), expected);
        let ask = Ask {
            holder: "a".to_owned(),
            ttl: Duration::from_secs(1),
        };
        let mut head = Head::first(&ask, "n");
        head.journal = journal;
        assert!(expected.iter().all(|name| head.names(name)));
        assert!(!head.names(&segment(1, 6)) && !head.names(&segment(1, 3)) && !head.names(&segment(2, 2)));
        assert_eq!(object_epoch(&segment(7, 1)), Some(7));
        assert_eq!(object_epoch(&document("state.json", 8, 1)), Some(8));
        assert_eq!(object_epoch("head"), None);
        assert_eq!(Head::from_bytes(&head.to_bytes(), Path::new("head")).unwrap(), head);
    }
}
