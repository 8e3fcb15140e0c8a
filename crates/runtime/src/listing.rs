//! Endpoints by service, as text that is put together from pieces: an entry is rendered when it enters, a block of services
//! when one of them has changed. A list of tens of thousands of services is written a thousand times while they come up,
//! and rendering all of it each time would cost more than all else.

use std::collections::BTreeMap;

use serde::Serialize;
use skyloom_core::{ResourceId, ServiceName};

use crate::endpoints::Endpoint;

/// Services per block: about as much to render anew as there are blocks to put together in a list of four thousand.
const BLOCK_SERVICES_MAX: usize = 64;

/// The replicas of one service in the order of the file, each with its JSON. While one moves there are two of its name.
type Shelf = BTreeMap<(Endpoint, ResourceId), Box<str>>;

/// All services, also those without any replica.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// In the order of names; none is empty.
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, Default)]
struct Block {
    services: BTreeMap<ServiceName, Shelf>,
    /// The members of a JSON object; `None`: to be rendered.
    json: Option<String>,
}

impl Listing {
    pub(crate) fn contains(&self, service: &ServiceName) -> bool {
        self.shelf(service).is_some()
    }

    /// The replicas of a service in the order of the file.
    pub(crate) fn of(&self, service: &ServiceName) -> impl Iterator<Item = &Endpoint> {
        let shelf = self.shelf(service).into_iter();
        shelf.flat_map(BTreeMap::keys).map(|(endpoint, _)| endpoint)
    }

    /// All services with their replicas.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ServiceName, Vec<Endpoint>)> {
        let services = self.blocks.iter().flat_map(|block| &block.services);
        services.map(|(name, shelf)| (name, shelf.keys().map(|(endpoint, _)| endpoint.clone()).collect()))
    }

    /// Names a service, if it is not there.
    pub(crate) fn name(&mut self, service: ServiceName) {
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let at = self.position(&service);
        let block = &mut self.blocks[at];
        block.services.entry(service).or_default();
        block.json = None;
        if block.services.len() > BLOCK_SERVICES_MAX
            && let Some(middle) = block.services.keys().nth(BLOCK_SERVICES_MAX / 2).cloned()
        {
            let services = block.services.split_off(&middle);
            self.blocks.insert(at + 1, Block { services, json: None });
        }
    }

    pub(crate) fn insert(&mut self, resource: &ResourceId, endpoint: Endpoint) {
        let service = endpoint.replica.service().clone();
        if !self.contains(&service) {
            self.name(service.clone());
        }
        let rendered = json_of(&endpoint).into_boxed_str();
        if let Some(shelf) = self.shelf_mut(&service) {
            shelf.insert((endpoint, resource.clone()), rendered);
        }
    }

    pub(crate) fn remove(&mut self, resource: &ResourceId, endpoint: &Endpoint) {
        if let Some(shelf) = self.shelf_mut(endpoint.replica.service()) {
            shelf.remove(&(endpoint.clone(), resource.clone()));
        }
    }

    /// A JSON object of lists by service, a line for each.
    pub(crate) fn render(&mut self) -> String {
        let mut json = String::from("{");
        for (position, block) in self.blocks.iter_mut().enumerate() {
            json.push_str(if position == 0 { "\n" } else { ",\n" });
            let services = &block.services;
            json.push_str(block.json.get_or_insert_with(|| members(services)));
        }
        json.push_str("\n}");
        json
    }

    /// The block where a service is or belongs.
    fn position(&self, service: &ServiceName) -> usize {
        let begins_before = |block: &Block| block.services.keys().next().is_some_and(|first| first <= service);
        self.blocks.partition_point(begins_before).saturating_sub(1)
    }

    fn shelf(&self, service: &ServiceName) -> Option<&Shelf> {
        self.blocks.get(self.position(service))?.services.get(service)
    }

    fn shelf_mut(&mut self, service: &ServiceName) -> Option<&mut Shelf> {
        let at = self.position(service);
        let block = self.blocks.get_mut(at)?;
        block.json = None;
        block.services.get_mut(service)
    }
}

fn members(services: &BTreeMap<ServiceName, Shelf>) -> String {
    let mut json = String::new();
    for (position, (name, shelf)) in services.iter().enumerate() {
        json.push_str(if position == 0 { "" } else { ",\n" });
        json.push_str(&json_of(name));
        json.push_str(":[");
        for (position, entry) in shelf.values().enumerate() {
            json.push_str(if position == 0 { "" } else { "," });
            json.push_str(entry);
        }
        json.push(']');
    }
    json
}

fn json_of(part: &impl Serialize) -> String {
    serde_json::to_string(part).expect("invariant: every part of an endpoints file has a JSON form")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn endpoint(service: u16, replica: u32, port: u16) -> Endpoint {
        Endpoint {
            replica: format!("s{service}/{replica}").parse().unwrap(),
            ports: BTreeMap::from([("http".parse().unwrap(), ([127, 0, 0, 1], port).into())]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// What is put together from kept pieces is what a plain map gives, whatever came and went in whatever order.
        #[test]
        fn pieces_make_the_whole(changes in prop::collection::vec((0u16..400, 0u32..3, 1u16..4, any::<bool>()), 1..600)) {
            let mut listing = Listing::default();
            let mut plain: BTreeMap<ServiceName, BTreeMap<(Endpoint, ResourceId), ()>> = BTreeMap::new();
            for (step, (service, replica, port, comes)) in changes.into_iter().enumerate() {
                let endpoint = endpoint(service, replica, port);
                let resource = ResourceId::new(format!("r{replica}")).unwrap();
                let name = endpoint.replica.service().clone();
                if comes {
                    plain.entry(name).or_default().insert((endpoint.clone(), resource.clone()), ());
                    listing.insert(&resource, endpoint);
                } else {
                    if let Some(shelf) = plain.get_mut(&name) {
                        shelf.remove(&(endpoint.clone(), resource.clone()));
                    }
                    listing.remove(&resource, &endpoint);
                }
                // Rendered now and then, so that pieces of before are in use.
                if step % 7 == 0 {
                    listing.render();
                }
            }
            let lists = |shelf: &BTreeMap<(Endpoint, ResourceId), ()>| shelf.keys().map(|(e, _)| e.clone()).collect::<Vec<_>>();
            let expected: BTreeMap<_, _> = plain.iter().map(|(name, shelf)| (name, lists(shelf))).collect();
            let json = listing.render();
            prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), serde_json::to_value(&expected).unwrap());
            let names: Vec<_> = listing.all().map(|(name, _)| name).collect();
            prop_assert!(names.iter().eq(&expected.keys().copied().collect::<Vec<_>>()), "in the order of names");
            prop_assert!(expected.iter().all(|(name, list)| listing.of(name).eq(list)));
            prop_assert!(listing.blocks.iter().all(|block| block.services.len() <= BLOCK_SERVICES_MAX));
        }
    }
}
