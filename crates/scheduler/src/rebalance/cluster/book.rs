//! The rules of a cluster in numbers: who may go where, asked millions of times.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Rule;
use super::describe::{Offer, Workload};
use super::index::{Index, NODE_LEVEL};
use super::marks::Marks;
use super::settings::Settings;
use super::spread::Spreading;
use crate::rebalance::engine::Rules;
use crate::state::devices_hold;

/// What workloads of equal rules have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    labels: Vec<u32>,
    tolerates: Vec<u32>,
    /// Sorted; `None`: any.
    nodes: Option<Vec<usize>>,
    groups: Vec<u32>,
    apart: Vec<u32>,
}

/// What of a node workloads ask for.
#[derive(Debug, Clone)]
struct Traits {
    labels: Vec<u32>,
    taints: Vec<u32>,
    ready: bool,
}

/// Labels, taints and groups as numbers.
#[derive(Debug, Clone, Default)]
struct Names<'a>(BTreeMap<(&'a str, &'a str), u32>);

impl<'a> Names<'a> {
    fn number(&mut self, key: &'a str, value: &'a str) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry((key, value)).or_insert(next)
    }

    fn pairs(&mut self, pairs: &'a BTreeMap<String, String>) -> Vec<u32> {
        let mut list: Vec<u32> = pairs.iter().map(|(k, v)| self.number(k, v)).collect();
        list.sort_unstable();
        list
    }

    fn set(&mut self, set: &'a BTreeSet<String>) -> Vec<u32> {
        let mut list: Vec<u32> = set.iter().map(|name| self.number(name, "")).collect();
        list.sort_unstable();
        list
    }
}

/// The rules with what they count.
#[derive(Debug, Clone)]
pub(crate) struct Book<'a> {
    dims: usize,
    /// Nodes that were not bought.
    original: usize,
    capacity: Vec<u64>,
    taken: Vec<u64>,
    request: Vec<u64>,
    /// Whether a workload uses a dimension of which it requests nothing.
    uses: Vec<bool>,
    costs: Vec<f64>,
    kinds: Vec<Kind>,
    kind_of: Vec<usize>,
    traits: Vec<Traits>,
    marks: Marks,
    spreads: Vec<(Level, Spreading)>,
    /// Spreads that each kind is a member of.
    member_of: Vec<Vec<usize>>,
    /// Dimensions counted in devices, with the requests on each node.
    devices: Vec<(usize, Vec<Vec<u64>>)>,
    labels: Names<'a>,
    taints: Names<'a>,
}

/// What a spread is over, and its domains by name.
#[derive(Debug, Clone)]
struct Level {
    name: String,
    domains: BTreeMap<String, u32>,
    /// Kinds that are spread.
    members: Vec<usize>,
}

impl<'a> Book<'a> {
    /// The rules of a cluster with its workloads where they are.
    pub(crate) fn new(index: &Index<'a>, settings: &Settings) -> Self {
        let dims = index.dims();
        let (mut labels, mut taints, mut groups) = (Names::default(), Names::default(), Names::default());
        let traits = index.nodes.iter().map(|n| Traits {
            labels: labels.pairs(&n.labels),
            taints: taints.set(&n.taints),
            ready: n.ready,
        });
        let traits: Vec<Traits> = traits.collect();
        let mut known: BTreeMap<Kind, usize> = BTreeMap::new();
        let mut kind_of = Vec::with_capacity(index.workloads.len());
        for workload in &index.workloads {
            let kind = Kind {
                labels: labels.pairs(&workload.labels),
                tolerates: taints.set(&workload.tolerates),
                nodes: workload
                    .nodes
                    .as_ref()
                    .map(|set| set.iter().filter_map(|id| index.node(id)).collect()),
                groups: groups.set(&workload.groups),
                apart: groups.set(&workload.apart_from),
            };
            let next = known.len();
            kind_of.push(*known.entry(kind).or_insert(next));
        }
        let mut kinds = vec![Kind::default(); known.len()];
        known.into_iter().for_each(|(kind, number)| kinds[number] = kind);
        let device_dims = index.cluster.dimensions.iter().enumerate().filter(|(_, d)| d.devices);
        let mut book = Self {
            dims,
            original: index.nodes.len(),
            capacity: index.nodes.iter().flat_map(|n| n.capacity.iter().copied()).collect(),
            taken: vec![0; index.nodes.len() * dims],
            request: index.workloads.iter().flat_map(|w| w.request.iter().copied()).collect(),
            uses: index
                .workloads
                .iter()
                .flat_map(|w| super::index::used(w).iter().map(|u| *u > 0))
                .collect(),
            costs: index.workloads.iter().map(|w| move_cost(w, settings)).collect(),
            member_of: vec![Vec::new(); kinds.len()],
            kinds,
            kind_of,
            traits,
            marks: Marks::default(),
            spreads: Vec::new(),
            devices: device_dims
                .map(|(d, _)| (d, vec![Vec::new(); index.nodes.len()]))
                .collect(),
            labels,
            taints,
        };
        index.nodes.iter().for_each(|_| book.marks.add_node());
        for rule in &index.cluster.spread {
            let group = groups.number(&rule.group, "");
            book.add_spread(index, &rule.over, rule.max_skew, group);
        }
        for (workload, node) in index.at.iter().enumerate() {
            book.count(workload, *node, true);
        }
        book
    }

