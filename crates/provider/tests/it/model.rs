//! The simulated cloud against a model of a few lines, for any sequence of calls, with faults and delays off.

use std::collections::BTreeMap;

use futures::executor::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use skyloom_core::{Class, ResourceId};
use skyloom_provider::sim::SimCloud;
use skyloom_provider::{CreateRequest, Driver, Kind, ResourceState};

use crate::samples::{EPOCH, STOP, buy, immediate, machine, owner, place, seconds};

const MACHINES_MAX: usize = 3;
const REPLICAS_PER_MACHINE: usize = 4;

/// What the model knows of a token.
#[derive(Debug, Clone)]
struct Known {
    /// Which request used it.
    parameters: String,
    id: ResourceId,
    is: Option<Is>,
}

#[derive(Debug, Clone)]
struct Is {
    state: ResourceState,
    on: Option<ResourceId>,
}

#[derive(Debug, Default)]
struct Model {
    tokens: BTreeMap<String, Known>,
}

impl Model {
    fn there(&self) -> impl Iterator<Item = (&ResourceId, &Is)> {
        self.tokens
            .values()
            .filter_map(|known| Some((&known.id, known.is.as_ref()?)))
    }

    fn find(&mut self, id: &ResourceId) -> Option<&mut Is> {
        let known = self.tokens.values_mut().find(|known| known.id == *id)?;
        known.is.as_mut()
    }

    fn running_machines(&self) -> usize {
        self.there()
            .filter(|(_, is)| is.on.is_none() && is.state == ResourceState::Running)
            .count()
    }

    fn on(&self, machine: &ResourceId) -> impl Iterator<Item = &Is> {
        self.there()
            .map(|(_, is)| is)
            .filter(move |is| is.on.as_ref() == Some(machine))
    }

    /// What a creation must answer: a class of failure, or the id where it is known already.
    fn create(&mut self, request: &CreateRequest, on: Option<&ResourceId>) -> Result<Option<ResourceId>, Class> {
        let parameters = request.parameters().to_string();
        if let Some(known) = self.tokens.get(request.token.as_str()) {
            let same = known.is.is_some() && known.parameters == parameters;
            return if same {
                Ok(Some(known.id.clone()))
            } else {
                Err(Class::Conflict)
            };
        }
        match on {
            None if self.running_machines() == MACHINES_MAX => return Err(Class::Exhausted),
            None => {}
            Some(on) => {
                let state = self
                    .there()
                    .find(|(id, is)| *id == on && is.on.is_none())
                    .map(|(_, is)| is.state.clone());
                let state = state.ok_or(Class::NotFound)?;
                let ended = |is: &&Is| matches!(is.state, ResourceState::Exited { .. });
                let room = REPLICAS_PER_MACHINE - self.on(on).filter(|is| !ended(is)).count();
                if state != ResourceState::Running || room == 0 {
                    return Err(Class::Invalid);
                }
            }
        }
        Ok(None)
    }

    fn made(&mut self, request: &CreateRequest, id: ResourceId, on: Option<ResourceId>) {
        let known = Known {
            parameters: request.parameters().to_string(),
            id,
            is: Some(Is {
                state: ResourceState::Running,
                on,
            }),
        };
        self.tokens.insert(request.token.to_string(), known);
    }

    fn delete(&mut self, id: &ResourceId) -> Result<(), Class> {
        if self.on(id).next().is_some() {
            return Err(Class::Conflict);
        }
        self.tokens
            .values_mut()
            .filter(|known| known.id == *id)
            .for_each(|known| known.is = None);
        Ok(())
    }

    fn stop(&mut self, id: &ResourceId) -> Result<(), Class> {
        let carries = self.on(id).any(|is| is.state == ResourceState::Running);
        let is = self.find(id).ok_or(Class::NotFound)?;
        if carries {
            return Err(Class::Conflict);
        }
        if is.state == ResourceState::Running {
            is.state = ResourceState::Stopped;
        }
        Ok(())
    }

