//! What a user asks for: services, their needs and rules, data sets, budget and residency.
//!
//! These are the checked forms. Reading them from text is `manifest`'s; the same types can be built in code. A value that
//! carries `at` remembers where it was written, for diagnostics only: locations never enter a plan or a digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    CloudId, DataName, DriftField, DriftPolicy, Import, Jurisdiction, MicroUsd, MicroUsdPerHour, Moved, PortName,
    RegionKey, Resources, Rollout, SecretRef, ServiceName,
};

/// A place in a manifest's text; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A whole deployment: services, data sets, and the rules over all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the deployment; tells its resources from another's.
    pub name: ServiceName,
    /// Where the text came from, for diagnostics (`shop.toml`).
    pub source: String,
    /// Hard limit on places.
    pub residency: Residency,
    /// Hard limit on cost.
    pub budget: Option<Budget>,
    /// Expected revenue of the whole (`R_e` of formula 3).
    pub revenue: Option<Revenue>,
    /// Services in the order of the manifest; names are unique and dependencies known. May hold a dependency cycle,
    /// which the orchestrator's graph reports.
    pub services: Vec<ServiceSpec>,
    /// Data sets in the order of the manifest; names are unique.
    pub data: Vec<DataSpec>,
    /// Replicas that have another name now; no chain of them is a loop, no two have a replica in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
    /// Things that are taken over; each replica and each resource once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
}

impl Manifest {
    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceSpec> {
        self.services.iter().find(|s| s.name == *name)
    }

    /// The data set of that name.
    #[must_use]
    pub fn data_set(&self, name: &DataName) -> Option<&DataSpec> {
        self.data.iter().find(|d| d.name == *name)
    }

    /// The same without any memory of where it was written (`source` and every `at`): what two texts of the same
    /// meaning have in common.
    #[must_use]
    pub fn without_locations(mut self) -> Self {
        self.source.clear();
        self.residency.at = None;
        if let Some(budget) = &mut self.budget {
            budget.at = None;
        }
        for service in &mut self.services {
            service.at = None;
            service
                .depends_on
                .iter_mut()
                .for_each(|dependency| dependency.at = None);
            service.synced.iter_mut().for_each(|need| need.at = None);
            service.latency.iter_mut().for_each(|limit| limit.at = None);
            if let Some(residency) = &mut service.residency {
                residency.at = None;
            }
        }
        for data in &mut self.data {
            data.at = None;
            data.replicas.iter_mut().for_each(|replica| replica.at = None);
        }
        self.moved.iter_mut().for_each(|moved| moved.at = None);
        self.imports.iter_mut().for_each(|import| import.at = None);
        self
    }

    /// Replicas asked for, in all (`m` of formula 5).
    #[must_use]
    pub fn replica_count(&self) -> u64 {
        self.services.iter().map(|s| u64::from(s.replicas.get())).sum()
    }
}

/// Which jurisdictions a byte or replica may be in. Hard: a filter, never a score.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Residency {
    /// A place must be under one of these; empty allows any place.
    pub allow: BTreeSet<Jurisdiction>,
    /// A place must be under none of these.
    pub deny: BTreeSet<Jurisdiction>,
    /// Where the rule was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
}

impl Residency {
    /// Whether a place under `jurisdictions` is allowed. An unknown place (no jurisdictions) is allowed only when
    /// there is no rule at all.
    #[must_use]
    pub fn permits(&self, jurisdictions: &BTreeSet<Jurisdiction>) -> bool {
        if self.allow.is_empty() && self.deny.is_empty() {
            return true;
        }
        let allowed = self.allow.is_empty() || !self.allow.is_disjoint(jurisdictions);
        allowed && self.deny.is_disjoint(jurisdictions) && !jurisdictions.is_empty()
    }
}

/// The most that may be spent. Hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Per month of 730 hours: machines and egress together.
    pub per_month: MicroUsd,
    /// Where the rule was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
}

/// Expected revenue (`R_e` of formula 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revenue {
    /// Per hour.
    pub per_hour: MicroUsdPerHour,
}

