//! Looks a plan over, by names and plain counting: it shares no code with what made the plan, and no index of it.
//!
//! What breaks a rule before a move is no fault of the plan; a move may not break a rule, nor make a broken one worse.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use skyloom_core::{MachineId, MicroUsd};

use super::answer::{Plan, Rule};
use super::describe::{Cluster, Node, Spread, Workload, WorkloadId};
use super::settings::{Goal, Settings};

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Breach {
    /// A move is of a workload that is not there, not from where it is, to where it is, or to no node.
    Astray {
        /// Number of the move, from 0.
        number: usize,
    },
    /// A move breaks a rule when its turn comes.
    Broken {
        /// Number of the move, from 0.
        number: usize,
        /// Which.
        workload: WorkloadId,
        /// Where it goes.
        to: MachineId,
        /// Which rule.
        rule: Rule,
    },
    /// A pinned workload moves.
    Pinned {
        /// Which.
        workload: WorkloadId,
    },
    /// More moves than are allowed.
    TooMany {
        /// How many.
        moves: usize,
    },
    /// The plan, or one of its steps, earns less than the threshold asks, or its amounts do not add up.
    Amounts {
        /// What is wrong.
        what: &'static str,
    },
    /// A node that is given back is not empty, is to be kept, or is not there.
    NotEmpty {
        /// Which.
        node: MachineId,
    },
    /// A figure is not what the formulas give.
    Figure {
        /// Which.
        what: &'static str,
        /// As the plan says.
        told: f64,
        /// As it is.
        is: f64,
    },
    /// Nothing is done and no reason is given, or both.
    Silent,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Astray { number } => write!(f, "move {number} is not of a workload from where it is to another node"),
            Self::Broken {
                number,
                workload,
                to,
                rule,
            } => {
                write!(f, "move {number} of `{workload}` to `{to}` breaks the {rule} rule")
            }
            Self::Pinned { workload } => write!(f, "`{workload}` is pinned and moves"),
            Self::TooMany { moves } => write!(f, "there are {moves} moves, more than are allowed"),
            Self::Amounts { what } => f.write_str(what),
            Self::NotEmpty { node } => write!(f, "`{node}` is given back and may not be"),
            Self::Figure { what, told, is } => write!(f, "{what} is {is}, not {told}"),
            Self::Silent => f.write_str("nothing is done without a reason, or with one something is"),
        }
    }
}

/// Everything that is wrong with a plan for a cluster; empty when nothing is. Cost: workloads and, per move, what is on
/// its nodes and in its groups.
#[must_use]
pub fn check(cluster: &Cluster, settings: &Settings, plan: &Plan) -> Vec<Breach> {
    let mut world = World::new(cluster, settings, plan);
    let mut breaches = amounts(settings, plan);
    let before = world.rms(plan, false);
    for number in 0..plan.moves.len() {
        world.follow(number, &mut breaches);
    }
    for given in &plan.given_back {
        let node = world.nodes.get(&given.node);
        let empty = world.on.get(&given.node).is_none_or(BTreeSet::is_empty);
        if !empty || node.is_none_or(|n| n.keep) {
            breaches.push(Breach::NotEmpty {
                node: given.node.clone(),
            });
        }
    }
    let figures = [
        ("the imbalance before", plan.imbalance_before.rms, before),
        ("the imbalance after", plan.imbalance_after.rms, world.rms(plan, true)),
        ("the price before", plan.price_before.as_usd(), world.price(plan, false)),
        ("the price after", plan.price_after.as_usd(), world.price(plan, true)),
    ];
    for (what, told, is) in figures {
        if (told - is).abs() > 1e-6 {
            breaches.push(Breach::Figure { what, told, is });
        }
    }
    breaches
}

