//! The log: published vectors, proofs, and every way of tampering.

use proptest::prelude::*;
use skyloom_core::{Class, ServiceName, Timestamp};
use skyloom_security::access::{Action, Effect};
use skyloom_security::audit::{
    AUDIT_RECORD_VERSION, AuditLog, AuditRecord, AuditVerifyError, Checkpoint, CheckpointError, Hash, LogKey,
    MerkleFrontier, Outcome, consistency_proof, inclusion_proof, leaf_hash, root_of, verify, verify_consistency,
    verify_inclusion,
};

fn hex(hash: &Hash) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// The eight leaves of the reference vectors that Certificate Transparency implementations share
/// (`merkletree_test` of certificate-transparency and `testonly` of transparency-dev/merkle).
fn reference_leaves() -> Vec<Hash> {
    let leaves: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[
            0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f,
        ],
    ];
    leaves.iter().map(|bytes| leaf_hash(bytes)).collect()
}

#[test]
fn roots_equal_the_published_ones() {
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves = reference_leaves();
    for (size, expected) in roots.iter().enumerate() {
        assert_eq!(hex(&root_of(&leaves[..size])), *expected, "size {size}");
    }
}

#[test]
fn the_growing_edge_has_the_root_of_all_leaves_at_every_size() {
    let leaves: Vec<Hash> = (0u16..260).map(|i| leaf_hash(&i.to_be_bytes())).collect();
    let mut frontier = MerkleFrontier::default();
    assert_eq!(frontier.root(), root_of(&[]));
    for (size, leaf) in (1..).zip(&leaves) {
        frontier.push(*leaf);
        assert_eq!(frontier.size(), size as u64);
        assert_eq!(frontier.root(), root_of(&leaves[..size]), "size {size}");
    }
}

fn key() -> LogKey {
    LogKey::from_seed("skyloom/shop", &[7; 32]).unwrap()
}

fn record(subject: &str) -> AuditRecord {
    AuditRecord {
        sequence: 0,
        at: Timestamp::from_secs(1),
        principal: "mira".to_owned(),
        action: Action::Apply,
        deployment: ServiceName::new("shop").unwrap(),
        effect: Effect::Allow,
        reason: "allowed by `operator#0`".to_owned(),
        outcome: Outcome::Begun,
        subject: subject.to_owned(),
    }
}

/// Lines of a log and its signed checkpoint.
fn log_of(count: usize) -> (Vec<String>, String) {
    let mut log = AuditLog::default();
    let mut lines = Vec::new();
    for i in 0..count {
        let line = log.next_line(record(&format!("plan {i}")));
        log.appended(&line);
        lines.push(line);
    }
    (lines, log.checkpoint(&key()))
}

fn check(lines: &[String], note: &str, seen: Option<&Checkpoint>) -> Result<u64, AuditVerifyError> {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    verify(&lines, note, &key().verifying_key(), seen).map(|v| v.records)
}

#[test]
fn a_good_log_verifies_and_goes_on() {
    let (lines, note) = log_of(5);
    assert_eq!(check(&lines, &note, None), Ok(5));
    let mut log = AuditLog::from_lines(lines.iter().map(String::as_str));
    let line = log.next_line(record("more"));
    log.appended(&line);
    let seen = key().verifying_key().open(&note).unwrap();
    let longer: Vec<String> = lines.into_iter().chain([line]).collect();
    assert_eq!(check(&longer, &log.checkpoint(&key()), Some(&seen)), Ok(6));
    assert_eq!(
        check(&longer, &note, None),
        Ok(5),
        "a record after the checkpoint is counted apart"
    );
}

#[test]
fn every_line_names_its_version_and_a_later_one_is_refused() {
    let line = record("x").to_line();
    let this = format!("{{\"version\":{AUDIT_RECORD_VERSION},");
    assert!(line.starts_with(&this), "{line}");
    assert_eq!(AuditRecord::from_line(&line), Some(record("x")));
    let later = format!("{{\"version\":{},", AUDIT_RECORD_VERSION + 1);
    for other in [later.as_str(), "{\"version\":\"1\",", "{"] {
        let line = line.replacen(&this, other, 1);
        assert_eq!(AuditRecord::from_line(&line), None, "{line}");
        let mut log = AuditLog::default();
        log.appended(&line);
        let refused = check(&[line], &log.checkpoint(&key()), None);
        assert_eq!(refused, Err(AuditVerifyError::BadRecord { line: 0 }));
    }
}

#[test]
fn a_log_goes_on_only_from_what_was_signed() {
    let (lines, note) = log_of(4);
    let (_, older) = log_of(3);
    let (_, oldest) = log_of(2);
    let (_, later) = log_of(5);
    let mut forged = lines.clone();
    forged[1] = forged[1].replace("mira", "eve");
    let mut gap = lines.clone();
    gap[3] = gap[3].replace("\"sequence\":3", "\"sequence\":4");
    let other = LogKey::from_seed("skyloom/shop", &[8; 32]).unwrap();
    let other_note = AuditLog::from_lines(lines.iter().map(String::as_str)).checkpoint(&other);
    type Row<'a> = (&'a [String], Option<&'a str>, Result<u64, &'a str>);
    let rows: Vec<Row<'_>> = vec![
        (&[], None, Ok(0)),
        (&lines[..1], None, Ok(1)),
        (&lines[..2], None, Err("Unsigned { records: 2 }")),
        (&lines, Some(&note), Ok(4)),
        (&lines, Some(&older), Ok(4)),
        (&lines, Some(&oldest), Err("Unsigned { records: 2 }")),
        (&lines, Some(&later), Err("Truncated { signed: 5, found: 4 }")),
        (&lines, Some(&other_note), Err("Checkpoint(BadSignature")),
        (&lines, Some(""), Err("Checkpoint(Malformed")),
        (&forged, Some(&note), Err("Altered { size: 4 }")),
        (&gap, Some(&older), Err("BadRecord { line: 3 }")),
        (&lines[1..2], None, Err("BadRecord { line: 0 }")),
    ];
    for (lines, note, expected) in rows {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let resumed = AuditLog::resume(&lines, note, &key().verifying_key()).map(|log| log.len());
        match (resumed, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(expected)) => assert!(format!("{found:?}").starts_with(expected), "{found:?}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn the_note_has_the_published_form() {
    let (_, note) = log_of(1);
    let lines: Vec<&str> = note.lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), ("skyloom/shop", "1", ""));
    assert!(lines[4].starts_with("\u{2014} skyloom/shop "));
    assert!(key().verifying_key().to_note_key().starts_with("skyloom/shop+"));
}

