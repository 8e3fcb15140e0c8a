//! Asking every provider for what is there, one by one: a place that does not answer is named, and hides nothing of the
//! others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use skyloom_core::{Class, OwnerTag, RegionKey, ResourceId, RetryPolicy, Site};
use skyloom_orchestrator::{Contact, Place};
use skyloom_provider::{Cause, Driver, DriverError, Resource};

use crate::drivers::retry;
use crate::shared::Shared;
use crate::store::State;

/// Things of a region that are asked for one by one when its provider cannot list; where all of them get no answer, the
/// others are not asked for.
const ASKED_FIRST: usize = 2;

/// What providers answered.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Everything with our owner tag that was seen.
    pub(crate) resources: BTreeMap<ResourceId, Resource>,
    /// Things of the state about which there was no answer.
    pub(crate) silent: BTreeSet<ResourceId>,
    /// Those of them whose provider has answered all the same, with a refusal: it is there, and it is us whom it does not
    /// let in. That says nothing about what is there.
    refused: BTreeSet<ResourceId>,
    /// Regions in which something is silent, with what was said.
    pub(crate) unreachable: BTreeMap<RegionKey, String>,
    /// Whether any provider has answered anything.
    pub(crate) witness: bool,
}

/// What should be there.
struct Known<'a> {
    id: &'a ResourceId,
    site: &'a Site,
}

fn known(state: &State) -> Vec<Known<'_>> {
    let replicas = state.replicas.iter().map(|(id, known)| Known {
        id,
        site: &known.spec.site,
    });
    let machines = state.machines.values().map(|known| Known {
        id: &known.resource,
        site: &known.machine.site,
    });
    machines.chain(replicas).collect()
}

/// Asks all providers: first for lists, then by id for what no list shows. A listing may lag behind what was just made,
/// and a provider that cannot list may know single things all the same.
pub(crate) async fn ask_all(shared: &Shared, state: &State) -> Reach {
    let (owner, policy) = (&shared.owner, &shared.config.saga.retry);
    let mut reach = Reach::default();
    let mut failed: Vec<(Arc<dyn Driver>, DriverError)> = Vec::new();
    for (driver, listed) in shared.drivers.list_each(owner, policy).await {
        match listed {
            Ok(listed) => {
                reach.witness = true;
                reach.resources.extend(listed.into_iter().map(|r| (r.id.clone(), r)));
            }
            Err(error) => {
                tracing::warn!(error = crate::call::chain(&error), "a provider cannot list");
                failed.push((driver, error));
            }
        }
    }
    let mut by_region: BTreeMap<&RegionKey, Vec<Known<'_>>> = BTreeMap::new();
    for thing in known(state) {
        if !reach.resources.contains_key(thing.id) {
            by_region.entry(&thing.site.region).or_default().push(thing);
        }
    }
    let looks = by_region.into_iter().filter_map(|(region, things)| {
        let driver = shared.drivers.for_cloud(&region.cloud)?;
        let listing_failed = failed.iter().find(|(other, _)| Arc::ptr_eq(other, driver));
        let because = listing_failed.map(|(_, error)| crate::call::chain(error));
        Some(ask_region(driver, policy, region, things, because))
    });
    for found in join_all(looks).await {
        reach.take(found);
    }
    if !reach.witness {
        // Something that concerns no region: whether the provider is there at all.
        let asked = failed.iter().map(|(driver, _)| driver.quotas());
        reach.witness = join_all(asked).await.iter().any(Result::is_ok);
    }
    reach
}

/// What a region answered about single things.
struct RegionReach {
    region: RegionKey,
    found: Vec<Resource>,
    silent: Vec<ResourceId>,
    said: Option<String>,
    answered: bool,
    /// Whether something was refused by somebody who is there.
    refused: bool,
}