    fn add_spread(&mut self, index: &Index<'_>, over: &str, max_skew: u32, group: u32) {
        let members: Vec<usize> = (0..self.kinds.len())
            .filter(|k| self.kinds[*k].groups.contains(&group))
            .collect();
        let mut domains: BTreeMap<String, u32> = BTreeMap::new();
        let domain_of: Vec<Option<u32>> = index
            .nodes
            .iter()
            .map(|node| {
                let name = if over == NODE_LEVEL {
                    Some(node.id.as_str())
                } else {
                    node.domains.get(over).map(String::as_str)
                };
                let next = u32::try_from(domains.len()).unwrap_or(u32::MAX);
                name.map(|name| *domains.entry(name.to_owned()).or_insert(next))
            })
            .collect();
        let open = |node: usize| members.iter().any(|k| self.statics(&self.kinds[*k], node).is_none());
        let open: Vec<bool> = (0..domain_of.len()).map(open).collect();
        members.iter().for_each(|k| self.member_of[*k].push(self.spreads.len()));
        let spreading = Spreading::new(max_skew, domains.len(), &domain_of, &open);
        let level = Level {
            name: over.to_owned(),
            domains,
            members,
        };
        self.spreads.push((level, spreading));
    }

    /// Adds an empty machine that was bought.
    pub(crate) fn add_node(&mut self, offer: &'a Offer) {
        self.capacity.extend(&offer.capacity);
        self.taken.extend(vec![0; self.dims]);
        self.traits.push(Traits {
            labels: self.labels.pairs(&offer.labels),
            taints: self.taints.set(&offer.taints),
            ready: true,
        });
        self.marks.add_node();
        self.devices
            .iter_mut()
            .for_each(|(_, requests)| requests.push(Vec::new()));
        for (level, spread) in &mut self.spreads {
            if level.name == NODE_LEVEL {
                spread.add_domain();
            } else {
                let name = offer.domains.get(&level.name);
                spread.add_node(name.and_then(|name| level.domains.get(name).copied()));
            }
        }
    }

    /// A node receives no more, or does again.
    pub(crate) fn set_ready(&mut self, node: usize, ready: bool) {
        self.traits[node].ready = ready;
        if node >= self.original {
            return;
        }
        for index in 0..self.spreads.len() {
            let members = &self.spreads[index].0.members;
            let open = ready && members.iter().any(|k| self.statics(&self.kinds[*k], node).is_none());
            self.spreads[index].1.set_open(node, open);
        }
    }

    /// What is requested of a workload, by dimension.
    pub(crate) fn request(&self, workload: usize) -> &[u64] {
        &self.request[workload * self.dims..(workload + 1) * self.dims]
    }

    /// What is not taken of a node, by dimension.
    pub(crate) fn free(&self, node: usize, dimension: usize) -> u64 {
        let at = node * self.dims + dimension;
        self.capacity[at].saturating_sub(self.taken[at])
    }

