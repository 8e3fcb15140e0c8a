//! The disk store among people and programs that do not know it: plain files, links, edits, several processes.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use futures::executor::block_on;
use skyloom_core::{Class, Timestamp};
use skyloom_sync::{
    BaseFile, BytesBody, Condition, Cursor, Durability, Held, HeldReason, InMemory, InMemoryBase, LocalDisk, Metadata,
    ObjectMeta, Page, Side, SkipReason, Skipped, Store, prepare, sync, verify,
};

use crate::support::{fill, hash, key, mirror, read, two_way};

fn open(path: &Path) -> LocalDisk {
    LocalDisk::open(path).unwrap().with_durability(Durability::Buffered)
}

fn list(store: &LocalDisk) -> Page {
    block_on(store.list("", None, 1000)).unwrap()
}

fn names(store: &LocalDisk) -> Vec<String> {
    list(store)
        .objects
        .into_iter()
        .map(|meta| meta.key.to_string())
        .collect()
}

fn put(store: &LocalDisk, name: &str, text: &str) -> ObjectMeta {
    let mut body = BytesBody::new(text.as_bytes());
    block_on(store.put(&key(name), &mut body, &Condition::Any, &Metadata::new())).unwrap()
}

#[test]
fn plain_files_are_objects_and_objects_are_plain_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/plain"), "by hand").unwrap();
    let store = open(folder.path());
    assert_eq!(list(&store).objects[0].hash, Some(hash("by hand")));
    put(&store, "e/f", "by the store");
    assert_eq!(fs::read_to_string(folder.path().join("e/f")).unwrap(), "by the store");
    assert_eq!(names(&store), ["d/plain", "e/f"]);
    block_on(store.delete(&key("e/f"), &Condition::Any)).unwrap();
    assert!(!folder.path().join("e").exists(), "an empty folder stays");
    assert!(folder.path().join("d").exists());
}

#[test]
fn an_edit_of_equal_size_and_time_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let store = open(folder.path());
    fs::write(&path, "one").unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    for text in ["two", "six", "ten", "one"] {
        let listed = list(&store).objects[0].hash;
        fs::write(&path, text).unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(before)
            .unwrap();
        assert_ne!(listed, Some(hash(text)));
        assert_eq!(list(&store).objects[0].hash, Some(hash(text)));
        assert_eq!(block_on(store.head(&key("a"))).unwrap().meta.hash, Some(hash(text)));
        assert_eq!(read(&store, "a").unwrap(), text.as_bytes());
    }
}

#[test]
fn a_condition_holds_against_a_program_that_does_not_know_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let seen = put(&store, "a", "seen").etag;
    fs::write(folder.path().join("a"), "edit").unwrap();
    let condition = Condition::IfMatch(seen);
    let put = block_on(store.put(&key("a"), &mut BytesBody::new(*b"new"), &condition, &Metadata::new()));
    assert_eq!(put.unwrap_err().class(), Class::Conflict);
    assert_eq!(
        block_on(store.delete(&key("a"), &condition)).unwrap_err().class(),
        Class::Conflict
    );
    assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "edit");
}

#[test]
fn what_is_no_object_is_told_and_never_followed() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(outside.path().join("secret"), at("link")).unwrap();
    std::os::unix::fs::symlink(outside.path(), at("linked")).unwrap();
    std::os::unix::fs::symlink("/nowhere", at("dangling")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::create_dir_all(at("d/.skyloom")).unwrap();
    fs::write(at("d/.skyloom/x"), "of another store").unwrap();
    fs::write(at("line\nbreak"), "").unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "").unwrap();
    fs::write(at("good"), "1").unwrap();
    let store = open(folder.path());
    let page = list(&store);
    assert_eq!(names(&store), ["good"]);
    let skipped: Vec<_> = page.skipped.iter().map(|s| (s.path.as_str(), s.reason)).collect();
    let expected = [
        ("bad\u{fffd}", SkipReason::NotUtf8),
        ("d", SkipReason::OtherStore),
        ("dangling", SkipReason::Symlink),
        ("line\nbreak", SkipReason::InvalidKey),
        ("link", SkipReason::Symlink),
        ("linked", SkipReason::Symlink),
        ("socket", SkipReason::Special),
    ];
    assert_eq!(skipped, expected);
    drop(socket);
    for name in ["link", "linked/secret", "dangling", "socket", "linked/new"] {
        assert!(block_on(store.head(&key(name))).is_err(), "{name}");
        assert!(block_on(store.get(&key(name), None)).is_err(), "{name}");
        let put = block_on(store.put(
            &key(name),
            &mut BytesBody::new(*b"x"),
            &Condition::Any,
            &Metadata::new(),
        ));
        assert_eq!(put.unwrap_err().class(), Class::Conflict, "{name}");
        assert!(block_on(store.delete(&key(name), &Condition::Any)).is_err(), "{name}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
}

#[test]
fn pages_end_at_skipped_things_too() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..10 {
        std::os::unix::fs::symlink("x", folder.path().join(format!("l{n}"))).unwrap();
        fs::write(folder.path().join(format!("m{n}")), "").unwrap();
    }
    let store = open(folder.path());
    for limit in [1, 3, 100] {
        let (mut objects, mut skipped, mut cursor): (_, _, Option<Cursor>) = (Vec::new(), Vec::new(), None);
        loop {
            let page = block_on(store.list("", cursor.as_ref(), limit)).unwrap();
            assert!(page.objects.len() <= limit && page.skipped.len() <= limit);
            objects.extend(page.objects);
            skipped.extend(page.skipped);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!((objects.len(), skipped.len()), (10, 10), "pages of {limit}");
    }
}

#[test]
fn a_listing_goes_on_right_after_writes_between_its_pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for name in ["a", "c", "e"] {
        put(&store, name, name);
    }
    let first = block_on(store.list("", None, 1)).unwrap();
    put(&store, "b", "b");
    block_on(store.delete(&key("c"), &Condition::Any)).unwrap();
    let rest = block_on(store.list("", first.next.as_ref(), 10)).unwrap();
    let keys: Vec<_> = rest.objects.iter().map(|meta| meta.key.as_str()).collect();
    assert_eq!(keys, ["b", "e"]);
}

