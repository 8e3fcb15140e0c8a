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

/// Opens a journal of these records that has a bit flipped in byte `at`: damage costs the last record at most, and only
/// where it is in that record.
fn check_flipped(path: &Path, good: &[u8], records: &[String], at: usize, bit: u32) {
    let mut bytes = good.to_vec();
    bytes[at] ^= 1 << bit;
    fs::write(path, &bytes).unwrap();
    let last = good[..good.len() - 1]
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |end| end + 1);
    match FileJournal::open::<String>(path) {
        Ok(opened) => {
            assert!(records.starts_with(&opened.records), "byte {at}: {:?}", opened.records);
            let lost = records.len() - opened.records.len();
            assert!(lost <= usize::from(at >= last), "byte {at}, bit {bit}: {lost} lost");
        }
        Err(error) => {
            let is_typed = matches!(
                error,
                StoreError::Damaged { .. } | StoreError::Format { .. } | StoreError::Version { .. }
            );
            assert!(is_typed, "byte {at}, bit {bit}: {error}");
            assert_eq!(fs::read(path).unwrap(), bytes, "a refused journal is left as it is");
        }
    }
}

#[test]
fn no_flipped_bit_anywhere_costs_a_later_record() {
    // `J` and `*` are one bit from a line end; the last looks like the beginning of a record.
    let records = ["J*J", "", "*", "0000000a \"x\""].map(str::to_owned);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let good = journal_of(&path, &records);
    for (at, bit) in (0..good.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        check_flipped(&path, &good, &records, at, bit);
    }
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
        let good = journal_of(&path, &records);
        check_flipped(&path, &good, &records, at % good.len(), bit);
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
    let named = matches!(
        error,
        StoreError::Version {
            found: 2,
            understood: 1,
            ..
        }
    );
    assert!(named, "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "skyloom-journal 2\nwhatever\n");
}

/// A disk with room for so many more bytes, which writes what fits before it fails, and may fail to cut.
#[derive(Debug)]
struct FullDisk {
    file: fs::File,
    room: usize,
    /// Cuts that it can still do.
    cuts: usize,
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
        self.cuts = self.cuts.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        self.file.cut(len)
    }
}

#[test]
fn a_full_disk_is_reported_and_leaves_only_whole_batches() {
    for (room, can_cut) in (0..112).flat_map(|room| [(room, true), (room, false)]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let cuts = if can_cut { usize::MAX } else { 0 };
        let opened = FileJournal::open_on::<String>(&path, |file| Box::new(FullDisk { file, room, cuts }));
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
fn an_epoch_never_falls_when_its_write_is_cut() {
    for last in [1u64, 9, 19, 99, 109, 999_999, 1 << 40] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        fs::write(&path, format!("{last}\n")).unwrap();
        assert_eq!(
            Lease::take(&path).unwrap().epoch(),
            last + 1,
            "a number without zeros is read"
        );
        let before = format!("{last:020}\n").into_bytes();
        let after = fs::read(&path).unwrap();
        assert_eq!(after.len(), before.len(), "always the same width");
        for cut in 0..=after.len() {
            fs::write(&path, [&after[..cut], &before[cut..]].concat()).unwrap();
            assert!(Lease::take(&path).unwrap().epoch() > last, "{last} cut at {cut}");
        }
    }
}

#[test]
fn a_state_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    State::default().save(&path).unwrap();
    assert_eq!(State::load(&path).unwrap(), State::default());
    fs::write(&path, "{\"version\": 99}").unwrap();
    let named = |error: &StoreError| {
        matches!(
            error,
            StoreError::Version {
                found: 99,
                understood: 1,
                ..
            }
        )
    };
    assert!(State::load(&path).is_err_and(|error| named(&error)));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"version\": 99}");
    fs::write(&path, "{\"version\": 1").unwrap();
    assert!(matches!(State::load(&path), Err(StoreError::Format { .. })));
}

