//! Looking at things of anybody, and giving them another owner or name: what taking over needs.

use skyloom_core::{MachineId, OwnerTag, ResourceId, Timestamp};

use super::event::SimEventKind;
use super::state::{State, TokenUse};
use super::thing::{Body, Thing};
use crate::{Cause, Inspected, InspectedWhat, Resource, Retag};

impl Thing {
    /// Whose it is; `None`: it carries no owner tag.
    pub(super) fn owner(&self) -> Option<&OwnerTag> {
        Some(&self.resource.owner).filter(|_| !self.untagged)
    }

    pub(super) fn inspected(&self) -> Inspected {
        let what = match &self.body {
            Body::Machine(body) => {
                let mut machine = body.machine.clone();
                // Its maker's name for it may be anybody's; what the cloud calls it is nobody else's.
                if let Ok(id) = MachineId::new(self.resource.id.as_str()) {
                    machine.id = id;
                }
                machine.price = body.price;
                InspectedWhat::Machine(Box::new(machine))
            }
            Body::Replica(body) => InspectedWhat::Replica {
                machine: body.machine.clone(),
                request: body.request,
                run: Some(Box::new(body.run.clone())),
            },
        };
        Inspected {
            id: self.resource.id.clone(),
            name: self.resource.name.clone(),
            owner: self.owner().cloned(),
            state: self.resource.state.clone(),
            what,
        }
    }
}

impl State {
    /// What does not carry this owner tag, as a listing shows it.
    pub(super) fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, Cause> {
        let mut found = Vec::new();
        for thing in self.things.values().filter(|thing| thing.owner() != Some(owner)) {
            self.reach_region(&thing.resource.site.region)?;
            if thing.visible_at <= self.now {
                found.push(thing.inspected());
            }
        }
        Ok(found)
    }

    /// Gives a thing new marks. Listings by the new owner may lag, as those of something new do.
    pub(super) fn retag(&mut self, request: &Retag) -> Result<Resource, Cause> {
        let thing = self.things.get(&request.id).ok_or(Cause::NotFound)?;
        let owner = thing.owner().cloned();
        let resource = &thing.resource;
        let done = owner == request.to && resource.name == request.name && resource.operation == request.operation;
        // Fenced before anything is told, as every mutation is.
        // An old owner's controllers count for themselves: its epochs are not to be compared with the new one's.
        if let Some(party) = request.to.as_ref().or(owner.as_ref()) {
            self.fence(party, request.epoch)?;
        }
        if !done && owner != request.from {
            return Err(Cause::OtherOwner { owner });
        }
        if !done {
            self.mark(request);
        }
        let thing = self.things.get(&request.id).ok_or(Cause::NotFound)?;
        Ok(thing.resource.clone())
    }

    fn mark(&mut self, request: &Retag) {
        let lag = self
            .windows
            .between(std::time::Duration::ZERO, self.config.consistency_window);
        let visible_at: Timestamp = self.now.saturating_add(lag);
        let Some(thing) = self.things.get_mut(&request.id) else {
            return;
        };
        if let (Body::Machine(body), Ok(id)) = (&mut thing.body, MachineId::new(request.name.as_str())) {
            // What is placed on it from now on calls it so.
            body.machine.id = id;
        }
        let changes_hands = thing.owner() != request.to.as_ref();
        let resource = &mut thing.resource;
        resource.name.clone_from(&request.name);
        resource.operation = request.operation.clone();
        resource.token = request.token.clone();
        if let Some(owner) = &request.to {
            resource.owner = owner.clone();
        }
        thing.untagged = request.to.is_none();
        if changes_hands {
            thing.visible_at = visible_at;
        }
        let used = TokenUse {
            parameters: thing.resource.parameters,
            id: request.id.clone(),
            at: self.now,
        };
        self.tokens.insert(request.token.clone(), used);
        self.log(SimEventKind::Retagged {
            id: request.id.clone(),
            owner: request.to.clone(),
            name: request.name.clone(),
            operation: request.operation.clone(),
        });
    }

    /// Takes the owner tag off a thing, as somebody at a console might.
    pub(super) fn untag(&mut self, id: &ResourceId) -> Result<(), Cause> {
        let thing = self.things.get_mut(id).ok_or(Cause::NotFound)?;
        thing.untagged = true;
        Ok(())
    }
}
