//! The planner on rows: what left, right and base have of a key, and what becomes of it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use skyloom_core::{Class, MicroUsd, SyncMode, Timestamp};
use skyloom_sync::{
    Action, Base, BaseEntry, Capabilities, Conflict, ConflictKind, ConflictRule, ContentHash, Etag, Filter, MaxDelete,
    Pattern, PlanError, Side, SkipReason, Skipped, StoreId, SyncConfig, SyncPlan, TransferPrice, Tree, TreeEntry,
    conflict_key, plan,
};

use crate::support::{hash, key, mirror, two_way};

/// Contents by key.
type Rows<'a> = &'a [(&'a str, &'a str)];

fn tree_of(store: &str, capabilities: Capabilities, rows: Rows<'_>, skipped: &[(&str, SkipReason)]) -> Tree {
    let entry = |(name, text): &(&str, &str)| TreeEntry {
        key: key(name),
        size: text.len() as u64,
        hash: hash(text),
        etag: Etag::new(format!("{store}:{text}")),
    };
    let skipped = skipped.iter().map(|(path, reason)| Skipped {
        path: (*path).to_owned(),
        reason: *reason,
    });
    let entries = rows.iter().map(entry).collect();
    Tree::new(StoreId::new(store), capabilities, entries, skipped.collect())
}

fn tree(store: &str, rows: Rows<'_>) -> Tree {
    tree_of(store, Capabilities::full(), rows, &[])
}

fn base(rows: Rows<'_>) -> Base {
    let mut base = Base::new(StoreId::new("l"), StoreId::new("r"));
    let entry = |text: &str| BaseEntry {
        hash: hash(text),
        size: text.len() as u64,
        left: Etag::new(format!("l:{text}")),
        right: Etag::new(format!("r:{text}")),
    };
    base.entries = rows.iter().map(|(name, text)| (key(name), entry(text))).collect();
    base.generation = u64::from(!rows.is_empty());
    base
}

fn plan_of(left: Rows<'_>, right: Rows<'_>, was: Rows<'_>, config: &SyncConfig) -> SyncPlan {
    plan(&tree("l", left), &tree("r", right), &base(was), config).unwrap()
}

/// A plan in words, one line each thing.
fn words(plan: &SyncPlan) -> Vec<String> {
    let operations = plan.operations.iter().map(|op| op.action.to_string());
    let held = plan.held.iter().map(ToString::to_string);
    let adopted = plan.adopted.iter().map(|adopted| format!("adopt {}", adopted.key));
    let forgotten = plan.forgotten.iter().map(|key| format!("forget {key}"));
    operations.chain(held).chain(adopted).chain(forgotten).collect()
}

fn lenient(config: SyncConfig) -> SyncConfig {
    config.with_max_delete(MaxDelete::UNLIMITED)
}

#[test]
fn every_combination_of_three_trees() {
    // L and R: new contents; B: that of the base; -: nothing. Two-way, then mirror.
    let to_right = "create right:k from left, 1B";
    let rows: &[(&str, &str, &str, &str, &str)] = &[
        ("-", "-", "B", "forget k", "forget k"),
        ("L", "-", "-", to_right, to_right),
        ("-", "R", "-", "create left:k from right, 1B", "hold k: only the copy"),
        ("B", "-", "B", "delete left:k, 1B", to_right),
        ("-", "B", "B", "delete right:k, 1B", "delete right:k, 1B"),
        ("B", "B", "B", "", ""),
        (
            "L",
            "B",
            "B",
            "replace right:k from left, 1B",
            "replace right:k from left, 1B",
        ),
        (
            "B",
            "R",
            "B",
            "replace left:k from right, 1B",
            "create right:k.conflict-",
        ),
        ("L", "L", "B", "adopt k", "adopt k"),
        ("L", "L", "-", "adopt k", "adopt k"),
        ("L", "R", "B", "create right:k.conflict-", "create right:k.conflict-"),
        ("L", "R", "-", "create right:k.conflict-", "create right:k.conflict-"),
        ("L", "-", "B", to_right, to_right),
        ("-", "R", "B", "create left:k from right, 1B", "hold k: only the copy"),
    ];
    let of = |text: &'static str| -> Vec<(&str, &str)> {
        match text {
            "-" => vec![],
            text => vec![("k", text)],
        }
    };
    for (left, right, was, expected_two_way, expected_mirror) in rows {
        for (config, expected) in [(two_way(), expected_two_way), (mirror(), expected_mirror)] {
            let plan = plan_of(&of(left), &of(right), &of(was), &lenient(config));
            let first = words(&plan).first().cloned().unwrap_or_default();
            let row = format!("{left} {right} {was} {:?}", plan.mode);
            assert!(
                first.starts_with(expected) && first.is_empty() == expected.is_empty(),
                "{row}: {first}"
            );
        }
    }
}

