//! The chapter's question as JSON, and how it becomes the library's.
//!
//! Prices are dollars, volumes bytes (a number, or text with a unit such as "40GiB"), times seconds. Unknown fields are
//! refused: a misspelt rule must not be silently none. Planning does not belong here.

use serde::Deserialize;
use skyloom::Catalogue;
use skyloom::core::catalogue::{CatalogueParts, EgressRule, EgressScope, EgressTier, RegionPrefixes, Source, SourceId};
use skyloom::core::{Bytes, CloudId, MicroUsd, MicroUsdPerHour, RegionKey, Residency};
use skyloom::scheduler::dag::{AlreadySent, Candidate, Dag, DataSet, Edge, NodeId, PairSpeed, Speeds, Task};

use crate::Failure;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    tasks: Vec<TaskInput>,
    #[serde(default)]
    edges: Vec<EdgeInput>,
    #[serde(default)]
    data: Vec<DataSet>,
    /// Price lists for traffic; the built-in catalogue's where absent.
    #[serde(default)]
    egress: Option<Vec<ListInput>>,
    #[serde(default)]
    already_this_month: Vec<SentInput>,
    #[serde(default)]
    speeds: SpeedsInput,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskInput {
    id: NodeId,
    candidates: Vec<CandidateInput>,
    #[serde(default)]
    clouds: Vec<CloudId>,
    #[serde(default)]
    regions: Vec<RegionKey>,
    #[serde(default)]
    residency: Residency,
    #[serde(default)]
    finish_within_seconds: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CandidateInput {
    offer: String,
    region: RegionKey,
    usd_per_hour: Usd,
    run_seconds: f64,
    #[serde(default = "one")]
    nodes: u32,
}

const fn one() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EdgeInput {
    from: NodeId,
    to: NodeId,
    bytes: Volume,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListInput {
    cloud: CloudId,
    scope: EgressScope,
    /// Beginnings of the senders' regions, separated by `|`; empty: all.
    #[serde(default)]
    from_regions: RegionPrefixes,
    #[serde(default)]
    to_regions: RegionPrefixes,
    tiers: Vec<TierInput>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierInput {
    /// Upper edge on the month's volume; absent on the last.
    #[serde(default)]
    up_to: Option<Volume>,
    usd_per_gib: Usd,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SentInput {
    region: RegionKey,
    scope: EgressScope,
    bytes: Volume,
}

/// Bytes per second; null: at once.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SpeedsInput {
    within_region: Option<u64>,
    between_regions: Option<Option<u64>>,
    between_clouds: Option<Option<u64>>,
    pairs: Vec<PairSpeed>,
}

/// Dollars as a number or as text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Usd {
    Number(serde_json::Number),
    Text(String),
}

/// Bytes as a number or as text with a unit.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Volume {
    Number(u64),
    Text(String),
}

impl Usd {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number
                .as_f64()
                .map_or_else(|| number.to_string(), |value| format!("{value}")),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Volume {
    fn bytes(&self) -> Result<Bytes, Failure> {
        match self {
            Self::Number(bytes) => Ok(Bytes::from_bytes(*bytes)),
            Self::Text(text) => Ok(text.parse()?),
        }
    }
}

/// A graph with the prices and speeds of its traffic.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) dag: Dag,
    pub(crate) catalogue: Catalogue,
    pub(crate) already: Vec<AlreadySent>,
    pub(crate) speeds: Speeds,
}

impl Input {
    pub(crate) fn question(self) -> Result<Question, Failure> {
        let builtin = Catalogue::builtin();
        let catalogue = match &self.egress {
            Some(lists) => with_lists(builtin, lists)?,
            None => builtin,
        };
        let mut speeds = Speeds::default();
        speeds.within_region = self.speeds.within_region;
        speeds.between_regions = self.speeds.between_regions.unwrap_or(speeds.between_regions);
        speeds.between_clouds = self.speeds.between_clouds.unwrap_or(speeds.between_clouds);
        speeds.pairs = self.speeds.pairs;
        let sent = |sent: &SentInput| -> Result<AlreadySent, Failure> {
            Ok(AlreadySent {
                region: sent.region.clone(),
                scope: sent.scope,
                bytes: sent.bytes.bytes()?,
            })
        };
        let edge = |edge: EdgeInput| -> Result<Edge, Failure> {
            Ok(Edge {
                bytes: edge.bytes.bytes()?,
                from: edge.from,
                to: edge.to,
            })
        };
        Ok(Question {
            already: self.already_this_month.iter().map(sent).collect::<Result<_, _>>()?,
            dag: Dag {
                tasks: self.tasks.into_iter().map(task).collect::<Result<_, _>>()?,
                data: self.data,
                edges: self.edges.into_iter().map(edge).collect::<Result<_, _>>()?,
            },
            catalogue,
            speeds,
        })
    }
}

fn task(input: TaskInput) -> Result<Task, Failure> {
    let candidate = |candidate: CandidateInput| -> Result<Candidate, Failure> {
        Ok(Candidate {
            per_hour: candidate.usd_per_hour.text().parse::<MicroUsdPerHour>()?,
            offer: candidate.offer,
            region: candidate.region,
            run_seconds: candidate.run_seconds,
            nodes: candidate.nodes,
        })
    };
    let mut task = Task::new(
        input.id,
        input.candidates.into_iter().map(candidate).collect::<Result<_, _>>()?,
    );
    task.clouds = input.clouds;
    task.regions = input.regions;
    task.residency = input.residency;
    task.finish_within_seconds = input.finish_within_seconds;
    Ok(task)
}

/// The built-in regions, and these price lists instead of the built-in ones.
fn with_lists(builtin: Catalogue, lists: &[ListInput]) -> Result<Catalogue, Failure> {
    let tier = |tier: &TierInput| -> Result<EgressTier, Failure> {
        Ok(EgressTier {
            up_to: tier.up_to.as_ref().map(Volume::bytes).transpose()?,
            per_gib: tier.usd_per_gib.text().parse::<MicroUsd>()?,
        })
    };
    let rule = |list: &ListInput| -> Result<EgressRule, Failure> {
        Ok(EgressRule {
            from: list.cloud.clone(),
            scope: list.scope,
            from_regions: list.from_regions.clone(),
            to_regions: list.to_regions.clone(),
            tiers: list.tiers.iter().map(tier).collect::<Result<_, _>>()?,
            as_of: "1970-01-01".parse()?,
            source: SourceId(0),
        })
    };
    Ok(Catalogue::new(CatalogueParts {
        offers: Vec::new(),
        regions: builtin.into_parts().regions,
        egress: lists.iter().map(rule).collect::<Result<_, _>>()?,
        sources: vec![Source {
            name: "the input".to_owned(),
        }],
    })?)
}
