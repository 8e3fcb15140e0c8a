//! Rules about other pods (affinity, anti-affinity, spread) as counters per fault domain, kept up with every change.
//!
//! Only workloads that some rule names are counted, so pods without rules cost nothing here.

use std::collections::BTreeMap;

use skyloom_core::{ServiceName, Site, SpreadOver};

use super::NodeSpec;
use super::class::Class;
use super::filter::Filter;

const SCOPES: [SpreadOver; 4] = [
    SpreadOver::Machine,
    SpreadOver::Zone,
    SpreadOver::Region,
    SpreadOver::Cloud,
];

/// What a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    /// Pods of the workload.
    Present,
    /// Pods that keep the workload away.
    Repelling,
}

/// Pods per domain.
#[derive(Debug, Clone)]
struct Counter {
    scope: SpreadOver,
    per_domain: Vec<u32>,
    total: u64,
}

/// The counters that matter to one class.
#[derive(Debug, Clone, Default)]
pub(super) struct ClassRules {
    /// Must be above zero, unless it is the own workload and there is none of it yet.
    near: Vec<(usize, bool)>,
    /// Must be zero.
    apart: Vec<usize>,
    /// Largest skew, and the domains that are eligible, sorted.
    spread: Vec<(usize, u32, Vec<u32>)>,
    /// Those that a pod of the class counts in.
    counted: Vec<usize>,
}

impl ClassRules {
    /// Whether a pod of the class may go and come without any rule being asked or changed.
    pub(super) fn are_none(&self) -> bool {
        !self.ask() && self.counted.is_empty()
    }

    /// Whether a place has to be asked for.
    pub(super) fn ask(&self) -> bool {
        !(self.near.is_empty() && self.apart.is_empty() && self.spread.is_empty())
    }
}

/// Counters of a placer.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    counters: Vec<Counter>,
    by_key: BTreeMap<(ServiceName, Counted, SpreadOver), usize>,
    /// Domain of each node in each scope, and how many domains there are.
    domains: [(Vec<u32>, usize); 4],
}

impl Rules {
    pub(super) fn new(nodes: &[NodeSpec]) -> Self {
        Self {
            counters: Vec::new(),
            by_key: BTreeMap::new(),
            domains: SCOPES.map(|scope| domains(nodes, scope)),
        }
    }

    /// Links the last class, which has no pods yet, with the counters that it needs and counts in. `placed` gives class
    /// and node of every pod.
    pub(super) fn register(&mut self, classes: &mut [Class], profiles: &[u32], placed: &[(usize, usize)]) {
        let Some(new) = classes.len().checked_sub(1) else {
            return;
        };
        let spec = classes[new].spec.clone();
        for rule in &spec.affinity {
            let counter = self.counter(classes, &rule.service, Counted::Present, rule.within, placed);
            let own = spec.workload.as_ref() == Some(&rule.service);
            classes[new].rules.near.push((counter, own));
        }
        for rule in &spec.anti_affinity {
            let present = self.counter(classes, &rule.service, Counted::Present, rule.within, placed);
            classes[new].rules.apart.push(present);
            let repelling = self.counter(classes, &rule.service, Counted::Repelling, rule.within, placed);
            classes[new].rules.counted.push(repelling);
        }
        for rule in spec
            .workload
            .iter()
            .flat_map(|w| spec.spread.iter().map(move |rule| (w, rule)))
        {
            let (workload, rule) = rule;
            let counter = self.counter(classes, workload, Counted::Present, rule.over, placed);
            let (of_node, _) = &self.domains[rule.over as usize];
            let open = |(_, profile): &(_, &u32)| classes[new].barred[**profile as usize].is_none();
            let mut eligible: Vec<u32> = of_node.iter().zip(profiles).filter(open).map(|(d, _)| *d).collect();
            eligible.sort_unstable();
            eligible.dedup();
            classes[new].rules.spread.push((counter, rule.max_skew.get(), eligible));
        }
        // Counters that others made before.
        let Some(workload) = &spec.workload else { return };
        for ((_, counted, _), counter) in self.by_key.iter().filter(|((w, ..), _)| w == workload) {
            let rules = &mut classes[new].rules;
            let list = if *counted == Counted::Present {
                &mut rules.counted
            } else {
                &mut rules.apart
            };
            if !list.contains(counter) {
                list.push(*counter);
            }
        }
    }

