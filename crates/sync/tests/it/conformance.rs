//! Both stores pass the suite, they behave alike, and the suite finds what is wrong in stores that are wrong.

use std::collections::BTreeMap;

use futures::executor::block_on;
use proptest::prelude::*;
use skyloom_sync::testkit::{CASES, Mutant, Mutation, check_store};
use skyloom_sync::{
    BytesBody, Cause, Condition, Durability, Etag, InMemory, LocalDisk, Metadata, Store, StoreError, StoreId,
};

use crate::support::{key, read};

#[test]
fn the_memory_store_conforms() {
    assert_eq!(block_on(check_store(&InMemory::new("m"))), []);
}

#[test]
fn the_disk_store_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalDisk::open(folder.path()).unwrap();
    assert_eq!(block_on(check_store(&store)), []);
}

#[test]
fn the_suite_finds_every_mutation() {
    for mutation in Mutation::ALL {
        let findings = block_on(check_store(&Mutant::new(InMemory::new("m"), mutation)));
        assert!(!findings.is_empty(), "{mutation:?} was not found");
    }
}

#[test]
fn the_race_finds_a_store_without_conditions() {
    let store = Mutant::new(InMemory::new("m"), Mutation::IgnoresPutConditions);
    let findings = block_on(check_store(&store));
    let races = ["of_many_creators_one_wins", "of_many_updaters_one_wins"];
    for race in races {
        assert!(CASES.iter().any(|case| case.name == race));
        let finding = findings.iter().find(|finding| finding.case == race).unwrap();
        assert_eq!(finding.reason, "64 of 64 writers won");
    }
}

/// One call, on one of few keys with one of few contents.
#[derive(Debug, Clone)]
enum Call {
    Put(usize, u8, Guard),
    Delete(usize, Guard),
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Guard {
    Any,
    Absent,
    Fresh,
    Stale,
}

const NAMES: [&str; 5] = ["a", "b/c", "b/d/e", "b-", "f"];

fn call() -> impl Strategy<Value = Call> {
    let guard = prop_oneof![
        Just(Guard::Any),
        Just(Guard::Absent),
        Just(Guard::Fresh),
        Just(Guard::Stale)
    ];
    prop_oneof![
        6 => (0..NAMES.len(), 0..3u8, guard.clone()).prop_map(|(k, content, guard)| Call::Put(k, content, guard)),
        3 => (0..NAMES.len(), guard).prop_map(|(k, guard)| Call::Delete(k, guard)),
        1 => Just(Call::Reopen),
    ]
}

/// What a call came to, in words that do not depend on a store's tags.
fn word<T>(result: Result<T, StoreError>) -> &'static str {
    match result.map_err(|error| error.cause) {
        Ok(_) => "done",
        Err(Cause::NotFound) => "not found",
        Err(Cause::Precondition { found: None, .. }) => "nothing there",
        Err(Cause::Precondition { found: Some(_), .. }) => "another version there",
        Err(_) => "other",
    }
}

fn run(store: &dyn Store, call: &Call) -> &'static str {
    let condition = |name: &str, guard: &Guard| match guard {
        Guard::Any => Condition::Any,
        Guard::Absent => Condition::IfAbsent,
        Guard::Stale => Condition::IfMatch(Etag::new("never")),
        Guard::Fresh => match block_on(store.head(&key(name))) {
            Ok(head) => Condition::IfMatch(head.meta.etag),
            Err(_) => Condition::IfMatch(Etag::new("never")),
        },
    };
    match call {
        Call::Put(k, content, guard) => {
            let mut body = BytesBody::new(vec![*content; usize::from(*content) * 3]);
            let metadata = match content {
                0 => Metadata::new(),
                n => Metadata::new().with("content", n.to_string()).unwrap(),
            };
            let name = NAMES[*k];
            word(block_on(store.put(
                &key(name),
                &mut body,
                &condition(name, guard),
                &metadata,
            )))
        }
        Call::Delete(k, guard) => word(block_on(store.delete(&key(NAMES[*k]), &condition(NAMES[*k], guard)))),
        Call::Reopen => "reopened",
    }
}

fn state(store: &dyn Store) -> BTreeMap<String, (Vec<u8>, Metadata)> {
    let page = block_on(store.list("", None, 1000)).unwrap();
    let object = |name: String| {
        let metadata = block_on(store.head(&key(&name))).unwrap().metadata;
        (name.clone(), (read(store, &name).unwrap(), metadata))
    };
    page.objects
        .into_iter()
        .map(|meta| object(meta.key.to_string()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any sequence of calls has the same answers and the same outcome on disk as in memory, also across reopening.
    #[test]
    fn the_disk_store_behaves_as_the_reference(calls in prop::collection::vec(call(), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || LocalDisk::open(folder.path()).unwrap().with_durability(Durability::Buffered);
        let mut disk = open();
        let id: StoreId = disk.id().clone();
        let memory = InMemory::new("m");
        for call in &calls {
            if matches!(call, Call::Reopen) {
                drop(disk);
                disk = open();
                prop_assert_eq!(disk.id(), &id);
            }
            prop_assert_eq!(run(&disk, call), run(&memory, call), "{:?}", call);
        }
        prop_assert_eq!(state(&disk), state(&memory));
    }
}