fn audit_key() -> LogKey {
    LogKey::from_seed("skyloom/shop", &[3; 32]).unwrap()
}

fn audit_record(subject: &str) -> AuditRecord {
    AuditRecord {
        sequence: 0,
        at: Timestamp::EPOCH,
        principal: "mira".to_owned(),
        action: Action::Apply,
        deployment: ServiceName::new("shop").unwrap(),
        effect: Effect::Allow,
        reason: "test".to_owned(),
        outcome: Outcome::Begun,
        subject: subject.to_owned(),
    }
}

/// Records that the checkpoint covers and records that it does not.
fn verified(audit: &AuditFile) -> (u64, u64) {
    let (lines, note) = audit.read_back().unwrap();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let verified = verify(&lines, &note, &audit_key().verifying_key(), None).unwrap();
    (verified.records, verified.unsigned)
}

#[test]
fn the_audit_file_survives_a_torn_line_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = AuditFile::open(folder.path(), audit_key()).unwrap();
    audit.append(audit_record("one")).unwrap();
    drop(audit);
    let path = folder.path().join("audit.log");
    let mut torn = fs::read(&path).unwrap();
    torn.extend_from_slice(b"{\"version\":1,\"sequence\":1,\"at");
    fs::write(&path, torn).unwrap();
    let mut audit = AuditFile::open(folder.path(), audit_key()).unwrap();
    audit.append(audit_record("two")).unwrap();
    assert_eq!(verified(&audit), (2, 0));
}

#[test]
fn an_audit_trail_that_was_changed_while_nobody_looked_is_not_signed() {
    /// What is done to the lines and the checkpoint.
    type Change = fn(&mut Vec<String>, &mut Option<String>);
    let rows: [(&str, Change, bool); 13] = [
        ("nothing", |_, _| {}, true),
        ("a word", |lines, _| lines[1] = lines[1].replace("mira", "eve"), false),
        ("a line end", |lines, _| lines[1].push('\r'), false),
        ("first removed", |lines, _| drop(lines.remove(0)), false),
        ("last removed", |lines, _| drop(lines.pop()), false),
        ("all removed", |lines, _| lines.clear(), false),
        ("swapped", |lines, _| lines.swap(0, 1), false),
        ("no record", |lines, _| lines.push("x".to_owned()), false),
        ("no checkpoint", |_, note| *note = None, false),
        ("empty checkpoint", |_, note| *note = Some(String::new()), false),
        (
            "signature",
            |_, note| {
                *note = note
                    .take()
                    .map(|note| note.replacen("skyloom/shop ", "skyloom/blog ", 1))
            },
            false,
        ),
        (
            "a crash before the checkpoint",
            |lines, _| {
                lines.push(
                    AuditRecord {
                        sequence: 3,
                        ..audit_record("d")
                    }
                    .to_line(),
                )
            },
            true,
        ),
        (
            "two behind the checkpoint",
            |lines, _| {
                lines.extend((3..5).map(|sequence| {
                    AuditRecord {
                        sequence,
                        ..audit_record("d")
                    }
                    .to_line()
                }))
            },
            false,
        ),
    ];
    for (what, change, good) in rows {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = AuditFile::open(folder.path(), audit_key()).unwrap();
        for subject in ["a", "b", "c"] {
            audit.append(audit_record(subject)).unwrap();
        }
        let (mut lines, note) = audit.read_back().unwrap();
        drop(audit);
        let mut note = Some(note);
        change(&mut lines, &mut note);
        let (path, note_path) = (folder.path().join("audit.log"), folder.path().join("audit.checkpoint"));
        let bytes: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&path, &bytes).unwrap();
        match note {
            Some(note) => fs::write(&note_path, note).unwrap(),
            None => fs::remove_file(&note_path).unwrap(),
        }
        match AuditFile::open(folder.path(), audit_key()) {
            Ok(mut audit) => {
                assert!(good, "{what}");
                audit.append(audit_record("after")).unwrap();
                assert_eq!(verified(&audit), (lines.len() as u64 + 1, 0), "{what}");
            }
            Err(error) => {
                assert!(
                    !good && matches!(error, StoreError::AuditAltered { .. }),
                    "{what}: {error}"
                );
                assert_eq!(error.class(), Class::Denied, "{what}");
                assert_eq!(fs::read_to_string(&path).unwrap(), bytes, "{what}: left as it is");
            }
        }
    }
}

