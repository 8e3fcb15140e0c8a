//! From single answers to a state: so many good ones in a row make a replica healthy, so many bad ones unhealthy.
//!
//! The numbers come from the manifest; this counts.

use skyloom_core::{HealthCheck, ReplicaState};

use crate::probe::ProbeResult;

/// Counts answers of one replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthTracker {
    good_in_row: u32,
    bad_in_row: u32,
    healthy: bool,
    was_healthy: bool,
    last_problem: Option<String>,
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

    #[test]
    fn thresholds_count_answers_in_a_row() {
        let check = HealthCheck {
            probe: HealthProbe::Exec {
                command: vec!["true".to_owned()],
            },
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_after: NonZeroU32::new(2).unwrap(),
            unhealthy_after: NonZeroU32::new(3).unwrap(),
            start_within: Duration::from_secs(9),
        };
        let mut tracker = HealthTracker::default();
        let mut states = String::new();
        for answer in "+-++--+---+-++".chars() {
            let result = if answer == '+' {
                ProbeResult::Good
            } else {
                ProbeResult::Bad("no".to_owned())
            };
            tracker.record(result, &check);
            states.push(match tracker.state() {
                ReplicaState::Started => 's',
                ReplicaState::Healthy => 'h',
                _ => 'u',
            });
        }
        assert_eq!(states, "ssshhhhhhuuuuh");
    }
}