/// Money, moves and steps add up, and pay.
fn amounts(settings: &Settings, plan: &Plan) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if plan.moves.len() > usize::try_from(settings.moves_max).unwrap_or(usize::MAX) {
        breaches.push(Breach::TooMany {
            moves: plan.moves.len(),
        });
    }
    let acts = !plan.moves.is_empty() || !plan.given_back.is_empty();
    if acts == plan.refusal.is_some() || acts != plan.ce.is_some() {
        breaches.push(Breach::Silent);
    }
    // One millionth of a dollar per amount is rounded away.
    let pays = |saving: MicroUsd, cost: MicroUsd| {
        (saving.as_usd() + 1e-6) * (1.0 + 1e-9) >= settings.threshold * cost.as_usd()
    };
    if !pays(plan.saving, plan.cost) || !plan.steps.iter().all(|s| pays(s.saving, s.cost)) {
        breaches.push(Breach::Amounts {
            what: "a step, or the plan, earns less than the threshold asks",
        });
    }
    let mut number = 0;
    for (index, step) in plan.steps.iter().enumerate() {
        let moves = plan.moves.iter().skip(number).take(step.moves);
        let saving: i64 = moves.clone().map(|m| m.saving.as_micros()).sum();
        let cost: i64 = moves.clone().map(|m| m.cost.as_micros()).sum();
        if saving != step.saving.as_micros() || cost != step.cost.as_micros() || !moves.clone().all(|m| m.step == index)
        {
            breaches.push(Breach::Amounts {
                what: "the moves of a step do not add up to it",
            });
        }
        number += step.moves;
    }
    if number != plan.moves.len() {
        breaches.push(Breach::Amounts {
            what: "some moves are in no step",
        });
    }
    breaches
}

/// The cluster by names, while moves are made.
struct World<'w> {
    cluster: &'w Cluster,
    settings: &'w Settings,
    plan: &'w Plan,
    nodes: BTreeMap<MachineId, Node>,
    workloads: BTreeMap<&'w WorkloadId, &'w Workload>,
    at: BTreeMap<&'w WorkloadId, MachineId>,
    on: BTreeMap<MachineId, BTreeSet<&'w WorkloadId>>,
    /// Members of each group that is spread.
    members: BTreeMap<&'w str, Vec<&'w WorkloadId>>,
}

impl<'w> World<'w> {
    fn new(cluster: &'w Cluster, settings: &'w Settings, plan: &'w Plan) -> Self {
        let mut nodes: BTreeMap<MachineId, Node> = cluster.nodes.iter().map(|n| (n.id.clone(), n.clone())).collect();
        if let Goal::Consolidate { offers } = &settings.goal {
            for bought in &plan.bought {
                for offer in offers.iter().filter(|o| o.id == bought.offer) {
                    let mut node = Node::new(bought.node.clone(), offer.capacity.clone());
                    (node.price, node.domains) = (offer.price, offer.domains.clone());
                    (node.labels, node.taints) = (offer.labels.clone(), offer.taints.clone());
                    nodes.insert(bought.node.clone(), node);
                }
            }
        }
        let mut world = Self {
            cluster,
            settings,
            plan,
            nodes,
            workloads: cluster.workloads.iter().map(|w| (&w.id, w)).collect(),
            at: cluster.workloads.iter().map(|w| (&w.id, w.node.clone())).collect(),
            on: BTreeMap::new(),
            members: BTreeMap::new(),
        };
        for workload in &cluster.workloads {
            world.on.entry(workload.node.clone()).or_default().insert(&workload.id);
            for rule in cluster.spread.iter().filter(|r| workload.groups.contains(&r.group)) {
                let members = world.members.entry(&rule.group).or_default();
                if members.last() != Some(&&workload.id) {
                    members.push(&workload.id);
                }
            }
        }
        world
    }

    fn follow(&mut self, number: usize, breaches: &mut Vec<Breach>) {
        let step = &self.plan.moves[number];
        let workload = self.workloads.get(&step.workload).copied();
        let here = self.at.get(&step.workload) == Some(&step.from) && step.from != step.to;
        let Some(workload) = workload.filter(|_| here && self.nodes.contains_key(&step.to)) else {
            breaches.push(Breach::Astray { number });
            return;
        };
        if workload.pinned {
            breaches.push(Breach::Pinned {
                workload: workload.id.clone(),
            });
        }
        let rules: Vec<&Spread> = self
            .cluster
            .spread
            .iter()
            .filter(|r| workload.groups.contains(&r.group))
            .collect();
        let skews: Vec<u32> = rules.iter().map(|r| self.skew(r, None).0).collect();
        self.on.entry(step.from.clone()).or_default().remove(&workload.id);
        self.on.entry(step.to.clone()).or_default().insert(&workload.id);
        self.at.insert(&workload.id, step.to.clone());
        let uneven = rules.iter().zip(skews).any(|(rule, before)| {
            let (skew, here) = self.skew(rule, Some(&step.to));
            let same = self.domain(rule, &step.from) == self.domain(rule, &step.to);
            !same && (here.is_none_or(|over| over > rule.max_skew) || skew > rule.max_skew.max(before))
        });
        let broken = self.broken(workload, &step.to).or(uneven.then_some(Rule::Spread));
        if let Some(rule) = broken {
            breaches.push(Breach::Broken {
                number,
                workload: workload.id.clone(),
                to: step.to.clone(),
                rule,
            });
        }
    }

