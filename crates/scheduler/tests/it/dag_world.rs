//! Random graphs of tasks over small networks with their own price lists, and an oracle that goes through every plan.
//!
//! The oracle shares nothing with the engine: it adds volumes up by sender and list, applies the tiers gibibyte by
//! gibibyte in a formula of its own, and finds times by walking back along the edges.

use std::collections::BTreeMap;

use skyloom_core::catalogue::{CatalogueParts, EgressRule, EgressScope, EgressTier, RegionPrefixes, Source, SourceId};
use skyloom_core::{Bytes, Catalogue, MicroUsd, MicroUsdPerHour, RegionInfo, RegionKey};
use skyloom_scheduler::Effort;
use skyloom_scheduler::dag::{
    AlreadySent, Candidate, Dag, DagConfig, DagError, DagPlan, DataSet, Edge, NodeId, Objective, Speeds, Task, plan,
};

use crate::random_world::Dice;

/// One price list as the oracle knows it: sender's cloud, scope, sender's region or any, and (edge in GiB, micro-dollars).
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) cloud: &'static str,
    pub(crate) internet: bool,
    pub(crate) tiers: Vec<(Option<u64>, i64)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) dag: Dag,
    pub(crate) lists: Vec<List>,
    pub(crate) config: DagConfig,
}

pub(crate) const GIB: u64 = 1 << 30;

/// How tasks hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Chain,
    Tree,
    General,
}

pub(crate) const PLACES: [&str; 5] = ["a/e", "a/w", "b/e", "b/w", "c/x"];

/// Free and dear tiers with edges that a few flows cross.
fn random_lists(dice: &mut Dice) -> Vec<List> {
    let mut lists = Vec::new();
    for cloud in ["a", "b", "c"] {
        for internet in [true, false] {
            let edges = 1 + dice.roll(3);
            let mut at = 0;
            let mut tiers: Vec<(Option<u64>, i64)> = Vec::new();
            for tier in 0..=edges {
                at += 1 + dice.roll(8);
                let rate = if tier == 0 && dice.one_in(2) {
                    0
                } else {
                    i64::try_from(dice.roll(12)).unwrap() * 7_001
                };
                tiers.push(((tier < edges).then_some(at), rate));
            }
            lists.push(List { cloud, internet, tiers });
        }
    }
    lists
}

pub(crate) fn random(dice: &mut Dice, shape: Shape, tasks: u64, candidates: u64) -> Case {
    let lists = random_lists(dice);
    let name = |n: u64| NodeId::new(format!("t{n}"));
    let mut dag = Dag::default();
    for n in 0..tasks {
        let of_task = (0..1 + dice.roll(candidates)).map(|c| Candidate {
            offer: format!("o{c}"),
            region: dice.pick(&PLACES).parse().unwrap(),
            per_hour: MicroUsdPerHour::from_micros(i64::try_from(dice.roll(900_000)).unwrap()),
            run_seconds: [0.0, 0.5, 1.0, 600.0, 3600.0, 7201.5][usize::try_from(dice.roll(6)).unwrap()],
            nodes: u32::try_from(1 + dice.roll(2)).unwrap(),
        });
        dag.tasks.push(Task::new(name(n), of_task.collect()));
    }
    let bytes = |dice: &mut Dice| Bytes::from_bytes(dice.roll(6) * GIB + dice.roll(3) * 12_345_678);
    for n in 1..tasks {
        let before = match shape {
            Shape::Chain => vec![n - 1],
            Shape::Tree => vec![dice.roll(n)],
            Shape::General => (0..n).filter(|_| dice.one_in(2)).collect(),
        };
        for other in before {
            let (from, to) = if shape == Shape::Tree && dice.one_in(3) {
                (n, other)
            } else {
                (other, n)
            };
            dag.edges.push(Edge {
                from: name(from),
                to: name(to),
                bytes: bytes(dice),
            });
        }
    }
    if dice.one_in(2) {
        dag.data.push(DataSet {
            id: "in".into(),
            region: dice.pick(&PLACES).parse().unwrap(),
        });
        dag.edges.push(Edge {
            from: "in".into(),
            to: name(dice.roll(tasks)),
            bytes: bytes(dice),
        });
        dag.data.push(DataSet {
            id: "out".into(),
            region: dice.pick(&PLACES).parse().unwrap(),
        });
        dag.edges.push(Edge {
            from: name(dice.roll(tasks)),
            to: "out".into(),
            bytes: bytes(dice),
        });
    }
    let mut config = DagConfig::new(Objective::Cost);
    if dice.one_in(3) {
        config.already_this_month.push(AlreadySent {
            region: "a/e".parse().unwrap(),
            scope: EgressScope::Internet,
            bytes: Bytes::from_bytes(dice.roll(12) * GIB + dice.roll(1000)),
        });
    }
    if dice.one_in(2) {
        let mut speeds = Speeds::default();
        speeds.between_clouds = Some(2_000_000);
        speeds.between_regions = Some(5_000_000);
        config.speeds = speeds;
    }
    Case { dag, lists, config }
}

