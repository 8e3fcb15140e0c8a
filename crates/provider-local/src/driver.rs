//! The driver: each call is carried out in one of the rooms beside this one; here errors get their place.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Resource as Limit, getrlimit};
use skyloom_core::{OwnerTag, PortName, Protocol, ResourceId, StopSpec, Token};
use skyloom_provider::{
    Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Kind, Quota, Resource, ResourceState,
    Usage,
};

use crate::config::LocalConfig;
use crate::error::{Fault, OpenError, PROVIDER};
use crate::logs;
use crate::network::Network;
use crate::process::{Leader, leader, mark_prefix, members, threads_of_user};
use crate::reaper::{Children, Status};
use crate::record::{Phase, Record, Thing, id_of};
use crate::spawn::Environment;
use crate::store::Store;
use crate::usage::Meter;

/// Runs replicas as processes of this machine, for every cloud that a plan names.
///
/// Cheap to clone; clones are one driver. All calls need a tokio runtime with IO and time enabled, and the runtime in
/// which a replica was created should live as long as exit codes matter: it is what waits for the process. Dropping
/// the driver ends nothing: replicas run on and are taken over by the next driver on the same folder.
#[derive(Clone)]
pub struct LocalProcesses {
    inner: Arc<Inner>,
}

/// What all calls share. Its methods block.
pub(crate) struct Inner {
    pub(crate) config: LocalConfig,
    pub(crate) store: Arc<Store>,
    pub(crate) children: Children,
    pub(crate) network: Network,
    pub(crate) meter: Meter,
    environments: Mutex<BTreeMap<ResourceId, Environment>>,
    capabilities: Capabilities,
}

impl LocalProcesses {
    /// Opens or makes the folder of `config`. What an interrupted driver left half-done is cleared away; replicas that
    /// run are taken over when they are first asked about.
    ///
    /// Blocks for some file operations. Several drivers may have one folder open; their changes exclude each other.
    ///
    /// # Errors
    /// [`OpenError::Folder`] when the folder cannot be made, read or written; [`OpenError::Damaged`] when its
    /// `root.json` is torn, changed or of a later version; [`OpenError::Locked`] when another process held the lock
    /// for ten seconds.
    pub fn open(config: LocalConfig) -> Result<Self, OpenError> {
        let store = Arc::new(Store::open(config.root())?);
        let capabilities = Capabilities {
            name: PROVIDER.to_owned(),
            kinds: vec![Kind::Machine, Kind::Replica],
            clouds: None,
            consistency_window: Duration::ZERO,
            logs: true,
            usage: true,
            exec: true,
            stop_start: true,
            rehearsal: true,
            adopt: false,
        };
        let inner = Inner {
            config,
            store,
            children: Children::default(),
            network: Network::default(),
            meter: Meter::default(),
            environments: Mutex::default(),
            capabilities,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs what blocks on a thread for that. It is carried out to its end even when the future is dropped.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let inner = Arc::clone(&self.inner);
        let joined = tokio::task::spawn_blocking(move || work(&inner)).await;
        joined.unwrap_or_else(|error| {
            let detail = "the work was given up".to_owned();
            let cause = if error.is_panic() {
                Cause::Unexpected { detail }
            } else {
                Cause::Unavailable { detail }
            };
            Err(Fault::from(cause).with_source(error))
        })
    }

    /// The same about one thing, with the error in its final form.
    async fn on_thing<T: Send + 'static>(
        &self,
        operation: &'static str,
        id: &ResourceId,
        work: impl FnOnce(&Inner, &ResourceId) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, DriverError> {
        let owned = id.clone();
        let done = self.blocking(move |inner| work(inner, &owned)).await;
        done.map_err(|fault| fault.into_error(operation, Some(id.to_string())))
    }
}

impl fmt::Debug for LocalProcesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalProcesses")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for LocalProcesses {
    fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        self.inner.network.listen();
        let owned = request.clone();
        let created = self.blocking(move |inner| inner.create(&owned).and_then(|record| inner.resource(record)));
        created
            .await
            .map_err(|fault| fault.into_error("create", Some(request.name())))
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        let work = |inner: &Inner, id: &ResourceId| inner.resource(inner.present(id)?);
        self.on_thing("get", id, work).await
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        let owned = owner.clone();
        let listed = self.blocking(move |inner| inner.list(&owned)).await;
        listed.map_err(|fault| fault.into_error("list", None))
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        let id = id_of(token);
        let (owner, token) = (owner.clone(), token.clone());
        let work = move |inner: &Inner, id: &ResourceId| {
            let found = inner.load(id)?.filter(|r| r.owner == owner && r.token == token);
            found.map(|record| inner.resource(record)).transpose()
        };
        self.on_thing("find_by_token", &id, work).await
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        let deleted = self.delete_thing(id, stop, epoch).await;
        deleted.map_err(|fault| fault.into_error("delete", Some(id.to_string())))
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        let stopped = self.stop_thing(id, stop, epoch).await;
        stopped.map_err(|fault| fault.into_error("stop", Some(id.to_string())))
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.inner.network.listen();
        let started = self.start_thing(id, epoch).await;
        started.map_err(|fault| fault.into_error("start", Some(id.to_string())))
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        let work = move |inner: &Inner, id: &ResourceId| inner.logs(id, lines);
        self.on_thing("logs", id, work).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.inner.network.listen();
        self.on_thing("usage", id, Inner::usage).await
    }

    async fn exec(&self, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, DriverError> {
        let answered = self.exec_beside(id, command, timeout).await;
        answered.map_err(|fault| fault.into_error("exec", Some(id.to_string())))
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        let quotas = self.blocking(|_| quotas()).await;
        quotas.map_err(|fault| fault.into_error("quotas", None))
    }
}