#[test]
fn a_conflict_keeps_both_and_replaces_only_what_was_kept() {
    let plan = plan_of(&[("a.txt", "left")], &[("a.txt", "right")], &[], &two_way());
    let copy = conflict_key(&key("a.txt"), &hash("right")).unwrap();
    let actions: Vec<String> = words(&plan);
    assert_eq!(
        actions,
        [
            format!("create right:{copy} from right:a.txt, 5B"),
            format!("create left:{copy} from right:a.txt, 5B"),
            "replace right:a.txt from left, 4B".to_owned(),
        ]
    );
    let last = plan.operations.last().unwrap();
    assert_eq!(last.after, [plan.operations[0].id, plan.operations[1].id]);
    // The copy on the right itself moves nothing between the stores.
    assert_eq!(plan.bytes_to_move, 5 + 4);
    let conflict = Conflict {
        key: key("a.txt"),
        kind: ConflictKind::BothChanged,
        copy: Some(copy),
    };
    assert_eq!(plan.conflicts, [conflict]);
}

#[test]
fn a_conflict_may_be_held_instead() {
    for config in [mirror(), two_way()] {
        let config = config.with_conflict(ConflictRule::Hold);
        let plan = plan_of(&[("a", "left")], &[("a", "right")], &[("a", "old")], &config);
        assert_eq!(words(&plan), ["hold a: there are two contents of it"]);
    }
}

#[test]
fn a_change_of_the_mirror_itself_is_told_as_that() {
    let plan = plan_of(&[("a", "old")], &[("a", "new")], &[("a", "old")], &mirror());
    assert_eq!(plan.conflicts[0].kind, ConflictKind::CopyChanged);
}

#[test]
fn a_delete_against_a_change_is_told_and_the_change_stays() {
    let plan = plan_of(&[], &[("a", "new")], &[("a", "old")], &two_way());
    assert_eq!(plan.conflicts[0].kind, ConflictKind::LeftDeletedRightChanged);
    assert_eq!(words(&plan), ["create left:a from right, 3B"]);
}

#[test]
fn nothing_is_deleted_without_a_base() {
    let right: Rows<'_> = &[("a", "1"), ("b", "2")];
    assert_eq!(plan_of(&[("a", "1")], right, &[], &two_way()).deletes(Side::Right), 0);
    assert_eq!(plan_of(&[("a", "1")], right, &[], &mirror()).deletes(Side::Right), 0);
    let allowed = mirror().with_delete_without_base();
    assert_eq!(plan_of(&[("a", "1")], right, &[], &allowed).deletes(Side::Right), 1);
    // Only in the first run: later, what is only there may be a conflict copy.
    assert_eq!(
        plan_of(&[("a", "1")], right, &[("a", "1")], &allowed).deletes(Side::Right),
        0
    );
}

#[test]
fn too_many_deletes_refuse_the_whole_plan() {
    let was: Rows<'_> = &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
    let refused = |left: Rows<'_>, config: &SyncConfig| plan(&tree("l", left), &tree("r", was), &base(was), config);
    assert_eq!(plan_of(&was[..2], was, was, &two_way()).deletes(Side::Right), 2);
    let error = refused(&was[..1], &two_way()).unwrap_err();
    assert_eq!(error.class(), Class::Denied);
    insta::assert_snapshot!(error, @"plan 3 deletes of 4 objects on the right: 2 are allowed");
    assert!(refused(&[], &lenient(two_way())).is_ok());
}

#[test]
fn a_base_of_other_stores_is_refused() {
    let was: Rows<'_> = &[("a", "1"), ("b", "2")];
    // The right store was replaced by an empty one: without this, everything on the left would be deleted.
    let error = plan(&tree("l", was), &tree("empty", &[]), &base(was), &lenient(two_way())).unwrap_err();
    assert!(matches!(error, PlanError::Base(_)) && error.class() == Class::Conflict);
    let error = plan(&tree("l", was), &tree("l", was), &base(was), &two_way()).unwrap_err();
    assert!(matches!(error, PlanError::SameStore { .. }));
}