/// Asks a region for things by id. Where its provider could not list, each is asked for once: the listing was repeated
/// already.
async fn ask_region(
    driver: &Arc<dyn Driver>,
    policy: &RetryPolicy,
    region: &RegionKey,
    things: Vec<Known<'_>>,
    listing_failed: Option<String>,
) -> RegionReach {
    let mut reach = RegionReach {
        region: region.clone(),
        found: Vec::new(),
        silent: Vec::new(),
        said: None,
        answered: false,
        refused: false,
    };
    let first = if listing_failed.is_some() {
        things.len().min(ASKED_FIRST)
    } else {
        things.len()
    };
    let (first, others) = things.split_at(first);
    for part in [first, others] {
        if part.is_empty() {
            continue;
        }
        if !reach.answered && !reach.silent.is_empty() {
            reach.silent.extend(part.iter().map(|thing| thing.id.clone()));
            continue;
        }
        let asked = part.iter().map(|thing| async {
            if listing_failed.is_some() {
                driver.get(thing.id).await
            } else {
                retry(policy, || driver.get(thing.id)).await
            }
        });
        for (thing, answer) in part.iter().zip(join_all(asked).await) {
            match answer {
                Ok(resource) => {
                    reach.answered = true;
                    reach.found.push(resource);
                }
                Err(error) if error.class() == Class::NotFound => reach.answered = true,
                // It has been given to somebody else, or the answer is wrong: ours it is not, as far as can be seen.
                Err(error) if matches!(error.cause, Cause::OtherThing { .. }) => reach.answered = true,
                Err(error) => {
                    reach.refused |= error.class() != Class::Transient;
                    reach.said = Some(crate::call::chain(&error));
                    reach.silent.push(thing.id.clone());
                }
            }
        }
    }
    if reach.said.is_none() && !reach.silent.is_empty() {
        reach.said = listing_failed;
    }
    reach
}

impl Reach {
    fn take(&mut self, found: RegionReach) {
        self.witness |= found.answered || found.refused;
        if found.refused {
            self.refused.extend(found.silent.iter().cloned());
        }
        self.resources
            .extend(found.found.into_iter().map(|r| (r.id.clone(), r)));
        self.silent.extend(found.silent);
        if let Some(said) = found.said {
            self.unreachable.insert(found.region, said);
        }
    }

    /// How each region and zone has answered in which something should be.
    ///
    /// A zone that has all of its region's things says what the region says, and is left out; so is one of a region that
    /// says nothing.
    pub(crate) fn contacts(&self, state: &State) -> Vec<Contact> {
        let mut contacts: BTreeMap<Place, Contact> = BTreeMap::new();
        for thing in known(state) {
            let answered = !self.silent.contains(thing.id) || self.refused.contains(thing.id);
            for place in places(thing.site) {
                let contact = entry(&mut contacts, place);
                contact.asked = contact.asked.saturating_add(1);
                contact.answered = contact.answered.saturating_add(u32::from(answered));
            }
        }
        let machines: BTreeMap<_, _> = state.machines.iter().map(|(id, known)| (id, &known.resource)).collect();
        for (id, replica) in &state.replicas {
            let there = |id: &ResourceId| self.resources.contains_key(id) || self.silent.contains(id);
            let machine_there = machines.get(&replica.spec.machine).is_some_and(|id| there(id));
            for place in places(&replica.spec.site) {
                let contact = entry(&mut contacts, place);
                contact.replicas = contact.replicas.saturating_add(1);
                contact.gone = contact.gone.saturating_add(u32::from(!(there(id) && machine_there)));
            }
        }
        let says_more = |contact: &Contact| match &contact.place {
            Place::Zone(region, _) => contacts
                .get(&Place::Region(region.clone()))
                .is_none_or(|whole| whole.answered > 0 && whole.asked > contact.asked),
            Place::Cloud(_) | Place::Region(_) => true,
        };
        contacts
            .values()
            .filter(|contact| says_more(contact))
            .cloned()
            .collect()
    }
}

fn places(site: &Site) -> impl Iterator<Item = Place> {
    let zone = site.zone.clone().map(|zone| Place::Zone(site.region.clone(), zone));
    [Place::Region(site.region.clone())].into_iter().chain(zone)
}

fn entry(contacts: &mut BTreeMap<Place, Contact>, place: Place) -> &mut Contact {
    contacts.entry(place.clone()).or_insert(Contact {
        place,
        asked: 0,
        answered: 0,
        replicas: 0,
        gone: 0,
    })
}

/// Everything with our owner tag that any provider shows, and whether all have answered.
pub(crate) async fn list_all(shared: &Shared, owner: &OwnerTag) -> (Vec<Resource>, bool) {
    let mut all = Vec::new();
    let mut complete = true;
    for (_, listed) in shared.drivers.list_each(owner, &shared.config.saga.retry).await {
        match listed {
            Ok(listed) => all.extend(listed),
            Err(_) => complete = false,
        }
    }
    (all, complete)
}