    /// The first rule that a workload on its new node breaks, but for spreads.
    fn broken(&self, workload: &Workload, to: &MachineId) -> Option<Rule> {
        let node = self.nodes.get(to)?;
        if let Some(rule) = statically(workload, node) {
            return Some(rule);
        }
        let others: Vec<&Workload> = self
            .on
            .get(to)?
            .iter()
            .filter_map(|id| self.workloads.get(id).copied())
            .collect();
        for (d, dimension) in self.cluster.dimensions.iter().enumerate() {
            let requested: u128 = others.iter().map(|w| u128::from(w.request[d])).sum();
            let asks = workload.request[d] > 0;
            if asks && requested > u128::from(node.capacity[d]) {
                return Some(Rule::Room);
            }
            let shares: Vec<u64> = others.iter().map(|w| w.request[d]).filter(|r| *r > 0).collect();
            if dimension.devices && asks && !packs(node.capacity[d], shares) {
                return Some(Rule::Devices);
            }
        }
        if self.utilisation(node) > self.settings.ceiling + 1e-6 {
            return Some(Rule::Ceiling);
        }
        let meets = |a: &Workload, b: &Workload| !a.apart_from.is_disjoint(&b.groups);
        let neighbours = others.iter().filter(|w| w.id != workload.id);
        let meets = neighbours.into_iter().any(|w| meets(workload, w) || meets(w, workload));
        meets.then_some(Rule::Apart)
    }

    /// Dominant share of what is used of a node.
    fn utilisation(&self, node: &Node) -> f64 {
        let on = self.on.get(&node.id);
        let residents: Vec<&Workload> = on
            .into_iter()
            .flatten()
            .filter_map(|id| self.workloads.get(id).copied())
            .collect();
        let share = |d: usize| {
            let used: u128 = residents
                .iter()
                .map(|w| u128::from(w.used.as_ref().unwrap_or(&w.request)[d]))
                .sum();
            let used = used + u128::from(node.other_use.get(d).copied().unwrap_or(0));
            if node.capacity[d] == 0 {
                0.0
            } else {
                real(used) / real(node.capacity[d].into())
            }
        };
        (0..self.cluster.dimensions.len()).map(share).fold(0.0, f64::max)
    }

    fn domain<'n>(&'n self, rule: &Spread, node: &'n MachineId) -> Option<&'n str> {
        if rule.over == "node" {
            return Some(node.as_str());
        }
        self.nodes.get(node)?.domains.get(&rule.over).map(String::as_str)
    }

    /// Most less least members per domain; and, for the domain of `at`, how many more than the least it has (`None` when
    /// it is in no domain). For the least, domains count that have a ready node which is not given back and may hold a
    /// member, or a bought one which holds one.
    fn skew(&self, rule: &Spread, at: Option<&MachineId>) -> (u32, Option<u32>) {
        let none = Vec::new();
        let members = self.members.get(rule.group.as_str()).unwrap_or(&none);
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for member in members {
            if let Some(domain) = self.at.get(*member).and_then(|node| self.domain(rule, node)) {
                *counts.entry(domain).or_insert(0) += 1;
            }
        }
        let given: BTreeSet<&MachineId> = self.plan.given_back.iter().map(|g| &g.node).collect();
        let bought: BTreeSet<&MachineId> = self.plan.bought.iter().map(|b| &b.node).collect();
        let counting = self.nodes.values().filter(|node| {
            if bought.contains(&node.id) {
                return members.iter().any(|m| self.at.get(*m) == Some(&node.id));
            }
            let may = |m: &&WorkloadId| self.workloads.get(*m).is_some_and(|w| statically(w, node).is_none());
            !given.contains(&node.id) && members.iter().any(may)
        });
        let count = |domain: &str| counts.get(domain).copied().unwrap_or(0);
        let least = counting
            .filter_map(|node| self.domain(rule, &node.id))
            .map(count)
            .min()
            .unwrap_or(0);
        let most = counts.values().copied().max().unwrap_or(0);
        let here = at
            .and_then(|node| self.domain(rule, node))
            .map(|domain| count(domain).saturating_sub(least));
        (most.saturating_sub(least), here)
    }

