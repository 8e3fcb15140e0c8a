//! Regions and zones that go down, and what becomes of what is in them.

use skyloom_core::{ResourceId, Site};

use super::cloud::SimCloud;
use super::event::SimEventKind;
use super::state::State;
use super::thing::Thing;
use crate::{Cause, CreateRequest, Kind, ResourceState, What};

/// What becomes of the things in a region or zone that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Fate {
    /// They run on and are charged: only nobody can reach them. When it is over they are as they were.
    #[default]
    RunsOn,
    /// They stop, and start again when it is over, machines first.
    Restarts,
    /// They are gone. In a region nobody learns of it before it is over.
    Gone,
}

impl SimCloud {
    /// Takes a region (a site without a zone) or a zone down. A second outage of the same site changes nothing.
    ///
    /// While a region is down, calls about it are [`Cause::Unavailable`], and so is `list` for an owner who has something
    /// there. While a zone is down its region still answers, truthfully, and has no capacity in the zone.
    pub fn begin_outage(&self, site: Site, fate: Fate) {
        let mut state = self.state();
        if state.outages.contains_key(&site) {
            return;
        }
        state.outages.insert(site.clone(), fate);
        state.log(SimEventKind::Outage {
            region: site.region.clone(),
            zone: site.zone.clone(),
            down: true,
        });
        let there = state.there(&site);
        match fate {
            Fate::RunsOn => {}
            Fate::Gone if site.zone.is_some() => there.iter().for_each(|id| state.remove(id)),
            Fate::Restarts | Fate::Gone => there.iter().for_each(|id| state.power_off(id)),
        }
    }

    /// Brings a region or zone back. One that is not down is left alone.
    pub fn end_outage(&self, site: &Site) {
        let mut state = self.state();
        let Some(fate) = state.outages.remove(site) else { return };
        let there = state.there(site);
        match fate {
            Fate::RunsOn => {}
            // Replicas come last in `there` turned round, after their machines.
            Fate::Restarts => there.iter().rev().for_each(|id| state.power_on(id)),
            Fate::Gone => there.iter().for_each(|id| state.remove(id)),
        }
        state.log(SimEventKind::Outage {
            region: site.region.clone(),
            zone: site.zone.clone(),
            down: false,
        });
    }
}

impl State {
    /// What is at a site, replicas before machines.
    fn there(&self, site: &Site) -> Vec<ResourceId> {
        let at = |thing: &&Thing| {
            let is = &thing.resource.site;
            is.region == site.region && (site.zone.is_none() || is.zone == site.zone)
        };
        let mut there: Vec<(Kind, ResourceId)> = self
            .things
            .values()
            .filter(at)
            .map(|thing| (thing.resource.kind, thing.resource.id.clone()))
            .collect();
        there.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        there.into_iter().map(|(_, id)| id).collect()
    }

    /// Ends what runs or soon would, without anybody's order.
    fn power_off(&mut self, id: &ResourceId) {
        if self.things.get(id).is_some_and(Thing::is_live) {
            self.halt(id, ResourceState::Stopped);
            if let Some(thing) = self.things.get_mut(id) {
                thing.lost_power = true;
            }
            self.log(SimEventKind::Stopped { id: id.clone() });
        }
    }

    /// Starts what lost its power.
    fn power_on(&mut self, id: &ResourceId) {
        let stopped = |thing: &&mut Thing| thing.lost_power && thing.resource.state == ResourceState::Stopped;
        let Some(thing) = self.things.get_mut(id).filter(stopped) else {
            return;
        };
        thing.lost_power = false;
        let (owner, name) = (thing.resource.owner.clone(), thing.resource.name.clone());
        let on = thing.replica().map(|replica| replica.machine.clone());
        let delay = match on {
            None => Ok(self.machine_delay(&name)),
            Some(on) => self.replica_delay(&name, &on, &owner),
        };
        // A replica whose machine was taken away meanwhile stays stopped.
        if let Ok(delay) = delay {
            self.log(SimEventKind::Starting { id: id.clone() });
            self.run_after(id, delay);
        }
    }

    /// Refuses a machine in a zone that is down.
    pub(super) fn reach_zone(&self, request: &CreateRequest) -> Result<(), Cause> {
        let What::Machine(machine) = &request.what else {
            return Ok(());
        };
        if machine.site.zone.is_some() && self.outages.contains_key(&machine.site) {
            return Err(Cause::NoCapacity {
                what: format!("{} in {}", machine.instance, machine.site),
            });
        }
        Ok(())
    }
}
