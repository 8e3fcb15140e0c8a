//! When a choice can end at the earliest and must have ended at the latest, whatever the others choose.
//!
//! Each task is looked at with the best its neighbours might do for it alone, so the windows are wider than any plan's:
//! a choice whose window is empty is in no plan that is in time. Choosing does not belong here.

use super::compile::{Compiled, End, NO_DEADLINE};
use super::node::Domains;

/// Windows of the choices left of each task, in milliseconds, in the order of the domains.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    /// Earliest end.
    pub(super) earliest: Vec<Vec<u64>>,
    /// Latest end.
    pub(super) latest: Vec<Vec<u64>>,
}

impl Windows {
    pub(super) fn of(compiled: &Compiled<'_>, domains: &Domains, deadline: u64) -> Self {
        let mut windows = Self {
            earliest: domains.iter().map(|domain| vec![0; domain.len()]).collect(),
            latest: domains.iter().map(|domain| vec![deadline; domain.len()]).collect(),
        };
        for task in 0..domains.len() {
            windows.earliest[task] = windows.earliest_of(compiled, domains, task);
        }
        for task in (0..domains.len()).rev() {
            windows.latest[task] = windows.latest_of(compiled, domains, task, deadline);
        }
        windows
    }

    /// A lower bound of the makespan.
    pub(super) fn makespan(&self, compiled: &Compiled<'_>, domains: &Domains) -> u64 {
        let ends = |task: usize| {
            let by_choice = domains[task].iter().zip(&self.earliest[task]);
            by_choice
                .map(move |(choice, end)| end.saturating_add(output(compiled, task, *choice)))
                .min()
        };
        (0..domains.len())
            .map(|task| ends(task).unwrap_or(NO_DEADLINE))
            .max()
            .unwrap_or(0)
    }

    /// Drops choices with empty windows; gives whether anything was dropped.
    pub(super) fn drop_late(&self, domains: &mut Domains) -> bool {
        let mut dropped = false;
        for (task, domain) in domains.iter_mut().enumerate() {
            let before = domain.len();
            let mut at = 0;
            domain.retain(|_| {
                at += 1;
                self.earliest[task][at - 1] <= self.latest[task][at - 1]
            });
            dropped |= domain.len() < before;
        }
        dropped
    }

    fn earliest_of(&self, compiled: &Compiled<'_>, domains: &Domains, task: usize) -> Vec<u64> {
        let step = &compiled.steps[task];
        let start = |choice: usize| {
            let region = step.choices[choice].region;
            let mut start = 0u64;
            for &flow in compiled.flows_of.row(task) {
                let arrives = match (compiled.flows[flow].from, compiled.flows[flow].to) {
                    (End::Data(from), _) => compiled.millis(flow, from, region),
                    (End::Task(other), End::Task(to)) if to == task => {
                        let ends = domains[other].iter().zip(&self.earliest[other]);
                        let from = |choice: usize| compiled.steps[other].choices[choice].region;
                        ends.map(|(choice, end)| end.saturating_add(compiled.millis(flow, from(*choice), region)))
                            .min()
                            .unwrap_or(NO_DEADLINE)
                    }
                    _ => 0,
                };
                start = start.max(arrives);
            }
            start
        };
        let ends = |choice: &usize| start(*choice).saturating_add(step.choices[*choice].millis);
        domains[task].iter().map(ends).collect()
    }

    fn latest_of(&self, compiled: &Compiled<'_>, domains: &Domains, task: usize, deadline: u64) -> Vec<u64> {
        let step = &compiled.steps[task];
        let latest = |choice: usize| {
            let region = step.choices[choice].region;
            let mut latest = step.latest.min(less(deadline, output(compiled, task, choice)));
            for &flow in compiled.flows_of.row(task) {
                if let (End::Task(from), End::Task(other)) = (compiled.flows[flow].from, compiled.flows[flow].to)
                    && from == task
                {
                    let starts = domains[other].iter().zip(&self.latest[other]).map(|(choice, end)| {
                        let next = &compiled.steps[other].choices[*choice];
                        less(less(*end, next.millis), compiled.millis(flow, region, next.region))
                    });
                    // A task behind that cannot end in time leaves nothing: 0 is earlier than any end but that of a task
                    // that takes no time, whose own successor is then found to be late.
                    latest = latest.min(starts.max().unwrap_or(0));
                }
            }
            latest
        };
        domains[task].iter().map(|choice| latest(*choice)).collect()
    }
}

/// How long the outputs of a task take to their data sets.
fn output(compiled: &Compiled<'_>, task: usize, choice: usize) -> u64 {
    let region = compiled.steps[task].choices[choice].region;
    let of = compiled
        .flows_of
        .row(task)
        .iter()
        .map(|flow| match compiled.flows[*flow].to {
            End::Data(to) => compiled.millis(*flow, region, to),
            End::Task(_) => 0,
        });
    of.max().unwrap_or(0)
}

/// What is left of a deadline; none stays none.
const fn less(deadline: u64, millis: u64) -> u64 {
    if deadline == NO_DEADLINE {
        deadline
    } else {
        deadline.saturating_sub(millis)
    }
}
