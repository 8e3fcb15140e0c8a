//! What goes into a driver and what comes out of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Attributes, Bytes, Digest, EnvValue, Machine, OperationId, OwnerTag, PortName, ReplicaSpec, ResourceId, Resources,
    RunSpec, Secret, Site, Timestamp, Token,
};

/// Counts controllers: each new holder of the lease has a higher one, and a driver refuses lower ones than it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A request to create one thing.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// Who it will belong to; every thing carries it.
    pub owner: OwnerTag,
    /// The operation it is made by; every thing carries it.
    pub operation: OperationId,
    /// Makes a repeated request harmless.
    pub token: Token,
    /// The controller's epoch.
    pub epoch: Epoch,
    /// What to create.
    pub what: What,
}

impl CreateRequest {
    /// Digest of the parameters, without token and epoch: what "the same request" means. Values of environment
    /// variables are not in it, so that no digest of a secret is ever stored.
    #[must_use]
    pub fn parameters(&self) -> Digest {
        match &self.what {
            What::Machine(machine) => Digest::of(&(&self.owner, &self.operation, machine)),
            What::Replica(new) => Digest::of(&(&self.owner, &self.operation, &new.spec, &new.machine)),
        }
    }

    /// `text` with every value taken out that the plan names as a secret, for logs and journals: what a provider says
    /// may quote what it was given.
    #[must_use]
    pub fn redact(&self, mut text: String) -> String {
        let What::Replica(new) = &self.what else { return text };
        for (name, value) in &new.env {
            let is_secret = matches!(new.spec.run.env.get(name), Some(EnvValue::Secret(_)));
            if is_secret && !value.expose().is_empty() {
                text = text.replace(value.expose(), "[redacted]");
            }
        }
        text
    }

    /// The kind of thing asked for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match &self.what {
            What::Machine(_) => Kind::Machine,
            What::Replica(_) => Kind::Replica,
        }
    }

    /// Our name for the thing asked for, as [`Resource::name`] will carry it: the machine id or the replica id.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.what {
            What::Machine(machine) => machine.id.to_string(),
            What::Replica(new) => new.spec.replica.to_string(),
        }
    }

    /// Where the thing asked for is to be.
    #[must_use]
    pub const fn site(&self) -> &Site {
        match &self.what {
            What::Machine(machine) => &machine.site,
            What::Replica(new) => &new.spec.site,
        }
    }
}

/// What to create.
#[derive(Debug, Clone)]
pub enum What {
    /// A machine.
    Machine(Machine),
    /// A replica on a machine.
    Replica(Box<NewReplica>),
}

/// A replica to start.
#[derive(Debug, Clone)]
pub struct NewReplica {
    /// From the plan.
    pub spec: ReplicaSpec,
    /// The machine, as the provider calls it.
    pub machine: ResourceId,
    /// The environment with all references resolved. Values may be secret.
    pub env: BTreeMap<String, Secret<String>>,
}

/// Kind of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A machine.
    Machine,
    /// A replica of a service.
    Replica,
}

/// A thing that a driver made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What the provider calls it.
    pub id: ResourceId,
    /// Its kind.
    pub kind: Kind,
    /// Our name for it: the machine id or the replica id.
    pub name: String,
    /// Who it belongs to.
    pub owner: OwnerTag,
    /// The operation that made it.
    pub operation: OperationId,
    /// The token it was made with.
    pub token: Token,
    /// Digest of the parameters that it was made with.
    pub parameters: Digest,
    /// Where it is.
    pub site: Site,
    /// How it is.
    pub state: ResourceState,
    /// Where its ports can be reached; empty until they can.
    pub endpoints: BTreeMap<PortName, SocketAddr>,
    /// When it was made, by the provider's clock.
    pub created_at: Timestamp,
    /// What else the provider shows of it, as it is now; what cannot be observed is absent.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub observed: Attributes,
}

/// A thing as it is at a provider, whoever it belongs to: what somebody looks at before taking it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// What the provider calls it.
    pub id: ResourceId,
    /// Its name; empty where it has none.
    pub name: String,
    /// Whose it is; `None`: it carries no owner tag.
    pub owner: Option<OwnerTag>,
    /// How it is.
    pub state: ResourceState,
    /// What it is.
    pub what: InspectedWhat,
}

/// What a thing at a provider is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InspectedWhat {
    /// A machine. Its id is one that its provider would not give out twice.
    Machine(Box<Machine>),
    /// A replica.
    Replica {
        /// The machine that carries it.
        machine: ResourceId,
        /// What it was given.
        request: Resources,
        /// What it runs; `None`: the provider cannot tell.
        run: Option<Box<RunSpec>>,
    },
}

/// A request to give a thing another owner or another name; it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retag {
    /// Which thing.
    pub id: ResourceId,
    /// Whose it must be; `None`: it carries no owner tag.
    pub from: Option<OwnerTag>,
    /// Whose it is from then on; `None`: nobody's.
    pub to: Option<OwnerTag>,
    /// Its name from then on.
    pub name: String,
    /// The operation that this is; the thing carries it from then on, so that it can be found by it.
    pub operation: OperationId,
    /// The thing carries it from then on in place of the token it was made with.
    pub token: Token,
    /// The controller's epoch.
    pub epoch: Epoch,
}

/// How a thing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceState {
    /// Asked for, not running yet.
    Pending,
    /// Running.
    Running,
    /// Stopped on request, can be started again.
    Stopped,
    /// A replica's program ended by itself.
    Exited {
        /// Exit code; `None`: ended by a signal.
        code: Option<i32>,
    },
    /// Taken back by the provider (spot).
    Evicted,
}

/// What a replica has used since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When it was read.
    pub at: Timestamp,
    /// Processor time, all threads and children.
    pub cpu: Duration,
    /// Resident memory now.
    pub memory: Bytes,
    /// Bytes received over network sockets; `None` where it cannot be told apart.
    pub network_in: Option<Bytes>,
    /// Bytes sent over network sockets; `None` where it cannot be told apart.
    pub network_out: Option<Bytes>,
}

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code; `None`: ended by a signal.
    pub code: Option<i32>,
    /// Standard output and error, lossily decoded, at most the last 64 KiB.
    pub output: String,
}

/// A limit of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Name in the provider's words.
    pub name: String,
    /// In use.
    pub used: u64,
    /// Allowed.
    pub allowed: u64,
}
