//! How far a saga is, kept up to date with each change: whoever watches a plan of many steps asks after every sync, and
//! a count over all steps each time would make the whole quadratic.

use super::durable::Stage;
use super::machine::Saga;
use super::status::Progress;
use super::step::Activity;

/// What a step counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Done,
    Failed,
    Undone,
}

impl Saga {
    /// How far it is.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.tally
    }

    /// Counts all steps anew: where the journal's state was not made record by record under this saga's eyes, or where
    /// one record concerns all steps.
    pub(super) fn tally_all(&mut self) {
        (self.tally.done, self.tally.failed, self.tally.undone) = (0, 0, 0);
        for step in 0..self.plan.steps.len() {
            let standing = self.standing(step);
            if let Some(count) = count_of(&mut self.tally, standing) {
                *count += 1;
            }
        }
    }

    /// Makes a change that concerns one step of the journal's state, and counts it.
    pub(super) fn tallied<T>(&mut self, step: usize, change: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.standing(step);
        let changed = change(self);
        let after = self.standing(step);
        if before != after {
            if let Some(count) = count_of(&mut self.tally, before) {
                *count -= 1;
            }
            if let Some(count) = count_of(&mut self.tally, after) {
                *count += 1;
            }
        }
        changed
    }

    /// Counts that a step does something else now.
    pub(super) fn tally_activity(&mut self, before: Activity, next: Activity) {
        let calling = |activity| u64::from(matches!(activity, Activity::Calling { .. }));
        let waiting = |activity| u64::from(matches!(activity, Activity::Awaiting { .. }));
        self.tally.calling = self.tally.calling + calling(next) - calling(before);
        self.tally.waiting = self.tally.waiting + waiting(next) - waiting(before);
    }

    fn standing(&self, step: usize) -> Standing {
        match &self.durable.stages[step] {
            Stage::Gone | Stage::Passed => Standing::Done,
            Stage::Observed { broken: true, .. } | Stage::GivenUp { .. } | Stage::NotUndone { .. } => Standing::Failed,
            Stage::Observed { level, .. } => {
                let reached = self.network.needs[step].last().is_none_or(|need| need <= level);
                // What a plan only waits for is there before the plan has begun.
                if reached && self.durable.epoch.is_some() {
                    Standing::Done
                } else {
                    Standing::Open
                }
            }
            Stage::Undone { .. } => Standing::Undone,
            Stage::Waiting | Stage::Intended { .. } | Stage::Watching(_) | Stage::Withdrawn | Stage::Undoing { .. } => {
                Standing::Open
            }
        }
    }
}

const fn count_of(tally: &mut Progress, standing: Standing) -> Option<&mut u64> {
    match standing {
        Standing::Open => None,
        Standing::Done => Some(&mut tally.done),
        Standing::Failed => Some(&mut tally.failed),
        Standing::Undone => Some(&mut tally.undone),
    }
}
