//! What is emitted when. Words of labels are fixed here, by matches without a catch-all: a new case needs a word.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use skyloom_core::{Action, Class, ObservedReplica, Plan, ReplicaState};
use skyloom_orchestrator::{Record, SagaStatus, Verdict};

use super::names::{
    APPLIES, APPLY_SECONDS, CALL_SECONDS, CALLS, ENDPOINT_CHANGES, ENDPOINT_WRITES, HEALING_SECONDS, HEALINGS,
    JOURNAL_APPENDS, JOURNAL_BATCH, JOURNAL_SECONDS, LEASE_EPOCH, PLAN_SECONDS, PLANS, REPLICAS, REPLICAS_LOST,
    RETRIES, STEPS, SYNC_BYTES, SYNCS,
};
use crate::control::Proposal;
use crate::data::{DataError, SyncOutcome};
use crate::error::Error;
use crate::event::Event;

/// A plan was asked for.
pub(crate) fn planned(result: &Result<Proposal, Error>, took: Duration) {
    let outcome = match result {
        Ok(proposal) if proposal.plan.is_empty() => "nothing_to_do",
        Ok(_) => "made",
        Err(Error::Unsatisfied(_)) => "unsatisfied",
        Err(_) => "failed",
    };
    counter!(PLANS, "outcome" => outcome).increment(1);
    histogram!(PLAN_SECONDS, "outcome" => outcome).record(took);
}

/// A plan has come to its end, or to where it is to be resumed from.
pub(crate) fn applied(is_teardown: bool, ended: &Result<SagaStatus, Error>, took: Duration) {
    let kind = if is_teardown { "destroy" } else { "apply" };
    let outcome = ended.as_ref().map_or("interrupted", outcome_word);
    counter!(APPLIES, "kind" => kind, "outcome" => outcome).increment(1);
    histogram!(APPLY_SECONDS, "kind" => kind, "outcome" => outcome).record(took);
}

/// A record of a plan is durable.
pub(crate) fn recorded(plan: &Plan, record: &Record) {
    let Some(step) = record.step().and_then(|step| plan.step(step)) else {
        return;
    };
    let outcome = match record {
        Record::Observed { .. } | Record::Gone { .. } | Record::Passed { .. } => "done",
        Record::Ready { .. } => "ready",
        Record::Withdrawn { .. } => "withdrawn",
        Record::Compensated { .. } => "undone",
        Record::Failed { verdict, class, .. } => match verdict {
            Verdict::Again => {
                counter!(RETRIES, "what" => "step", "class" => class_word(*class)).increment(1);
                return;
            }
            Verdict::GivenUp => "given_up",
            Verdict::InDoubt => "in_doubt",
        },
        _ => return,
    };
    counter!(STEPS, "kind" => kind_word(&step.action), "outcome" => outcome).increment(1);
}

/// A call of a driver has ended; `None`: well.
pub(super) fn called(driver: &super::driver::Labels, operation: &'static str, failure: Option<Class>, took: Duration) {
    let class = failure.map_or("ok", class_word);
    let (name, cloud) = (driver.name(), driver.cloud());
    counter!(CALLS, "driver" => name.clone(), "cloud" => cloud.clone(), "operation" => operation, "class" => class)
        .increment(1);
    histogram!(CALL_SECONDS, "driver" => name, "cloud" => cloud, "operation" => operation).record(took);
}

/// A call that only reads has failed and is repeated.
pub(crate) fn read_again(class: Class) {
    counter!(RETRIES, "what" => "read", "class" => class_word(class)).increment(1);
}