#[test]
fn what_is_skipped_is_no_delete() {
    let was: Rows<'_> = &[("a", "1"), ("dir/x", "2"), ("dir2/y", "3")];
    let skipped = [("a", SkipReason::Symlink), ("dir", SkipReason::Unreadable)];
    let left = tree_of("l", Capabilities::full(), &[("dir2/y", "3")], &skipped);
    for config in [mirror(), two_way()] {
        let plan = plan(&left, &tree("r", was), &base(was), &lenient(config)).unwrap();
        let held: Vec<_> = plan.held.iter().map(|held| held.key.as_str()).collect();
        assert_eq!(
            (held, plan.operations.len(), plan.forgotten.len()),
            (vec!["a", "dir/x"], 0, 0)
        );
    }
}

#[test]
fn a_filter_never_deletes() {
    let was: Rows<'_> = &[("a.tmp", "1"), ("b", "2")];
    let mut filter = Filter::default();
    filter.exclude.push(Pattern::new("**.tmp").unwrap());
    let config = lenient(two_way()).with_filter(filter);
    for (left, right) in [(was, &was[1..]), (&was[1..], was), (&was[1..], &was[1..])] {
        let plan = plan_of(left, right, was, &config);
        assert!(plan.is_settled(), "{plan}");
    }
}

fn folders() -> Capabilities {
    let mut capabilities = Capabilities::full();
    capabilities.folders = true;
    capabilities.segment_bytes_max = Some(10);
    capabilities
}

#[test]
fn what_a_store_cannot_have_is_held() {
    let mut insensitive = folders();
    insensitive.case_sensitive = false;
    let rows: &[(Capabilities, Rows<'_>, Rows<'_>, &[&str])] = &[
        (
            folders(),
            &[("a", "1")],
            &[("a/b", "2")],
            &[
                "hold a: on the right, `a/b` cannot be beside it",
                "hold a/b: on the left, `a` cannot be beside it",
            ],
        ),
        (
            insensitive,
            &[("A", "1"), ("a", "2")],
            &[],
            &[
                "hold A: on the right, `a` differs in case only",
                "hold a: on the right, `A` differs in case only",
            ],
        ),
        (
            folders(),
            &[("elevenbytes", "1")],
            &[],
            &["hold elevenbytes: a part of its name is too long for the right"],
        ),
    ];
    for (capabilities, left, right, expected) in rows {
        let left = tree_of("l", *capabilities, left, &[]);
        let right = tree_of("r", *capabilities, right, &[]);
        let plan = plan(&left, &right, &base(&[]), &two_way()).unwrap();
        assert_eq!(words(&plan), *expected);
    }
    // At stores that can have both, nothing is held; the pair is told all the same.
    let plan = plan_of(&[("A", "1"), ("a", "2"), ("a/b", "3")], &[], &[], &two_way());
    assert_eq!((plan.operations.len(), plan.held.len()), (3, 0));
    assert_eq!(plan.case_pairs, [(key("A"), key("a"))]);
}

#[test]
fn a_file_may_take_the_place_of_a_folder_that_goes() {
    let was: Rows<'_> = &[("a/b", "1")];
    let left = tree_of("l", folders(), &[("a", "2")], &[]);
    let right = tree_of("r", folders(), was, &[]);
    let plan = plan(&left, &right, &base(was), &lenient(mirror())).unwrap();
    assert_eq!(words(&plan), ["delete right:a/b, 1B", "create right:a from left, 1B"]);
}

#[test]
fn a_store_without_conditions_is_not_written() {
    let mut poor = Capabilities::full();
    poor.conditional_put = false;
    let left = tree("l", &[("a", "1")]);
    let error = plan(&left, &tree_of("r", poor, &[], &[]), &base(&[]), &mirror()).unwrap_err();
    assert_eq!(error.class(), Class::Unsupported);
    let equal = tree_of("r", poor, &[("a", "1")], &[]);
    assert!(plan(&left, &equal, &base(&[]), &mirror()).is_ok());
}

