//! Files that are not what the driver wrote: typed errors that name them, and no harm to anything else.

use std::fs;
use std::path::PathBuf;

use skyloom_core::{Class, ResourceId};
use skyloom_provider::{Cause, Driver as _, Epoch};
use skyloom_provider_local::{LocalConfig, LocalProcesses, OpenError};

use crate::support::{EPOCH, Fixture, IDLE, STOP, owner};

fn record_of(fixture: &Fixture, id: &ResourceId) -> PathBuf {
    fixture.root().join("things").join(id.as_str()).join("record.json")
}

/// Asserts that the damaged thing is refused by name everywhere, and the other one is as usable as before.
async fn check_damaged(fixture: &Fixture, damaged: &ResourceId, other: &ResourceId, what: &str) {
    let path = record_of(fixture, damaged).display().to_string();
    let get = fixture.driver.get(damaged).await.unwrap_err();
    let list = fixture.driver.list(&owner()).await.unwrap_err();
    for error in [get, list] {
        assert_eq!(error.class(), Class::Bug, "{what}: {error}");
        assert!(error.to_string().contains(&path), "{what}: {error}");
    }
    assert!(fixture.driver.get(other).await.is_ok(), "{what}");
    assert!(fixture.driver.usage(other).await.is_ok(), "{what}");
    assert_eq!(
        fixture.driver.logs(other, 9).await.unwrap(),
        Vec::<String>::new(),
        "{what}"
    );
}

#[tokio::test]
async fn damaged_records_are_named_and_others_stay_usable() {
    let fixture = Fixture::new();
    let damaged = fixture.replica("a", IDLE).await.id;
    let other = fixture.replica("b", IDLE).await.id;
    let path = record_of(&fixture, &damaged);
    let whole = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        bytes
    };
    let in_body = whole.windows(6).position(|w| w == b"sample").unwrap();
    let rows = [
        ("empty", Vec::new()),
        ("torn", whole[..whole.len() / 2].to_vec()),
        ("flipped in the body", flipped(in_body)),
        ("flipped in the digest", flipped(30)),
        ("of another thing", fs::read(record_of(&fixture, &other)).unwrap()),
        ("of a later version", br#"{"version":2,"body":{}}"#.to_vec()),
        ("not text", vec![0xff; 64]),
        ("deep", [b"[".repeat(1 << 20), b"]".repeat(1 << 20)].concat()),
    ];
    for (what, bytes) in rows {
        fs::write(&path, bytes).unwrap();
        check_damaged(&fixture, &damaged, &other, what).await;
    }
    fs::remove_file(&path).unwrap();
    check_damaged(&fixture, &damaged, &other, "missing").await;
    fs::write(&path, &whole).unwrap();
    assert!(fixture.driver.get(&damaged).await.is_ok(), "whole again");
    fixture.close().await;
}

#[tokio::test]
async fn a_damaged_thing_can_still_be_ended_and_removed() {
    let fixture = Fixture::new();
    let damaged = fixture.replica("a", "sleep 1000 & exec sleep 1000").await.id;
    fs::write(record_of(&fixture, &damaged), "{").unwrap();
    let stale = fixture
        .driver
        .delete(&damaged, STOP, Epoch(EPOCH.0 - 1))
        .await
        .unwrap_err();
    assert!(matches!(stale.cause, Cause::StaleEpoch { .. }), "{stale}");
    fixture.driver.delete(&damaged, STOP, EPOCH).await.unwrap();
    assert!(fixture.processes(None).is_empty());
    assert_eq!(
        fixture.try_replica("a", IDLE).await.unwrap_err().cause,
        Cause::TokenReused
    );
    fixture.close().await;
}

#[tokio::test]
async fn a_thing_of_a_later_version_is_left_alone() {
    let fixture = Fixture::new();
    let newer = fixture.replica("a", IDLE).await.id;
    let path = record_of(&fixture, &newer);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, br#"{"version":2}"#).unwrap();
    let error = fixture.driver.delete(&newer, STOP, EPOCH).await.unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(fixture.processes(None).len(), 1, "not ended");
    fs::write(&path, whole).unwrap();
    fixture.close().await;
}

#[tokio::test]
async fn a_damaged_folder_is_not_opened() {
    let fixture = Fixture::new();
    let path = fixture.root().join("root.json");
    let whole = fs::read(&path).unwrap();
    for bytes in [&b""[..], b"{\"version\":1}", b"{\"version\":9}"] {
        fs::write(&path, bytes).unwrap();
        let error = LocalProcesses::open(LocalConfig::new(fixture.root())).unwrap_err();
        assert!(
            matches!(&error, OpenError::Damaged { path: named, .. } if *named == path),
            "{error}"
        );
        assert_eq!(error.class(), Class::Bug);
    }
    fs::write(&path, whole).unwrap();
    fixture.close().await;
}

#[tokio::test]
async fn a_damaged_epoch_file_stops_changes_and_not_looking() {
    let fixture = Fixture::new();
    let replica = fixture.replica("a", IDLE).await;
    let path = fixture.root().join("epochs.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "torn").unwrap();
    let error = fixture.driver.delete(&replica.id, STOP, EPOCH).await.unwrap_err();
    assert!(error.to_string().contains("epochs.json"), "{error}");
    assert_eq!(fixture.driver.get(&replica.id).await.unwrap(), replica);
    fs::write(&path, whole).unwrap();
    fixture.close().await;
}
