//! One operation: precondition, stream, hash, read back.

use async_trait::async_trait;
use skyloom_core::Class;

use super::event::{Observer, SyncEvent};
use super::report::{ConflictCause, Outcome};
use crate::hash::Hasher;
use crate::plan::{Action, Operation, OperationId, Side};
use crate::store::{ByteStream, Cause, Condition, Etag, Metadata, ObjectMeta, Store, StoreError, StoreOperation};
use crate::tree::read_and_hash;
use crate::{ContentHash, Key};

/// Both stores.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) left: &'a dyn Store,
    pub(super) right: &'a dyn Store,
}

impl<'a> Pair<'a> {
    pub(super) fn at(&self, side: Side) -> &'a dyn Store {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }
}

/// How an operation ended, with what the base and the report need.
#[derive(Debug)]
pub(super) enum Ended {
    /// A copy that is where it belongs; `etag` is its version there.
    Copied { etag: Etag, outcome: Outcome },
    /// An object that is gone.
    Deleted { outcome: Outcome },
    /// The world had moved.
    Conflict(ConflictCause),
    /// A call failed.
    Failed(StoreError),
}

/// Carries one operation out, trying again at most `attempts` times while the error may pass.
pub(super) async fn operate(operation: &Operation, stores: Pair<'_>, attempts: u32, observer: &dyn Observer) -> Ended {
    let mut attempt = Attempt {
        id: operation.id,
        observer,
        replace: None,
    };
    let mut left = attempts.max(1);
    loop {
        left -= 1;
        let result = match &operation.action {
            Action::Copy { .. } => attempt.copy(&operation.action, stores).await,
            Action::Delete {
                side,
                key,
                precondition,
                ..
            } => delete(stores.at(*side), *side, key, precondition).await,
        };
        match result {
            Ok(ended) => return ended,
            Err(error) if left > 0 && may_pass(&error) => {}
            Err(error) => return Ended::Failed(error),
        }
    }
}

/// Whether the same call may succeed now. A content that arrived damaged is sent again.
fn may_pass(error: &StoreError) -> bool {
    error.class().is_retryable() || matches!(error.cause, Cause::WrongContent { .. })
}

struct Attempt<'a> {
    id: OperationId,
    observer: &'a dyn Observer,
    /// The version that this operation wrote itself and that arrived damaged: the next attempt replaces it.
    replace: Option<Etag>,
}

impl Attempt<'_> {
    async fn copy(&mut self, action: &Action, stores: Pair<'_>) -> Result<Ended, StoreError> {
        let Action::Copy {
            from,
            key,
            source,
            to,
            to_key,
            hash,
            precondition,
            ..
        } = action
        else {
            return Ok(Ended::Conflict(ConflictCause::Source(Side::Left)));
        };
        let (reader, writer) = (stores.at(*from), stores.at(*to));
        let own = self.replace.clone().map(Condition::IfMatch);
        let condition = own.as_ref().unwrap_or(precondition);
        let download = match reader.get(key, Some(source)).await {
            Ok(download) => download,
            Err(error) if moved(&error) => return Ok(Ended::Conflict(ConflictCause::Source(*from))),
            Err(error) => return Err(error),
        };
        let mut body = Checked {
            inner: download.body,
            hasher: Some(Hasher::default()),
            expected: *hash,
            failed: false,
            attempt: (self.id, self.observer),
            place: (reader.name(), key),
        };
        let kept = Metadata::new();
        let metadata = match writer.capabilities().metadata {
            true => &download.head.metadata,
            false => &kept,
        };
        let result = writer.put(to_key, &mut body, condition, metadata).await;
        let source_failed = body.failed;
        match result {
            Ok(meta) => self.read_back(writer, &meta, *to, *hash).await,
            // Not the bytes that were planned: whoever changed the source will be in the next plan.
            Err(error) if source_failed && error.class() == Class::Conflict => {
                Ok(Ended::Conflict(ConflictCause::Source(*from)))
            }
            Err(error) if source_failed => Err(error),
            Err(error) if matches!(error.cause, Cause::Precondition { .. }) => unmet(writer, to_key, *to, *hash).await,
            Err(error) => Err(error),
        }
    }

    /// Reads what arrived from the destination and compares its hash with the planned one.
    async fn read_back(
        &mut self,
        writer: &dyn Store,
        meta: &ObjectMeta,
        to: Side,
        hash: ContentHash,
    ) -> Result<Ended, StoreError> {
        let key = &meta.key;
        let found = match read_and_hash(writer, key, Some(&meta.etag)).await {
            Ok((found, _)) => found,
            // Somebody wrote after us, which is no damage: but nobody can tell any more what had arrived.
            Err(error) if moved(&error) => return Ok(Ended::Conflict(ConflictCause::Destination(to))),
            Err(error) => return Err(error),
        };
        if found == hash {
            return Ok(Ended::Copied {
                etag: meta.etag.clone(),
                outcome: Outcome::Done,
            });
        }
        self.replace = Some(meta.etag.clone());
        let cause = Cause::WrongContent { expected: hash, found };
        Err(StoreError::new(writer.name(), StoreOperation::Put, Some(key), cause))
    }
}

