//! The whole walk in one call: scan both sides, compare with the base, plan, carry out.

use skyloom_core::Timestamp;

use crate::base::Base;
use crate::base_store::BaseStore;
use crate::error::SyncError;
use crate::execute::{Observer, Silent, SyncEvent, SyncReport, execute};
use crate::plan::{Side, SyncConfig, SyncPlan, plan};
use crate::store::{Skipped, Store};
use crate::tree::{Tree, scan};

/// Scans both stores and plans, changing nothing: the dry run. The plan may be stored, shown, and later be carried out
/// by [`execute`].
///
/// # Errors
/// [`SyncError`] when a store cannot be listed completely, the base cannot be read, or no plan can be made.
pub async fn prepare(
    left: &dyn Store,
    right: &dyn Store,
    base_store: &dyn BaseStore,
    config: &SyncConfig,
) -> Result<SyncPlan, SyncError> {
    let (plan, _) = prepare_observed(left, right, base_store, config, &Silent).await?;
    Ok(plan)
}

async fn prepare_observed(
    left: &dyn Store,
    right: &dyn Store,
    base_store: &dyn BaseStore,
    config: &SyncConfig,
    observer: &dyn Observer,
) -> Result<(SyncPlan, Vec<(Side, Skipped)>), SyncError> {
    let base = base_store.load().await.map_err(SyncError::Base)?;
    let base = base.unwrap_or_else(|| Base::new(left.id().clone(), right.id().clone()));
    let (left, right) = futures::try_join!(
        scan_side(left, Side::Left, &base, observer),
        scan_side(right, Side::Right, &base, observer),
    )?;
    let plan = plan(&left, &right, &base, config).map_err(SyncError::Plan)?;
    let (operations, bytes) = (plan.operations.len() as u64, plan.bytes_to_move);
    observer.observe(&SyncEvent::Planned { operations, bytes });
    let of = |side, tree: &Tree| -> Vec<_> { tree.skipped().iter().map(|s| (side, s.clone())).collect() };
    let mut skipped = of(Side::Left, &left);
    skipped.extend(of(Side::Right, &right));
    Ok((plan, skipped))
}

async fn scan_side(store: &dyn Store, side: Side, base: &Base, observer: &dyn Observer) -> Result<Tree, SyncError> {
    let tree = scan(store, side, Some(base)).await;
    let tree = tree.map_err(|error| SyncError::Scan {
        side,
        source: Box::new(error),
    })?;
    let (objects, skipped) = (tree.entries().len() as u64, tree.skipped().len() as u64);
    observer.observe(&SyncEvent::Scanned { side, objects, skipped });
    Ok(tree)
}

/// Makes two stores equal: scans, plans, carries out, verifies, and keeps the merge base. `now` is recorded, nothing is
/// decided by it. Dropping the future leaves every object whole; running again goes on.
///
/// # Errors
/// [`SyncError`] when a store cannot be listed completely, no plan can be made, or the base cannot be read or saved.
/// What goes wrong with single objects is in the report.
pub async fn sync(
    left: &dyn Store,
    right: &dyn Store,
    base_store: &dyn BaseStore,
    config: &SyncConfig,
    now: Timestamp,
) -> Result<SyncReport, SyncError> {
    sync_observed(left, right, base_store, config, now, &Silent).await
}

/// [`sync`], telling `observer` what happens.
///
/// # Errors
/// As [`sync`].
pub async fn sync_observed(
    left: &dyn Store,
    right: &dyn Store,
    base_store: &dyn BaseStore,
    config: &SyncConfig,
    now: Timestamp,
    observer: &dyn Observer,
) -> Result<SyncReport, SyncError> {
    let (plan, skipped) = prepare_observed(left, right, base_store, config, observer).await?;
    let mut report = execute(&plan, left, right, base_store, config, now, observer).await?;
    report.skipped = skipped;
    Ok(report)
}
