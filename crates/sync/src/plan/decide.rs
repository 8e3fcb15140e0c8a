//! What becomes of one key, from what three trees have of it. The whole policy is the two tables in this file.

use skyloom_core::SyncMode;

use super::{Action, ConflictKind, ConflictRule, HeldReason, Side, SyncConfig};
use crate::store::Condition;
use crate::tree::{Joined, TreeEntry};

/// What becomes of a key.
#[derive(Debug)]
pub(super) enum Decision<'a> {
    /// Both sides are equal and the base knows.
    Nothing,
    /// Both sides are equal and the base does not know.
    Adopt(&'a TreeEntry, &'a TreeEntry),
    /// Both sides have nothing and the base does not know.
    Forget,
    /// One side's content goes to the other.
    Copy(Side, Option<ConflictKind>),
    /// It goes on this side.
    Delete(Side),
    /// There are two contents: both are kept.
    KeepBoth(ConflictKind),
    /// It stays as it is; the base forgets it where the conflict is told.
    Stay(HeldReason, Option<ConflictKind>),
}

/// How one side stands to the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No such object, nor in the base.
    Never,
    /// No such object, but in the base.
    Deleted,
    /// As in the base.
    Same,
    /// Not as in the base, or not in it.
    Changed,
}

fn state(entry: Option<&TreeEntry>, joined: &Joined<'_>) -> State {
    match (entry, joined.base) {
        (None, None) => State::Never,
        (None, Some(_)) => State::Deleted,
        (Some(entry), Some(base)) if entry.hash == base.hash => State::Same,
        (Some(_), _) => State::Changed,
    }
}

/// The decision for one key. `first_run`: there is no base at all.
pub(super) fn decide<'a>(joined: &Joined<'a>, config: &SyncConfig, first_run: bool) -> Decision<'a> {
    if let (Some(left), Some(right)) = (joined.left, joined.right)
        && left.hash == right.hash
    {
        let known = joined
            .base
            .is_some_and(|base| (base.hash, &base.left, &base.right) == (left.hash, &left.etag, &right.etag));
        return match known {
            true => Decision::Nothing,
            false => Decision::Adopt(left, right),
        };
    }
    let states = (state(joined.left, joined), state(joined.right, joined));
    match config.mode {
        SyncMode::Mirror => mirror(states, config, first_run),
        SyncMode::TwoWay => two_way(states, config),
    }
}

fn two_contents<'a>(kind: ConflictKind, config: &SyncConfig) -> Decision<'a> {
    match config.conflict {
        ConflictRule::KeepBoth => Decision::KeepBoth(kind),
        ConflictRule::Hold => Decision::Stay(HeldReason::Conflict, None),
    }
}

/// The left is the original. What changed on the right on its own is kept as a conflict copy, what is only there stays.
fn mirror<'a>(states: (State, State), config: &SyncConfig, first_run: bool) -> Decision<'a> {
    use State::{Changed, Deleted, Never, Same};
    match states {
        (Never | Deleted, Never | Deleted) => Decision::Forget,
        // `Same` on both sides is an equal content, which was told before.
        (Same, Same) => Decision::Nothing,
        (Same | Changed, Never | Deleted | Same) => Decision::Copy(Side::Left, None),
        (Same, Changed) => two_contents(ConflictKind::CopyChanged, config),
        (Changed, Changed) => two_contents(ConflictKind::BothChanged, config),
        (Never | Deleted, Same) => Decision::Delete(Side::Right),
        (Never, Changed) if first_run && config.allow_delete_without_base => Decision::Delete(Side::Right),
        (Never, Changed) => Decision::Stay(HeldReason::Untracked, None),
        (Deleted, Changed) => Decision::Stay(HeldReason::Untracked, Some(ConflictKind::LeftDeletedRightChanged)),
    }
}

/// A change beats no change, and it beats a delete; nothing is deleted that the base does not have.
fn two_way<'a>(states: (State, State), config: &SyncConfig) -> Decision<'a> {
    use State::{Changed, Deleted, Never, Same};
    match states {
        (Never | Deleted, Never | Deleted) => Decision::Forget,
        (Same, Same) => Decision::Nothing,
        (Changed, Never | Same) => Decision::Copy(Side::Left, None),
        (Never | Same, Changed) => Decision::Copy(Side::Right, None),
        (Changed, Deleted) => Decision::Copy(Side::Left, Some(ConflictKind::LeftChangedRightDeleted)),
        (Deleted, Changed) => Decision::Copy(Side::Right, Some(ConflictKind::LeftDeletedRightChanged)),
        (Same, Never | Deleted) => Decision::Delete(Side::Left),
        (Never | Deleted, Same) => Decision::Delete(Side::Right),
        (Changed, Changed) => two_contents(ConflictKind::BothChanged, config),
    }
}

/// The copy of `entry` to the other side, where `there` is now.
pub(super) fn copy_across(from: Side, entry: &TreeEntry, there: Option<&TreeEntry>) -> Action {
    Action::Copy {
        from,
        key: entry.key.clone(),
        source: entry.etag.clone(),
        to: from.other(),
        to_key: entry.key.clone(),
        hash: entry.hash,
        size: entry.size,
        precondition: there.map_or(Condition::IfAbsent, |there| Condition::IfMatch(there.etag.clone())),
    }
}

/// The delete of `entry`.
pub(super) fn delete(side: Side, entry: &TreeEntry) -> Action {
    Action::Delete {
        side,
        key: entry.key.clone(),
        hash: entry.hash,
        size: entry.size,
        precondition: Condition::IfMatch(entry.etag.clone()),
    }
}
