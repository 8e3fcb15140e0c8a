//! The part of a saga's state that survives a crash: a function of the plan and the records, nothing else.

use skyloom_core::{Action, Class, Plan, ResourceId, StepId, Until};

use super::gate::Watch;
use super::network::index;
use super::record::{Outcome, Record, Verdict};
use super::status::{Failure, StopCause};

/// How a step is, as far as the journal knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was done.
    Waiting,
    /// A call may have been made.
    Intended {
        attempt: u32,
        failures: u32,
        last: Option<(Class, String)>,
    },
    /// The thing exists and has reached `level`; `broken`: it will not get further.
    Observed {
        resource: ResourceId,
        level: Until,
        failures: u32,
        broken: bool,
    },
    /// What was to be deleted is gone.
    Gone,
    /// New replicas are watched.
    Watching(Watch),
    /// They have held.
    Passed,
    /// Given up; a creation left nothing behind unless `in_doubt`.
    GivenUp { in_doubt: bool },
    /// The intent came to nothing.
    Withdrawn,
    /// It is being undone.
    Undoing { resource: ResourceId, failures: u32 },
    /// It is undone.
    Undone { resource: ResourceId },
    /// Undoing was given up.
    NotUndone { resource: ResourceId },
}

impl Stage {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "not begun",
            Self::Intended { .. } => "begun",
            Self::Observed { .. } => "there",
            Self::Gone => "gone",
            Self::Watching(_) => "being watched",
            Self::Passed => "passed",
            Self::GivenUp { .. } => "given up",
            Self::Withdrawn => "withdrawn",
            Self::Undoing { .. } => "being undone",
            Self::Undone { .. } => "undone",
            Self::NotUndone { .. } => "not undone",
        }
    }

    /// The thing that the step made or waits for, if it is known.
    pub(super) const fn resource(&self) -> Option<&ResourceId> {
        match self {
            Self::Observed { resource, .. }
            | Self::Undoing { resource, .. }
            | Self::Undone { resource }
            | Self::NotUndone { resource } => Some(resource),
            _ => None,
        }
    }

    pub(super) const fn failures(&self) -> u32 {
        match self {
            Self::Intended { failures, .. } | Self::Observed { failures, .. } | Self::Undoing { failures, .. } => {
                *failures
            }
            _ => 0,
        }
    }
}

/// What the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Durable {
    pub(super) stages: Vec<Stage>,
    /// Why it stopped; the first cause stays.
    pub(super) cause: Option<StopCause>,
    /// Deletions that were given up.
    pub(super) undeleted: Vec<Failure>,
    /// What could not be undone or is in doubt.
    pub(super) stuck: Vec<Failure>,
    pub(super) ended: Option<Outcome>,
    pub(super) epoch: Option<u64>,
}

impl Durable {
    pub(super) fn new(plan: &Plan) -> Self {
        // What a step only waits for is there from the beginning.
        let stage = |action: &Action| match action {
            Action::AwaitReplica { resource, .. } => Stage::Observed {
                resource: resource.clone(),
                level: Until::Done,
                failures: 0,
                broken: false,
            },
            _ => Stage::Waiting,
        };
        Self {
            stages: plan.steps.iter().map(|step| stage(&step.action)).collect(),
            cause: None,
            undeleted: Vec::new(),
            stuck: Vec::new(),
            ended: None,
            epoch: None,
        }
    }

