//! What follows from an answer of the outside: mostly a record, and when that is durable, `react`.

use std::time::Duration;

use skyloom_core::{Action, Class, ResourceId, RetryDecision, StepId, Until};

use super::durable::{Stage, creates};
use super::machine::Saga;
use super::names;
use super::network::index;
use super::record::Verdict;
use super::step::{Activity, Call, Writing};
use super::{Record, SagaError};

/// Generations of a token that a step may use. A second one is needed when a thing was made, lost to us, and removed by
/// somebody else; a third would be a second such accident.
const ATTEMPTS_MAX: u32 = 3;

impl Saga {
    pub(super) fn created(&mut self, step: StepId, resource: ResourceId) -> Result<(), SagaError> {
        let unexpected = |state| SagaError::Unexpected {
            step,
            event: "created",
            state,
        };
        if !creates(&self.plan.steps[index(step)].action) {
            return Err(unexpected("not a creation"));
        }
        let stage = self.durable.stage(step);
        match (stage, self.activity(step)) {
            (Stage::Intended { .. }, Activity::Writing(Writing::Success)) => {
                self.same(step, self.incoming.get(&step), &resource)
            }
            // The call is repeated with the same token or looked up: the thing will be met again.
            (Stage::Intended { .. }, Activity::Writing(Writing::Again)) => Ok(()),
            (Stage::Intended { .. }, Activity::Writing(Writing::Intent | Writing::End))
            | (Stage::GivenUp { .. } | Stage::Withdrawn, _) => Err(SagaError::TooLate { step, resource }),
            (Stage::Intended { .. }, _) => {
                self.observe(step, resource);
                Ok(())
            }
            (Stage::Waiting | Stage::Gone | Stage::Watching(_) | Stage::Passed, _) => Err(unexpected(stage.name())),
            (Stage::Observed { .. } | Stage::Undoing { .. } | Stage::Undone { .. } | Stage::NotUndone { .. }, _) => {
                self.same(step, stage.resource(), &resource)
            }
        }
    }

    pub(super) fn found(&mut self, step: StepId, resource: Option<ResourceId>) {
        let Activity::Calling {
            call: Call::LookUp { settled },
            ..
        } = self.activity(step)
        else {
            return;
        };
        self.probes[index(step)] = 0;
        let wait = self.config.consistency_window.max(self.backoff(step));
        match resource {
            Some(resource) => self.observe(step, resource),
            None if settled || wait.is_zero() => self.absent(step),
            None => self.sleep(step, Call::LookUp { settled: true }, wait),
        }
    }

    pub(super) fn gone(&mut self, step: StepId) -> Result<(), SagaError> {
        let stage = self.durable.stage(step);
        match (stage, self.activity(step)) {
            (Stage::Gone | Stage::Undone { .. }, _) | (_, Activity::Writing(_)) => Ok(()),
            (_, Activity::Calling { call, .. } | Activity::Queued(call) | Activity::Sleeping { call, .. })
                if matches!(call, Call::Delete | Call::Undo) =>
            {
                self.finish_deletion(step, call);
                Ok(())
            }
            _ => Err(SagaError::Unexpected {
                step,
                event: "gone",
                state: stage.name(),
            }),
        }
    }

    pub(super) fn ready(&mut self, step: StepId, until: Until) -> Result<(), SagaError> {
        let stage = self.durable.stage(step);
        match self.activity(step) {
            Activity::Awaiting { until: wanted, .. } if until >= wanted => {
                self.write(Record::Ready { step, until });
                self.set(step, Activity::Writing(Writing::Success));
                Ok(())
            }
            _ if stage.resource().is_some() => Ok(()),
            _ => Err(SagaError::Unexpected {
                step,
                event: "ready",
                state: stage.name(),
            }),
        }
    }