    /// What a node has, by dimension.
    pub(crate) fn capacity(&self, node: usize) -> &[u64] {
        &self.capacity[node * self.dims..(node + 1) * self.dims]
    }

    pub(crate) const fn dims(&self) -> usize {
        self.dims
    }

    pub(crate) fn move_cost(&self, workload: usize) -> f64 {
        self.costs[workload]
    }

    /// The rule that keeps a kind from a node whatever else is where.
    fn statics(&self, kind: &Kind, node: usize) -> Option<Rule> {
        let traits = &self.traits[node];
        let has_all = |wanted: &[u32], there: &[u32]| wanted.iter().all(|w| there.binary_search(w).is_ok());
        if !traits.ready {
            Some(Rule::NotReady)
        } else if kind
            .nodes
            .as_ref()
            .is_some_and(|nodes| nodes.binary_search(&node).is_err())
        {
            Some(Rule::Nodes)
        } else if !has_all(&kind.labels, &traits.labels) {
            Some(Rule::Labels)
        } else if !has_all(&traits.taints, &kind.tolerates) {
            Some(Rule::Taints)
        } else {
            None
        }
    }

    fn has_room(&self, workload: usize, node: usize) -> Option<Rule> {
        let asked = self.request(workload);
        let lacks = |d: usize| {
            let uses_none_there = self.capacity[node * self.dims + d] == 0 && self.uses[workload * self.dims + d];
            asked[d] > self.free(node, d) && asked[d] > 0 || uses_none_there
        };
        if (0..self.dims).any(lacks) {
            return Some(Rule::Room);
        }
        let holds = |(d, requests): &(usize, Vec<Vec<u64>>)| {
            asked[*d] == 0 || devices_hold(self.capacity[node * self.dims + d], &requests[node], asked[*d])
        };
        (!self.devices.iter().all(holds)).then_some(Rule::Devices)
    }

    fn count(&mut self, workload: usize, node: usize, into: bool) {
        for d in 0..self.dims {
            let amount = self.request[workload * self.dims + d];
            let taken = &mut self.taken[node * self.dims + d];
            *taken = if into {
                taken.saturating_add(amount)
            } else {
                taken.saturating_sub(amount)
            };
        }
        let kind = self.kind_of[workload];
        self.marks
            .count(node, &self.kinds[kind].groups, &self.kinds[kind].apart, into);
        for spread in &self.member_of[kind] {
            self.spreads[*spread].1.count(node, into);
        }
        for (d, requests) in &mut self.devices {
            let amount = self.request[workload * self.dims + *d];
            if amount > 0 && into {
                requests[node].push(amount);
            } else if let Some(place) = requests[node].iter().position(|r| *r == amount) {
                requests[node].swap_remove(place);
            }
        }
    }
}

fn move_cost(workload: &Workload, settings: &Settings) -> f64 {
    workload.move_cost.unwrap_or(settings.move_cost).as_usd() * 1e6
}

impl Rules for Book<'_> {
    type Rule = Rule;

    fn reject(&mut self, workload: usize, from: usize, to: usize) -> Option<Rule> {
        let kind = &self.kinds[self.kind_of[workload]];
        if let Some(rule) = self.statics(kind, to).or_else(|| self.has_room(workload, to)) {
            return Some(rule);
        }
        if self.marks.conflict(to, &kind.groups, &kind.apart) {
            return Some(Rule::Apart);
        }
        let even = |spread: &usize| self.spreads[*spread].1.allows(from, to);
        (!self.member_of[self.kind_of[workload]].iter().all(even)).then_some(Rule::Spread)
    }

    fn overload(&self, _: usize, _: usize) -> Rule {
        Rule::Ceiling
    }

    fn moved(&mut self, workload: usize, from: usize, to: usize) {
        self.count(workload, from, false);
        self.count(workload, to, true);
    }

    fn saves(&mut self, _: usize, _: usize, _: usize) -> f64 {
        0.0
    }

    fn cost(&self, workload: usize, _: usize, _: usize) -> f64 {
        self.costs[workload]
    }
}
