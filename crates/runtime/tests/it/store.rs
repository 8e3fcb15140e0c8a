//! Files of the control plane: torn, damaged, full, held by somebody else.

use std::fs;
use std::io;
use std::path::Path;

use proptest::prelude::*;
use skyloom_core::{Class, ServiceName, Timestamp};
use skyloom_runtime::store::{AuditFile, FileJournal, Lease, Medium, State, StoreError};
use skyloom_security::access::{Action, Effect};
use skyloom_security::audit::{AuditRecord, LogKey, Outcome, verify};

/// Writes a journal of these records and gives its bytes.
fn journal_of(path: &Path, records: &[String]) -> Vec<u8> {
    let mut opened = FileJournal::open::<String>(path).unwrap();
    for record in records {
        opened.journal.append(std::slice::from_ref(record)).unwrap();
    }
    fs::read(path).unwrap()
}

fn records() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ -~\n\u{e4}]{0,20}", 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_journal_cut_anywhere_gives_a_prefix_and_goes_on(records in records(), cut in 0.0..1.0f64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let bytes = journal_of(&path, &records);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a position in a small file")]
        let cut = (bytes.len() as f64 * cut) as usize;
        fs::write(&path, &bytes[..cut]).unwrap();
        let mut opened = FileJournal::open::<String>(&path).unwrap();
        prop_assert!(records.starts_with(&opened.records));
        opened.journal.append(&["after".to_owned()]).unwrap();
        let again = FileJournal::open::<String>(&path).unwrap();
        prop_assert_eq!(again.torn_bytes, 0);
        prop_assert_eq!(again.records.last().map(String::as_str), Some("after"));
        prop_assert_eq!(&again.records[..again.records.len() - 1], &opened.records[..]);
    }

    #[test]
    fn a_flipped_bit_is_never_taken_for_a_record(records in records(), at in 0usize..10_000, bit in 0u32..8) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut bytes = journal_of(&path, &records);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        match FileJournal::open::<String>(&path) {
            Ok(opened) => prop_assert!(records.starts_with(&opened.records) && opened.records.len() <= records.len()),
            Err(error) => {
                prop_assert!(matches!(error, StoreError::Damaged { .. } | StoreError::Format { .. }), "{}", error);
                prop_assert_eq!(fs::read(&path).unwrap(), bytes, "a refused journal is left as it is");
            }
        }
    }

    #[test]
    fn swapped_records_are_refused(a in "[a-z]{1,9}", b in "[A-Z]{1,9}") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let bytes = journal_of(&path, &[a, b, "c".to_owned(), "d".to_owned()]);
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
        lines.swap(1, 2);
        fs::write(&path, lines.concat()).unwrap();
        let refused = FileJournal::open::<String>(&path).err();
        prop_assert!(matches!(refused, Some(StoreError::Damaged { record: 0, .. })), "{:?}", refused);
    }
}

#[test]
fn a_journal_of_a_later_version_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, "skyloom-journal 2\nwhatever\n").unwrap();
    let error = FileJournal::open::<String>(&path).unwrap_err();
    assert!(matches!(error, StoreError::Format { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "skyloom-journal 2\nwhatever\n");
}

/// A disk with room for so many more bytes, which writes what fits before it fails, and may fail to cut.
#[derive(Debug)]
struct FullDisk {
    file: fs::File,
    room: usize,
    can_cut: bool,
}

impl Medium for FullDisk {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = bytes.len().min(self.room);
        self.room -= fits;
        Medium::write_all(&mut self.file, &bytes[..fits])?;
        if fits < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        if self.can_cut {
            self.file.cut(len)
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
}

#[test]
fn a_full_disk_is_reported_and_leaves_only_whole_batches() {
    for (room, can_cut) in (0..112).flat_map(|room| [(room, true), (room, false)]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let opened = FileJournal::open_on::<String>(&path, |file| Box::new(FullDisk { file, room, can_cut }));
        let mut journal = opened.unwrap().journal;
        let batches: Vec<Vec<String>> = (0..4).map(|i| vec![format!("a{i}"), format!("b{i}")]).collect();
        let results: Vec<Result<(), StoreError>> = batches.iter().map(|batch| journal.append(batch)).collect();
        let good = results.iter().take_while(|result| result.is_ok()).count();
        assert!(good < batches.len(), "the disk is full after {room} bytes");
        assert_eq!(results[good].as_ref().unwrap_err().class(), Class::Exhausted);
        let written: Vec<String> = batches[..good].concat();
        let reopened = FileJournal::open::<String>(&path).unwrap();
        if can_cut {
            assert_eq!((reopened.records, reopened.torn_bytes), (written, 0));
        } else {
            assert!(
                results[good + 1..]
                    .iter()
                    .all(|r| matches!(r, Err(StoreError::Poisoned { .. })))
            );
            assert!(reopened.records.starts_with(&written), "acknowledged records are there");
        }
    }
}

#[test]
fn one_lease_at_a_time_and_epochs_only_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lease");
    let first = Lease::take(&path).unwrap();
    assert!(matches!(Lease::take(&path), Err(StoreError::Held { .. })));
    let epoch = first.epoch();
    drop(first);
    assert_eq!(Lease::take(&path).unwrap().epoch(), epoch + 1);
    fs::write(&path, "not a number").unwrap();
    assert!(matches!(Lease::take(&path), Err(StoreError::Format { .. })));
}

#[test]
fn a_state_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    State::default().save(&path).unwrap();
    assert_eq!(State::load(&path).unwrap(), State::default());
    fs::write(&path, "{\"version\": 99}").unwrap();
    assert!(matches!(State::load(&path), Err(StoreError::Format { .. })));
    fs::write(&path, "{\"version\": 1").unwrap();
    assert!(matches!(State::load(&path), Err(StoreError::Format { .. })));
}

#[test]
fn the_audit_file_survives_a_torn_line_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let key = || LogKey::from_seed("skyloom/shop", &[3; 32]).unwrap();
    let record = |subject: &str| AuditRecord {
        sequence: 0,
        at: Timestamp::EPOCH,
        principal: "mira".to_owned(),
        action: Action::Apply,
        deployment: ServiceName::new("shop").unwrap(),
        effect: Effect::Allow,
        reason: "test".to_owned(),
        outcome: Outcome::Begun,
        subject: subject.to_owned(),
    };
    AuditFile::open(folder.path(), key())
        .unwrap()
        .append(record("one"))
        .unwrap();
    let path = folder.path().join("audit.log");
    let mut torn = fs::read(&path).unwrap();
    torn.extend_from_slice(b"{\"sequence\":1,\"at");
    fs::write(&path, torn).unwrap();
    let mut audit = AuditFile::open(folder.path(), key()).unwrap();
    audit.append(record("two")).unwrap();
    let (lines, note) = audit.read_back().unwrap();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(verify(&lines, &note, &key().verifying_key(), None).unwrap().records, 2);
}
