//! What is remembered of places from look to look: stored before anything is done about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use skyloom_core::{RegionKey, Timestamp};

use super::{Failback, FailoverPolicy, Place};

/// Version of the persisted form of [`FailoverHistory`].
pub const FAILOVER_VERSION: u32 = 1;

/// How a place stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is there, as far as anybody knows.
    #[default]
    Present,
    /// The last looks were bad, too few of them or for too short a time.
    Suspected,
    /// It counts as lost: nothing new goes there, nobody is sent there, nothing there is touched.
    Lost,
    /// It was lost and the last looks were good, too few of them or for too short a time.
    Returning,
    /// It is back, and what is in it has not been brought together with its replacements yet.
    Back,
}

impl Standing {
    /// Whether nothing there is counted on.
    #[must_use]
    pub const fn is_out(self) -> bool {
        matches!(self, Self::Lost | Self::Returning | Self::Back)
    }
}

/// The course of one place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Course {
    pub(super) standing: Standing,
    /// Since when it stands so.
    pub(super) since: Timestamp,
    /// Looks that count towards the next standing.
    pub(super) looks: u32,
    /// The last good look before it was lost.
    pub(super) silent_since: Option<Timestamp>,
    /// Somebody's order for what is back.
    pub(super) ordered: Option<Failback>,
    /// When it was last tried to bring together what is back.
    pub(super) tried_at: Option<Timestamp>,
}

/// What is remembered. Bounded by the places that there are and the budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverHistory {
    /// Version of the form, [`FAILOVER_VERSION`].
    pub version: u32,
    /// The latest time a decision was made at: a clock that goes backwards frees no budget and shortens no wait.
    pub(super) latest: Timestamp,
    pub(super) places: BTreeMap<Place, Course>,
    /// When places were declared lost within the last window, oldest first.
    pub(super) recent: VecDeque<Timestamp>,
    /// Regions that nothing new goes to, and until when.
    pub(super) avoided: BTreeMap<Place, Timestamp>,
}

impl FailoverHistory {
    /// Nothing was ever lost.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            version: FAILOVER_VERSION,
            latest: Timestamp::from_micros(i64::MIN),
            places: BTreeMap::new(),
            recent: VecDeque::new(),
            avoided: BTreeMap::new(),
        }
    }

    /// How a place stands.
    #[must_use]
    pub fn standing(&self, place: &Place) -> Standing {
        self.places
            .get(place)
            .map_or(Standing::Present, |course| course.standing)
    }

    /// The places that nothing is counted on in, sorted.
    #[must_use]
    pub fn out(&self) -> BTreeSet<Place> {
        let out = self.places.iter().filter(|(_, course)| course.standing.is_out());
        out.map(|(place, _)| place.clone()).collect()
    }

    /// Whether nothing new may go to a region at `now`, because the calls of a plan failed there.
    #[must_use]
    pub fn avoids(&self, region: &RegionKey, now: Timestamp) -> bool {
        let now = now.max(self.latest);
        self.avoided
            .get(&Place::Region(region.clone()))
            .is_some_and(|until| now < *until)
    }

    /// Whether [`Self::avoids`] holds for any region.
    #[must_use]
    pub fn avoids_any(&self, now: Timestamp) -> bool {
        let now = now.max(self.latest);
        self.avoided.values().any(|until| now < *until)
    }

    /// Stays away from a region in which the calls of a plan have failed.
    pub fn avoid(&mut self, region: &RegionKey, policy: &FailoverPolicy, now: Timestamp) {
        let now = now.max(self.latest);
        self.avoided.retain(|_, until| now < *until);
        self.avoided
            .insert(Place::Region(region.clone()), now.saturating_add(policy.avoid_for));
    }

    /// Declares a place lost on somebody's order, whatever the looks say; `false`: it was out already. What becomes of what is
    /// in it is somebody's order as well, when it is back.
    pub fn declare(&mut self, place: Place, now: Timestamp) -> bool {
        let now = now.max(self.latest);
        let course = self.places.entry(place).or_default();
        if course.standing.is_out() {
            return false;
        }
        *course = Course {
            standing: Standing::Lost,
            since: now,
            silent_since: Some(now),
            // Who has left a place on purpose is asked before anybody goes back.
            ordered: Some(Failback::Manual),
            ..Course::default()
        };
        true
    }

    /// Decides for a place that is back what becomes of it; `false`: it is not back.
    pub fn order(&mut self, place: &Place, failback: Failback) -> bool {
        match self.places.get_mut(place) {
            Some(course) if course.standing == Standing::Back => {
                course.ordered = Some(failback);
                course.tried_at = None;
                true
            }
            _ => false,
        }
    }

    /// What is in a place has been brought together with its replacements: it is a place like any other again.
    pub fn settled(&mut self, place: &Place) {
        self.places.remove(place);
    }
}

impl Default for FailoverHistory {
    /// [`FailoverHistory::new`].
    fn default() -> Self {
        Self::new()
    }
}
