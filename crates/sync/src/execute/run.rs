//! A whole plan: phases in order, operations of a phase at once, the base saved behind what is done.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, future::BoxFuture};
use skyloom_core::{Class, Digest, Timestamp};

use super::event::{Observer, SyncEvent};
use super::operate::{Ended, Pair, operate};
use super::report::{Failure, Outcome, SyncConflict, SyncReport};
use crate::base::{Base, BaseEntry};
use crate::base_store::{BaseError, BaseStore};
use crate::error::SyncError;
use crate::plan::{Action, Operation, OperationId, Phase, SYNC_PLAN_VERSION, Side, SyncConfig, SyncPlan};
use crate::store::{Etag, Store};
use crate::{ContentHash, Key};

/// Operations after which the base is saved: a crash costs at most looking at so many objects again, and a save costs
/// time in proportion to the whole base.
const OPERATIONS_PER_SAVE: usize = 1000;

/// Carries out a plan. Each operation checks its precondition in the store itself: where the world has moved, nothing is
/// changed and the report says so. What arrived is read back and hashed. The base is saved behind what is done, never
/// ahead of it; so after a crash, or when the future is dropped at any point, running again (this plan, or a new one)
/// ends in the same state. Of `config` only `concurrency` and `attempts` count here: all else is decided by the plan.
///
/// # Errors
/// [`SyncError::Outdated`] when the plan was made for other stores or another base, [`SyncError::PlanVersion`] for a
/// plan of another version, [`SyncError::Base`] when the base cannot be read or saved. What goes wrong with single
/// operations is in the report.
pub async fn execute(
    plan: &SyncPlan,
    left: &dyn Store,
    right: &dyn Store,
    base_store: &dyn BaseStore,
    config: &SyncConfig,
    now: Timestamp,
    observer: &dyn Observer,
) -> Result<SyncReport, SyncError> {
    let stores = Pair { left, right };
    let id = plan.id();
    let base = open_base(plan, id, stores, base_store).await?;
    let mut run = Run::new(plan, id, base, now);
    run.take_note_of_what_is_equal();
    for phase in Phase::ALL {
        let (ready, blocked): (Vec<_>, Vec<_>) = plan
            .operations
            .iter()
            .filter(|op| op.phase == phase)
            .partition(|op| op.after.iter().all(|id| run.succeeded.contains(id)));
        run.report.not_started.extend(blocked.into_iter().map(|op| op.id));
        let full = [AtomicBool::new(false), AtomicBool::new(false)];
        let (attempts, concurrency) = (config.attempts.get(), config.concurrency.get() as usize);
        let mut waiting = ready.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut since_save = 0;
        loop {
            // Not `buffer_unordered` over a closure: such a future could not move between threads.
            let room = concurrency.saturating_sub(under_way.len());
            for operation in waiting.by_ref().take(room) {
                under_way.push(start(operation, stores, attempts, observer, &full));
            }
            let Some((operation, ended)) = under_way.next().await else {
                break;
            };
            let outcome = run.settle(operation, ended);
            let id = operation.id;
            observer.observe(&SyncEvent::Finished { id, outcome });
            since_save += 1;
            if since_save >= OPERATIONS_PER_SAVE {
                run.save(base_store, observer).await?;
                since_save = 0;
            }
        }
    }
    run.save(base_store, observer).await?;
    Ok(run.finish())
}

/// The base that the plan was made from, or one that an earlier run of the same plan left.
async fn open_base(
    plan: &SyncPlan,
    id: Digest,
    stores: Pair<'_>,
    base_store: &dyn BaseStore,
) -> Result<Base, SyncError> {
    if plan.version != SYNC_PLAN_VERSION {
        return Err(SyncError::PlanVersion { found: plan.version });
    }
    let (left, right) = (stores.left.id(), stores.right.id());
    if (left, right) != (&plan.left.store, &plan.right.store) {
        return Err(SyncError::Outdated {
            what: "it was made for other stores",
        });
    }
    let base = base_store.load().await.map_err(SyncError::Base)?;
    let base = base.unwrap_or_else(|| Base::new(left.clone(), right.clone()));
    if (&base.left, &base.right) != (left, right) {
        return Err(SyncError::Base(BaseError::OtherStores {
            base_left: base.left,
            base_right: base.right,
            left: left.clone(),
            right: right.clone(),
        }));
    }
    if base.digest() != plan.base && base.plan != Some(id) {
        return Err(SyncError::Outdated {
            what: "the merge base has changed since",
        });
    }
    Ok(base)
}

/// One operation as a future. Nothing is sent to a store that said it is full.
fn start<'a>(
    operation: &'a Operation,
    stores: Pair<'a>,
    attempts: u32,
    observer: &'a dyn Observer,
    full: &'a [AtomicBool; 2],
) -> BoxFuture<'a, (&'a Operation, Option<Ended>)> {
    async move {
        let (side, key) = operation.action.target();
        let full = match side {
            Side::Left => &full[0],
            Side::Right => &full[1],
        };
        if full.load(Ordering::Relaxed) && matches!(operation.action, Action::Copy { .. }) {
            return (operation, None);
        }
        let (id, key) = (operation.id, key.clone());
        observer.observe(&SyncEvent::Started { id, key });
        let ended = operate(operation, stores, attempts, observer).await;
        if let Ended::Failed(error) = &ended
            && error.class() == Class::Exhausted
            && error.store == stores.at(side).name()
        {
            full.store(true, Ordering::Relaxed);
        }
        (operation, Some(ended))
    }
    .boxed()
}