    /// Nodes of the fleet before the plan or after it.
    fn fleet(&self, plan: &Plan, after: bool) -> Vec<&Node> {
        let given = |id: &MachineId| plan.given_back.iter().any(|g| g.node == *id);
        let bought = |id: &MachineId| plan.bought.iter().any(|b| b.node == *id);
        let (given, bought): (BTreeSet<&MachineId>, BTreeSet<&MachineId>) = (
            self.nodes.keys().filter(|id| given(id)).collect(),
            self.nodes.keys().filter(|id| bought(id)).collect(),
        );
        let in_fleet = |node: &&Node| {
            if after {
                !given.contains(&node.id)
            } else {
                !bought.contains(&node.id)
            }
        };
        self.nodes.values().filter(in_fleet).collect()
    }

    /// Root mean square of `LB_i`, from its definition.
    fn rms(&self, plan: &Plan, after: bool) -> f64 {
        let nodes = self.fleet(plan, after);
        let levels: Vec<f64> = nodes
            .iter()
            .filter(|n| n.ready)
            .map(|n| self.utilisation(n).min(1.0))
            .collect();
        let count = real(u128::try_from(levels.len().max(1)).unwrap_or(1));
        let mean = match self.settings.mean {
            crate::formulas::Mean::Supplied(mean) => mean.get(),
            crate::formulas::Mean::Arithmetic => levels.iter().sum::<f64>() / count,
        };
        let balance = |u: &f64| if u + mean > 0.0 { (u - mean) / (u + mean) } else { 0.0 };
        let squares: f64 = levels.iter().map(balance).map(|lb| lb * lb).sum();
        libm::sqrt(squares / count)
    }

    fn price(&self, plan: &Plan, after: bool) -> f64 {
        self.fleet(plan, after).iter().map(|n| n.price.as_usd()).sum()
    }
}

/// An amount for a share.
#[expect(clippy::cast_precision_loss, reason = "a share, not an account: 53 bits are enough")]
const fn real(amount: u128) -> f64 {
    amount as f64
}

/// The first rule between a workload and a node alone.
fn statically(workload: &Workload, node: &Node) -> Option<Rule> {
    if !node.ready {
        return Some(Rule::NotReady);
    }
    if workload.nodes.as_ref().is_some_and(|nodes| !nodes.contains(&node.id)) {
        return Some(Rule::Nodes);
    }
    if workload
        .labels
        .iter()
        .any(|(key, value)| node.labels.get(key) != Some(value))
    {
        return Some(Rule::Labels);
    }
    (!node.taints.is_subset(&workload.tolerates)).then_some(Rule::Taints)
}

/// Whether requests in thousandths fit devices without straddling: whole ones first, then shares, the largest first,
/// each to the fullest device that still has room.
fn packs(capacity: u64, mut requests: Vec<u64>) -> bool {
    requests.sort_unstable_by(|a, b| b.cmp(a));
    let mut whole = capacity / 1000;
    let mut open = vec![capacity % 1000];
    for request in requests {
        if request >= 1000 {
            if request % 1000 != 0 || request / 1000 > whole {
                return false;
            }
            whole -= request / 1000;
            continue;
        }
        let fullest = open.iter_mut().filter(|free| **free >= request).min();
        match fullest {
            Some(free) => *free -= request,
            None if whole > 0 => {
                whole -= 1;
                open.push(1000 - request);
            }
            None => return false,
        }
    }
    true
}