pub(crate) fn catalogue(lists: &[List]) -> Catalogue {
    let tier = |(edge, rate): &(Option<u64>, i64)| EgressTier {
        up_to: edge.map(|gib| Bytes::from_bytes(gib * GIB)),
        per_gib: MicroUsd::from_micros(*rate),
    };
    let rule = |list: &List| EgressRule {
        from: list.cloud.parse().unwrap(),
        scope: if list.internet {
            EgressScope::Internet
        } else {
            EgressScope::InterRegion
        },
        from_regions: RegionPrefixes::ALL,
        to_regions: RegionPrefixes::ALL,
        tiers: list.tiers.iter().map(tier).collect(),
        as_of: "2026-01-01".parse().unwrap(),
        source: SourceId(0),
    };
    let region = |key: &&str| RegionInfo {
        key: key.parse().unwrap(),
        jurisdictions: [if key.ends_with('e') { "EU" } else { "US" }.parse_jurisdiction()].into(),
        location: None,
        zones: Vec::new(),
    };
    Catalogue::new(CatalogueParts {
        offers: Vec::new(),
        regions: PLACES.iter().map(region).collect(),
        egress: lists.iter().map(rule).collect(),
        sources: vec![Source {
            name: "test".to_owned(),
        }],
    })
    .unwrap()
}

trait ParseJurisdiction {
    fn parse_jurisdiction(&self) -> skyloom_core::Jurisdiction;
}

impl ParseJurisdiction for str {
    fn parse_jurisdiction(&self) -> skyloom_core::Jurisdiction {
        skyloom_core::Jurisdiction::new(self).unwrap()
    }
}

impl Case {
    pub(crate) fn plan_with(&self, objective: Objective, config: &DagConfig, units: u64) -> Result<DagPlan, DagError> {
        let config = config.clone().with_objective(objective);
        plan(&self.dag, &catalogue(&self.lists), &config, &mut Effort::units(units))
    }

    /// All (cost in micro-dollars, makespan in milliseconds) that there are.
    pub(crate) fn all(&self) -> Vec<(i64, u64)> {
        let mut picks = vec![0; self.dag.tasks.len()];
        let mut all = Vec::new();
        loop {
            all.extend(
                self.is_allowed(&picks)
                    .then(|| (self.cost(&picks), self.makespan(&picks))),
            );
            let more = |d: &usize| picks[*d] + 1 < self.dag.tasks[*d].candidates.len();
            let Some(digit) = (0..picks.len()).find(more) else {
                return all;
            };
            picks[..digit].fill(0);
            picks[digit] += 1;
        }
    }

    pub(crate) fn place(&self, picks: &[usize], id: &NodeId) -> RegionKey {
        match self.dag.tasks.iter().position(|t| t.id == *id) {
            Some(task) => self.dag.tasks[task].candidates[picks[task]].region.clone(),
            None => self.dag.data.iter().find(|d| d.id == *id).unwrap().region.clone(),
        }
    }