#[test]
fn a_name_that_would_break_the_note_is_refused() {
    for name in [
        "",
        "a b",
        "a\nb",
        "a\n",
        "\ta",
        "a+b",
        "a\u{2028}b",
        "a\u{a0}b",
        "a\u{0}",
    ] {
        let refused = LogKey::from_seed(name, &[7; 32]).unwrap_err();
        assert_eq!((refused.name.as_str(), refused.class()), (name, Class::Invalid));
        assert!(!refused.to_string().contains('\n'), "{refused}");
    }
    for name in ["a", "skyloom/shop", "skyloom-0a1b", "b\u{e4}r"] {
        let key = LogKey::from_seed(name, &[7; 32]).unwrap();
        let note = AuditLog::default().checkpoint(&key);
        assert_eq!(key.verifying_key().open(&note).unwrap().origin, name);
    }
}

#[test]
fn another_key_or_log_is_refused() {
    let (lines, note) = log_of(3);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let other_key = LogKey::from_seed("skyloom/shop", &[8; 32]).unwrap().verifying_key();
    let refused = verify(&lines, &note, &other_key, None).unwrap_err();
    assert!(matches!(
        refused,
        AuditVerifyError::Checkpoint(CheckpointError::BadSignature { .. })
    ));
    let foreign = key().sign(&Checkpoint {
        origin: "skyloom/blog".to_owned(),
        size: 0,
        root: root_of(&[]),
    });
    let refused = key().verifying_key().open(&foreign).unwrap_err();
    assert!(matches!(refused, CheckpointError::WrongOrigin { .. }));
}

#[test]
fn a_rollback_of_log_and_checkpoint_together_is_detected() {
    let (long, note) = log_of(6);
    let seen = key().verifying_key().open(&note).unwrap();
    let (short, old_note) = log_of(4);
    assert_eq!(check(&short, &old_note, None), Ok(4), "by itself the old pair is good");
    assert_eq!(
        check(&short, &old_note, Some(&seen)),
        Err(AuditVerifyError::RolledBack { seen: 6 })
    );
    assert_eq!(check(&long, &note, Some(&seen)), Ok(6));
}

proptest! {
    #[test]
    fn every_tampering_is_detected(count in 1usize..12, at in 0usize..12, bit in 0u32..8, how in 0u8..5) {
        let (mut lines, note) = log_of(count);
        let at = at % count;
        match how {
            0 => { lines.remove(at); }
            1 => { let line = lines[at].clone(); lines.insert(at, line); }
            2 => { lines.truncate(at); }
            3 => { prop_assume!(count > 1); let other = (at + 1) % count; lines.swap(at, other); }
            _ => {
                let mut bytes = lines[at].clone().into_bytes();
                let position = at * 7 % bytes.len();
                bytes[position] ^= 1 << bit;
                lines[at] = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        prop_assert!(check(&lines, &note, None).is_err());
    }

    #[test]
    fn every_change_of_the_checkpoint_is_detected(count in 1usize..6, position in 0usize..400, bit in 0u32..8) {
        let (lines, note) = log_of(count);
        let mut bytes = note.clone().into_bytes();
        let position = position % bytes.len();
        bytes[position] ^= 1 << bit;
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        // The last line end carries no meaning; everything else does.
        prop_assume!(changed.trim_end() != note.trim_end());
        prop_assert!(check(&lines, &changed, None).is_err());
    }

    #[test]
    fn every_leaf_has_a_proof_that_fits_no_other_place(size in 1usize..40, index in 0usize..40, other in 0usize..40) {
        let leaves: Vec<Hash> = (0..size).map(|i| leaf_hash(&[u8::try_from(i).unwrap()])).collect();
        let (index, other, root) = (index % size, other % size, root_of(&leaves));
        let proof = inclusion_proof(&leaves, index).unwrap();
        prop_assert!(verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &root));
        prop_assert_eq!(verify_inclusion(&leaves[other], index as u64, size as u64, &proof, &root), other == index);
        prop_assert!(!verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &leaf_hash(b"x")));
    }

    #[test]
    fn a_prefix_is_consistent_and_a_fork_is_not(size in 1usize..40, old in 0usize..40, forked in 0usize..40) {
        let leaves: Vec<Hash> = (0..size).map(|i| leaf_hash(&[u8::try_from(i).unwrap()])).collect();
        let old = old % (size + 1);
        let (old_root, root) = (root_of(&leaves[..old]), root_of(&leaves));
        let proof = consistency_proof(&leaves, old).unwrap();
        prop_assert!(verify_consistency(old as u64, &old_root, size as u64, &root, &proof));
        prop_assume!(old > 0);
        let mut fork = leaves;
        fork[forked % old] = leaf_hash(b"fork");
        prop_assert!(!verify_consistency(old as u64, &old_root, size as u64, &root_of(&fork), &proof));
    }
}