/// One service: what it needs, what it depends on, how it is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Name, unique in the manifest.
    pub name: ServiceName,
    /// Where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
    /// How many replicas.
    pub replicas: NonZeroU32,
    /// What each replica asks for.
    pub resources: Resources,
    /// Which kinds of purchase may carry it.
    pub purchase: PurchasePreference,
    /// Services that must have reached a condition before it starts.
    pub depends_on: Vec<Dependency>,
    /// Data sets whose copies must have been verified equal before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub synced: Vec<DataNeed>,
    /// Data sets that it uses.
    pub data: Vec<DataName>,
    /// Upper limits of round-trip time. Hard.
    pub latency: Vec<LatencyLimit>,
    /// Traffic that it sends, all replicas together; priced into the placement.
    pub egress: Vec<EgressNeed>,
    /// Rules of even spreading. Hard.
    pub spread: Vec<SpreadRule>,
    /// Services with a replica of which each replica must share a machine, region or zone. Hard.
    pub affinity: Vec<Affinity>,
    /// Services no replica of which may be on the same machine (itself: no two of its own). Hard.
    pub anti_affinity: Vec<ServiceName>,
    /// Labels that the machine must carry. Hard.
    pub labels: BTreeMap<String, String>,
    /// Taints of machines that it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Clouds it may run on; empty is any. Hard.
    pub clouds: BTreeSet<CloudId>,
    /// Regions it may run in; empty is any. Hard.
    pub regions: BTreeSet<RegionKey>,
    /// Its own residency, on top of the manifest's. Hard.
    pub residency: Option<Residency>,
    /// Its own expected revenue.
    pub revenue: Option<Revenue>,
    /// What to start.
    pub run: RunSpec,
    /// How its health is known; `None`: a running process is healthy.
    pub health: Option<HealthCheck>,
    /// How it is stopped.
    pub stop: StopSpec,
    /// How a new generation replaces an old one.
    pub rollout: Rollout,
    /// What follows from a change made from outside, per field; [`DriftPolicy::Correct`] for those that are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drift: BTreeMap<DriftField, DriftPolicy>,
}

/// Which kinds of purchase a service accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PurchasePreference {
    /// Never interrupted by the cloud.
    OnDemand,
    /// Spare capacity that the cloud may take back.
    Spot,
    /// Whichever is better.
    #[default]
    Any,
}

/// What a dependency must have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// All its replicas have been started.
    Started,
    /// All its replicas are healthy.
    #[default]
    Healthy,
    /// All its replicas have ended with success.
    Completed,
}

/// One edge of the service graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The service that must come first.
    pub service: ServiceName,
    /// What it must have reached.
    pub condition: Condition,
    /// Where the edge was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
}

/// A data set whose copies must have been verified equal before a service starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataNeed {
    /// The data set.
    pub data: DataName,
    /// How long ago that may have been; `None`: it is done in the plan that starts the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// Where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
}

/// The other end of traffic or of a latency limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Another service of the manifest.
    Service(ServiceName),
    /// A data set of the manifest (its nearest copy).
    Data(DataName),
    /// Anywhere outside.
    Internet,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => name.fmt(f),
            Self::Data(name) => name.fmt(f),
            Self::Internet => f.write_str("internet"),
        }
    }
}

/// Longest allowed round trip to the other end. Every replica must have it to at least one replica of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyLimit {
    /// The other end; not [`Link::Internet`].
    pub to: Link,
    /// Round-trip time.
    pub max: Duration,
    /// Where the rule was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
}

/// Traffic sent to the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressNeed {
    /// The other end.
    pub to: Link,
    /// Bytes per month, all replicas together, evenly over them.
    pub per_month: crate::Bytes,
}

/// Fault domains to spread over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SpreadOver {
    /// Machines.
    Machine,
    /// Zones; a region without zones counts as one.
    Zone,
    /// Regions.
    Region,
    /// Clouds.
    Cloud,
}

