//! Gates: new replicas are looked at again and again until they have held for their time and every measurement was taken.
//!
//! What was measured, and when the gate was reached, is in the journal: a controller that takes over goes on with the
//! measurements that are left and forgets no bad one. Only looks are lost with a crash; the last one, which lets the gate
//! be passed, is always made anew.

use std::time::Duration;

use skyloom_core::{Action, Class, Gate, Millionths, ResourceId, StepId, Timestamp, Until, judge};

use super::durable::Stage;
use super::machine::Saga;
use super::network::index;
use super::record::Verdict;
use super::step::{Activity, Call, Writing};
use super::{Command, Record};

/// What the journal knows of a gate that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watch {
    opened: Timestamp,
    /// Per analysis: measurements so far, the bad ones of them, and the time of the last (or when it began).
    counts: Vec<Count>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    taken: u32,
    bad: u32,
    last: Timestamp,
}

impl Watch {
    pub(super) fn opened(action: &Action, at: Timestamp) -> Result<Self, &'static str> {
        let Action::Gate { gate } = action else {
            return Err("the step is no gate");
        };
        let count = Count {
            taken: 0,
            bad: 0,
            last: at,
        };
        Ok(Self {
            opened: at,
            counts: vec![count; gate.analysis.len()],
        })
    }

    pub(super) fn measured(&self, analysis: u32, good: bool, at: Timestamp) -> Result<Self, &'static str> {
        let mut next = self.clone();
        let count = next.counts.get_mut(analysis as usize);
        let count = count.ok_or("the gate has no such analysis")?;
        count.taken = count.taken.saturating_add(1);
        count.bad = count.bad.saturating_add(u32::from(!good));
        count.last = count.last.max(at);
        Ok(next)
    }

    /// When each analysis that is not complete is measured next.
    fn due<'a>(&'a self, gate: &'a Gate) -> impl Iterator<Item = (usize, Timestamp)> + 'a {
        let both = self.counts.iter().zip(&gate.analysis).enumerate();
        both.filter(|(_, (count, analysis))| count.taken < analysis.measurements())
            .map(|(i, (count, analysis))| (i, count.last.saturating_add(analysis.interval)))
    }

    /// The first analysis with more bad measurements than it puts up with.
    fn broken(&self, gate: &Gate) -> Option<(usize, Count)> {
        let both = self.counts.iter().zip(&gate.analysis).enumerate();
        both.filter(|(_, (count, analysis))| count.bad > analysis.failures)
            .map(|(i, (count, _))| (i, *count))
            .next()
    }
}

impl Saga {
    pub(super) fn is_gate(&self, step: StepId) -> bool {
        matches!(self.plan.steps[index(step)].action, Action::Gate { .. })
    }

    /// A gate is reached.
    pub(super) fn open(&mut self, step: StepId) {
        self.write(Record::GateOpened { step, at: self.now });
        self.set(step, Activity::Writing(Writing::Intent));
    }

    /// Looks once, and measures what is due.
    pub(super) fn look(&mut self, step: StepId) {
        let Some((gate, watch)) = self.watched(step).filter(|_| !self.stopping()) else {
            return self.set(step, Activity::Idle);
        };
        let due = watch.due(gate).filter(|(_, at)| *at <= self.now);
        let due: Vec<u32> = due.filter_map(|(i, _)| u32::try_from(i).ok()).collect();
        let resource = |made: &StepId| Some((*made, self.durable.stage(*made).resource()?.clone()));
        let watched: Vec<(StepId, ResourceId)> = gate.watched.iter().filter_map(resource).collect();
        self.asked.insert(step, due.clone());
        self.send(Command::Look { step, watched, due });
        let (until, deadline) = (Until::Healthy, self.now.saturating_add(self.config.call_within));
        self.set(step, Activity::Awaiting { until, deadline });
    }

    pub(super) fn looked(&mut self, step: StepId, sick: Option<String>, measured: &[(u32, Millionths)]) {
        if !matches!(self.activity(step), Activity::Awaiting { .. }) {
            return;
        }
        if let Some(detail) = sick {
            return self.fail(step, Class::Invalid, detail, Verdict::GivenUp);
        }
        if !self.measure(step, measured) {
            self.decide(step);
        }
    }

    /// A look that was not answered shows nothing: what was due to be measured counts as bad.
    pub(super) fn blind(&mut self, step: StepId, class: Class, detail: &str) {
        let Some((gate, watch)) = self.watched(step) else {
            return;
        };
        let patience = gate.length().saturating_add(self.config.ready_within);
        if watch.opened.saturating_add(patience) <= self.now {
            let detail = format!("`{}` could not be watched within {patience:?}: {detail}", gate.service);
            return self.fail(step, class, detail, Verdict::GivenUp);
        }
        if !self.measure(step, &[]) {
            self.sleep(step, Call::Await, self.config.look_every);
        }
    }

    /// Writes down what was measured of what was asked for; `false`: nothing was.
    fn measure(&mut self, step: StepId, measured: &[(u32, Millionths)]) -> bool {
        let asked = self.asked.remove(&step).unwrap_or_default();
        let Some((gate, _)) = self.watched(step) else {
            return false;
        };
        let at = self.now;
        let records = asked.into_iter().filter_map(|analysis| {
            let value = measured
                .iter()
                .find(|(known, _)| *known == analysis)
                .map(|(_, value)| *value);
            Some(Record::Measured {
                step,
                analysis,
                value,
                good: judge(gate.analysis.get(analysis as usize)?.limit, value),
                at,
            })
        });
        let records: Vec<Record> = records.collect();
        let any = !records.is_empty();
        if any {
            records.into_iter().for_each(|record| self.write(record));
            self.set(step, Activity::Writing(Writing::Again));
        }
        any
    }

    /// A measurement is durable; the last of several that were taken at a time decides.
    pub(super) fn measured(&mut self, step: StepId) {
        if !self.pending.iter().any(|(_, record)| record.step() == Some(step)) {
            self.decide(step);
        }
    }

    /// Fails, passes, or looks again later.
    fn decide(&mut self, step: StepId) {
        let Some((gate, watch)) = self.watched(step).filter(|_| !self.stopping()) else {
            return self.set(step, Activity::Idle);
        };
        if let Some((i, count)) = watch.broken(gate) {
            let analysis = &gate.analysis[i];
            let detail = format!(
                "`{}` was not {} in {} of {} measurements, {} are put up with",
                analysis.metric, analysis.limit, count.bad, count.taken, analysis.failures
            );
            return self.fail(step, Class::Invalid, detail, Verdict::GivenUp);
        }
        let held = watch.opened.saturating_add(gate.hold);
        let next = watch.due(gate).map(|(_, at)| at);
        let next = next.chain((held > self.now).then_some(held)).min();
        match next {
            None => {
                self.write(Record::Passed { step });
                self.set(step, Activity::Writing(Writing::Success));
            }
            Some(at) => {
                let wait = at.saturating_since(self.now).min(self.config.look_every);
                self.sleep(step, Call::Await, wait.max(LEAST_WAIT));
            }
        }
    }

    fn watched(&self, step: StepId) -> Option<(&Gate, &Watch)> {
        match (&self.plan.steps[index(step)].action, self.durable.stage(step)) {
            (Action::Gate { gate }, Stage::Watching(watch)) => Some((gate, watch)),
            _ => None,
        }
    }
}

/// Time is counted in microseconds: a shorter wait would be none.
const LEAST_WAIT: Duration = Duration::from_micros(1);
