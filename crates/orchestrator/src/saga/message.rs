//! What goes into a saga and what comes out of it.

use skyloom_core::{Class, Millionths, OperationId, ResourceId, StepId, StopSpec, Token, Until};
use thiserror::Error;

use super::Record;

/// What the runtime is to do. Commands come out in an order that must be kept for records; calls may run at the same
/// time. A later command for a step supersedes an earlier one: the earlier call's future may be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make durable, in this order, then answer [`Event::Recorded`]. Several may be made durable at once.
    Record {
        /// Counts the records of this saga object from 1.
        seq: u64,
        /// What to write.
        record: Record,
    },
    /// Do what the step says: create, take over, rename, or copy and verify. Answers: [`Event::Created`], [`Event::CallFailed`].
    Create {
        /// Which step.
        step: StepId,
        /// Name of the operation; the thing carries it.
        operation: OperationId,
        /// Idempotency token.
        token: Token,
        /// For a replica, its machine as the provider calls it.
        machine: Option<ResourceId>,
    },
    /// Look for what an earlier creation may have left, by token, then by owner tag and operation. Answers:
    /// [`Event::Found`], [`Event::CallFailed`].
    Lookup {
        /// Which step.
        step: StepId,
        /// Name of the operation.
        operation: OperationId,
        /// Idempotency token.
        token: Token,
    },
    /// Watch until the thing has reached a condition. Answers: [`Event::Ready`] (a further condition than asked for
    /// will do), [`Event::CallFailed`].
    AwaitReady {
        /// Which step.
        step: StepId,
        /// What the provider calls it.
        resource: ResourceId,
        /// What it must reach.
        until: Until,
    },
    /// Look once at new replicas, and measure what is due. Answers: [`Event::Looked`], [`Event::CallFailed`].
    Look {
        /// Which step: a gate.
        step: StepId,
        /// The steps that created the replicas, and what the provider calls these.
        watched: Vec<(StepId, ResourceId)>,
        /// Positions in the gate's analysis of what is due to be measured.
        due: Vec<u32>,
    },
    /// The answer to the last [`Command::AwaitReady`] or [`Command::Look`] of the step is not wanted any more.
    StopAwaiting {
        /// Which step.
        step: StepId,
    },
    /// Stop gracefully and remove; what a step took over or renamed is not removed but gets its old owner tag and name
    /// back ([`skyloom_core::Compensation::Release`]). Gone already is success. Answers: [`Event::Gone`], [`Event::CallFailed`].
    Delete {
        /// Which step: one that deletes, or one that created and is being undone.
        step: StepId,
        /// Name of the operation.
        operation: OperationId,
        /// What the provider calls it.
        resource: ResourceId,
        /// How it is stopped.
        stop: StopSpec,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// All records up to this one are durable. A repeat is ignored.
    Recorded {
        /// Number of the last durable record.
        seq: u64,
    },
    /// A record could not be made durable: the saga halts, and nothing further is called.
    RecordFailed {
        /// What kind of failure.
        class: Class,
        /// What was said.
        detail: String,
    },
    /// The thing was created. A repeat with the same resource is ignored.
    Created {
        /// Which step.
        step: StepId,
        /// What the provider calls it.
        resource: ResourceId,
    },
    /// A look-up was answered. Ignored when no look-up is under way.
    Found {
        /// Which step.
        step: StepId,
        /// What is there; `None`: nothing.
        resource: Option<ResourceId>,
    },
    /// The thing is deleted. A repeat is ignored.
    Gone {
        /// Which step.
        step: StepId,
    },
    /// The thing has reached a condition. A repeat, or one that nobody waits for any more, is ignored.
    Ready {
        /// Which step.
        step: StepId,
        /// What it has reached.
        until: Until,
    },
    /// A look at new replicas was answered. Ignored when none is under way.
    Looked {
        /// Which step.
        step: StepId,
        /// What is wrong with a replica that was looked at, for people; `None`: all are healthy.
        sick: Option<String>,
        /// What was measured, by position in the gate's analysis; what is absent could not be.
        measured: Vec<(u32, Millionths)>,
    },
    /// A call, look-up or wait failed. Ignored when none is under way: it was given up before.
    CallFailed {
        /// Which step.
        step: StepId,
        /// What kind of failure. [`Class::Transient`] and [`Class::Bug`] leave the effect of a creation in doubt.
        class: Class,
        /// What was said; goes into the journal, so no secrets.
        detail: String,
    },
    /// A controller with a later epoch is at work: the saga halts, and nothing further is called.
    Fenced {
        /// The later epoch.
        seen: u64,
    },
    /// The caller asks to stop. A repeat, or one after the end, is ignored.
    CancelRequested,
    /// Time has passed; due when `poll_deadline` says so, harmless otherwise.
    Tick,
}

/// An event that cannot be: the state is as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SagaError {
    /// The plan has no such step.
    #[error("handle an event of step `{step}`: the plan has no such step")]
    UnknownStep {
        /// What was named.
        step: StepId,
    },
    /// The step cannot have had that event: nothing of the kind was ever asked for.
    #[error("handle `{event}` of step `{step}`, which is {state}")]
    Unexpected {
        /// Which step.
        step: StepId,
        /// The event's name.
        event: &'static str,
        /// How the step is.
        state: &'static str,
    },
    /// A second thing was made for one step; it belongs to nobody and has to be removed.
    #[error("accept `{other}` for step `{step}`, which made `{known}`")]
    SecondResource {
        /// Which step.
        step: StepId,
        /// What is known.
        known: ResourceId,
        /// The other.
        other: ResourceId,
    },
    /// A thing turned up for a step that was given up; it belongs to nobody and has to be removed.
    #[error("accept `{resource}` for step `{step}`, which was given up")]
    TooLate {
        /// Which step.
        step: StepId,
        /// What turned up.
        resource: ResourceId,
    },
    /// A record was acknowledged that was never handed out.
    #[error("accept record {seq} as durable: the last one handed out is {last}")]
    NotHandedOut {
        /// What was acknowledged.
        seq: u64,
        /// The last one handed out.
        last: u64,
    },
}

impl SagaError {
    /// What kind of failure it is: the caller's mistake, or a thing nobody asked for.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::UnknownStep { .. } | Self::Unexpected { .. } | Self::NotHandedOut { .. } => Class::Bug,
            Self::SecondResource { .. } | Self::TooLate { .. } => Class::Conflict,
        }
    }
}
