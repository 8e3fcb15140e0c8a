//! From decisions on single keys to one plan: what cannot be is held, the rest is ordered, counted and priced.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{MicroUsd, SyncMode};

use super::decide::{Decision, copy_across, decide, delete};
use super::{
    Action, Adopted, Conflict, ConflictKind, Held, HeldReason, Operation, OperationId, Phase, PlanError,
    SYNC_PLAN_VERSION, Side, SyncConfig, SyncPlan, TreeRef, conflict_key,
};
use crate::store::{Condition, Skipped};
use crate::tree::{Joined, MergeJoin, Tree, TreeEntry};
use crate::{Base, BaseError, Key};

/// What is to be done about one key, all or nothing.
#[derive(Debug)]
struct Group {
    key: Key,
    preserve: Vec<Action>,
    main: Action,
    conflict: Option<Conflict>,
}

/// Compares left, right and base and says what to do. Linear in the keys times the logarithm of the operations. Equal
/// arguments give equal plans.
///
/// # Errors
/// [`PlanError`] when the stores are one, the base is of others, a store that is written cannot keep conditions, or too
/// much would be deleted.
pub fn plan(left: &Tree, right: &Tree, base: &Base, config: &SyncConfig) -> Result<SyncPlan, PlanError> {
    check_stores(left, right, base)?;
    let mut draft = Draft::new(left, right, config);
    for joined in MergeJoin::new(left, right, base).filter(|joined| config.filter.admits(joined.key)) {
        draft.take(&joined, base.is_new());
    }
    draft.hold_what_cannot_be();
    draft.finish(base)
}

fn check_stores(left: &Tree, right: &Tree, base: &Base) -> Result<(), PlanError> {
    let (l, r) = (left.store(), right.store());
    if l == r {
        return Err(PlanError::SameStore { store: l.clone() });
    }
    if (&base.left, &base.right) != (l, r) {
        return Err(PlanError::Base(BaseError::OtherStores {
            base_left: base.left.clone(),
            base_right: base.right.clone(),
            left: l.clone(),
            right: r.clone(),
        }));
    }
    Ok(())
}

struct Draft<'a> {
    left: &'a Tree,
    right: &'a Tree,
    config: &'a SyncConfig,
    skipped: BTreeMap<&'a str, (Side, &'a Skipped)>,
    groups: Vec<Group>,
    conflicts: Vec<Conflict>,
    held: Vec<Held>,
    adopted: Vec<Adopted>,
    forgotten: Vec<Key>,
}

