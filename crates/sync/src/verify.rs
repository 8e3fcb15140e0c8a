//! Whether two stores hold the same: every byte of both is read and hashed, no cache and no tag is believed.

use std::collections::BTreeSet;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use skyloom_core::Class;

use crate::error::SyncError;
use crate::plan::{Side, SyncConfig};
use crate::store::{Cause, Cursor, PAGE_OBJECTS_MAX, Skipped, Store, StoreError};
use crate::tree::read_and_hash;
use crate::{ContentHash, Key};

/// Times that an object is read anew when it changed while it was read.
const READ_ATTEMPTS_MAX: u32 = 3;

/// What a comparison of two stores came to. Keys are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Objects that both have with equal content.
    pub objects: u64,
    /// Bytes of those objects, once.
    pub bytes: u64,
    /// Objects that only the left has.
    pub only_left: Vec<Key>,
    /// Objects that only the right has.
    pub only_right: Vec<Key>,
    /// Objects whose contents differ.
    pub different: Vec<Key>,
    /// What is no object, by side and name: it was not compared.
    pub skipped: Vec<(Side, Skipped)>,
}

impl VerifyReport {
    /// Whether both hold the same objects with the same content.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.only_left.is_empty() && self.only_right.is_empty() && self.different.is_empty()
    }
}

/// Reads every object of both stores that the filter of `config` admits, and compares content hashes; `concurrency` of
/// `config` objects at once. Memory is the names of both stores and the chunks under way.
///
/// # Errors
/// [`SyncError::Scan`] when a store cannot be listed, an object cannot be read, or it changes each time it is read.
pub async fn verify(left: &dyn Store, right: &dyn Store, config: &SyncConfig) -> Result<VerifyReport, SyncError> {
    let mut report = VerifyReport::default();
    let (l, r) = (
        keys(left, Side::Left, config, &mut report).await?,
        keys(right, Side::Right, config, &mut report).await?,
    );
    let all: BTreeSet<&Key> = l.union(&r).collect();
    let mut waiting = all.into_iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        let room = (config.concurrency.get() as usize).saturating_sub(under_way.len());
        for key in waiting.by_ref().take(room) {
            under_way.push(compare(left, right, key));
        }
        let Some((key, contents)) = under_way.next().await else {
            break;
        };
        match contents? {
            (None, None) => {}
            (Some(_), None) => report.only_left.push(key.clone()),
            (None, Some(_)) => report.only_right.push(key.clone()),
            (Some((a, size)), Some((b, _))) if a == b => {
                report.objects += 1;
                report.bytes += size;
            }
            (Some(_), Some(_)) => report.different.push(key.clone()),
        }
    }
    report.only_left.sort();
    report.only_right.sort();
    report.different.sort();
    Ok(report)
}

/// Hash and size of an object, if it is there.
type Content = Option<(ContentHash, u64)>;

/// A key, and what both sides have of it.
type Compared<'a> = (&'a Key, Result<(Content, Content), SyncError>);

fn compare<'a>(left: &'a dyn Store, right: &'a dyn Store, key: &'a Key) -> BoxFuture<'a, Compared<'a>> {
    async move {
        let contents = futures::try_join!(content(left, Side::Left, key), content(right, Side::Right, key));
        (key, contents)
    }
    .boxed()
}

fn fail(side: Side, error: StoreError) -> SyncError {
    let source = Box::new(error);
    SyncError::Scan { side, source }
}

async fn content(store: &dyn Store, side: Side, key: &Key) -> Result<Content, SyncError> {
    let mut attempts = 1;
    loop {
        match read_and_hash(store, key, None).await {
            Ok((hash, meta)) => return Ok(Some((hash, meta.size))),
            Err(error) if error.class() == Class::NotFound => return Ok(None),
            Err(error) if matches!(error.cause, Cause::Changed) && attempts < READ_ATTEMPTS_MAX => attempts += 1,
            Err(error) => return Err(fail(side, error)),
        }
    }
}

async fn keys(
    store: &dyn Store,
    side: Side,
    config: &SyncConfig,
    report: &mut VerifyReport,
) -> Result<BTreeSet<Key>, SyncError> {
    let (mut keys, mut cursor): (BTreeSet<Key>, Option<Cursor>) = (BTreeSet::new(), None);
    loop {
        let page = store
            .list("", cursor.as_ref(), PAGE_OBJECTS_MAX)
            .await
            .map_err(|error| fail(side, error))?;
        report
            .skipped
            .extend(page.skipped.into_iter().map(|skipped| (side, skipped)));
        keys.extend(
            page.objects
                .into_iter()
                .map(|meta| meta.key)
                .filter(|key| config.filter.admits(key)),
        );
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(keys),
        }
    }
}
