//! What is kept on disk is read by every later version: bytes of version 1, written once and kept here, and what is
//! refused of a version to come.

use std::fs;

use skyloom_core::{Digest, Manifest, PLAN_VERSION, Plan};
use skyloom_orchestrator::{MalformedPlan, RECORD_VERSION, Record, ReplayError, Saga, SagaConfig};
use skyloom_provider::sim::SimConfig;
use skyloom_runtime::store::{Aim, FileJournal, Interrupted, JournalEntry, State, StoreError};

use crate::world::{START, World};

const STATE_1: &[u8] = include_bytes!("fixtures/version-1/state.json");
const JOURNAL_1: &[u8] = include_bytes!("fixtures/version-1/journal");
const PLAN_1: &[u8] = include_bytes!("fixtures/version-1/plan.json");

/// The plan's name when it was written.
const PLAN_1_ID: &str = include_str!("fixtures/version-1/plan.id");

#[test]
fn a_state_of_version_1_is_read() {
    let state = State::from_bytes(STATE_1).unwrap();
    assert_eq!((state.version, state.generation, state.aim), (1, 1, Aim::Up));
    let replicas: Vec<String> = state
        .replicas
        .values()
        .map(|known| known.spec.replica.to_string())
        .collect();
    assert_eq!(replicas, ["store/0", "worker/0"]);
    assert_eq!(state.machines.len(), 1);
    let manifest: &Manifest = state.manifest_in_force().unwrap();
    assert_eq!(manifest.services.len(), 2);
    assert!(state.verified.is_empty() && state.left_out.is_empty() && manifest.moved.is_empty());
    assert_eq!(State::from_bytes(&state.to_bytes()).unwrap(), state);
}

#[test]
fn a_plan_of_version_1_is_read_and_keeps_its_name() {
    let plan: Plan = serde_json::from_slice(PLAN_1).unwrap();
    assert_eq!(plan.version, 1);
    assert_eq!(plan.id(), PLAN_1_ID.trim().parse::<Digest>().unwrap());
    assert_eq!(plan.steps.len(), 3);
    assert_eq!(plan.targets, None);
    assert!(Saga::new(plan, SagaConfig::new(), 1).is_ok());
}

#[test]
fn a_journal_of_version_1_is_read_and_its_plan_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, JOURNAL_1).unwrap();
    let opened = FileJournal::open::<JournalEntry>(&path).unwrap();
    assert_eq!((opened.records.len(), opened.torn_bytes), (6, 0));
    let state = State::from_bytes(STATE_1).unwrap();
    let interrupted = Interrupted::from_entries(opened.records, &state).unwrap();
    assert_eq!(interrupted.plan.id(), PLAN_1_ID.trim().parse::<Digest>().unwrap());
    let resumed = Saga::resume(interrupted.plan, SagaConfig::new(), 9, &interrupted.records).unwrap();
    assert_eq!(resumed.resources().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_folder_of_version_1_is_opened() {
    let world = World::new(SimConfig::new(7, START));
    fs::write(world.folder.path().join("state.json"), STATE_1).unwrap();
    fs::write(world.folder.path().join("journal"), JOURNAL_1).unwrap();
    let sky = world.open().unwrap();
    assert_eq!(sky.interrupted().await.as_deref(), PLAN_1_ID.get(..12));
}

/// Opening is refused, and no byte of the folder's files is touched.
fn refused(file: &str, bytes: &[u8]) -> StoreError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    fs::write(&path, bytes).unwrap();
    let refused = if file == "journal" {
        FileJournal::open::<JournalEntry>(&path).map(drop)
    } else {
        State::load(&path).map(drop)
    };
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    refused.unwrap_err()
}

#[test]
fn a_version_to_come_is_refused_by_its_number() {
    let later = String::from_utf8(STATE_1.to_vec()).unwrap();
    let later = later.replacen("\"version\": 1", "\"version\": 2", 1);
    let error = refused("state.json", later.as_bytes());
    let text = error.to_string();
    assert!(text.ends_with("it has version 2, version 1 is understood"), "{text}");
    let later = [b"skyloom-journal 7\n", &JOURNAL_1[b"skyloom-journal 1\n".len()..]].concat();
    let error = refused("journal", &later);
    assert!(
        error.to_string().ends_with("it has version 7, version 1 is understood"),
        "{error}"
    );
}

#[test]
fn a_plan_or_record_to_come_is_refused_by_its_number() {
    let mut plan: Plan = serde_json::from_slice(PLAN_1).unwrap();
    let begun = |version| Record::Begun {
        version,
        plan: plan.id(),
        generation: 1,
        epoch: 1,
    };
    let later = [begun(RECORD_VERSION + 1)];
    let error = Saga::resume(plan.clone(), SagaConfig::new(), 1, &later).unwrap_err();
    assert_eq!(
        error,
        ReplayError::FutureVersion {
            version: RECORD_VERSION + 1
        }
    );
    plan.version = PLAN_VERSION + 1;
    let error = Saga::new(plan, SagaConfig::new(), 1).unwrap_err();
    assert_eq!(
        error,
        MalformedPlan::FutureVersion {
            found: PLAN_VERSION + 1
        }
    );
    assert_eq!(
        error.to_string(),
        "accept the plan: it has version 2, version 1 is understood"
    );
}