impl<'a> Draft<'a> {
    fn new(left: &'a Tree, right: &'a Tree, config: &'a SyncConfig) -> Self {
        let of_side = |side, tree: &'a Tree| tree.skipped().iter().map(move |s| (s.path.as_str(), (side, s)));
        Self {
            left,
            right,
            config,
            skipped: of_side(Side::Right, right).chain(of_side(Side::Left, left)).collect(),
            groups: Vec::new(),
            conflicts: Vec::new(),
            held: Vec::new(),
            adopted: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    fn tree(&self, side: Side) -> &'a Tree {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }

    fn hold(&mut self, key: &Key, reason: HeldReason) {
        let key = key.clone();
        self.held.push(Held { key, reason });
    }

    /// Whether something that is no object has this key's place: then nobody knows what became of the object.
    fn in_the_way(&self, key: &Key) -> Option<HeldReason> {
        let names = key.ancestors().chain([key.as_str()]);
        let (side, skipped) = names.filter_map(|name| self.skipped.get(name)).next()?;
        Some(HeldReason::Skipped {
            side: *side,
            reason: skipped.reason,
        })
    }

    fn take(&mut self, joined: &Joined<'_>, first_run: bool) {
        let key = joined.key;
        if let Some(reason) = self.in_the_way(key) {
            return self.hold(key, reason);
        }
        match decide(joined, self.config, first_run) {
            Decision::Nothing => {}
            Decision::Adopt(left, right) => self.adopted.push(Adopted {
                key: key.clone(),
                hash: left.hash,
                size: left.size,
                left: left.etag.clone(),
                right: right.etag.clone(),
            }),
            Decision::Forget => self.forgotten.push(key.clone()),
            Decision::Stay(reason, kind) => {
                self.hold(key, reason);
                if let Some(kind) = kind {
                    let (key, copy) = (key.clone(), None);
                    self.forgotten.push(key.clone());
                    self.conflicts.push(Conflict { key, kind, copy });
                }
            }
            Decision::Copy(from, kind) => {
                let (Some(entry), there) = sides(joined, from) else {
                    return;
                };
                let conflict = kind.map(|kind| Conflict {
                    key: key.clone(),
                    kind,
                    copy: None,
                });
                self.group(key, Vec::new(), copy_across(from, entry, there), conflict);
            }
            Decision::Delete(side) => {
                let (Some(entry), _) = sides(joined, side) else { return };
                self.group(key, Vec::new(), delete(side, entry), None);
            }
            Decision::KeepBoth(kind) => {
                let (Some(left), Some(right)) = (joined.left, joined.right) else {
                    return;
                };
                self.keep_both(left, right, kind);
            }
        }
    }

    fn group(&mut self, key: &Key, preserve: Vec<Action>, main: Action, conflict: Option<Conflict>) {
        let key = key.clone();
        self.groups.push(Group {
            key,
            preserve,
            main,
            conflict,
        });
    }

    /// The right content gets a name of its own, in a mirror on the right only, before the left one takes its place.
    fn keep_both(&mut self, left: &TreeEntry, right: &TreeEntry, kind: ConflictKind) {
        let Some(copy) = conflict_key(&right.key, &right.hash) else {
            return self.hold(&right.key, HeldReason::NoConflictName);
        };
        let sides: &[Side] = match self.config.mode {
            SyncMode::Mirror => &[Side::Right],
            SyncMode::TwoWay => &[Side::Right, Side::Left],
        };
        let mut preserve = Vec::new();
        for side in sides {
            match self.tree(*side).get(&copy) {
                Some(there) if there.hash == right.hash => {}
                Some(_) => return self.hold(&right.key, HeldReason::NoConflictName),
                None => preserve.push(Action::Copy {
                    from: Side::Right,
                    key: right.key.clone(),
                    source: right.etag.clone(),
                    to: *side,
                    to_key: copy.clone(),
                    hash: right.hash,
                    size: right.size,
                    precondition: Condition::IfAbsent,
                }),
            }
        }
        let main = copy_across(Side::Left, left, Some(right));
        let conflict = Conflict {
            key: right.key.clone(),
            kind,
            copy: Some(copy),
        };
        self.group(&right.key, preserve, main, Some(conflict));
    }

    /// Holds every group that would make a name which its store cannot have. The names are those after all groups:
    /// holding one only takes names away, so one pass is enough.
    fn hold_what_cannot_be(&mut self) {
        let groups = std::mem::take(&mut self.groups);
        let after = [Side::Left, Side::Right].map(|side| Names::after(self.tree(side), side, &groups));
        let reasons: Vec<Option<HeldReason>> = groups.iter().map(|group| self.cannot_be(group, &after)).collect();
        for (group, reason) in groups.into_iter().zip(reasons) {
            match reason {
                Some(reason) => self.hold(&group.key, reason),
                None => self.groups.push(group),
            }
        }
    }

    fn cannot_be(&self, group: &Group, after: &[Names<'_>; 2]) -> Option<HeldReason> {
        let actions = group.preserve.iter().chain([&group.main]);
        let mut copies = actions.filter(|action| matches!(action, Action::Copy { .. }));
        copies.find_map(|action| {
            let (side, key) = action.target();
            let names = match side {
                Side::Left => &after[0],
                Side::Right => &after[1],
            };
            self.in_the_way(key)
                .or_else(|| names.refuse(key, side, self.tree(side)))
        })
    }

    fn finish(mut self, base: &Base) -> Result<SyncPlan, PlanError> {
        let groups = std::mem::take(&mut self.groups);
        let operations = number(groups, &mut self.conflicts)?;
        self.held.sort_by(|a, b| (&a.key, &a.reason).cmp(&(&b.key, &b.reason)));
        self.conflicts.sort_by(|a, b| a.key.cmp(&b.key));
        let reference = |tree: &Tree| TreeRef {
            store: tree.store().clone(),
            digest: tree.digest(),
            objects: tree.entries().len() as u64,
        };
        let mut plan = SyncPlan {
            version: SYNC_PLAN_VERSION,
            mode: self.config.mode,
            left: reference(self.left),
            right: reference(self.right),
            base: base.digest(),
            operations,
            conflicts: self.conflicts,
            held: self.held,
            case_pairs: case_pairs(self.left, self.right, self.config),
            adopted: self.adopted,
            forgotten: self.forgotten,
            bytes_to_move: 0,
            price: None,
        };
        (plan.bytes_to_move, plan.price) = count(&plan.operations, self.config)?;
        for (side, tree) in [(Side::Left, self.left), (Side::Right, self.right)] {
            check_side(&plan, side, tree, self.config)?;
        }
        Ok(plan)
    }
}

/// The entry of one side, and that of the other.
fn sides<'a>(joined: &Joined<'a>, side: Side) -> (Option<&'a TreeEntry>, Option<&'a TreeEntry>) {
    match side {
        Side::Left => (joined.left, joined.right),
        Side::Right => (joined.right, joined.left),
    }
}

/// Groups as numbered operations, sorted by phase and then by key.
fn number(groups: Vec<Group>, conflicts: &mut Vec<Conflict>) -> Result<Vec<Operation>, PlanError> {
    let mut drafts = Vec::new();
    for (at, group) in groups.into_iter().enumerate() {
        conflicts.extend(group.conflict);
        let phase = match group.main {
            Action::Copy { .. } => Phase::Copy,
            Action::Delete { .. } => Phase::Delete,
        };
        drafts.extend(group.preserve.into_iter().map(|action| (Phase::Preserve, at, action)));
        drafts.push((phase, at, group.main));
    }
    // Stable: within a phase the order of the groups, which is that of the keys.
    drafts.sort_by_key(|(phase, ..)| *phase);
    let mut preserved: BTreeMap<usize, Vec<OperationId>> = BTreeMap::new();
    let mut operations = Vec::with_capacity(drafts.len());
    for (id, (phase, group, action)) in drafts.into_iter().enumerate() {
        let what = "operations";
        let id = OperationId(u32::try_from(id).map_err(|_| PlanError::Overflow { what })?);
        let after = match phase {
            Phase::Preserve => {
                preserved.entry(group).or_default().push(id);
                Vec::new()
            }
            Phase::Delete | Phase::Copy => preserved.remove(&group).unwrap_or_default(),
        };
        operations.push(Operation {
            id,
            phase,
            action,
            after,
        });
    }
    Ok(operations)
}

/// Bytes between the stores, and their price.
fn count(operations: &[Operation], config: &SyncConfig) -> Result<(u64, Option<MicroUsd>), PlanError> {
    let bytes = PlanError::Overflow { what: "bytes" };
    let (mut out_of_left, mut out_of_right) = (0u64, 0u64);
    for operation in operations {
        let between = operation.action.bytes_between();
        let sum = match operation.action.target().0 {
            Side::Right => &mut out_of_left,
            Side::Left => &mut out_of_right,
        };
        match sum.checked_add(between) {
            Some(more) => *sum = more,
            None => return Err(bytes),
        }
    }
    let total = out_of_left.checked_add(out_of_right).ok_or(bytes)?;
    let Some(price) = config.price else {
        return Ok((total, None));
    };
    let parts = [(Side::Left, out_of_left), (Side::Right, out_of_right)].map(|(from, bytes)| price.of(from, bytes));
    let sum = parts
        .into_iter()
        .try_fold(MicroUsd::ZERO, |sum, part| sum.checked_add(part?));
    match sum {
        Some(sum) => Ok((total, Some(sum))),
        None => Err(PlanError::Overflow { what: "money" }),
    }
}

/// Refuses a plan that deletes too much on a side, or changes a store that cannot keep conditions.
fn check_side(plan: &SyncPlan, side: Side, tree: &Tree, config: &SyncConfig) -> Result<(), PlanError> {
    let (deletes, objects) = (plan.deletes(side), tree.entries().len() as u64);
    let allowed = config.max_delete.allowed(objects);
    if deletes > allowed {
        return Err(PlanError::TooManyDeletes {
            side,
            deletes,
            objects,
            allowed,
        });
    }
    let writes = |op: &Operation| matches!(&op.action, Action::Copy { to, .. } if *to == side);
    let lacks = |what| {
        let store = tree.store().clone();
        Err(PlanError::Unconditional { store, what })
    };
    match tree.capabilities() {
        has if deletes > 0 && !has.conditional_delete => lacks("conditional deletes"),
        has if plan.operations.iter().any(writes) && !has.conditional_put => lacks("conditional writes"),
        _ => Ok(()),
    }
}

/// The names on one side after a plan.
struct Names<'a> {
    keys: BTreeSet<&'a str>,
    /// Folded name to the keys that have it; only where case does not count.
    folded: BTreeMap<String, BTreeSet<&'a Key>>,
}

impl<'a> Names<'a> {
    fn after(tree: &'a Tree, side: Side, groups: &'a [Group]) -> Self {
        let mut keys: BTreeSet<&Key> = tree.entries().iter().map(|entry| &entry.key).collect();
        for action in groups
            .iter()
            .flat_map(|group| group.preserve.iter().chain([&group.main]))
        {
            match action {
                Action::Delete { key, .. } if action.target().0 == side => keys.remove(key),
                Action::Copy { to_key, .. } if action.target().0 == side => keys.insert(to_key),
                _ => continue,
            };
        }
        let mut folded: BTreeMap<String, BTreeSet<&Key>> = BTreeMap::new();
        if !tree.capabilities().case_sensitive {
            keys.iter().for_each(|key| {
                folded.entry(key.folded()).or_default().insert(key);
            });
        }
        Self {
            keys: keys.into_iter().map(Key::as_str).collect(),
            folded,
        }
    }