    pub(crate) fn cost(&self, picks: &[usize]) -> i64 {
        let mut micros = 0i128;
        for (task, pick) in self.dag.tasks.iter().zip(picks) {
            let candidate = &task.candidates[*pick];
            let product = i128::from(candidate.per_hour.as_micros())
                * i128::from(candidate.nodes)
                * i128::from(millis(candidate.run_seconds));
            micros += (2 * product + 3_600_000).div_euclid(7_200_000);
        }
        let mut volumes: BTreeMap<(RegionKey, bool), u64> = BTreeMap::new();
        for edge in &self.dag.edges {
            let (from, to) = (self.place(picks, &edge.from), self.place(picks, &edge.to));
            if from != to {
                let internet = from.cloud != to.cloud;
                *volumes.entry((from, internet)).or_default() += edge.bytes.as_bytes();
            }
        }
        let mut parts = 0i128;
        for ((from, internet), bytes) in volumes {
            let list = self
                .lists
                .iter()
                .find(|l| l.cloud == from.cloud.as_str() && l.internet == internet)
                .unwrap();
            let scope = if internet {
                EgressScope::Internet
            } else {
                EgressScope::InterRegion
            };
            let sent = self
                .config
                .already_this_month
                .iter()
                .filter(|s| s.region == from && s.scope == scope);
            let before: u64 = sent.map(|s| s.bytes.as_bytes()).sum();
            parts += up_to(&list.tiers, before + bytes) - up_to(&list.tiers, before);
        }
        i64::try_from(micros + (parts + (1 << 29)).div_euclid(1 << 30)).unwrap()
    }

    fn makespan(&self, picks: &[usize]) -> u64 {
        let outputs = self
            .dag
            .edges
            .iter()
            .filter(|e| self.dag.data.iter().any(|d| d.id == e.to));
        let written = outputs.map(|edge| self.end(picks, &edge.from) + self.transfer(picks, edge));
        let ends = self.dag.tasks.iter().map(|task| self.end(picks, &task.id));
        written.chain(ends).max().unwrap_or(0)
    }

    fn end(&self, picks: &[usize], id: &NodeId) -> u64 {
        let Some(task) = self.dag.tasks.iter().position(|t| t.id == *id) else {
            return 0;
        };
        let inputs = self.dag.edges.iter().filter(|edge| edge.to == *id);
        let start = inputs
            .map(|edge| self.end(picks, &edge.from) + self.transfer(picks, edge))
            .max();
        start.unwrap_or(0) + millis(self.dag.tasks[task].candidates[picks[task]].run_seconds)
    }

    fn transfer(&self, picks: &[usize], edge: &Edge) -> u64 {
        let (from, to) = (self.place(picks, &edge.from), self.place(picks, &edge.to));
        let speeds = &self.config.speeds;
        let speed = match (from == to, from.cloud == to.cloud) {
            (true, _) => return 0,
            (false, true) => speeds.between_regions,
            (false, false) => speeds.between_clouds,
        };
        speed.map_or(0, |speed| (edge.bytes.as_bytes() * 1000).div_ceil(speed))
    }

    fn is_allowed(&self, picks: &[usize]) -> bool {
        self.dag.tasks.iter().zip(picks).all(|(task, pick)| {
            let region = &task.candidates[*pick].region;
            let in_time = task
                .finish_within_seconds
                .is_none_or(|s| self.end(picks, &task.id) <= millis(s));
            in_time
                && (task.clouds.is_empty() || task.clouds.contains(&region.cloud))
                && (task.regions.is_empty() || task.regions.contains(region))
        })
    }
}

/// What a month's volume costs, in 2^-30 micro-dollars: of each tier what lies between its edges.
pub(crate) fn up_to(tiers: &[(Option<u64>, i64)], volume: u64) -> i128 {
    let mut cost = 0;
    let mut below = 0u128;
    for (edge, rate) in tiers {
        let edge = edge.map_or(u128::MAX, |gib| u128::from(gib) << 30);
        let inside = u128::from(volume).min(edge).saturating_sub(below);
        cost += i128::try_from(inside).unwrap() * i128::from(*rate);
        below = edge;
    }
    cost
}

/// Half up.
pub(crate) fn millis(seconds: f64) -> u64 {
    std::time::Duration::from_secs_f64(seconds + 0.0005)
        .as_millis()
        .try_into()
        .unwrap()
}
