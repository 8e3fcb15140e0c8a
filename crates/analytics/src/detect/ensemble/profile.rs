//! What is usual at this time of the day: means of half-hours, learnt once per visit whatever the sampling interval.
//!
//! Learning value by value was not taken: at a sample per second the profile would follow the last few of them. A weekly
//! profile does not belong here either: a series would have to be a month old before it says anything.

use serde::{Deserialize, Serialize};
use skyloom_core::Timestamp;

use crate::bits;

/// Half-hours of a day (of universal time: the offset of a zone only turns the profile).
const SLOTS: usize = 48;
const DAY_US: i64 = 86_400_000_000;
/// Share of a new visit in a slot's mean: about the last nine days count.
const VISIT_SHARE: f64 = 0.2;
/// Share of a value in the overall mean, which stands in for slots not seen yet.
const OVERALL_SHARE: f64 = 0.01;

/// State of the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Profile {
    #[serde(with = "bits::list")]
    means: Vec<f64>,
    visits: Vec<u32>,
    seen: u32,
    #[serde(with = "bits")]
    overall: f64,
    visit: Visit,
}

/// The slot that is being visited.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Visit {
    slot: usize,
    #[serde(with = "bits")]
    mean: f64,
    count: u32,
}

/// How a value compares with its time of the day.
pub(super) struct Daytime {
    /// What was expected.
    pub(super) usual: f64,
    /// The value minus that.
    pub(super) residual: f64,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            means: vec![0.0; SLOTS],
            visits: vec![0; SLOTS],
            seen: 0,
            overall: 0.0,
            visit: Visit::default(),
        }
    }
}

impl Profile {
    /// Compares, then learns.
    pub(super) fn push(&mut self, at: Timestamp, value: f64) -> Daytime {
        let slot = slot(at);
        if self.seen == 0 {
            self.overall = value;
        }
        if slot != self.visit.slot {
            self.leave(slot);
        }
        let usual = if self.visits[slot] > 0 {
            self.means[slot]
        } else {
            self.overall
        };
        let residual = value - usual;
        self.learn(value);
        Daytime { usual, residual }
    }

    fn learn(&mut self, value: f64) {
        self.visit.count = self.visit.count.saturating_add(1);
        self.visit.mean += (value - self.visit.mean) / f64::from(self.visit.count);
        self.seen = self.seen.saturating_add(1);
        self.overall += OVERALL_SHARE.max(1.0 / (f64::from(self.seen) + 1.0)) * (value - self.overall);
    }

    /// Folds the visit that ended into the mean of its slot.
    fn leave(&mut self, next: usize) {
        if self.visit.count > 0 {
            let slot = self.visit.slot;
            self.visits[slot] = self.visits[slot].saturating_add(1);
            let share = VISIT_SHARE.max(1.0 / f64::from(self.visits[slot]));
            self.means[slot] += share * (self.visit.mean - self.means[slot]);
        }
        self.visit = Visit {
            slot: next,
            ..Visit::default()
        };
    }

    pub(super) fn is_sound(&self) -> bool {
        let finite = self.means.iter().chain([&self.overall, &self.visit.mean]);
        [self.means.len(), self.visits.len()] == [SLOTS; 2]
            && self.visit.slot < SLOTS
            && finite.into_iter().all(|v| v.is_finite())
    }

    pub(super) const fn size_bytes() -> usize {
        SLOTS * (size_of::<f64>() + size_of::<u32>())
    }
}

fn slot(at: Timestamp) -> usize {
    let in_day = at.as_micros().rem_euclid(DAY_US);
    let slots = i64::try_from(SLOTS).unwrap_or(1);
    usize::try_from(in_day / (DAY_US / slots)).map_or(0, |slot| slot.min(SLOTS - 1))
}