    pub(super) fn call_failed(&mut self, step: StepId, class: Class, detail: String) {
        match self.activity(step) {
            Activity::Calling { call: Call::Create, .. } => self.create_failed(step, class, detail),
            Activity::Calling {
                call: Call::LookUp { settled },
                ..
            } => self.look_up_failed(step, settled, class, detail),
            Activity::Calling { call, .. } if class == Class::NotFound => self.finish_deletion(step, call),
            Activity::Awaiting { .. } if self.is_gate(step) => self.blind(step, class, &detail),
            Activity::Calling { .. } | Activity::Awaiting { .. } => {
                let again = !self.awaiting_in_vain(step) && self.may_repeat(step, class);
                let verdict = if again { Verdict::Again } else { Verdict::GivenUp };
                self.fail(step, class, detail, verdict);
            }
            Activity::Idle | Activity::Queued(_) | Activity::Writing(_) | Activity::Sleeping { .. } => {}
        }
    }

    /// A time has come that a step waited for.
    pub(super) fn expire(&mut self, step: StepId) {
        match self.activity(step) {
            Activity::Sleeping { call: Call::Await, .. } => self.await_next(step),
            Activity::Sleeping { call, .. } => self.queue_call(step, call),
            Activity::Calling { .. } => {
                let detail = format!("no answer within {:?}", self.config.call_within);
                self.call_failed(step, Class::Transient, detail);
            }
            Activity::Awaiting { .. } if self.is_gate(step) => {
                let detail = format!("no look was answered within {:?}", self.config.call_within);
                self.blind(step, Class::Transient, &detail);
            }
            Activity::Awaiting { until, .. } => {
                let detail = format!("not {} within {:?}", until_text(until), self.ready_within(step, until));
                self.fail(step, Class::Transient, detail, Verdict::GivenUp);
            }
            Activity::Idle | Activity::Queued(_) | Activity::Writing(_) => {}
        }
    }

    /// Nothing is there and, past the consistency window, nothing will be: create (again) or give up.
    fn absent(&mut self, step: StepId) {
        let Stage::Intended { failures, last, .. } = self.durable.stage(step).clone() else {
            return;
        };
        if self.stopping() {
            return self.withdraw(step);
        }
        match last {
            Some((class, detail)) if class != Class::Conflict && !self.retries(step, failures, class) => {
                self.write(Record::Failed {
                    step,
                    class,
                    detail,
                    attempt: failures,
                    verdict: Verdict::GivenUp,
                });
                self.set(step, Activity::Writing(Writing::End));
            }
            _ => {
                self.reused[index(step)] = true;
                self.begin(step, Call::Create);
            }
        }
    }

    fn create_failed(&mut self, step: StepId, class: Class, detail: String) {
        let Stage::Intended { attempt, .. } = *self.durable.stage(step) else {
            return;
        };
        let spent = class == Class::Conflict && self.reused[index(step)] && attempt < ATTEMPTS_MAX;
        if leaves_doubt(class) {
            self.fail(step, class, detail, Verdict::Again);
        } else if self.stopping() && (class.is_retryable() || spent) {
            self.withdraw(step);
        } else if spent || self.may_repeat(step, class) {
            self.fail(step, class, detail, Verdict::Again);
        } else {
            self.fail(step, class, detail, Verdict::GivenUp);
        }
    }

    fn look_up_failed(&mut self, step: StepId, settled: bool, class: Class, detail: String) {
        self.probes[index(step)] += 1;
        let probes = self.probes[index(step)];
        match self.config.retry.decide(probes, class, jitter(step, probes)) {
            RetryDecision::After(wait) => self.sleep(step, Call::LookUp { settled }, wait),
            RetryDecision::GiveUp => self.fail(step, class, detail, Verdict::InDoubt),
        }
    }

    fn finish_deletion(&mut self, step: StepId, call: Call) {
        self.write(if call == Call::Undo {
            Record::Compensated { step }
        } else {
            Record::Gone { step }
        });
        self.set(step, Activity::Writing(Writing::Success));
    }

    fn observe(&mut self, step: StepId, resource: ResourceId) {
        let Stage::Intended { .. } = self.durable.stage(step) else {
            return;
        };
        self.incoming.insert(step, resource.clone());
        let operation = names::operation_id(&self.id, step);
        self.write(Record::Observed {
            step,
            operation,
            resource,
        });
        self.set(step, Activity::Writing(Writing::Success));
    }

