//! How services find each other: the list of healthy replicas, kept in a file that is replaced atomically.
//!
//! A replica enters when it is healthy and leaves before it is told to stop, so that callers can balance over the list
//! without meeting one that is going away. How the file's text is made is `listing`'s room; that changes which come together
//! share one write is `discovery`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use skyloom_core::{PortName, ReplicaId, ResourceId, ServiceName};
use skyloom_provider::Resource;

use crate::listing::Listing;
use crate::store::{StoreError, swap_file};

/// Version of the file's form.
pub const ENDPOINTS_VERSION: u32 = 1;

/// The file that `SKYLOOM_ENDPOINTS` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointsFile {
    /// Version of the form, [`ENDPOINTS_VERSION`].
    pub version: u32,
    /// Healthy replicas with ports by service, sorted by replica. A service without any has an empty list.
    pub services: BTreeMap<ServiceName, Vec<Endpoint>>,
}

/// A healthy replica.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// Which.
    pub replica: ReplicaId,
    /// Where its ports are.
    pub ports: BTreeMap<PortName, SocketAddr>,
}

impl Endpoint {
    /// Where a replica can be called; `None`: it has no ports, so nobody can.
    pub(crate) fn of(resource: &Resource, replica: &ReplicaId) -> Option<Self> {
        let ports = resource.endpoints.clone();
        let replica = replica.clone();
        (!ports.is_empty()).then_some(Self { replica, ports })
    }
}

/// The list, and the file that shows it.
///
/// Entries belong to resources, not to replicas: while a replica moves, the old and the new one carry one name.
#[derive(Debug)]
pub struct Endpoints {
    path: PathBuf,
    healthy: BTreeMap<ResourceId, Endpoint>,
    /// Healthy ones that are not shown: new ones before a switch, old ones after it.
    aside: BTreeMap<ResourceId, Endpoint>,
    /// The same by service, also services without any.
    listing: Listing,
    /// Counts changes.
    version: u64,
    pen: Arc<Mutex<Pen>>,
}

/// Who writes the file: one at a time, and no older list over a newer.
#[derive(Debug, Default)]
struct Pen {
    /// The list in the file; `None`: one of before a restart, or none.
    shown: Option<u64>,
}

/// A list to be written.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    version: u64,
    json: Vec<u8>,
    pen: Arc<Mutex<Pen>>,
}

impl Draft {
    /// Replaces the file, unless it shows a later list.
    pub(crate) fn write(self) -> Result<(), StoreError> {
        let mut pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        if pen.shown.is_none_or(|shown| shown < self.version) {
            // Not synced: it is written anew at every start.
            swap_file(&self.path, &self.json)?;
            pen.shown = Some(self.version);
        }
        Ok(())
    }
}