#[test]
fn an_audit_trail_of_another_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = AuditFile::open(folder.path(), audit_key()).unwrap();
    audit.append(audit_record("one")).unwrap();
    drop(audit);
    for other in [
        LogKey::from_seed("skyloom/shop", &[4; 32]),
        LogKey::from_seed("skyloom/blog", &[3; 32]),
    ] {
        let refused = AuditFile::open(folder.path(), other.unwrap()).unwrap_err();
        assert!(matches!(refused, StoreError::AuditAltered { .. }), "{refused}");
    }
}

#[test]
fn a_record_whose_checkpoint_failed_is_signed_by_the_next_append() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = AuditFile::open(folder.path(), audit_key()).unwrap();
    let note = folder.path().join("audit.checkpoint");
    // A folder in the place of the checkpoint: it cannot be replaced by a file.
    fs::create_dir(&note).unwrap();
    for _ in 0..3 {
        assert!(matches!(audit.append(audit_record("one")), Err(StoreError::Io { .. })));
        let lines = fs::read_to_string(folder.path().join("audit.log")).unwrap();
        assert_eq!(lines.lines().count(), 1, "never more than one is unsigned");
    }
    fs::remove_dir(&note).unwrap();
    audit.append(audit_record("two")).unwrap();
    assert_eq!(verified(&audit), (2, 0));
}

#[test]
fn a_full_disk_never_tears_the_audit_trail() {
    let line = AuditRecord {
        sequence: 1,
        ..audit_record("two")
    }
    .to_line()
    .len()
        + 1;
    for (room, can_cut) in (0..line)
        .step_by(13)
        .chain([line - 1])
        .flat_map(|room| [(room, true), (room, false)])
    {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = AuditFile::open(folder.path(), audit_key()).unwrap();
        audit.append(audit_record("one")).unwrap();
        drop(audit);
        let mut audit = AuditFile::open_on(folder.path(), audit_key(), |file| {
            // The first cut is the one of opening.
            Box::new(FullDisk {
                file,
                room,
                cuts: if can_cut { usize::MAX } else { 1 },
            })
        })
        .unwrap();
        assert_eq!(audit.append(audit_record("two")).unwrap_err().class(), Class::Exhausted);
        let again = audit.append(audit_record("two")).unwrap_err();
        assert_eq!(matches!(again, StoreError::Poisoned { .. }), !can_cut, "{again}");
        drop(audit);
        let mut audit = AuditFile::open(folder.path(), audit_key()).unwrap();
        audit.append(audit_record("three")).unwrap();
        assert_eq!(verified(&audit), (2, 0), "room for {room} bytes");
    }
}

/// A disk that says it could not make things durable.
#[derive(Debug)]
struct NoSync(fs::File);

impl Medium for NoSync {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Medium::write_all(&mut self.0, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Err(io::Error::other("no"))
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.0.cut(len)
    }
}

#[test]
fn an_audit_trail_whose_sync_failed_goes_on_only_after_it_was_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = AuditFile::open_on(folder.path(), audit_key(), |file| Box::new(NoSync(file))).unwrap();
    assert!(matches!(audit.append(audit_record("one")), Err(StoreError::Io { .. })));
    assert!(matches!(
        audit.append(audit_record("two")),
        Err(StoreError::Poisoned { .. })
    ));
    drop(audit);
    let mut audit = AuditFile::open(folder.path(), audit_key()).unwrap();
    audit.append(audit_record("three")).unwrap();
    assert_eq!(
        verified(&audit),
        (2, 0),
        "the record was there after all, and is signed now"
    );
}