    /// Why the store cannot have this key beside the others.
    fn refuse(&self, key: &Key, side: Side, tree: &Tree) -> Option<HeldReason> {
        let has = tree.capabilities();
        let too_long = |max: u32| key.segments().any(|segment| segment.len() as u64 > u64::from(max));
        if has.segment_bytes_max.is_some_and(too_long) {
            return Some(HeldReason::NameTooLong { side });
        }
        if let Some(with) = self
            .folded
            .get(&key.folded())
            .and_then(|keys| keys.iter().find(|other| **other != key))
        {
            let with = (*with).clone();
            return Some(HeldReason::CaseClash { side, with });
        }
        if !has.folders {
            return None;
        }
        let inside = format!("{key}/");
        let beneath = self
            .keys
            .range(inside.as_str()..)
            .next()
            .filter(|other| other.starts_with(&inside));
        let above = key.ancestors().find(|folder| self.keys.contains(folder));
        beneath.copied().or(above).map(|with| HeldReason::FolderClash {
            side,
            with: with.to_owned(),
        })
    }
}

/// Keys of both sides that differ in case only, each with the next such key.
fn case_pairs(left: &Tree, right: &Tree, config: &SyncConfig) -> Vec<(Key, Key)> {
    let entries = left.entries().iter().chain(right.entries());
    let mut folded: BTreeMap<String, BTreeSet<&Key>> = BTreeMap::new();
    for key in entries.map(|entry| &entry.key).filter(|key| config.filter.admits(key)) {
        folded.entry(key.folded()).or_default().insert(key);
    }
    let mut pairs = Vec::new();
    for keys in folded.into_values() {
        pairs.extend(
            keys.iter()
                .zip(keys.iter().skip(1))
                .map(|(a, b)| ((*a).clone(), (*b).clone())),
        );
    }
    pairs.sort();
    pairs
}