    /// A pod of the class came to a node, or left it.
    pub(super) fn count(&mut self, class: &Class, node: usize, came: bool) {
        for counter in &class.rules.counted {
            let counter = &mut self.counters[*counter];
            let domain = &mut counter.per_domain[self.domains[counter.scope as usize].0[node] as usize];
            if came {
                *domain += 1;
                counter.total += 1;
            } else {
                *domain -= 1;
                counter.total -= 1;
            }
        }
    }

    /// The least number in an eligible domain, per spread rule of the class.
    pub(super) fn levels(&self, class: &Class) -> Vec<u32> {
        let least = |(counter, _, eligible): &(usize, u32, Vec<u32>)| {
            let per_domain = &self.counters[*counter].per_domain;
            eligible.iter().map(|d| per_domain[*d as usize]).min().unwrap_or(0)
        };
        class.rules.spread.iter().map(least).collect()
    }

    /// The first rule that keeps a pod of the class off a node, given [`Rules::levels`].
    pub(super) fn first_broken(&self, class: &Class, node: usize, levels: &[u32]) -> Option<Filter> {
        let rules = &class.rules;
        let count = |counter: usize| {
            let counter = &self.counters[counter];
            counter.per_domain[self.domains[counter.scope as usize].0[node] as usize]
        };
        let is_near =
            |(counter, own): &(usize, bool)| count(*counter) > 0 || (*own && self.counters[*counter].total == 0);
        let even = |((counter, skew, _), least): (&(usize, u32, _), &u32)| count(*counter) - least < *skew;
        if !rules.near.iter().all(is_near) {
            Some(Filter::Affinity)
        } else if rules.apart.iter().any(|counter| count(*counter) > 0) {
            Some(Filter::AntiAffinity)
        } else if !rules.spread.iter().zip(levels).all(even) {
            Some(Filter::Spread)
        } else {
            None
        }
    }

    /// The counter of that key; a new one is linked with the classes that are there and counts their pods.
    fn counter(
        &mut self,
        classes: &mut [Class],
        workload: &ServiceName,
        counted: Counted,
        scope: SpreadOver,
        placed: &[(usize, usize)],
    ) -> usize {
        let key = (workload.clone(), counted, scope);
        if let Some(counter) = self.by_key.get(&key) {
            return *counter;
        }
        let counter = self.counters.len();
        let (of_node, domains) = &self.domains[scope as usize];
        let mut made = Counter {
            scope,
            per_domain: vec![0; *domains],
            total: 0,
        };
        for class in classes
            .iter_mut()
            .filter(|c| c.spec.workload.as_ref() == Some(workload))
        {
            match counted {
                Counted::Present => class.rules.counted.push(counter),
                Counted::Repelling => class.rules.apart.push(counter),
            }
        }
        let of_workload = |class: usize| classes[class].spec.workload.as_ref() == Some(workload);
        if counted == Counted::Present {
            for (_, node) in placed.iter().filter(|(class, _)| of_workload(*class)) {
                made.per_domain[of_node[*node] as usize] += 1;
                made.total += 1;
            }
        }
        self.counters.push(made);
        self.by_key.insert(key, counter);
        counter
    }
}

/// Number of each node's domain, and how many there are.
fn domains(nodes: &[NodeSpec], scope: SpreadOver) -> (Vec<u32>, usize) {
    let name = |(at, node): (usize, &NodeSpec)| match (scope, &node.site) {
        (SpreadOver::Machine, _) => format!("{at:010}"),
        (_, None) => String::new(),
        (SpreadOver::Zone, Some(site)) => site.to_string(),
        (SpreadOver::Region, Some(Site { region, .. })) => region.to_string(),
        (SpreadOver::Cloud, Some(Site { region, .. })) => region.cloud.to_string(),
    };
    let names: Vec<String> = nodes.iter().enumerate().map(name).collect();
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let number = |name: &String| u32::try_from(sorted.partition_point(|other| *other < name)).unwrap_or(u32::MAX);
    (names.iter().map(number).collect(), sorted.len())
}