impl Endpoints {
    /// An empty list shown at `path`; the file appears, or replaces one of before, with the first change or the first
    /// [`Self::set_all`].
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            healthy: BTreeMap::new(),
            aside: BTreeMap::new(),
            listing: Listing::default(),
            version: 0,
            pen: Arc::default(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `healthy` the whole list, with an empty one for each of `services` (and each service of before) that has
    /// no entry. Writes once, and only when this changes something or the file is still one of before a restart.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the list is then unchanged.
    pub fn set_all(
        &mut self,
        services: impl IntoIterator<Item = ServiceName>,
        healthy: BTreeMap<ResourceId, Endpoint>,
    ) -> Result<(), StoreError> {
        let new = services.into_iter().filter(|name| !self.listing.contains(name));
        let new: Vec<ServiceName> = new.collect();
        let is_changed = healthy != self.healthy || !new.is_empty();
        let before = is_changed.then(|| (self.healthy.clone(), self.listing.clone()));
        if is_changed {
            self.version += 1;
            new.into_iter().for_each(|name| self.listing.name(name));
            let gone = self.healthy.keys().filter(|id| !healthy.contains_key(*id));
            for id in gone.cloned().collect::<Vec<_>>() {
                self.remove(&id);
            }
            for (id, endpoint) in healthy {
                self.insert(&id, endpoint);
            }
        }
        self.write().inspect_err(|_| {
            if let Some((healthy, listing)) = before {
                self.version += 1;
                (self.healthy, self.listing) = (healthy, listing);
            }
        })
    }

    /// Whether callers are sent to this very replica.
    #[must_use]
    pub fn has(&self, resource: &ResourceId) -> bool {
        self.healthy.contains_key(resource)
    }

    /// Lets a healthy replica in.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the list is then unchanged.
    pub fn enter(&mut self, resource: &ResourceId, endpoint: Endpoint) -> Result<(), StoreError> {
        let before = self.put(resource, endpoint);
        self.write().inspect_err(|_| self.put_back(resource, before))
    }

    /// Remembers a healthy replica that is not shown yet.
    pub fn enter_aside(&mut self, resource: &ResourceId, endpoint: Endpoint) {
        let service = endpoint.replica.service();
        if !self.listing.contains(service) {
            self.listing.name(service.clone());
        }
        if !self.healthy.contains_key(resource) {
            self.aside.insert(resource.clone(), endpoint);
        }
    }

    /// Makes `healthy` all that is known and not shown.
    pub fn set_aside(&mut self, healthy: BTreeMap<ResourceId, Endpoint>) {
        self.aside = healthy;
    }

    /// Shows all that is known but for `aside`, in one moment: nobody reads a list with both sides of a switch, or with
    /// none. Writes only when this changes something.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the list is then unchanged.
    pub fn arrange(&mut self, aside: &BTreeSet<ResourceId>) -> Result<(), StoreError> {
        let known = self.healthy.iter().chain(&self.aside);
        let (hidden, shown): (BTreeMap<_, _>, BTreeMap<_, _>) = known
            .map(|(id, endpoint)| (id.clone(), endpoint.clone()))
            .partition(|(id, _)| aside.contains(id));
        if shown != self.healthy {
            self.set_all([], shown)?;
        }
        self.aside = hidden;
        Ok(())
    }

    /// Takes a replica out, because it is unhealthy, gone, or about to be stopped.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the list is then unchanged.
    pub fn leave(&mut self, resource: &ResourceId) -> Result<(), StoreError> {
        let Some(before) = self.take_out(resource) else {
            return Ok(());
        };
        self.write().inspect_err(|_| self.put_back(resource, Some(before)))
    }

    /// Lets a replica in without writing; gives what was there in its place.
    pub(crate) fn put(&mut self, resource: &ResourceId, endpoint: Endpoint) -> Option<Endpoint> {
        if self.healthy.get(resource) == Some(&endpoint) {
            return Some(endpoint);
        }
        self.version += 1;
        self.insert(resource, endpoint)
    }

    /// Takes a replica out without writing; gives what was there.
    pub(crate) fn take_out(&mut self, resource: &ResourceId) -> Option<Endpoint> {
        self.aside.remove(resource);
        let before = self.remove(resource)?;
        self.version += 1;
        Some(before)
    }

    /// Undoes a change that could not be written.
    pub(crate) fn put_back(&mut self, resource: &ResourceId, before: Option<Endpoint>) {
        match before {
            Some(endpoint) => drop(self.put(resource, endpoint)),
            None => drop(self.take_out(resource)),
        }
    }

    /// How many changes there were: a file that shows so many shows this list.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// What has to be written so that the file shows every change up to `version`; `None`: it does.
    pub(crate) fn draft(&mut self, version: u64) -> Option<Draft> {
        let shown = self.pen.lock().unwrap_or_else(PoisonError::into_inner).shown;
        shown.is_none_or(|shown| shown < version).then(|| Draft {
            path: self.path.clone(),
            version: self.version,
            json: self.render().into_bytes(),
            pen: Arc::clone(&self.pen),
        })
    }

    /// Addresses of a service's port, sorted; of each replica's first port by name where `port` is `None`.
    #[must_use]
    pub fn addresses(&self, service: &ServiceName, port: Option<&PortName>) -> Vec<SocketAddr> {
        let address = |endpoint: &Endpoint| match port {
            Some(port) => endpoint.ports.get(port).copied(),
            None => endpoint.ports.values().next().copied(),
        };
        self.listing.of(service).filter_map(address).collect()
    }

    /// The list as it is shown.
    #[must_use]
    pub fn to_file(&self) -> EndpointsFile {
        EndpointsFile {
            version: ENDPOINTS_VERSION,
            services: self.listing.all().map(|(name, list)| (name.clone(), list)).collect(),
        }
    }

    /// The JSON of [`Self::to_file`], a line per service.
    fn render(&mut self) -> String {
        let services = self.listing.render();
        format!("{{\"version\":{ENDPOINTS_VERSION},\"services\":{services}}}\n")
    }

    fn insert(&mut self, resource: &ResourceId, endpoint: Endpoint) -> Option<Endpoint> {
        let before = self.remove(resource);
        self.listing.insert(resource, endpoint.clone());
        self.healthy.insert(resource.clone(), endpoint);
        before
    }

    fn remove(&mut self, resource: &ResourceId) -> Option<Endpoint> {
        let endpoint = self.healthy.remove(resource)?;
        self.listing.remove(resource, &endpoint);
        Some(endpoint)
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.draft(self.version).map_or(Ok(()), Draft::write)
    }
}
