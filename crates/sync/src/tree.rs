//! What a store holds at one time: keys, sizes, tags and content hashes, and what was left out.
//!
//! A tree exists only whole. A listing that fails gives an error and no tree, so that what was not listed is never
//! taken for deleted.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::slice;

use crate::hash::Hasher;
use crate::plan::Side;
use crate::store::{Capabilities, Etag, ObjectMeta, PAGE_OBJECTS_MAX, Skipped, Store, StoreError, StoreId};
use crate::{Base, ContentHash, Key};

/// One object of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its name.
    pub key: Key,
    /// Bytes of its content.
    pub size: u64,
    /// Hash of its content.
    pub hash: ContentHash,
    /// Tag of this version in its store.
    pub etag: Etag,
}

/// All objects of a store at one time, sorted by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    store: StoreId,
    capabilities: Capabilities,
    entries: Vec<TreeEntry>,
    skipped: Vec<Skipped>,
}

impl Tree {
    /// A tree of these entries, in any order; of two with one key the later counts.
    #[must_use]
    pub fn new(
        store: StoreId,
        capabilities: Capabilities,
        mut entries: Vec<TreeEntry>,
        mut skipped: Vec<Skipped>,
    ) -> Self {
        // Stable, so among equal keys the later comes later; reversed, it is the one that stays.
        entries.reverse();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        entries.dedup_by(|b, a| a.key == b.key);
        skipped.sort();
        skipped.dedup();
        Self {
            store,
            capabilities,
            entries,
            skipped,
        }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &StoreId {
        &self.store
    }

    /// What the store can do.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// The objects, sorted by key, each key once.
    #[must_use]
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// What is no object, sorted by name.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The object of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&TreeEntry> {
        let at = self.entries.binary_search_by(|entry| entry.key.cmp(key)).ok()?;
        self.entries.get(at)
    }

    /// Name of the content: equal for two trees of the same keys and contents, whatever their stores. Linear.
    #[must_use]
    pub fn digest(&self) -> ContentHash {
        let mut hasher = Hasher::default();
        for entry in &self.entries {
            // The length first, so that no two lists of keys give the same bytes.
            hasher.update(&(entry.key.as_str().len() as u64).to_le_bytes());
            hasher.update(entry.key.as_str().as_bytes());
            hasher.update(entry.hash.as_bytes());
        }
        hasher.finish().0
    }
}

/// Lists a store completely and gives its tree. A listed object without a hash keeps the one that the merge base has for
/// the same tag on this side, or is read and hashed. Costs one list call a page, plus one read for each object whose
/// hash neither the store nor the base knows.
///
/// # Errors
/// [`StoreError`] of the first call that failed.
pub async fn scan(store: &dyn Store, side: Side, base: Option<&Base>) -> Result<Tree, StoreError> {
    let (mut entries, mut skipped, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let page = store.list("", cursor.as_ref(), PAGE_OBJECTS_MAX).await?;
        skipped.extend(page.skipped);
        for meta in page.objects {
            if let Some(entry) = complete(store, side, base, meta).await? {
                entries.push(entry);
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(Tree::new(store.id().clone(), store.capabilities(), entries, skipped))
}

/// The entry of a listed object; none when it is gone meanwhile.
async fn complete(
    store: &dyn Store,
    side: Side,
    base: Option<&Base>,
    meta: ObjectMeta,
) -> Result<Option<TreeEntry>, StoreError> {
    let known = || {
        let entry = base?.entries.get(&meta.key)?;
        (*entry.etag(side) == meta.etag && entry.size == meta.size).then_some(entry.hash)
    };
    if let Some(hash) = meta.hash.or_else(known) {
        let ObjectMeta { key, size, etag, .. } = meta;
        return Ok(Some(TreeEntry { key, size, hash, etag }));
    }
    match read_and_hash(store, &meta.key, None).await {
        Ok((hash, now)) => Ok(Some(TreeEntry {
            key: meta.key,
            size: now.size,
            hash,
            etag: now.etag,
        })),
        Err(error) if error.class() == skyloom_core::Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads an object to its end and hashes it.
pub(crate) async fn read_and_hash(
    store: &dyn Store,
    key: &Key,
    if_match: Option<&Etag>,
) -> Result<(ContentHash, ObjectMeta), StoreError> {
    let mut download = store.get(key, if_match).await?;
    let mut hasher = Hasher::default();
    while let Some(chunk) = download.body.next_chunk().await? {
        hasher.update(&chunk);
    }
    let (hash, size) = hasher.finish();
    let meta = ObjectMeta {
        size,
        ..download.head.meta
    };
    Ok((hash, meta))
}

/// One key of a merge-join: what left, right and base have of it.
#[derive(Debug)]
pub(crate) struct Joined<'a> {
    pub(crate) key: &'a Key,
    pub(crate) left: Option<&'a TreeEntry>,
    pub(crate) right: Option<&'a TreeEntry>,
    pub(crate) base: Option<&'a crate::BaseEntry>,
}

/// Three sorted sequences side by side. Looks at one element of each at a time, so it holds for streams as well.
pub(crate) struct MergeJoin<'a> {
    left: Peekable<slice::Iter<'a, TreeEntry>>,
    right: Peekable<slice::Iter<'a, TreeEntry>>,
    base: Peekable<std::collections::btree_map::Iter<'a, Key, crate::BaseEntry>>,
}

impl<'a> MergeJoin<'a> {
    pub(crate) fn new(left: &'a Tree, right: &'a Tree, base: &'a Base) -> Self {
        Self {
            left: left.entries.iter().peekable(),
            right: right.entries.iter().peekable(),
            base: base.entries.iter().peekable(),
        }
    }
}

impl<'a> Iterator for MergeJoin<'a> {
    type Item = Joined<'a>;

    fn next(&mut self) -> Option<Joined<'a>> {
        let candidates = [
            self.left.peek().map(|entry| &entry.key),
            self.right.peek().map(|entry| &entry.key),
            self.base.peek().map(|(key, _)| *key),
        ];
        let key = candidates.into_iter().flatten().min()?;
        let here = |other: &Key| other.cmp(key) == Ordering::Equal;
        Some(Joined {
            key,
            left: self.left.next_if(|entry| here(&entry.key)),
            right: self.right.next_if(|entry| here(&entry.key)),
            base: self.base.next_if(|(other, _)| here(other)).map(|(_, entry)| entry),
        })
    }
}
