//! The merge base in a file: durable, checked, compared before it is replaced.

use futures::executor::block_on;
use skyloom_core::{Class, Timestamp};
use skyloom_sync::{Base, BaseEntry, BaseError, BaseFile, BaseStore, Etag, StoreId, SyncError, sync};

use crate::support::{World, hash, key, mirror};

fn base() -> Base {
    let mut base = Base::new(StoreId::new("l"), StoreId::new("r"));
    let entry = BaseEntry {
        hash: hash("x"),
        size: 1,
        left: Etag::new("1"),
        right: Etag::new("2"),
    };
    base.entries.insert(key("a/ü"), entry);
    base.generation = 1;
    base
}

#[test]
fn a_base_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = BaseFile::new(folder.path().join("base.json"));
    assert_eq!(block_on(file.load()).unwrap(), None);
    block_on(file.save(&base())).unwrap();
    assert_eq!(block_on(file.load()).unwrap(), Some(base()));
}

#[test]
fn a_base_that_another_run_saved_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = BaseFile::new(folder.path().join("base.json"));
    block_on(file.save(&base())).unwrap();
    let error = block_on(file.save(&base())).unwrap_err();
    assert!(
        matches!(
            error,
            BaseError::Outrun {
                expected: 0,
                found: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.class(), Class::Conflict);
}

#[test]
fn a_damaged_base_is_an_error_and_never_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base.json");
    let file = BaseFile::new(&path);
    block_on(file.save(&base())).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(
            matches!(block_on(file.load()), Err(BaseError::Corrupt { .. })),
            "cut at {at}"
        );
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let loaded = block_on(file.load());
        assert!(
            matches!(loaded, Err(BaseError::Corrupt { .. })),
            "byte {at}: {loaded:?}"
        );
    }
    let world = World::with(&[("a", "1")], &[]);
    let run = block_on(sync(&world.left, &world.right, &file, &mirror(), Timestamp::EPOCH));
    assert!(matches!(run, Err(SyncError::Base(_))));
    assert!(world.contents().1.is_empty());
}

/// A base as version 1 was first written: later versions of this crate must read it, and write no other as version 1.
#[test]
fn the_first_persisted_form_is_kept() {
    let first = concat!(
        r#"{"version":1,"generation":1,"#,
        r#""checksum":"5e1be68fe60de21c59da55b83883b3a94074d9f51949792fc6c4ceede4a2c178"}"#,
        "\n",
        r#"{"version":1,"left":"l","right":"r","generation":1,"saved_at":0,"plan":null,"entries":{"a/ü":"#,
        r#"{"hash":"3ae7d805f6789a6402acb70ad4096a85a56bf6804eaf25c0493ac697548d30b5","size":1,"left":"1","right":"2"}}}"#,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base.json");
    block_on(BaseFile::new(&path).save(&base())).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    assert_eq!(block_on(BaseFile::new(&path).load()).unwrap(), Some(base()));
    // A version from the future is refused, not guessed at.
    std::fs::write(&path, first.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
    assert!(matches!(
        block_on(BaseFile::new(&path).load()),
        Err(BaseError::Corrupt { .. })
    ));
}
