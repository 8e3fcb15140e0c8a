//! The decision: from what was remembered and one look to how every place stands now, and what is to be done about it.

use serde::{Deserialize, Serialize};
use skyloom_core::Timestamp;

use super::contact::{Contact, Sign, Symptom};
use super::history::{Course, FAILOVER_VERSION, FailoverHistory, Standing};
use super::{Failback, FailoverPolicy, Place};

/// Why a place that looks lost is not declared so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldReason {
    /// Too many places were lost within the window.
    Budget,
    /// Nobody at all answered in this look: it may be us who are cut off.
    NobodyAnswers,
    /// The policy leaves it to somebody.
    Order,
}

/// What is to be done about one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
#[non_exhaustive]
pub enum FailoverAction {
    /// Look again: it may only be a bad moment.
    Suspect {
        /// Which.
        place: Place,
        /// What is wrong.
        symptom: Symptom,
        /// When it is lost at the earliest.
        until: Timestamp,
    },
    /// It looks lost, and is not declared so.
    Hold {
        /// Which.
        place: Place,
        /// What is wrong.
        symptom: Symptom,
        /// Why not.
        because: HoldReason,
    },
    /// It is lost from now on: bring up elsewhere what was there, and delete nothing in it.
    FailOver {
        /// Which.
        place: Place,
        /// What is wrong.
        symptom: Symptom,
        /// When the first of the bad looks was.
        since: Timestamp,
    },
    /// It answers again: wait until that lasts.
    Watch {
        /// Which.
        place: Place,
        /// When it is back at the earliest.
        until: Timestamp,
    },
    /// It is back: bring what is in it together with its replacements.
    FailBack {
        /// Which.
        place: Place,
        /// How; never [`Failback::Manual`].
        failback: Failback,
    },
    /// It is back, and somebody has to say how it goes on.
    AwaitOrder {
        /// Which.
        place: Place,
    },
}

impl FailoverAction {
    /// The place it is about.
    #[must_use]
    pub const fn place(&self) -> &Place {
        match self {
            Self::Suspect { place, .. }
            | Self::Hold { place, .. }
            | Self::FailOver { place, .. }
            | Self::Watch { place, .. }
            | Self::FailBack { place, .. }
            | Self::AwaitOrder { place } => place,
        }
    }
}

/// A decision, to be stored before it is acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverDecision {
    /// One entry for each place that something is wrong with, or was, sorted by place.
    pub actions: Vec<FailoverAction>,
    /// The history with this decision in it: what the next one needs.
    pub history: FailoverHistory,
}

/// Decides over one look. `contacts` has each region and zone in which something should be, once; `witness` says whether
/// any provider at all has answered in this look.
///
/// A place that is only suspected is present again with the first good look, and one that is returning is lost again with
/// the first bad one: whatever flaps stays as it is. A place from which nothing is known any more is forgotten when it
/// has been lost for the stable time. Equal input gives equal bytes.
///
/// ```
/// use std::time::Duration;
/// use skyloom_core::Timestamp;
/// use skyloom_orchestrator::{Contact, FailoverAction, FailoverHistory, FailoverPolicy, fail_over};
///
/// let silent = [Contact { place: "aws/eu-central-1".parse()?, asked: 3, answered: 0, replicas: 2, gone: 0 }];
/// let policy = FailoverPolicy::new().with_patience(2, Duration::from_secs(60));
/// let first = fail_over(&silent, true, &FailoverHistory::new(), &policy, Timestamp::EPOCH);
/// assert!(matches!(first.actions[0], FailoverAction::Suspect { .. }));
/// let second = fail_over(&silent, true, &first.history, &policy, Timestamp::from_secs(60));
/// assert!(matches!(second.actions[0], FailoverAction::FailOver { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn fail_over(
    contacts: &[Contact],
    witness: bool,
    history: &FailoverHistory,
    policy: &FailoverPolicy,
    now: Timestamp,
) -> FailoverDecision {
    let now = now.max(history.latest);
    let mut next = FailoverHistory {
        version: FAILOVER_VERSION,
        latest: now,
        ..history.clone()
    };
    let past = |at: &Timestamp| now.saturating_since(*at) >= policy.window;
    while next.recent.front().is_some_and(past) {
        next.recent.pop_front();
    }
    next.avoided.retain(|_, until| now < *until);
    for contact in contacts {
        next.places.entry(contact.place.clone()).or_insert_with(|| Course {
            since: now,
            ..Course::default()
        });
    }
    let mut actions = Vec::new();
    let places: Vec<Place> = next.places.keys().cloned().collect();
    for place in places {
        let sign = sign_of(&place, contacts);
        let look = Look {
            place: &place,
            sign,
            witness,
            policy,
            now,
        };
        actions.extend(next.take(&look));
    }
    next.places.retain(|_, course| course.standing != Standing::Present);
    FailoverDecision { actions, history: next }
}