/// Whether the object is not the one that was planned any more.
fn moved(error: &StoreError) -> bool {
    matches!(
        error.cause,
        Cause::NotFound | Cause::Precondition { .. } | Cause::Changed
    )
}

/// The precondition of a copy does not hold. If the planned content is there, an earlier attempt put it there.
async fn unmet(writer: &dyn Store, key: &Key, to: Side, hash: ContentHash) -> Result<Ended, StoreError> {
    match read_and_hash(writer, key, None).await {
        Ok((found, meta)) if found == hash => Ok(Ended::Copied {
            etag: meta.etag,
            outcome: Outcome::AlreadyDone,
        }),
        Ok(_) => Ok(Ended::Conflict(ConflictCause::Destination(to))),
        Err(error) if moved(&error) => Ok(Ended::Conflict(ConflictCause::Destination(to))),
        Err(error) => Err(error),
    }
}

async fn delete(store: &dyn Store, side: Side, key: &Key, precondition: &Condition) -> Result<Ended, StoreError> {
    match store.delete(key, precondition).await {
        Ok(()) => Ok(Ended::Deleted { outcome: Outcome::Done }),
        Err(error) if matches!(error.cause, Cause::NotFound) => Ok(Ended::Deleted {
            outcome: Outcome::AlreadyDone,
        }),
        Err(error) if moved(&error) => Ok(Ended::Conflict(ConflictCause::Destination(side))),
        Err(error) => Err(error),
    }
}

/// The source's bytes on their way: hashed as they pass, and refused at their end when they are not the planned ones,
/// before the destination has made them visible.
struct Checked<'a> {
    inner: Box<dyn ByteStream>,
    /// Gone at the end.
    hasher: Option<Hasher>,
    expected: ContentHash,
    /// Whether the source failed, not the destination.
    failed: bool,
    attempt: (OperationId, &'a dyn Observer),
    place: (&'a str, &'a Key),
}

#[async_trait]
impl ByteStream for Checked<'_> {
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(hasher) = &mut self.hasher else {
            return Ok(None);
        };
        let chunk = match self.inner.next_chunk().await {
            Ok(chunk) => chunk,
            Err(error) => {
                self.failed = true;
                return Err(error);
            }
        };
        if let Some(bytes) = &chunk {
            hasher.update(bytes);
            let (id, observer) = self.attempt;
            let bytes = bytes.len() as u64;
            observer.observe(&SyncEvent::Moved { id, bytes });
            return Ok(chunk);
        }
        let (found, _) = hasher.finish();
        self.hasher = None;
        if found == self.expected {
            return Ok(None);
        }
        self.failed = true;
        let (store, key) = self.place;
        Err(StoreError::new(store, StoreOperation::Get, Some(key), Cause::Changed))
    }
}