/// Replicas are spread so that no domain in use has more than `max_skew` replicas above the least used eligible one.
///
/// With one domain eligible the rule holds trivially. The least used domain counts as empty while an eligible one
/// holds none: so two replicas with a skew of 1 stand in two zones whenever two zones are eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadRule {
    /// The domains.
    pub over: SpreadOver,
    /// Largest difference.
    pub max_skew: NonZeroU32,
}

/// Each replica shares a domain with a replica of that service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// The other service.
    pub service: ServiceName,
    /// Which domain they share.
    pub within: SpreadOver,
}

/// Keeps replicas away from a machine unless they tolerate it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value; may be empty.
    pub value: String,
}

/// Lets a replica on a machine with a matching taint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Toleration {
    /// Key of the taint.
    pub key: String,
    /// Value of the taint; `None` tolerates any.
    pub value: Option<String>,
}

impl Toleration {
    /// Whether `taint` is tolerated.
    #[must_use]
    pub fn covers(&self, taint: &Taint) -> bool {
        self.key == taint.key && self.value.as_ref().is_none_or(|v| *v == taint.value)
    }
}

/// What is started. A container driver takes `image`; the local driver takes `command`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunSpec {
    /// Container image.
    pub image: Option<String>,
    /// Program and arguments; the program is looked up by the embedder's resolver.
    pub command: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, EnvValue>,
    /// Ports that it listens on; names are unique.
    pub ports: Vec<PortSpec>,
}

/// Value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvValue {
    /// Text in which `{service.NAME.endpoints}` and `{data.NAME}` are replaced at start; `{{` and `}}` are braces.
    Text(String),
    /// A secret, resolved at start; its value is in no plan, journal or log.
    Secret(SecretRef),
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Name, unique in the service.
    pub name: PortName,
    /// Transport.
    pub protocol: Protocol,
    /// Number; `None`: chosen by the driver.
    pub port: Option<NonZeroU16>,
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// How the health of a replica is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: HealthProbe,
    /// Time from the start of one probe to the next.
    pub interval: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Good answers in a row that make it healthy.
    pub healthy_after: NonZeroU32,
    /// Bad answers in a row that make it unhealthy.
    pub unhealthy_after: NonZeroU32,
    /// Longest time from start to the first healthy state; later it has failed to start.
    pub start_within: Duration,
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthProbe {
    /// `GET path` answers 200..=399.
    Http {
        /// Port by name.
        port: PortName,
        /// Path, beginning with `/`.
        path: String,
    },
    /// A connection is accepted.
    Tcp {
        /// Port by name.
        port: PortName,
    },
    /// A command, run where the replica runs, ends with 0.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// How a replica is stopped: out of the endpoints, SIGTERM, grace, SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSpec {
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Default for StopSpec {
    /// Ten seconds, as container engines have it.
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(10),
        }
    }
}

/// How sensitive data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DataClass {
    /// Anybody may see it.
    Public,
    /// The organisation may see it.
    #[default]
    Internal,
    /// Few may see it.
    Confidential,
    /// The law says who may see it and where it may be.
    Regulated,
}

/// A data set and where its copies are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSpec {
    /// Name, unique in the manifest.
    pub name: DataName,
    /// Where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
    /// How sensitive it is.
    pub class: DataClass,
    /// Where copies are; the first is the primary.
    pub replicas: Vec<DataReplica>,
    /// How copies are kept equal.
    pub sync: Option<SyncSpec>,
    /// How it is backed up.
    pub backup: Option<BackupSpec>,
}

/// One copy of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataReplica {
    /// Where.
    pub region: RegionKey,
    /// Where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
}

/// How copies are kept equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSpec {
    /// Direction.
    pub mode: SyncMode,
    /// Longest time a copy may be behind.
    pub lag_max: Option<Duration>,
}

/// Direction of a synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SyncMode {
    /// The primary's changes go to the copies.
    #[default]
    Mirror,
    /// Changes on either side go to the other.
    TwoWay,
}

/// How a data set is backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSpec {
    /// Time from one backup to the next.
    pub every: Duration,
    /// How long a backup is kept.
    pub keep: Duration,
}
