//! What happens behind everybody's back: things that are already there, that vanish, or that somebody changes by hand.

use skyloom_core::{Bytes, Machine, MicroUsdPerHour, OperationId, OwnerTag, ReplicaSpec, ResourceId, Token};

use super::bill::Destination;
use super::cloud::SimCloud;
use super::control::running_replica;
use super::event::SimEventKind;
use super::state::State;
use super::thing::{Body, Thing};
use crate::{Cause, Kind, Resource, ResourceState};

/// Who a stocked thing says it belongs to and comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// What the cloud calls it.
    pub id: ResourceId,
    /// Whose it is.
    pub owner: OwnerTag,
    /// The operation that made it.
    pub operation: OperationId,
    /// The token that it was made with.
    pub token: Token,
}

impl SimCloud {
    /// Puts a running machine there, as if it had been bought some time ago: for a copy of an inventory. It is charged
    /// from now on. Quotas and capacity count it and are not asked.
    ///
    /// # Errors
    /// [`Cause::Invalid`] when there is a thing of that id, or the price is negative or above a million dollars per hour.
    pub fn stock_machine(&self, origin: Origin, machine: &Machine) -> Result<(), Cause> {
        let mut state = self.state();
        super::create::check_price(machine.price)?;
        let body = state.stocked(machine);
        state.stock(
            origin,
            machine.id.to_string(),
            (machine.site.clone(), Some(machine.price)),
            Body::Machine(Box::new(body)),
        )
    }

    /// Puts a running replica on a machine that is there; otherwise as [`SimCloud::stock_machine`].
    ///
    /// # Errors
    /// [`Cause::NotFound`] when the machine is not there; [`Cause::Invalid`] when there is a thing of that id, or no room.
    pub fn stock_replica(&self, origin: Origin, spec: &ReplicaSpec, on: &ResourceId) -> Result<(), Cause> {
        let mut state = self.state();
        let body = state.place(spec, on)?;
        state.stock(
            origin,
            spec.replica.to_string(),
            (spec.site.clone(), None),
            Body::Replica(Box::new(body)),
        )
    }

    /// Takes a thing away without a trace, and the replicas on it: hardware that failed, or somebody in the console.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing.
    pub fn vanish(&self, id: &ResourceId) -> Result<(), Cause> {
        let mut state = self.state();
        state.things.get(id).ok_or(Cause::NotFound)?;
        let on_it = state.things.values().filter(|thing| thing.is_on(id));
        let mut gone: Vec<ResourceId> = on_it.map(|thing| thing.resource.id.clone()).collect();
        gone.push(id.clone());
        for id in gone {
            state.edited(&id, "taken away");
            state.remove(&id);
        }
        Ok(())
    }

    /// Gives a thing to somebody else, as an edited tag does.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing.
    pub fn hand_over(&self, id: &ResourceId, owner: OwnerTag) -> Result<(), Cause> {
        let mut state = self.state();
        let thing = state.things.get_mut(id).ok_or(Cause::NotFound)?;
        let what = format!("given from `{}` to `{owner}`", thing.resource.owner);
        thing.resource.owner = owner;
        state.edited(id, &what);
        Ok(())
    }

    /// Stops a thing by hand, and the replicas on it.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing.
    pub fn stop_by_hand(&self, id: &ResourceId) -> Result<(), Cause> {
        let mut state = self.state();
        state.things.get(id).ok_or(Cause::NotFound)?;
        let concerned = |thing: &&Thing| (thing.is_on(id) || thing.resource.id == *id) && thing.is_live();
        let concerned = state.things.values().filter(concerned);
        let mut ids: Vec<(Kind, ResourceId)> = concerned
            .map(|thing| (thing.resource.kind, thing.resource.id.clone()))
            .collect();
        ids.sort_by(|a, b| b.cmp(a));
        for (_, id) in ids {
            state.edited(&id, "stopped by hand");
            state.halt(&id, ResourceState::Stopped);
            state.log(SimEventKind::Stopped { id });
        }
        Ok(())
    }

    /// Lets a running replica send bytes.
    ///
    /// # Errors
    /// [`Cause::NotFound`] when there is no such thing, [`Cause::Invalid`] when it is not a running replica.
    pub fn send(&self, replica: &ResourceId, to: Destination, bytes: Bytes) -> Result<(), Cause> {
        let mut state = self.state();
        let total = running_replica(&mut state, replica)?
            .sent
            .entry(to.clone())
            .or_default();
        *total = total.saturating_add(bytes.as_bytes());
        let id = replica.clone();
        state.log(SimEventKind::Sent { id, to, bytes });
        Ok(())
    }
}

impl State {
    fn edited(&mut self, id: &ResourceId, what: &str) {
        self.log(SimEventKind::Edited {
            id: id.clone(),
            what: what.to_owned(),
        });
    }

    fn stock(
        &mut self,
        origin: Origin,
        name: String,
        (site, price): (skyloom_core::Site, Option<MicroUsdPerHour>),
        body: Body,
    ) -> Result<(), Cause> {
        let Origin {
            id,
            owner,
            operation,
            token,
        } = origin;
        if self.things.contains_key(&id) {
            let detail = format!("`{id}` is there already");
            return Err(Cause::Invalid { detail });
        }
        self.made += 1;
        let resource = Resource {
            id,
            kind: match &body {
                Body::Machine(_) => Kind::Machine,
                Body::Replica(_) => Kind::Replica,
            },
            name,
            parameters: skyloom_core::Digest::of(&(&owner, &operation)),
            owner,
            operation,
            token,
            site,
            state: ResourceState::Pending,
            endpoints: std::collections::BTreeMap::new(),
            created_at: self.provider_clock(),
            observed: skyloom_core::Attributes::default(),
        };
        self.enter_at_once(resource, body, price);
        Ok(())
    }
}