    fn start(&mut self, id: &ResourceId) -> Result<(), Class> {
        let is = self.find(id).ok_or(Class::NotFound)?.clone();
        if is.state == ResourceState::Running {
            return Ok(());
        }
        match &is.on {
            None if self.running_machines() == MACHINES_MAX => return Err(Class::Exhausted),
            None => {}
            Some(on) => {
                let takes_room = |is: &&Is| !matches!(is.state, ResourceState::Exited { .. });
                let full = !takes_room(&&is) && self.on(on).filter(takes_room).count() == REPLICAS_PER_MACHINE;
                let on_runs = self.find(on).is_some_and(|on| on.state == ResourceState::Running);
                if full || !on_runs {
                    return Err(Class::Invalid);
                }
            }
        }
        if let Some(is) = self.find(id) {
            is.state = ResourceState::Running;
        }
        Ok(())
    }
}

/// One step: what to do, and two numbers that choose on what.
type Step = (u8, u8, u8);

/// An id: one that the cloud gave, or one that it never gave.
fn pick(ids: &[ResourceId], n: u8) -> ResourceId {
    let chosen = ids.get(usize::from(n) % (ids.len() + 1)).cloned();
    chosen.unwrap_or_else(|| "unknown".parse().unwrap())
}

fn step(cloud: &SimCloud, model: &mut Model, ids: &mut Vec<ResourceId>, (what, a, b): Step) {
    let id = pick(ids, a);
    match what {
        0..=3 => {
            let token = format!("t{}", b % 16);
            let (request, on) = if what == 0 {
                (buy(machine(&format!("m{}", a % 6)), &token), None)
            } else {
                let name = cloud
                    .oracle()
                    .iter()
                    .find(|thing| thing.resource.id == id)
                    .map(|t| t.resource.name.clone());
                let name = name
                    .filter(|name| !name.contains('/'))
                    .unwrap_or_else(|| "none".to_owned());
                (place(&format!("web/{}", b % 16), &name, &id, &token), Some(id))
            };
            let expected = model.create(&request, on.as_ref());
            let found = block_on(cloud.create(&request))
                .map(|thing| thing.id)
                .map_err(|error| error.class());
            match (&expected, &found) {
                (Ok(None), Ok(made)) => {
                    assert!(!ids.contains(made), "an id was given twice");
                    ids.push(made.clone());
                    model.made(&request, made.clone(), on);
                }
                _ => assert_eq!(expected, found.map(Some), "create {request:?}"),
            }
        }
        4 => assert_eq!(
            model.delete(&id),
            block_on(cloud.delete(&id, STOP, EPOCH)).map_err(|e| e.class())
        ),
        5 => assert_eq!(
            model.stop(&id),
            block_on(cloud.stop(&id, STOP, EPOCH)).map_err(|e| e.class())
        ),
        6 => assert_eq!(
            model.start(&id),
            block_on(cloud.start(&id, EPOCH)).map_err(|e| e.class())
        ),
        7 => {
            let running = |is: &&mut Is| is.on.is_some() && is.state == ResourceState::Running;
            let can = model
                .find(&id)
                .filter(running)
                .map(|is| is.state = ResourceState::Exited { code: None });
            assert_eq!(can.is_some(), cloud.crash(&id).is_ok());
        }
        _ => cloud.advance(seconds(u64::from(a))),
    }
}

fn compare(cloud: &SimCloud, model: &Model) {
    let listed = block_on(cloud.list(&owner())).unwrap();
    let mut expected: Vec<_> = model.there().map(|(id, is)| (id.clone(), is.state.clone())).collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let found: Vec<_> = listed
        .iter()
        .map(|thing| (thing.id.clone(), thing.state.clone()))
        .collect();
    assert_eq!(found, expected);
    for (token, known) in &model.tokens {
        let found = block_on(cloud.find_by_token(&owner(), &token.parse().unwrap())).unwrap();
        assert_eq!(found.map(|thing| thing.id), known.is.as_ref().map(|_| known.id.clone()));
    }
    for thing in &listed {
        assert_eq!(block_on(cloud.get(&thing.id)).unwrap(), *thing);
        let reached = thing.kind == Kind::Replica && thing.state == ResourceState::Running;
        assert_eq!(!thing.endpoints.is_empty(), reached);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is called in whatever order, the cloud answers and holds what the model does.
    #[test]
    fn the_cloud_does_what_the_model_does(steps in vec((0u8..10, any::<u8>(), any::<u8>()), 1..60)) {
        let quota = u64::try_from(MACHINES_MAX).unwrap();
        let cloud = SimCloud::new(immediate(1).with_machine_quota(quota));
        let (mut model, mut ids) = (Model::default(), Vec::new());
        for next in steps {
            step(&cloud, &mut model, &mut ids, next);
            compare(&cloud, &model);
        }
    }
}
