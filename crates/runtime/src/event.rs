//! What the control plane tells while it works. The library draws nothing; an embedder shows these as it likes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{ReplicaId, ResourceId, StepId};
use skyloom_orchestrator::{FailoverAction, Place};

/// Events that a slow watcher may be behind before it misses some.
pub const EVENTS_BEHIND_MAX: usize = 4096;

/// Something that happened. A watcher gets them in order and may miss some when it is slow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// A plan begins (or goes on after a crash).
    PlanBegun {
        /// Its steps.
        steps: u64,
        /// Those that were done before.
        done: u64,
    },
    /// A step's call goes out.
    StepBegun {
        /// Which.
        step: StepId,
        /// What it does, for people.
        action: String,
    },
    /// A step's effect is durably recorded: its call has succeeded, or a look-up has found what it made.
    StepDone {
        /// Which.
        step: StepId,
        /// Steps done by now, those told at the same time included; readiness counts where somebody waits for it.
        done: u64,
    },
    /// A call failed; the saga decides what follows.
    StepFailed {
        /// Which.
        step: StepId,
        /// What was said.
        detail: String,
    },
    /// A replica became healthy and entered the endpoints.
    Healthy {
        /// Which.
        replica: ReplicaId,
    },
    /// A replica was found dead or unhealthy and left the endpoints.
    Lost {
        /// Which.
        replica: ReplicaId,
        /// What the provider called it.
        resource: ResourceId,
        /// What was found.
        detail: String,
    },
    /// A lost replica was replaced and the new one is healthy.
    Healed {
        /// Which.
        replica: ReplicaId,
        /// What the provider called the lost one.
        killed: ResourceId,
        /// What it calls the new one.
        replaced: ResourceId,
        /// From detection to healthy.
        took: Duration,
    },
    /// A lost replica is not replaced any more: it was replaced too often in vain.
    GivenUp {
        /// Which.
        replica: ReplicaId,
        /// How often it was replaced.
        replacements: u32,
    },
    /// A look at the replicas failed; the next one comes all the same.
    SupervisionFailed {
        /// What was said.
        detail: String,
    },
    /// A plan failed, and the way back to the generation before begins.
    Reverting {
        /// Why the plan failed, for people.
        cause: String,
    },
    /// An alert led to a recovery.
    Reacted {
        /// The recovery's name.
        recovery: String,
        /// The alert's name.
        alert: String,
        /// Proposed, done, or what was said.
        outcome: String,
    },
    /// How a place stands has changed, or something is to be done about it.
    Place {
        /// What the decision says.
        decision: FailoverAction,
    },
    /// What was in a lost place was brought up elsewhere.
    FailedOver {
        /// Which place.
        place: Place,
        /// Replicas that were brought up.
        replicas: u64,
        /// From the declaration to healthy.
        took: Duration,
    },
    /// What came back with its place was brought together with its replacements.
    FailedBack {
        /// Which place.
        place: Place,
        /// Recovered replicas that stay.
        kept: u64,
        /// Replicas that left.
        removed: u64,
    },
    /// A plan ended.
    PlanEnded {
        /// How, for people.
        outcome: String,
    },
}