struct Run<'a> {
    plan: &'a SyncPlan,
    base: Base,
    dirty: bool,
    succeeded: BTreeSet<OperationId>,
    /// What this run knows to be at a side: versions that it wrote or read.
    seen: BTreeMap<(Side, Key), (ContentHash, Etag)>,
    report: SyncReport,
}

impl<'a> Run<'a> {
    fn new(plan: &'a SyncPlan, id: Digest, mut base: Base, now: Timestamp) -> Self {
        base.saved_at = now;
        base.plan = Some(id);
        Self {
            // A first run is recorded even if there was nothing to do: from then on there is a base.
            dirty: base.is_new(),
            plan,
            base,
            succeeded: BTreeSet::new(),
            seen: BTreeMap::new(),
            report: SyncReport {
                plan: id,
                at: now,
                objects: 0,
                copied: 0,
                deleted: 0,
                already_done: 0,
                bytes_moved: 0,
                verified: 0,
                resolved: plan.conflicts.clone(),
                conflicts: Vec::new(),
                failures: Vec::new(),
                not_started: Vec::new(),
                held: plan.held.clone(),
                skipped: Vec::new(),
            },
        }
    }

    fn take_note_of_what_is_equal(&mut self) {
        for adopted in &self.plan.adopted {
            let entry = BaseEntry {
                hash: adopted.hash,
                size: adopted.size,
                left: adopted.left.clone(),
                right: adopted.right.clone(),
            };
            self.base.entries.insert(adopted.key.clone(), entry);
            self.dirty = true;
        }
        for key in &self.plan.forgotten {
            self.dirty |= self.base.entries.remove(key).is_some();
        }
    }

    /// Takes note of how an operation ended.
    fn settle(&mut self, operation: &Operation, ended: Option<Ended>) -> Outcome {
        let (id, key) = (operation.id, operation.action.target().1.clone());
        let outcome = match ended {
            None => {
                self.report.not_started.push(id);
                return Outcome::NotStarted;
            }
            Some(Ended::Conflict(cause)) => {
                self.report.conflicts.push(SyncConflict { id, key, cause });
                return Outcome::Conflict;
            }
            Some(Ended::Failed(error)) => {
                let class = error.class();
                let error = chain(&error);
                self.report.failures.push(Failure { id, key, class, error });
                return Outcome::Failed;
            }
            Some(Ended::Copied { etag, outcome }) => {
                self.copied(&operation.action, etag, outcome);
                outcome
            }
            Some(Ended::Deleted { outcome }) => {
                self.dirty |= self.base.entries.remove(&key).is_some();
                self.report.deleted += u64::from(outcome == Outcome::Done);
                outcome
            }
        };
        self.report.already_done += u64::from(outcome == Outcome::AlreadyDone);
        self.succeeded.insert(id);
        outcome
    }

    fn copied(&mut self, action: &Action, etag: Etag, outcome: Outcome) {
        let Action::Copy {
            from,
            key,
            source,
            to,
            to_key,
            hash,
            size,
            ..
        } = action
        else {
            return;
        };
        if outcome == Outcome::Done {
            self.report.copied += 1;
            self.report.verified += 1;
            self.report.bytes_moved += action.bytes_between();
        }
        self.seen.insert((*from, key.clone()), (*hash, source.clone()));
        self.seen.insert((*to, to_key.clone()), (*hash, etag));
        let at = |side| {
            self.seen
                .get(&(side, to_key.clone()))
                .filter(|(found, _)| found == hash)
        };
        if let (Some((_, left)), Some((_, right))) = (at(Side::Left), at(Side::Right)) {
            let entry = BaseEntry {
                hash: *hash,
                size: *size,
                left: left.clone(),
                right: right.clone(),
            };
            self.base.entries.insert(to_key.clone(), entry);
            self.dirty = true;
        }
    }

    async fn save(&mut self, base_store: &dyn BaseStore, observer: &dyn Observer) -> Result<(), SyncError> {
        if !self.dirty {
            return Ok(());
        }
        self.base.generation += 1;
        base_store.save(&self.base).await.map_err(SyncError::Base)?;
        self.dirty = false;
        let objects = self.base.entries.len() as u64;
        observer.observe(&SyncEvent::BaseSaved { objects });
        Ok(())
    }

    fn finish(mut self) -> SyncReport {
        self.report.objects = self.base.entries.len() as u64;
        self.report.conflicts.sort_by_key(|conflict| conflict.id);
        self.report.failures.sort_by_key(|failure| failure.id);
        self.report.not_started.sort();
        self.report
    }
}

/// An error and its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
