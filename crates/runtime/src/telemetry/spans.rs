//! Spans of a plan that is carried out: `apply`, in it a `step` from its first call to its last durable record, in it a
//! `call` each. Nothing is made or kept where nobody listens.

use std::collections::BTreeMap;

use skyloom_core::{Plan, StepId};
use skyloom_orchestrator::{Record, Verdict};
use tracing::{Span, info_span};

use super::emit::kind_word;

/// The span of a whole plan.
pub(crate) fn apply_span(plan: &Plan, epoch: u64) -> Span {
    info_span!("apply", plan = %plan.id().short(), deployment = %plan.deployment, steps = plan.steps.len(), epoch)
}

/// Spans of the steps that are under way.
#[derive(Debug, Default)]
pub(crate) struct StepSpans {
    open: BTreeMap<StepId, Span>,
    /// Steps whose last record so far is no failure that is repeated: over, unless another call begins.
    perhaps_over: Vec<StepId>,
}

impl StepSpans {
    /// The span of a call, in that of its step.
    pub(crate) fn call(&mut self, plan: &Plan, step: StepId, operation: &'static str) -> Span {
        let Some(planned) = plan.step(step) else {
            return Span::none();
        };
        let parent = self.open.entry(step).or_insert_with(|| {
            let (kind, site) = (kind_word(&planned.action), planned.action.site());
            let replica = planned.action.replica().map(tracing::field::display);
            info_span!("step", step = step.0, kind, replica, %site)
        });
        if parent.is_disabled() {
            self.open.remove(&step);
            return Span::none();
        }
        info_span!(parent: &*parent, "call", step = step.0, operation)
    }

    /// A record is durable.
    pub(crate) fn recorded(&mut self, record: &Record) {
        let goes_on = matches!(
            record,
            Record::Intent { .. }
                | Record::CompensationIntent { .. }
                | Record::Failed {
                    verdict: Verdict::Again,
                    ..
                }
        );
        if let Some(step) = record.step().filter(|step| !goes_on && self.open.contains_key(step)) {
            self.perhaps_over.push(step);
        }
    }

    /// Every call that follows from durable records has begun: steps without one are over.
    pub(crate) fn close(&mut self, is_calling: impl Fn(StepId) -> bool) {
        for step in std::mem::take(&mut self.perhaps_over) {
            if !is_calling(step) {
                self.open.remove(&step);
            }
        }
    }
}
