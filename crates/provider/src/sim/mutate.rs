//! The mutations of a simulated cloud as data, so that a lost and repeated one can be carried out again, and the
//! lifecycle rules: deleting, stopping and starting. Creating has its own room.

use std::time::Duration;

use skyloom_core::{ResourceId, StopSpec};

use super::event::SimEventKind;
use super::state::State;
use super::thing::Thing;
use crate::{Cause, CreateRequest, Epoch, Operation, Resource, ResourceState, Retag};

/// A call that changes the cloud.
#[derive(Debug, Clone)]
pub(super) enum Mutation {
    Create(Box<CreateRequest>),
    Delete {
        id: ResourceId,
        stop: StopSpec,
        epoch: Epoch,
    },
    Stop {
        id: ResourceId,
        stop: StopSpec,
        epoch: Epoch,
    },
    Start {
        id: ResourceId,
        epoch: Epoch,
    },
    Retag(Box<Retag>),
}

/// Whether somebody waits for the answer: then a graceful stop takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Yes,
    No,
}

impl Mutation {
    pub(super) const fn operation(&self) -> Operation {
        match self {
            Self::Create(_) => Operation::Create,
            Self::Delete { .. } => Operation::Delete,
            Self::Stop { .. } => Operation::Stop,
            Self::Start { .. } => Operation::Start,
            Self::Retag(_) => Operation::Retag,
        }
    }

    pub(super) const fn epoch(&self) -> Epoch {
        match self {
            Self::Create(request) => request.epoch,
            Self::Retag(request) => request.epoch,
            Self::Delete { epoch, .. } | Self::Stop { epoch, .. } | Self::Start { epoch, .. } => *epoch,
        }
    }

    /// What an error and the log say it was about.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Create(request) => request.name(),
            Self::Retag(request) => request.id.to_string(),
            Self::Delete { id, .. } | Self::Stop { id, .. } | Self::Start { id, .. } => id.to_string(),
        }
    }
}

impl State {
    /// Carries a mutation out. `Some` for a creation and for new marks: the thing as it is now.
    pub(super) fn apply(&mut self, mutation: &Mutation, waits: Waits) -> Result<Option<Resource>, Cause> {
        match mutation {
            Mutation::Create(request) => self.create(request).map(Some),
            Mutation::Delete { id, stop, epoch } => self.delete(id, *stop, *epoch, waits).map(|()| None),
            Mutation::Stop { id, stop, epoch } => self.stop(id, *stop, *epoch, waits).map(|()| None),
            Mutation::Start { id, epoch } => self.start(id, *epoch).map(|()| None),
            Mutation::Retag(request) => self.retag(request).map(Some),
        }
    }

    fn delete(&mut self, id: &ResourceId, stop: StopSpec, epoch: Epoch, waits: Waits) -> Result<(), Cause> {
        let Some(thing) = self.things.get(id) else {
            return Ok(());
        };
        let owner = thing.owner().cloned();
        owner.map_or(Ok(()), |owner| self.fence(&owner, epoch))?;
        if let Some(carried) = self.things.values().find(|other| other.is_on(id)) {
            let by = carried.resource.name.clone();
            return Err(Cause::InUse { by });
        }
        self.let_stop(id, stop, waits);
        self.remove(id);
        Ok(())
    }

    fn stop(&mut self, id: &ResourceId, stop: StopSpec, epoch: Epoch, waits: Waits) -> Result<(), Cause> {
        let owner = self.things.get(id).ok_or(Cause::NotFound)?.owner().cloned();
        owner.map_or(Ok(()), |owner| self.fence(&owner, epoch))?;
        let carried = |other: &&Thing| other.is_on(id) && other.is_live();
        if let Some(carried) = self.things.values().find(carried) {
            let by = carried.resource.name.clone();
            return Err(Cause::InUse { by });
        }
        self.let_stop(id, stop, waits);
        if self.things.get(id).is_some_and(Thing::is_live) {
            self.halt(id, ResourceState::Stopped);
            self.log(SimEventKind::Stopped { id: id.clone() });
        }
        Ok(())
    }

    /// Lets a running replica's graceful stop take its time; meanwhile the world goes on.
    fn let_stop(&mut self, id: &ResourceId, stop: StopSpec, waits: Waits) {
        let time = self.things.get(id).and_then(|thing| {
            let running = thing.resource.state == ResourceState::Running;
            let replica = thing.replica().filter(|_| running)?;
            Some(replica.program.stops_in.min(stop.grace))
        });
        if waits == Waits::Yes {
            self.advance(time.unwrap_or(Duration::ZERO));
        }
    }

    fn start(&mut self, id: &ResourceId, epoch: Epoch) -> Result<(), Cause> {
        let thing = self.things.get(id).ok_or(Cause::NotFound)?;
        let resource = thing.resource.clone();
        let machine = thing.machine().map(|body| body.machine.clone());
        let on = thing.replica().map(|body| (body.machine.clone(), body.request));
        self.fence(&resource.owner, epoch)?;
        match resource.state {
            ResourceState::Pending | ResourceState::Running => return Ok(()),
            ResourceState::Evicted => {
                let detail = format!("`{}` was taken back", resource.name);
                return Err(Cause::Invalid { detail });
            }
            ResourceState::Stopped => {}
            // What has ended gave up its room and its ports.
            ResourceState::Exited { .. } => {
                if let Some((on, request)) = &on {
                    self.check_room(on, request)?;
                    self.check_ports(id, on)?;
                }
            }
        }
        let delay = match (machine, on) {
            (Some(machine), _) => {
                self.check_limits(&machine)?;
                self.machine_delay(&resource.name)
            }
            (None, Some((on, _))) => self.replica_delay(&resource.name, &on, &resource.owner)?,
            (None, None) => Duration::ZERO,
        };
        self.log(SimEventKind::Starting { id: id.clone() });
        self.run_after(id, delay);
        Ok(())
    }
}
