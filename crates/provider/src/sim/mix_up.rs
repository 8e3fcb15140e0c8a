//! Answers that are about somebody else's thing: what a proxy, a cache or a bug between caller and provider can do.

use super::cloud::SimCloud;
use super::event::SimEventKind;
use super::state::State;
use crate::Resource;

/// What is wrong in an answer that is mixed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MixUp {
    /// The thing belongs to somebody else.
    Owner,
    /// The thing was made by another operation.
    Operation,
    /// It is another thing, by its id, token and name.
    Thing,
}

impl SimCloud {
    /// Answers call number `call` (from 0) with somebody else's thing, if it is answered with a thing at all. What the
    /// call does is not changed by it.
    pub fn mix_up_at(&self, call: u64, mix_up: MixUp) {
        self.state().mix_ups.insert(call, mix_up);
    }
}

impl State {
    /// What the caller gets to see of a thing.
    pub(super) fn mixed_up(&self, mut resource: Resource) -> Resource {
        let Some(mix_up) = self.call.and_then(|call| self.mix_ups.get(&call)) else {
            return resource;
        };
        let invariant = "invariant: a constant name is well formed";
        match mix_up {
            MixUp::Owner => resource.owner = "somebody-else".parse().expect(invariant),
            MixUp::Operation => resource.operation = "another-operation".parse().expect(invariant),
            MixUp::Thing => {
                resource.id = "sim-x-000000".parse().expect(invariant);
                resource.token = "another-token".parse().expect(invariant);
                "another".clone_into(&mut resource.name);
            }
        }
        resource
    }

    /// Writes into the log that the call being served was answered so.
    pub(super) fn log_mix_up(&mut self, resource: Option<&Resource>) {
        let mixed_up = self.call.is_some_and(|call| self.mix_ups.contains_key(&call));
        if let Some(resource) = resource.filter(|_| mixed_up) {
            self.log(SimEventKind::MixedUp {
                id: resource.id.clone(),
            });
        }
    }
}
