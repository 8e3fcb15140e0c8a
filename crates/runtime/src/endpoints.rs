//! How services find each other: the list of healthy replicas, kept in a file that is replaced atomically.
//!
//! A replica enters when it is healthy and leaves before it is told to stop, so that callers can balance over the list
//! without meeting one that is going away.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skyloom_core::{PortName, ReplicaId, ResourceId, ServiceName};
use skyloom_provider::Resource;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    services: BTreeSet<ServiceName>,
    /// Whether the file shows this list and not one of before a restart.
    is_shown: bool,
}

impl Endpoints {
    /// An empty list shown at `path`; the file appears, or replaces one of before, with the first change or the first
    /// [`Self::set_all`].
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            healthy: BTreeMap::new(),
            services: BTreeSet::new(),
            is_shown: false,
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
        let mut named = self.services.clone();
        named.extend(services);
        named.extend(healthy.values().map(|endpoint| endpoint.replica.service().clone()));
        if self.is_shown && named == self.services && healthy == self.healthy {
            return Ok(());
        }
        let services = std::mem::replace(&mut self.services, named);
        let before = std::mem::replace(&mut self.healthy, healthy);
        self.write().inspect_err(|_| {
            self.services = services;
            self.healthy = before;
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
        if self.healthy.get(resource) == Some(&endpoint) {
            return Ok(());
        }
        self.services.insert(endpoint.replica.service().clone());
        let before = self.healthy.insert(resource.clone(), endpoint);
        self.write().inspect_err(|_| {
            match before {
                Some(endpoint) => self.healthy.insert(resource.clone(), endpoint),
                None => self.healthy.remove(resource),
            };
        })
    }

    /// Takes a replica out, because it is unhealthy, gone, or about to be stopped.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the list is then unchanged.
    pub fn leave(&mut self, resource: &ResourceId) -> Result<(), StoreError> {
        let Some(endpoint) = self.healthy.remove(resource) else {
            return Ok(());
        };
        self.write().inspect_err(|_| {
            self.healthy.insert(resource.clone(), endpoint);
        })
    }

    /// Addresses of a service's port, sorted; of each replica's first port by name where `port` is `None`.
    #[must_use]
    pub fn addresses(&self, service: &ServiceName, port: Option<&PortName>) -> Vec<SocketAddr> {
        let of_service = self
            .sorted()
            .into_iter()
            .filter(|endpoint| endpoint.replica.service() == service);
        let address = |endpoint: &Endpoint| match port {
            Some(port) => endpoint.ports.get(port).copied(),
            None => endpoint.ports.values().next().copied(),
        };
        of_service.filter_map(address).collect()
    }

    /// The list as it is shown.
    #[must_use]
    pub fn to_file(&self) -> EndpointsFile {
        let mut services: BTreeMap<ServiceName, Vec<Endpoint>> = self
            .services
            .iter()
            .map(|service| (service.clone(), Vec::new()))
            .collect();
        for endpoint in self.sorted() {
            services
                .entry(endpoint.replica.service().clone())
                .or_default()
                .push(endpoint.clone());
        }
        EndpointsFile {
            version: ENDPOINTS_VERSION,
            services,
        }
    }

    fn sorted(&self) -> Vec<&Endpoint> {
        let mut endpoints: Vec<&Endpoint> = self.healthy.values().collect();
        endpoints.sort_by(|a, b| (&a.replica, &a.ports).cmp(&(&b.replica, &b.ports)));
        endpoints
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(&self.to_file()).expect("invariant: an endpoints file has a JSON form");
        // Not synced: it is written anew at every start.
        swap_file(&self.path, &json)?;
        self.is_shown = true;
        Ok(())
    }
}
