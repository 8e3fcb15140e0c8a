//! From single answers to a state: so many good ones in a row make a replica healthy, so many bad ones unhealthy.
//!
//! The numbers come from the manifest; this counts. Answers are forgotten with the process that asked for them, so the
//! age of a replica takes part: one that is past its time to start and only gives bad answers is unhealthy, whether or
//! not somebody saw it healthy before.

use skyloom_core::{HealthCheck, ReplicaState, Timestamp};

use crate::probe::ProbeResult;

/// Counts answers of one replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthTracker {
    good_in_row: u32,
    bad_in_row: u32,
    healthy: bool,
    was_healthy: bool,
    last_problem: Option<String>,
    last_probed: Option<Timestamp>,
}

impl HealthTracker {
    /// Takes an answer into account.
    pub fn record(&mut self, result: ProbeResult, check: &HealthCheck) {
        match result {
            ProbeResult::Good => {
                (self.good_in_row, self.bad_in_row) = (self.good_in_row.saturating_add(1), 0);
                if self.good_in_row >= check.healthy_after.get() {
                    (self.healthy, self.was_healthy, self.last_problem) = (true, true, None);
                }
            }
            ProbeResult::Bad(what) => {
                (self.good_in_row, self.bad_in_row) = (0, self.bad_in_row.saturating_add(1));
                self.last_problem = Some(what);
                if self.bad_in_row >= check.unhealthy_after.get() {
                    self.healthy = false;
                }
            }
        }
    }

    /// Whether the next question is due at `now`: the check's interval has passed since the last one, or the clock went
    /// backwards, or there was none yet.
    #[must_use]
    pub fn is_due(&self, now: Timestamp, check: &HealthCheck) -> bool {
        self.last_probed
            .is_none_or(|last| now < last || now.saturating_since(last) >= check.interval)
    }

    /// Takes an answer to a question that was asked at `asked_at` into account; the next is due an interval later.
    pub fn record_at(&mut self, asked_at: Timestamp, result: ProbeResult, check: &HealthCheck) {
        self.last_probed = Some(asked_at);
        self.record(result, check);
    }

    /// Takes into account that a replica without a check runs.
    pub const fn record_running(&mut self) {
        (self.healthy, self.was_healthy) = (true, true);
    }

    /// Whether enough good answers came and not too many bad ones since.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// The state of a running replica with these answers: one that has never been healthy is still starting.
    #[must_use]
    pub const fn state(&self) -> ReplicaState {
        match (self.healthy, self.was_healthy) {
            (true, _) => ReplicaState::Healthy,
            (false, true) => ReplicaState::Unhealthy,
            (false, false) => ReplicaState::Started,
        }
    }

    /// The state at `now` of a running replica that was made at `created_at`: as [`Self::state`], but one that has had
    /// its time to start and gives `unhealthy_after` bad answers in a row is unhealthy even if it has never been healthy.
    #[must_use]
    pub fn state_at(&self, now: Timestamp, created_at: Timestamp, check: &HealthCheck) -> ReplicaState {
        let is_late = now.saturating_since(created_at) > check.start_within;
        match self.state() {
            ReplicaState::Started if is_late && self.bad_in_row >= check.unhealthy_after.get() => {
                ReplicaState::Unhealthy
            }
            state => state,
        }
    }

    /// What the last bad answer was, if none good came since it became healthy.
    #[must_use]
    pub fn last_problem(&self) -> Option<&str> {
        self.last_problem.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use skyloom_core::HealthProbe;

    use super::*;

    fn check() -> HealthCheck {
        HealthCheck {
            probe: HealthProbe::Exec {
                command: vec!["true".to_owned()],
            },
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            healthy_after: NonZeroU32::new(2).unwrap(),
            unhealthy_after: NonZeroU32::new(3).unwrap(),
            start_within: Duration::from_secs(9),
        }
    }

    fn answer(sign: char) -> ProbeResult {
        if sign == '+' {
            ProbeResult::Good
        } else {
            ProbeResult::Bad("no".to_owned())
        }
    }

    #[test]
    fn a_replica_past_its_time_to_start_is_as_its_bad_answers_say() {
        let made = Timestamp::from_secs(100);
        let rows = [
            // Answers, seconds since it was made, state.
            ("", 1000, ReplicaState::Started),
            ("--", 1000, ReplicaState::Started),
            ("---", 9, ReplicaState::Started),
            ("---", 10, ReplicaState::Unhealthy),
            ("---+", 10, ReplicaState::Started),
            ("---++", 10, ReplicaState::Healthy),
            ("++--", 10, ReplicaState::Healthy),
            ("++---", 1, ReplicaState::Unhealthy),
            // Made in the future, by a provider whose clock is ahead: it still has its time.
            ("---", -50, ReplicaState::Started),
        ];
        for (answers, age, state) in rows {
            let mut tracker = HealthTracker::default();
            answers.chars().for_each(|sign| tracker.record(answer(sign), &check()));
            let now = Timestamp::from_secs(100 + age);
            assert_eq!(tracker.state_at(now, made, &check()), state, "{answers} after {age} s");
        }
    }

    #[test]
    fn a_question_is_due_once_per_interval() {
        let rows = [
            // When it was asked last, now, whether to ask.
            (None, 0, true),
            (Some(10), 10, false),
            (Some(10), 11, false),
            (Some(10), 12, true),
            (Some(10), 99, true),
            (Some(10), 9, true),
        ];
        for (last, now, due) in rows {
            let mut tracker = HealthTracker::default();
            if let Some(last) = last {
                tracker.record_at(Timestamp::from_secs(last), ProbeResult::Good, &check());
            }
            assert_eq!(
                tracker.is_due(Timestamp::from_secs(now), &check()),
                due,
                "{last:?} {now}"
            );
        }
    }

    #[test]
    fn thresholds_count_answers_in_a_row() {
        let mut tracker = HealthTracker::default();
        let mut states = String::new();
        for sign in "+-++--+---+-++".chars() {
            tracker.record(answer(sign), &check());
            states.push(match tracker.state() {
                ReplicaState::Started => 's',
                ReplicaState::Healthy => 'h',
                _ => 'u',
            });
        }
        assert_eq!(states, "ssshhhhhhuuuuh");
    }
}
