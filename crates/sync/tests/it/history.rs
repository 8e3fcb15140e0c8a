//! Random histories on both sides: no byte is lost, both sides become equal, and then there is nothing to do.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use skyloom_sync::{InMemory, Key, MaxDelete, SyncConfig, SyncMode, conflict_key};

use crate::support::{World, hash, key, texts};

/// An edit by a user of one side.
#[derive(Debug, Clone)]
enum Edit {
    Write { left: bool, name: usize, content: u8 },
    Delete { left: bool, name: usize },
    Rename { left: bool, from: usize, to: usize },
}

const NAMES: [&str; 5] = ["a", "b.txt", "c/d", "c/e", "f"];

fn edit() -> impl Strategy<Value = Edit> {
    let name = 0..NAMES.len();
    prop_oneof![
        5 => (any::<bool>(), name.clone(), 0..4u8).prop_map(|(left, name, content)| Edit::Write { left, name, content }),
        3 => (any::<bool>(), name.clone()).prop_map(|(left, name)| Edit::Delete { left, name }),
        1 => (any::<bool>(), name.clone(), name).prop_map(|(left, from, to)| Edit::Rename { left, from, to }),
    ]
}

fn apply(world: &World, edit: &Edit) {
    let side = |left: bool| if left { &world.left } else { &world.right };
    match edit {
        Edit::Write { left, name, content } => side(*left).insert(key(NAMES[*name]), content.to_string().into_bytes()),
        Edit::Delete { left, name } => drop(side(*left).remove(&key(NAMES[*name]))),
        Edit::Rename { left, from, to } => {
            let store: &InMemory = side(*left);
            if let Some(bytes) = store.contents().remove(&key(NAMES[*from])) {
                store.remove(&key(NAMES[*from]));
                store.insert(key(NAMES[*to]), bytes);
            }
        }
    }
}

type Texts = BTreeMap<String, String>;

/// Every place where a content of a key may be found after a conflict.
fn places(name: &str, text: &str) -> BTreeSet<String> {
    let copy: Option<Key> = conflict_key(&key(name), &hash(text));
    [Some(name.to_owned()), copy.map(String::from)]
        .into_iter()
        .flatten()
        .collect()
}

/// Whether a content that a side had is still to be found, or was superseded by an edit of the same content's successor.
fn is_kept(name: &str, text: &str, was: &Texts, after: &[&Texts]) -> bool {
    let superseded = was.get(name).is_some_and(|old| old == text);
    let found = |side: &&Texts| {
        places(name, text)
            .iter()
            .any(|place| side.get(place).is_some_and(|t| t == text))
    };
    superseded || after.iter().any(found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Rounds of edits on both sides, each followed by a run. Two-way: both sides become equal, no content that was not
    /// superseded is lost, a second run plans nothing, and the dry run says what is done.
    #[test]
    fn two_way_converges_and_loses_nothing(rounds in prop::collection::vec(prop::collection::vec(edit(), 0..8), 1..6)) {
        let config = SyncConfig::new(SyncMode::TwoWay).with_max_delete(MaxDelete::UNLIMITED);
        let world = World::new();
        let mut was = Texts::new();
        for edits in &rounds {
            edits.iter().for_each(|edit| apply(&world, edit));
            let (left, right) = world.contents();
            let plan = world.prepare(&config).unwrap();
            let report = world.sync(&config).unwrap();
            prop_assert!(report.is_complete(), "{:?}", report);
            prop_assert_eq!(report.copied + report.deleted, plan.operations.len() as u64);
            prop_assert_eq!(report.bytes_moved, plan.bytes_to_move);
            let after = world.contents();
            prop_assert_eq!(&after.0, &after.1);
            for (name, text) in left.iter().chain(&right) {
                prop_assert!(is_kept(name, text, &was, &[&after.0]), "{} {} of {:?}", name, text, (&left, &right, &was));
            }
            prop_assert!(world.prepare(&config).unwrap().is_settled());
            was = after.0;
        }
    }

    /// The mirror has all of the original, untouched; what changed on the mirror on its own is kept there.
    #[test]
    fn mirror_follows_and_loses_nothing(rounds in prop::collection::vec(prop::collection::vec(edit(), 0..8), 1..6)) {
        let config = SyncConfig::new(SyncMode::Mirror).with_max_delete(MaxDelete::UNLIMITED);
        let world = World::new();
        let mut was = Texts::new();
        for edits in &rounds {
            edits.iter().for_each(|edit| apply(&world, edit));
            let (left, right) = world.contents();
            let report = world.sync(&config).unwrap();
            prop_assert!(report.is_complete(), "{:?}", report);
            let after = world.contents();
            prop_assert_eq!(&after.0, &left);
            for (name, text) in &left {
                prop_assert_eq!(after.1.get(name), Some(text));
            }
            for (name, text) in &right {
                prop_assert!(is_kept(name, text, &was, &[&after.1]), "{} {} of {:?}", name, text, (&left, &right, &was));
            }
            let again = world.prepare(&config).unwrap();
            prop_assert!(again.is_settled(), "{}", again);
            was = texts(&world.left);
        }
    }

    /// Without a base, on stores that hold anything, nothing is deleted.
    #[test]
    fn a_first_run_deletes_nothing(edits in prop::collection::vec(edit(), 0..20), two in any::<bool>()) {
        let config = SyncConfig::new(if two { SyncMode::TwoWay } else { SyncMode::Mirror });
        let world = World::new();
        edits.iter().for_each(|edit| apply(&world, edit));
        let (left, right) = world.contents();
        let report = world.sync(&config).unwrap();
        prop_assert_eq!(report.deleted, 0);
        let after = world.contents();
        for (name, text) in left.iter().chain(&right) {
            prop_assert!(is_kept(name, text, &Texts::new(), &[&after.0, &after.1]));
        }
    }
}