/// A batch of records was made durable, or could not be.
pub(crate) fn journal_appended(records: usize, is_durable: bool, took: Duration) {
    let outcome = if is_durable { "durable" } else { "failed" };
    counter!(JOURNAL_APPENDS, "outcome" => outcome).increment(1);
    histogram!(JOURNAL_BATCH).record(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
    histogram!(JOURNAL_SECONDS).record(took);
}

/// This controller holds the lease.
pub(crate) fn leading(epoch: u64) {
    // Counts holders: exact far beyond any number of restarts.
    gauge!(LEASE_EPOCH).set(f64::from(u32::try_from(epoch).unwrap_or(u32::MAX)));
}

/// What a look at all replicas has shown.
pub(crate) fn saw(replicas: &[ObservedReplica]) {
    for (state, word) in STATES {
        let count = replicas.iter().filter(|replica| replica.state == *state).count();
        gauge!(REPLICAS, "state" => *word).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
}

/// Watchers are told of something.
pub(crate) fn told(event: &Event) {
    match event {
        Event::Lost { .. } => counter!(REPLICAS_LOST).increment(1),
        Event::Healed { took, .. } => {
            counter!(HEALINGS, "outcome" => "replaced").increment(1);
            histogram!(HEALING_SECONDS).record(*took);
        }
        Event::GivenUp { .. } => counter!(HEALINGS, "outcome" => "given_up").increment(1),
        _ => {}
    }
}

/// A replica entered the endpoints, or left them.
pub(crate) fn endpoints_changed(change: &'static str) {
    counter!(ENDPOINT_CHANGES, "change" => change).increment(1);
}

/// The endpoints' file was replaced.
pub(crate) fn endpoints_written() {
    counter!(ENDPOINT_WRITES).increment(1);
}

/// The copies of a data set were made equal, or not.
pub(crate) fn synced(result: &Result<SyncOutcome, DataError>) {
    let (outcome, done) = match result {
        Ok(done) => ("equal", Some(done)),
        Err(DataError::Unequal { outcome, .. }) => ("unequal", Some(outcome.as_ref())),
        Err(_) => ("failed", None),
    };
    counter!(SYNCS, "outcome" => outcome).increment(1);
    let copies = done.iter().flat_map(|done| &done.copies);
    let moved = copies.fold(0u64, |sum, copy| sum.saturating_add(copy.report.bytes_moved));
    counter!(SYNC_BYTES).increment(moved);
}

const STATES: &[(ReplicaState, &str)] = &[
    (ReplicaState::Pending, "pending"),
    (ReplicaState::Started, "started"),
    (ReplicaState::Healthy, "healthy"),
    (ReplicaState::Unhealthy, "unhealthy"),
    (ReplicaState::Completed, "completed"),
    (ReplicaState::Failed, "failed"),
    (ReplicaState::Lost, "lost"),
];

const fn outcome_word(status: &SagaStatus) -> &'static str {
    match status {
        SagaStatus::Succeeded => "succeeded",
        SagaStatus::Incomplete { .. } => "incomplete",
        SagaStatus::RolledBack { .. } => "rolled_back",
        SagaStatus::Cancelled { .. } => "cancelled",
        SagaStatus::Stuck { .. } => "stuck",
        SagaStatus::Halted { .. } => "halted",
        SagaStatus::Running | SagaStatus::Stopping { .. } | SagaStatus::Compensating { .. } => "interrupted",
    }
}

pub(super) const fn kind_word(action: &Action) -> &'static str {
    match action {
        Action::CreateMachine { .. } => "create_machine",
        Action::CreateReplica { .. } => "create_replica",
        Action::AwaitReplica { .. } => "await_replica",
        Action::DeleteReplica { .. } => "delete_replica",
        Action::DeleteMachine { .. } => "delete_machine",
        Action::RenameReplica { .. } => "rename_replica",
        Action::AdoptReplica { .. } => "adopt_replica",
        Action::AdoptMachine { .. } => "adopt_machine",
        Action::SyncData { .. } => "sync_data",
        Action::Gate { .. } => "gate",
    }
}

const fn class_word(class: Class) -> &'static str {
    match class {
        Class::Transient => "transient",
        Class::Throttled => "throttled",
        Class::Exhausted => "exhausted",
        Class::NotFound => "not_found",
        Class::Conflict => "conflict",
        Class::Denied => "denied",
        Class::Invalid => "invalid",
        Class::Unsupported => "unsupported",
        Class::Bug => "bug",
    }
}
