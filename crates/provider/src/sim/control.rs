//! The hand from above: what a test does to a simulated cloud besides calling it as a driver.

use std::time::Duration;

use skyloom_core::{
    Attributes, InstanceType, MicroUsdPerHour, OwnerTag, Purchase, RegionKey, ResourceId, Resources, Site, Timestamp,
};

use super::bill::Bill;
use super::cloud::SimCloud;
use super::config::SimFaults;
use super::event::SimEvent;
use super::outage::Fate;
use super::state::State;
use super::thing::{Body, ReplicaBody, Thing};
use crate::{Cause, Driver as _, Operation, PerMille, Resource, ResourceState};

/// A thing as it truly is, seen past eventual consistency, faults and outages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimThing {
    /// With owner, token and state.
    pub resource: Resource,
    /// The machine that a replica is on.
    pub machine: Option<ResourceId>,
    /// What a replica was given, or what a machine has.
    pub resources: Resources,
    /// When the end of a machine was announced for.
    pub evicted_at: Option<Timestamp>,
}

impl SimCloud {
    // --- time ----------------------------------------------------------------------------------------------------

    /// The time, true for all: no clock skew.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state().now
    }

    /// Lets this much time pass, and everything happen that is due until then. Time ends a century after its start
    /// and then stands still.
    pub fn advance(&self, time: Duration) {
        self.state().advance(time);
    }

    /// Lets time pass until something next happens by itself, and returns when that was; `None`: nothing is due.
    pub fn advance_to_next(&self) -> Option<Timestamp> {
        let mut state = self.state();
        let due = state.next_due()?;
        let wait = due.saturating_since(state.now);
        state.advance(wait);
        Some(state.now)
    }

    // --- truth ---------------------------------------------------------------------------------------------------

    /// Everything that is there, of all owners, sorted by id: the oracle that a test compares a control plane's
    /// belief with.
    #[must_use]
    pub fn oracle(&self) -> Vec<SimThing> {
        let of = |thing: &Thing| SimThing {
            resource: thing.resource.clone(),
            machine: thing.replica().map(|replica| replica.machine.clone()),
            resources: match &thing.body {
                Body::Machine(machine) => machine.machine.capacity,
                Body::Replica(replica) => replica.request,
            },
            evicted_at: thing.machine().and_then(|machine| machine.evicted_at),
        };
        self.state().things.values().map(of).collect()
    }

    /// What happened, oldest first: the latest [`super::SimConfig::with_events_max`] of it.
    #[must_use]
    pub fn events(&self) -> Vec<SimEvent> {
        self.state().events()
    }

    /// As [`SimCloud::events`], and forgets them: for whoever looks often and keeps what he has seen.
    #[must_use]
    pub fn take_events(&self) -> Vec<SimEvent> {
        self.state().take_events()
    }

    /// A second cloud that is as this one is now, and from now on goes its own way: what the same calls, or others,
    /// would come to from here.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.capabilities().clone(), self.state().clone())
    }

    /// What has been charged until now.
    #[must_use]
    pub fn bill(&self) -> Bill {
        self.state().bill()
    }

    /// Driver calls so far: the number of the next call, from 0.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().plan.calls()
    }

    // --- faults --------------------------------------------------------------------------------------------------

    /// Replaces what goes wrong by chance, from now on.
    pub fn set_faults(&self, faults: SimFaults) {
        let mut state = self.state();
        state.plan.set_rates(faults.calls);
        state.config.faults = faults;
    }

    /// Fails the next call of `operation` with `cause`, without effect. Several are used up one per call, in order.
    pub fn fail_next(&self, operation: Operation, cause: Cause) {
        self.state().plan.fail_next(operation, cause);
    }

    /// Loses the request of call number `call` (from 0): no effect, and the caller gets [`Cause::Unavailable`].
    pub fn lose_request_at(&self, call: u64) {
        self.state().plan.lose_request_at(call);
    }

    /// Loses the answer of call number `call` (from 0): the effect happens, and the caller gets
    /// [`Cause::Unavailable`].
    pub fn lose_reply_at(&self, call: u64) {
        self.state().plan.lose_reply_at(call);
    }

    /// Delivers call number `call` (from 0) a second time within 5 s of virtual time, if it is a mutation.
    pub fn repeat_at(&self, call: u64) {
        self.state().plan.repeat_at(call);
    }

    /// Takes a region down, or brings it back: [`SimCloud::begin_outage`] of a whole region in which everything runs on,
    /// and [`SimCloud::end_outage`].
    pub fn set_outage(&self, region: RegionKey, down: bool) {
        let site = Site { region, zone: None };
        if down {
            self.begin_outage(site, Fate::RunsOn);
        } else {
            self.end_outage(&site);
        }
    }

    /// Has this many machines of a type in a region at once from now on; `None`: it never runs out. What is there
    /// stays.
    pub fn set_capacity(&self, region: RegionKey, instance: InstanceType, machines: Option<u32>) {
        let mut state = self.state();
        let key = (region, instance);
        match machines {
            Some(most) => state.config.capacity.insert(key, most),
            None => state.config.capacity.remove(&key),
        };
    }

    /// Lists a price from now on, also for the machines of that kind that are there, which are charged at the old
    /// price until now.
    ///
    /// # Errors
    /// [`Cause::Invalid`] when the price is negative or above a million dollars per hour.
    pub fn set_price(
        &self,
        region: RegionKey,
        instance: InstanceType,
        purchase: Purchase,
        price: MicroUsdPerHour,
    ) -> Result<(), Cause> {
        super::create::check_price(price)?;
        let mut state = self.state();
        let concerned = |thing: &&Thing| {
            thing.machine().is_some_and(|body| {
                let machine = &body.machine;
                machine.site.region == region && machine.instance == instance && machine.purchase == purchase
            })
        };
        let ids: Vec<_> = state
            .things
            .values()
            .filter(concerned)
            .map(|thing| thing.resource.id.clone())
            .collect();
        state
            .config
            .prices
            .insert((region.clone(), instance.clone(), purchase), price);
        for id in ids {
            state.reprice(&id, price);
        }
        Ok(())
    }

    // --- things --------------------------------------------------------------------------------------------------

    /// Ends a running replica's program as a signal would: it exits without a code.
    ///
    /// # Errors
    /// As [`SimCloud::exit`].
    pub fn crash(&self, replica: &ResourceId) -> Result<(), Cause> {
        self.end(replica, None)
    }

    /// Ends a running replica's program with code 0.
    ///
    /// # Errors
    /// As [`SimCloud::exit`].
    pub fn complete(&self, replica: &ResourceId) -> Result<(), Cause> {
        self.exit(replica, 0)
    }

    /// Ends a running replica's program with this code.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing, [`Cause::Invalid`] when it is not a running replica.
    pub fn exit(&self, replica: &ResourceId, code: i32) -> Result<(), Cause> {
        self.end(replica, Some(code))
    }

    fn end(&self, id: &ResourceId, code: Option<i32>) -> Result<(), Cause> {
        let mut state = self.state();
        running_replica(&mut state, id)?;
        state.end(id, code);
        Ok(())
    }

    /// Announces that a machine will be taken back, as clouds do with spot machines, and returns when. At that time
    /// it and its replicas are [`ResourceState::Evicted`]. A second announcement changes nothing.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing, [`Cause::Invalid`] when it is not a running machine.
    pub fn evict(&self, machine: &ResourceId) -> Result<Timestamp, Cause> {
        let mut state = self.state();
        let thing = state.things.get(machine).ok_or(Cause::NotFound)?;
        let at = state.now.saturating_add(state.config.eviction_notice);
        let Some(body) = thing
            .machine()
            .filter(|_| thing.resource.state == ResourceState::Running)
        else {
            let detail = format!("`{machine}` is not a running machine");
            return Err(Cause::Invalid { detail });
        };
        let at = body.evicted_at.unwrap_or(at);
        state.notice_eviction(machine);
        Ok(at)
    }

    /// Takes the owner tag off a thing, as somebody at a console might: it is in nobody's list from now on and runs on.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing.
    pub fn untag(&self, id: &ResourceId) -> Result<(), Cause> {
        self.state().untag(id)
    }

    /// Uses this share of the CPU that the replica asked for from now on, until its next start.
    ///
    /// # Errors
    /// As [`SimCloud::exit`].
    pub fn set_load(&self, replica: &ResourceId, load: PerMille) -> Result<(), Cause> {
        let mut state = self.state();
        let now = state.now;
        let body = running_replica(&mut state, replica)?;
        let request = body.request;
        body.meter.set_load(now, &request, load);
        Ok(())
    }

    /// Changes what is shown of a thing, as somebody at the console would: its image, environment, tags or size. What runs
    /// is not touched.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing.
    pub fn edit(&self, id: &ResourceId, change: impl FnOnce(&mut Attributes)) -> Result<(), Cause> {
        let mut state = self.state();
        let thing = state.things.get_mut(id).ok_or(Cause::NotFound)?;
        change(&mut thing.resource.observed);
        Ok(())
    }

    /// Gives a thing to another owner.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing.
    pub fn give_away(&self, id: &ResourceId, owner: OwnerTag) -> Result<(), Cause> {
        let mut state = self.state();
        let thing = state.things.get_mut(id).ok_or(Cause::NotFound)?;
        thing.resource.owner = owner;
        Ok(())
    }

    /// Adds a line to what a running replica printed.
    ///
    /// # Errors
    /// As [`SimCloud::exit`].
    pub fn print(&self, replica: &ResourceId, line: impl Into<String>) -> Result<(), Cause> {
        running_replica(&mut self.state(), replica)?.print(line.into());
        Ok(())
    }
}

pub(super) fn running_replica<'a>(state: &'a mut State, id: &ResourceId) -> Result<&'a mut ReplicaBody, Cause> {
    let thing = state.things.get_mut(id).ok_or(Cause::NotFound)?;
    let running = thing.resource.state == ResourceState::Running;
    match &mut thing.body {
        Body::Replica(replica) if running => Ok(replica),
        _ => Err(Cause::Invalid {
            detail: format!("`{id}` is not a running replica"),
        }),
    }
}
