//! How services find each other: the list of healthy replicas, kept in a file that is replaced atomically.
//!
//! A replica enters when it is healthy and leaves before it is told to stop, so that callers can balance over the list
//! without meeting one that is going away.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skyloom_core::{PortName, ReplicaId, ServiceName};

use crate::store::{StoreError, replace_file};

/// Version of the file's form.
pub const ENDPOINTS_VERSION: u32 = 1;

/// The file that `SKYLOOM_ENDPOINTS` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointsFile {
    /// Version of the form, [`ENDPOINTS_VERSION`].
    pub version: u32,
    /// Healthy replicas by service, sorted by replica. A service without any has an empty list.
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

/// The list, and the file that shows it.
#[derive(Debug)]
pub struct Endpoints {
    path: PathBuf,
    healthy: BTreeMap<ReplicaId, BTreeMap<PortName, SocketAddr>>,
    services: BTreeSet<ServiceName>,
}

impl Endpoints {
    /// An empty list shown at `path`; the file appears with the first change.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            healthy: BTreeMap::new(),
            services: BTreeSet::new(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets a healthy replica in.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the list is then unchanged.
    pub fn enter(&mut self, replica: &ReplicaId, ports: &BTreeMap<PortName, SocketAddr>) -> Result<(), StoreError> {
        if self.healthy.get(replica) == Some(ports) {
            return Ok(());
        }
        let before = self.healthy.insert(replica.clone(), ports.clone());
        self.services.insert(replica.service().clone());
        self.write().inspect_err(|_| {
            match before {
                Some(ports) => self.healthy.insert(replica.clone(), ports),
                None => self.healthy.remove(replica),
            };
        })
    }

    /// Takes a replica out, because it is unhealthy, gone, or about to be stopped.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the list is then unchanged.
    pub fn leave(&mut self, replica: &ReplicaId) -> Result<(), StoreError> {
        let Some(ports) = self.healthy.remove(replica) else {
            return Ok(());
        };
        self.write().inspect_err(|_| {
            self.healthy.insert(replica.clone(), ports);
        })
    }

    /// Addresses of a service's port, sorted by replica; of each replica's first port by name where `port` is `None`.
    #[must_use]
    pub fn addresses(&self, service: &ServiceName, port: Option<&PortName>) -> Vec<SocketAddr> {
        let of_service = self.healthy.iter().filter(|(replica, _)| replica.service() == service);
        of_service
            .filter_map(|(_, ports)| match port {
                Some(port) => ports.get(port),
                None => ports.values().next(),
            })
            .copied()
            .collect()
    }

    /// The list as it is shown.
    #[must_use]
    pub fn to_file(&self) -> EndpointsFile {
        let mut services: BTreeMap<ServiceName, Vec<Endpoint>> = self
            .services
            .iter()
            .map(|service| (service.clone(), Vec::new()))
            .collect();
        for (replica, ports) in &self.healthy {
            let endpoint = Endpoint {
                replica: replica.clone(),
                ports: ports.clone(),
            };
            services.entry(replica.service().clone()).or_default().push(endpoint);
        }
        EndpointsFile {
            version: ENDPOINTS_VERSION,
            services,
        }
    }

    fn write(&self) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(&self.to_file()).expect("invariant: an endpoints file has a JSON form");
        replace_file(&self.path, &json)
    }
}