#[test]
fn two_open_stores_of_one_folder_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    assert_eq!(one.id(), two.id());
    let tag = put(&one, "a", "1").etag;
    let condition = Condition::IfMatch(tag);
    let update = |store: &LocalDisk, text: &'static str| {
        block_on(store.put(
            &key("a"),
            &mut BytesBody::new(text.as_bytes()),
            &condition,
            &Metadata::new(),
        ))
    };
    update(&two, "2").unwrap();
    assert_eq!(update(&one, "3").unwrap_err().class(), Class::Conflict);
    assert_eq!(read(&one, "a").unwrap(), b"2");
}

#[test]
fn a_store_keeps_its_identity_and_an_emptied_one_gets_another() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let left = InMemory::new("left");
    fill(&left, &[("a", "1"), ("b", "2")]);
    let base = BaseFile::new(folder.path().join("base"));
    block_on(sync(&left, &open(&root), &base, &two_way(), Timestamp::EPOCH)).unwrap();
    assert_eq!(open(&root).id(), open(&root).id());
    fs::remove_dir_all(&root).unwrap();
    // As after an unmounted disk: nothing on the left may go.
    let error = block_on(sync(&left, &open(&root), &base, &two_way(), Timestamp::EPOCH)).unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    assert_eq!(left.contents().len(), 2);
}

#[test]
fn a_database_folder_is_mirrored_and_only_the_change_moves() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("primary/tables")).unwrap();
    for n in 0..20 {
        fs::write(at(&format!("primary/tables/{n}.db")), vec![n; 1000]).unwrap();
    }
    fs::write(at("primary/empty"), "").unwrap();
    let (left, right) = (open(&at("primary")), open(&at("copy")));
    let base = BaseFile::new(at("base.json"));
    let first = block_on(sync(&left, &right, &base, &mirror(), Timestamp::EPOCH)).unwrap();
    assert!(first.is_complete());
    assert_eq!((first.objects, first.copied, first.bytes_moved), (21, 21, 20_000));
    assert!(block_on(verify(&left, &right, &mirror())).unwrap().is_equal());
    fs::write(at("primary/tables/7.db"), vec![99; 1000]).unwrap();
    // A damage that leaves size and name alone is seen by content only.
    let second = block_on(sync(&left, &right, &base, &mirror(), Timestamp::EPOCH)).unwrap();
    assert_eq!((second.objects, second.copied, second.bytes_moved), (21, 1, 1000));
    assert_eq!(fs::read(at("copy/tables/7.db")).unwrap(), vec![99; 1000]);
    assert!(block_on(prepare(&left, &right, &base, &mirror())).unwrap().is_settled());
    let report = block_on(verify(&left, &right, &mirror())).unwrap();
    assert_eq!((report.is_equal(), report.objects, report.bytes), (true, 21, 20_000));
}

#[test]
fn a_link_in_place_of_a_file_is_held_and_nothing_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "1").unwrap();
    fs::write(folder.path().join("b"), "2").unwrap();
    let (left, right) = (open(folder.path()), InMemory::new("right"));
    let base = InMemoryBase::new();
    block_on(sync(&left, &right, &base, &mirror(), Timestamp::EPOCH)).unwrap();
    fs::remove_file(folder.path().join("a")).unwrap();
    std::os::unix::fs::symlink("b", folder.path().join("a")).unwrap();
    let report = block_on(sync(&left, &right, &base, &mirror(), Timestamp::EPOCH)).unwrap();
    let reason = HeldReason::Skipped {
        side: Side::Left,
        reason: SkipReason::Symlink,
    };
    assert_eq!(report.held, [Held { key: key("a"), reason }]);
    let skipped = Skipped {
        path: "a".to_owned(),
        reason: SkipReason::Symlink,
    };
    assert_eq!(report.skipped, [(Side::Left, skipped)]);
    assert_eq!(right.contents().len(), 2);
}

#[test]
fn a_store_inside_another_is_not_copied_into_itself() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "1").unwrap();
    let (left, right) = (open(folder.path()), open(&folder.path().join("backup/copy")));
    let base = InMemoryBase::new();
    for _ in 0..3 {
        block_on(sync(&left, &right, &base, &mirror(), Timestamp::EPOCH)).unwrap();
        assert_eq!(names(&right), ["a"]);
    }
}

#[test]
fn writers_and_deleters_of_one_folder_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..40 {
                    let name = format!("deep/folder/{writer}");
                    put(store, &name, &round.to_string());
                    assert_eq!(read(store, &name).unwrap(), round.to_string().as_bytes());
                    block_on(store.delete(&key(&name), &Condition::Any)).unwrap();
                }
            });
        }
    });
    assert!(names(&store).is_empty() && !folder.path().join("deep").exists());
}

#[test]
fn permissions_stay_when_content_is_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.sh");
    fs::write(&path, "1").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    put(&open(folder.path()), "run.sh", "2");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
}
