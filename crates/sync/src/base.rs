//! The merge base: what both sides had in common when they were last made equal.
//!
//! It holds observations, not work to do. Whatever crashed, comparing it with what is there now gives the right plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skyloom_core::{Digest, Timestamp};

use crate::hash::Hasher;
use crate::plan::Side;
use crate::store::{Etag, StoreId};
use crate::{ContentHash, Key};

/// Version of the persisted form.
pub const BASE_VERSION: u32 = 1;

/// What both sides had of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseEntry {
    /// Hash of the content.
    pub hash: ContentHash,
    /// Bytes of the content.
    pub size: u64,
    /// Tag of that version on the left.
    pub left: Etag,
    /// Tag of that version on the right.
    pub right: Etag,
}

impl BaseEntry {
    /// The tag on one side.
    #[must_use]
    pub const fn etag(&self, side: Side) -> &Etag {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

/// The merge base of two stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Version of the form, [`BASE_VERSION`].
    pub version: u32,
    /// The left store. A base is of no use for any other pair.
    pub left: StoreId,
    /// The right store.
    pub right: StoreId,
    /// Number of the last save; 0 before the first.
    pub generation: u64,
    /// When it was last saved, for people: no decision looks at it.
    pub saved_at: Timestamp,
    /// The plan whose execution saved it last, so that the same plan can be resumed.
    pub plan: Option<Digest>,
    /// What both sides had.
    pub entries: BTreeMap<Key, BaseEntry>,
}

impl Base {
    /// The base of a pair that was never synchronised: nothing in common.
    #[must_use]
    pub const fn new(left: StoreId, right: StoreId) -> Self {
        Self {
            version: BASE_VERSION,
            left,
            right,
            generation: 0,
            saved_at: Timestamp::EPOCH,
            plan: None,
            entries: BTreeMap::new(),
        }
    }

    /// Whether nothing was ever recorded: the first run.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.generation == 0
    }

    /// Name of what is recorded; the time and number of the save are not in it. Linear.
    #[must_use]
    pub fn digest(&self) -> ContentHash {
        let mut hasher = Hasher::default();
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        text(self.left.as_str());
        text(self.right.as_str());
        for (key, entry) in &self.entries {
            text(key.as_str());
            text(entry.left.as_str());
            text(entry.right.as_str());
            text(&entry.hash.to_string());
        }
        hasher.finish().0
    }
}