    /// Applies one record. `Err` names why it cannot follow the ones before; the state is unchanged then.
    pub(super) fn apply(&mut self, plan: &Plan, record: &Record) -> Result<(), &'static str> {
        if self.ended.is_some() {
            return Err("the saga had ended");
        }
        match record {
            Record::Begun { epoch, .. } => match self.epoch {
                None => self.epoch = Some(*epoch),
                Some(_) => return Err("the saga had begun"),
            },
            _ if self.epoch.is_none() => return Err("the saga had not begun"),
            Record::Resumed { epoch } => {
                if self.epoch > Some(*epoch) {
                    return Err("its epoch is below an earlier one");
                }
                self.epoch = Some(*epoch);
            }
            Record::CancelRequested => {
                self.cause.get_or_insert(StopCause::Cancelled);
            }
            Record::Ended { outcome } => self.ended = Some(*outcome),
            Record::Failed {
                step,
                class,
                detail,
                attempt,
                verdict,
            } => {
                let failure = Failure {
                    step: *step,
                    class: *class,
                    detail: detail.clone(),
                };
                self.fail(plan, failure, *attempt, *verdict)?;
            }
            _ => self.step_record(plan, record)?,
        }
        Ok(())
    }

    fn step_record(&mut self, plan: &Plan, record: &Record) -> Result<(), &'static str> {
        let step = record.step().ok_or("it names no step")?;
        let action = &plan.step(step).ok_or("the plan has no such step")?.action;
        let deletes = deletes(action);
        let stage = &mut self.stages[index(step)];
        let next = match (record, &*stage) {
            (Record::Intent { attempt, .. }, Stage::Waiting) => Stage::Intended {
                attempt: *attempt,
                failures: 0,
                last: None,
            },
            (Record::Intent { attempt, .. }, Stage::Intended { failures, last, .. }) => Stage::Intended {
                attempt: *attempt,
                failures: *failures,
                last: last.clone(),
            },
            (Record::Observed { resource, .. }, Stage::Intended { .. }) if !deletes => Stage::Observed {
                resource: resource.clone(),
                level: Until::Done,
                failures: 0,
                broken: false,
            },
            (Record::Ready { until, .. }, Stage::Observed { resource, level, .. }) => Stage::Observed {
                resource: resource.clone(),
                level: *level.max(until),
                failures: 0,
                broken: false,
            },
            (Record::Gone { .. }, Stage::Intended { .. }) if deletes => Stage::Gone,
            (Record::GateOpened { at, .. }, Stage::Waiting) => Stage::Watching(Watch::opened(action, *at)?),
            (Record::Measured { analysis, good, at, .. }, Stage::Watching(watch)) => {
                Stage::Watching(watch.measured(*analysis, *good, *at)?)
            }
            (Record::Passed { .. }, Stage::Watching(_)) => Stage::Passed,
            (Record::Withdrawn { .. }, Stage::Intended { .. }) => Stage::Withdrawn,
            (Record::CompensationIntent { resource, .. }, Stage::Observed { .. }) => Stage::Undoing {
                resource: resource.clone(),
                failures: 0,
            },
            (Record::Compensated { .. }, Stage::Undoing { resource, .. }) => Stage::Undone {
                resource: resource.clone(),
            },
            _ => return Err("the step was not in a state for it"),
        };
        *stage = next;
        Ok(())
    }

    fn fail(&mut self, plan: &Plan, failure: Failure, attempt: u32, verdict: Verdict) -> Result<(), &'static str> {
        let step = failure.step;
        let deletes = deletes(&plan.step(step).ok_or("the plan has no such step")?.action);
        let stage = &mut self.stages[index(step)];
        let again = verdict == Verdict::Again;
        match stage {
            Stage::Intended { failures, last, .. } if again => {
                *failures = attempt;
                *last = Some((failure.class, failure.detail));
            }
            Stage::Observed { failures, .. } | Stage::Undoing { failures, .. } if again => *failures = attempt,
            Stage::Intended { .. } if deletes => {
                *stage = Stage::GivenUp { in_doubt: false };
                self.undeleted.push(failure);
            }
            Stage::Intended { .. } => {
                let in_doubt = verdict == Verdict::InDoubt;
                *stage = Stage::GivenUp { in_doubt };
                if in_doubt {
                    self.stuck.push(failure.clone());
                }
                self.cause.get_or_insert(StopCause::Failed(failure));
            }
            Stage::Watching(_) => {
                *stage = Stage::GivenUp { in_doubt: false };
                self.cause.get_or_insert(StopCause::Failed(failure));
            }
            Stage::Observed { broken, failures, .. } => {
                (*broken, *failures) = (true, attempt);
                self.cause.get_or_insert(StopCause::Failed(failure));
            }
            Stage::Undoing { resource, .. } => {
                *stage = Stage::NotUndone {
                    resource: resource.clone(),
                };
                self.stuck.push(failure);
            }
            _ => return Err("the step was not in a state for it"),
        }
        Ok(())
    }

    pub(super) fn stage(&self, step: StepId) -> &Stage {
        &self.stages[index(step)]
    }
}

pub(super) const fn deletes(action: &Action) -> bool {
    matches!(action, Action::DeleteReplica { .. } | Action::DeleteMachine { .. })
}

/// What has an intent, then an effect that is observed: creations, claims on what is there, and copying, whose repeat is
/// harmless as that of a creation with its token is.
pub(super) const fn creates(action: &Action) -> bool {
    matches!(
        action,
        Action::CreateReplica { .. }
            | Action::CreateMachine { .. }
            | Action::RenameReplica { .. }
            | Action::AdoptReplica { .. }
            | Action::AdoptMachine { .. }
            | Action::SyncData { .. }
    )
}
