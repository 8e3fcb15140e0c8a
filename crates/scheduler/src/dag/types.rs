//! What is asked: tasks with their candidates, edges with bytes, data sets that stand where they are, and how long
//! transfers take.
//!
//! Plain data, unchecked until [`super::plan`] looks at it; what comes back is the report's.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::catalogue::EgressScope;
use skyloom_core::{Bytes, CloudId, MicroUsd, MicroUsdPerHour, RegionKey, Residency};

/// Name of a task or a data set, unique among both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(String);

impl NodeId {
    /// A name; any text but the empty one is accepted by [`super::plan`].
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NodeId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A machine type in a region, with what it costs and how long a task runs on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Name of the offer in its region, such as `m5.large` or `m5.large spot`.
    pub offer: String,
    /// Where.
    pub region: RegionKey,
    /// Price of one machine, at least 0.
    pub per_hour: MicroUsdPerHour,
    /// How long the task runs on it in seconds, 0 to [`super::RUN_SECONDS_MAX`]; rounded half up to a millisecond.
    pub run_seconds: f64,
    /// Machines that run it together, at least 1.
    #[serde(default = "one")]
    pub nodes: u32,
}

const fn one() -> u32 {
    1
}

/// A task, where it may run, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub id: NodeId,
    /// What it can run on; at least one.
    pub candidates: Vec<Candidate>,
    /// Clouds it may run in; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clouds: Vec<CloudId>,
    /// Regions it may run in; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionKey>,
    /// Laws that it must or must not run under.
    #[serde(default)]
    pub residency: Residency,
    /// When it must have finished, in seconds after the start of the whole; `None`: no matter when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_within_seconds: Option<f64>,
}

impl Task {
    /// A task that may run wherever it has a candidate.
    #[must_use]
    pub fn new(id: NodeId, candidates: Vec<Candidate>) -> Self {
        Self {
            id,
            candidates,
            clouds: Vec::new(),
            regions: Vec::new(),
            residency: Residency::default(),
            finish_within_seconds: None,
        }
    }
}

/// A data set that stands in a region: tasks read it, or write their output to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSet {
    /// Its name.
    pub id: NodeId,
    /// Where it is.
    pub region: RegionKey,
}

/// Bytes that go from a task or data set to another. One of the two ends is a task; a task that reads starts when all has
/// arrived, and what is written to a data set counts as done when it has arrived.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// Sender.
    pub from: NodeId,
    /// Receiver.
    pub to: NodeId,
    /// How much; may be zero, for order alone.
    pub bytes: Bytes,
}

/// Tasks, data sets and edges, in any order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Dag {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The data sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataSet>,
    /// The edges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The cheapest plan; of equally cheap ones, whichever is found.
    Cost,
    /// The fastest plan, and the cheapest of those.
    Time,
    /// The cheapest plan that is done in time.
    CostByDeadline {
        /// Seconds from the start of the first task to the end of the last.
        seconds: f64,
    },
    /// The fastest plan that costs no more, and the cheapest of those.
    TimeByBudget {
        /// The most that tasks and traffic may cost together.
        budget: MicroUsd,
    },
}

/// Volume that has left a region in a scope in this month already: later bytes are charged from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlreadySent {
    /// From where.
    pub region: RegionKey,
    /// In which scope. Where a cloud has several price lists for a scope (regions near and far), it counts for each.
    pub scope: EgressScope,
    /// How much.
    pub bytes: Bytes,
}

/// How fast bytes go, in bytes per second; `None`: at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Speeds {
    /// Inside one region.
    pub within_region: Option<u64>,
    /// Between regions of one cloud.
    pub between_regions: Option<u64>,
    /// Between clouds.
    pub between_clouds: Option<u64>,
    /// Between two particular regions, from first to second.
    pub pairs: Vec<PairSpeed>,
}

/// How fast bytes go from one region to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairSpeed {
    /// Sender's region.
    pub from: RegionKey,
    /// Receiver's region.
    pub to: RegionKey,
    /// Above 0; `None`: at once.
    pub bytes_per_second: Option<u64>,
}

/// 10 Gb/s, the figure that SkyPilot's optimiser assumes between clouds.
pub const BYTES_PER_SECOND_DEFAULT: u64 = 1_250_000_000;

impl Default for Speeds {
    /// At once inside a region, [`BYTES_PER_SECOND_DEFAULT`] otherwise.
    fn default() -> Self {
        Self {
            within_region: None,
            between_regions: Some(BYTES_PER_SECOND_DEFAULT),
            between_clouds: Some(BYTES_PER_SECOND_DEFAULT),
            pairs: Vec::new(),
        }
    }
}

impl Speeds {
    /// Speeds of particular pairs by their regions.
    pub(super) fn by_pair(&self) -> BTreeMap<(&RegionKey, &RegionKey), Option<u64>> {
        self.pairs
            .iter()
            .map(|p| ((&p.from, &p.to), p.bytes_per_second))
            .collect()
    }
}

/// How a plan is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DagConfig {
    /// What is wanted.
    pub objective: Objective,
    /// How long transfers take.
    pub speeds: Speeds,
    /// What was sent already in this month.
    pub already_this_month: Vec<AlreadySent>,
    /// Whether the report says what else there was for each task; costs a look at every candidate.
    pub explain: bool,
    /// Assignments, at most, that are gone through one by one where the choice has become small; 0: never.
    pub direct_max: u64,
    /// Entries, at most, of one table that exact elimination over several tasks makes (8 bytes each).
    pub table_entries_max: u64,
}

/// Assignments that are gone through one by one by default.
pub const DIRECT_MAX_DEFAULT: u64 = 20_000;

/// Entries of one table by default: 8 MiB.
pub const TABLE_ENTRIES_MAX_DEFAULT: u64 = 1 << 20;

impl DagConfig {
    /// This objective, transfers at default speed, nothing sent yet, explained.
    #[must_use]
    pub fn new(objective: Objective) -> Self {
        Self {
            objective,
            speeds: Speeds::default(),
            already_this_month: Vec::new(),
            explain: true,
            direct_max: DIRECT_MAX_DEFAULT,
            table_entries_max: TABLE_ENTRIES_MAX_DEFAULT,
        }
    }

    /// The same for another objective.
    #[must_use]
    pub const fn with_objective(mut self, objective: Objective) -> Self {
        self.objective = objective;
        self
    }

    /// The same with other speeds.
    #[must_use]
    pub fn with_speeds(mut self, speeds: Speeds) -> Self {
        self.speeds = speeds;
        self
    }

    /// The same after volumes that were sent already.
    #[must_use]
    pub fn with_already_this_month(mut self, sent: Vec<AlreadySent>) -> Self {
        self.already_this_month = sent;
        self
    }

    /// The same with or without an explanation of each task.
    #[must_use]
    pub const fn with_explain(mut self, explain: bool) -> Self {
        self.explain = explain;
        self
    }

    /// The same with another limit for going through assignments one by one.
    #[must_use]
    pub const fn with_direct_max(mut self, assignments: u64) -> Self {
        self.direct_max = assignments;
        self
    }

    /// The same with another limit on tables.
    #[must_use]
    pub const fn with_table_entries_max(mut self, entries: u64) -> Self {
        self.table_entries_max = entries;
        self
    }
}