    pub(super) fn fail(&mut self, step: StepId, class: Class, detail: String, verdict: Verdict) {
        let attempt = self.durable.stage(step).failures().saturating_add(1);
        self.write(Record::Failed {
            step,
            class,
            detail,
            attempt,
            verdict,
        });
        let again = verdict == Verdict::Again;
        self.set(
            step,
            Activity::Writing(if again { Writing::Again } else { Writing::End }),
        );
    }

    pub(super) fn withdraw(&mut self, step: StepId) {
        self.write(Record::Withdrawn { step });
        self.set(step, Activity::Writing(Writing::End));
    }

    pub(super) fn sleep(&mut self, step: StepId, call: Call, wait: Duration) {
        let until = self.now.saturating_add(wait);
        self.set(step, Activity::Sleeping { call, until });
    }

    /// How long to wait after the failures so far; nothing when there were none.
    pub(super) fn backoff(&self, step: StepId) -> Duration {
        let failures = self.durable.stage(step).failures();
        if failures == 0 {
            return Duration::ZERO;
        }
        // The number of attempts was looked at before; here only the time counts.
        let last = self.config.retry.attempts_max().saturating_sub(1).max(1);
        let class = match self.durable.stage(step) {
            Stage::Intended {
                last: Some((class, _)), ..
            } if class.is_retryable() => *class,
            _ => Class::Transient,
        };
        match self
            .config
            .retry
            .decide(failures.min(last), class, jitter(step, failures))
        {
            RetryDecision::After(wait) => wait,
            RetryDecision::GiveUp => Duration::ZERO,
        }
    }

    fn same(&self, step: StepId, known: Option<&ResourceId>, other: &ResourceId) -> Result<(), SagaError> {
        match known {
            Some(known) if known != other => Err(SagaError::SecondResource {
                step,
                known: known.clone(),
                other: other.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn may_repeat(&self, step: StepId, class: Class) -> bool {
        let failures = self.durable.stage(step).failures().saturating_add(1);
        self.retries(step, failures, class)
    }

    fn retries(&self, step: StepId, failures: u32, class: Class) -> bool {
        let decision = self.config.retry.decide(failures, class, jitter(step, failures));
        decision != RetryDecision::GiveUp
    }

    /// Whether a wait failed that nobody needs any more.
    fn awaiting_in_vain(&self, step: StepId) -> bool {
        self.stopping() && matches!(self.activity(step), Activity::Awaiting { .. })
    }

    pub(super) fn ready_within(&self, step: StepId, until: Until) -> Duration {
        let health = match &self.plan.steps[index(step)].action {
            Action::CreateReplica { spec } => spec.health.as_ref(),
            Action::AwaitReplica { health, .. } => health.as_ref(),
            _ => None,
        };
        match (until, self.plan.steps[index(step)].within) {
            (Until::Completed, _) => self.config.complete_within,
            (Until::Healthy, Some(within)) => within,
            (Until::Done | Until::Healthy, _) => health.map_or(self.config.ready_within, |h| {
                h.start_within.max(self.config.ready_within)
            }),
        }
    }
}

/// Whether a creation that failed so may still have had its effect.
pub(super) const fn leaves_doubt(class: Class) -> bool {
    matches!(class, Class::Transient | Class::Bug)
}

/// Thousandths by which a wait is shortened, spread over steps so that those that failed together do not return
/// together; a function of step and failure, so that a replay waits as long.
pub(super) const fn jitter(step: StepId, failures: u32) -> u32 {
    // Two primes stir neighbouring numbers apart; half of the wait stays.
    step.0.wrapping_mul(7919).wrapping_add(failures.wrapping_mul(104_729)) % 500
}

const fn until_text(until: Until) -> &'static str {
    match until {
        Until::Done => "done",
        Until::Healthy => "healthy",
        Until::Completed => "completed",
    }
}