#[test]
fn a_plan_is_priced_by_direction() {
    let price = TransferPrice {
        left_per_gb: MicroUsd::from_micros(1_000_000_000),
        right_per_gb: MicroUsd::from_micros(2_000_000_000),
    };
    let config = two_way().with_price(price);
    let priced = plan_of(&[("a", "123")], &[("b", "12345")], &[], &config);
    assert_eq!(priced.price, Some(MicroUsd::from_micros(3 + 2 * 5)));
    let dear = TransferPrice {
        left_per_gb: MicroUsd::MAX,
        ..price
    };
    let mut huge = tree("l", &[("a", "1")]).entries().to_vec();
    huge[0].size = u64::MAX;
    let left = Tree::new(StoreId::new("l"), Capabilities::full(), huge.clone(), Vec::new());
    let error = plan(&left, &tree("r", &[]), &base(&[]), &two_way().with_price(dear)).unwrap_err();
    insta::assert_snapshot!(error, @"plan a synchronisation of more money than can be counted");
    huge.push(TreeEntry {
        key: key("b"),
        ..huge[0].clone()
    });
    let left = Tree::new(StoreId::new("l"), Capabilities::full(), huge, Vec::new());
    let error = plan(&left, &tree("r", &[]), &base(&[]), &two_way()).unwrap_err();
    assert!(matches!(error, PlanError::Overflow { what: "bytes" }) && error.class() == Class::Invalid);
}

#[test]
fn a_plan_is_readable_and_survives_serialisation() {
    let plan = plan_of(
        &[("a", "new"), ("c", "both")],
        &[("a", "old"), ("b", "x"), ("c", "two")],
        &[("a", "old")],
        &two_way(),
    );
    insta::assert_snapshot!(plan, @"
    sync ab6a7835f6fa (2 objects) <-> 5ff907bced48 (3 objects): 5 operations, 11B to move
      #0 create right:c.conflict-dc770fff53f50835 from right:c, 3B
      #1 create left:c.conflict-dc770fff53f50835 from right:c, 3B
      #2 replace right:a from left, 3B
      #3 create left:b from right, 1B
      #4 replace right:c from left, 4B
      conflict c: changed on both sides, both kept, the right one as c.conflict-dc770fff53f50835
    ");
    let json = serde_json::to_string(&plan).unwrap();
    let back: SyncPlan = serde_json::from_str(&json).unwrap();
    assert_eq!((back.id(), &back), (plan.id(), &plan));
}

/// A content of each tree for each of few keys.
fn world() -> impl Strategy<Value = [BTreeMap<String, String>; 3]> {
    let names = ["a", "a/b", "A", "b", "c.txt", "d/e"];
    let content = prop_oneof![3 => Just(None), 5 => (0..3u8).prop_map(Some)];
    let side = prop::collection::vec(content, names.len()).prop_map(move |contents| {
        let rows = names.iter().zip(contents);
        rows.filter_map(|(name, content)| Some(((*name).to_owned(), content?.to_string())))
            .collect()
    });
    [side.clone(), side.clone(), side]
}

fn rows(side: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    side.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Equal arguments give equal bytes; every write and delete has a precondition that the trees satisfy; nothing is
    /// deleted that is not in the base with that very content; no key is changed twice.
    #[test]
    fn plans_are_deterministic_and_guarded([left, right, was] in world(), two in any::<bool>()) {
        let config = lenient(SyncConfig::new(if two { SyncMode::TwoWay } else { SyncMode::Mirror }));
        let (l, r, b) = (tree("l", &rows(&left)), tree("r", &rows(&right)), base(&rows(&was)));
        let made = plan(&l, &r, &b, &config).unwrap();
        let mut backwards = rows(&left);
        backwards.reverse();
        let mut later = b.clone();
        later.saved_at = Timestamp::from_secs(99);
        let again = plan(&tree("l", &backwards), &r, &later, &config).unwrap();
        prop_assert_eq!(serde_json::to_vec(&made).unwrap(), serde_json::to_vec(&again).unwrap());
        let mut targets = std::collections::BTreeSet::new();
        for operation in &made.operations {
            let (side, key) = operation.action.target();
            let there = match side { Side::Left => l.get(key), Side::Right => r.get(key) };
            let (Action::Copy { precondition, .. } | Action::Delete { precondition, .. }) = &operation.action;
            prop_assert!(*precondition != skyloom_sync::Condition::Any);
            prop_assert!(precondition.holds(there.map(|entry| &entry.etag)));
            prop_assert!(targets.insert((side, key.clone())));
            if let Action::Delete { hash, .. } = &operation.action {
                prop_assert_eq!(b.entries.get(key).map(|entry| entry.hash), Some(*hash));
            }
            if !two {
                prop_assert_eq!(side, Side::Right);
            }
        }
    }

    /// A tree's digest tells its content and nothing else.
    #[test]
    fn tree_digests_tell_the_content([one, two, _] in world()) {
        let (a, b) = (tree("l", &rows(&one)).digest(), tree("r", &rows(&two)).digest());
        prop_assert_eq!(a == b, one == two);
        prop_assert_ne!(a, ContentHash::of(b"anything"));
    }
}