/// What a look says of a place: by its own contact; without one a cloud is as its regions are, and a zone as its region.
fn sign_of(place: &Place, contacts: &[Contact]) -> Sign {
    let tells = |contact: &&Contact| match (place, &contact.place) {
        (Place::Cloud(cloud), Place::Region(region)) => *cloud == region.cloud,
        (Place::Zone(of, _), Place::Region(region)) => of == region,
        _ => false,
    };
    // Of several, a good one is a sign of life.
    let own = contacts.iter().filter(|contact| contact.place == *place);
    let own = own.map(Contact::sign).reduce(better);
    let others = || contacts.iter().filter(tells).map(Contact::sign).reduce(better);
    own.or_else(others).unwrap_or(Sign::None)
}

const fn better(one: Sign, other: Sign) -> Sign {
    match (one, other) {
        (Sign::Good, _) | (_, Sign::Good) => Sign::Good,
        (Sign::None, other) => other,
        (one, _) => one,
    }
}

struct Look<'a> {
    place: &'a Place,
    sign: Sign,
    witness: bool,
    policy: &'a FailoverPolicy,
    now: Timestamp,
}

impl FailoverHistory {
    /// Takes one look at one place into account.
    fn take(&mut self, look: &Look<'_>) -> Option<FailoverAction> {
        let mut course = self.places.remove(look.place)?;
        let action = match course.standing {
            Standing::Present | Standing::Suspected => self.doubt(&mut course, look),
            Standing::Lost | Standing::Returning => course.hope(look),
            Standing::Back => course.come_together(look),
        };
        self.places.insert(look.place.clone(), course);
        action
    }

    /// A place that is counted on: is it lost?
    fn doubt(&mut self, course: &mut Course, look: &Look<'_>) -> Option<FailoverAction> {
        let (policy, now, place) = (look.policy, look.now, look.place.clone());
        let symptom = match look.sign {
            // Where nothing should be, nothing is missing.
            Sign::Good | Sign::None => {
                course.stand(Standing::Present, now);
                return None;
            }
            Sign::Bad(symptom) => symptom,
        };
        if course.standing == Standing::Present {
            course.stand(Standing::Suspected, now);
        }
        course.looks = course.looks.saturating_add(1);
        let until = course.since.saturating_add(policy.after);
        if course.looks < policy.looks || now < until {
            return Some(FailoverAction::Suspect { place, symptom, until });
        }
        // A cloud that goes, goes region by region: that is one loss.
        let with_its_cloud = self.places.iter().any(|(other, course)| {
            let same = other.cloud() == place.cloud() && course.standing == Standing::Lost;
            same && now.saturating_since(course.since) <= policy.after
        });
        let hold = if !policy.automatic {
            Some(HoldReason::Order)
        } else if !look.witness {
            Some(HoldReason::NobodyAnswers)
        } else if !with_its_cloud && self.recent.len() >= policy.budget as usize {
            Some(HoldReason::Budget)
        } else {
            None
        };
        if let Some(because) = hold {
            return Some(FailoverAction::Hold {
                place,
                symptom,
                because,
            });
        }
        let since = course.since;
        course.stand(Standing::Lost, now);
        course.silent_since = Some(since);
        if !with_its_cloud {
            self.recent.push_back(now);
        }
        Some(FailoverAction::FailOver { place, symptom, since })
    }
}

impl Course {
    fn stand(&mut self, standing: Standing, now: Timestamp) {
        if self.standing != standing {
            (self.standing, self.since, self.looks) = (standing, now, 0);
        }
    }

    /// A place that is lost: is it back?
    fn hope(&mut self, look: &Look<'_>) -> Option<FailoverAction> {
        let (policy, now, place) = (look.policy, look.now, look.place.clone());
        match look.sign {
            // It answers, and what was there is gone: it is there all the same.
            Sign::Good | Sign::Bad(Symptom::Empty) => {}
            Sign::Bad(Symptom::Silent) => {
                self.stand(Standing::Lost, now);
                return None;
            }
            Sign::None => {
                if now.saturating_since(self.since) >= policy.stable_for {
                    self.stand(Standing::Present, now);
                }
                return None;
            }
        }
        self.stand(Standing::Returning, now);
        self.looks = self.looks.saturating_add(1);
        let until = self.since.saturating_add(policy.stable_for);
        if self.looks < policy.stable_looks || now < until {
            return Some(FailoverAction::Watch { place, until });
        }
        self.stand(Standing::Back, now);
        self.come_together(look)
    }

    /// A place that is back: what becomes of what is in it?
    fn come_together(&mut self, look: &Look<'_>) -> Option<FailoverAction> {
        let place = look.place.clone();
        if look.sign == Sign::Bad(Symptom::Silent) {
            self.stand(Standing::Lost, look.now);
            // What was ordered was about a place that was back.
            self.ordered = self.ordered.map(|_| Failback::Manual);
            self.tried_at = None;
            return None;
        }
        let failback = self.ordered.unwrap_or(look.policy.failback);
        if failback == Failback::Manual {
            return Some(FailoverAction::AwaitOrder { place });
        }
        // Asked again means that it did not work: not at once again.
        let until = self.tried_at.map(|at| at.saturating_add(look.policy.after));
        if let Some(until) = until.filter(|until| look.now < *until) {
            return Some(FailoverAction::Watch { place, until });
        }
        self.tried_at = Some(look.now);
        Some(FailoverAction::FailBack { place, failback })
    }
}