impl Inner {
    /// What replicas see, by id.
    pub(crate) fn environments(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Environment>> {
        self.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of a thing, with an interrupted start found out about; `None` when it is not there.
    pub(crate) fn load(&self, id: &ResourceId) -> Result<Option<Record>, Fault> {
        match self.store.record(id)? {
            // Whoever is starting it holds the lock: with the lock in hand, nobody is.
            Some(record) if record.phase == Phase::Starting => {
                let lock = self.store.lock()?;
                self.settled(&lock, id)
            }
            other => Ok(other),
        }
    }

    /// The same, where absence is an error.
    pub(crate) fn present(&self, id: &ResourceId) -> Result<Record, Fault> {
        self.load(id)?.ok_or_else(|| Fault::from(Cause::NotFound))
    }

    fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, Fault> {
        let mut found = Vec::new();
        for id in self.store.ids()? {
            if let Some(record) = self
                .load(&id)
                .map_err(|fault| fault.on(&id))?
                .filter(|r| r.owner == *owner)
            {
                self.trim_log(&id);
                found.push(self.resource(record)?);
            }
        }
        Ok(found)
    }

    fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, Fault> {
        if self.present(id)?.replica().is_none() {
            return Err(Fault::from(Cause::Unsupported));
        }
        self.trim_log(id);
        let path = self.store.log(id);
        logs::tail(&path, lines).map_err(|e| Fault::file("read", &path, e))
    }

    /// A log that cannot be trimmed now is trimmed the next time; nothing else depends on it.
    fn trim_log(&self, id: &ResourceId) {
        drop(logs::trim(&self.store.log(id), self.config.log_kept().as_bytes()));
    }

    fn usage(&self, id: &ResourceId) -> Result<Usage, Fault> {
        let record = self.present(id)?;
        let Some(replica) = record.replica() else {
            return Err(Fault::from(Cause::Unsupported));
        };
        if self.state(&record)? != ResourceState::Running {
            return Err(Fault::invalid("it does not run"));
        }
        self.trim_log(id);
        self.give_ports(&record);
        let prefix = mark_prefix(self.store.mark(), id);
        let members = members(&prefix, record.phase.process())?;
        self.meter.read(&self.network, id, replica.run, &members)
    }

    /// Tells the traffic counter whose the TCP ports are.
    pub(crate) fn give_ports(&self, record: &Record) {
        if let Some(replica) = record.replica() {
            let tcp = replica.spec.run.ports.iter().filter(|p| p.protocol == Protocol::Tcp);
            self.network
                .give(&record.id, tcp.filter_map(|p| replica.ports.get(&p.name).copied()));
        }
    }

    /// How a thing is now.
    pub(crate) fn state(&self, record: &Record) -> Result<ResourceState, Fault> {
        let Some(replica) = record.replica() else {
            let stopped = record.phase == Phase::Stopped;
            return Ok(if stopped {
                ResourceState::Stopped
            } else {
                ResourceState::Running
            });
        };
        let ended = match record.phase {
            Phase::Starting => return Ok(ResourceState::Pending),
            Phase::Stopped => return Ok(ResourceState::Stopped),
            _ => self.ended(record, replica.run)?,
        };
        Ok(match (ended, &record.phase) {
            (None, _) => ResourceState::Running,
            (Some(_), Phase::Stopping { .. }) => ResourceState::Stopped,
            (Some(code), _) => ResourceState::Exited { code },
        })
    }

    /// `None` while the run goes on, else its exit code as far as anybody knows it.
    fn ended(&self, record: &Record, run: u32) -> Result<Option<Option<i32>>, Fault> {
        match self.children.status(&record.id, run) {
            Some(Status::Alive) => return Ok(None),
            Some(Status::Ended(code)) => return Ok(Some(code)),
            None => {}
        }
        let left = record.phase.process().map_or(Ok(Leader::Gone), leader)?;
        let noted = || {
            self.store
                .exit(&record.id)
                .filter(|exit| exit.run == run)
                .and_then(|exit| exit.code)
        };
        Ok(match left {
            Leader::Alive => None,
            Leader::Zombie(code) => Some(code),
            Leader::Gone => Some(noted()),
        })
    }

    /// A thing as the port tells it.
    fn resource(&self, record: Record) -> Result<Resource, Fault> {
        let state = self.state(&record)?;
        let kind = record.kind();
        let (name, site, endpoints) = match record.thing {
            Thing::Machine(machine) => (machine.id.to_string(), machine.site, BTreeMap::new()),
            Thing::Replica(replica) => {
                let reachable = state == ResourceState::Running;
                let ports = if reachable { replica.ports } else { BTreeMap::new() };
                (replica.spec.replica.to_string(), replica.spec.site, endpoints(ports))
            }
        };
        Ok(Resource {
            id: record.id,
            kind,
            name,
            owner: record.owner,
            operation: record.operation,
            token: record.token,
            parameters: record.parameters,
            site,
            state,
            endpoints,
            created_at: record.created_at,
            // A process shows how it is, and nothing that somebody could have edited.
            observed: skyloom_core::Attributes::default(),
        })
    }
}

fn endpoints(ports: BTreeMap<PortName, u16>) -> BTreeMap<PortName, SocketAddr> {
    let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    ports.into_iter().map(|(name, port)| (name, address(port))).collect()
}

/// The system's limit of processes for this user, which counts threads. None where it is unlimited.
fn quotas() -> Result<Vec<Quota>, Fault> {
    let Some(allowed) = getrlimit(Limit::Nproc).current else {
        return Ok(Vec::new());
    };
    Ok(vec![Quota {
        name: "processes and threads of this user (RLIMIT_NPROC)".to_owned(),
        used: threads_of_user()?,
        allowed,
    }])
}
