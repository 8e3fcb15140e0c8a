//! The shortest loop of a graph that should have none.
//!
//! Strongly connected components alone would be quicker, but they answer with a set, and a set of forty services does
//! not tell its reader which line to change. So the shortest loop itself is searched, inside components only.

use std::fmt;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};
use skyloom_core::{Condition, Location, ServiceName};

/// Edges that the search may look at. A loop through each of a component's nodes is searched, which is quadratic in the
/// worst case; at this bound (about a second) the shortest loop found so far is given, with `shortest: false`.
const EDGES_MAX: u64 = 50_000_000;

/// Steps of a loop that are printed; the middle of a longer one is left out.
const PRINTED_MAX: usize = 24;

/// One edge of a loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleStep {
    /// The service that depends.
    pub service: ServiceName,
    /// The service that it depends on: the next step's, or the first step's.
    pub needs: ServiceName,
    /// What it waits for.
    pub condition: Condition,
    /// Where the edge was written.
    pub at: Option<Location>,
}

/// A loop, each service once, beginning with the first by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// Its edges in order; at least one.
    pub steps: Vec<CycleStep>,
    /// Whether no shorter loop exists. False only where the search reached its bound of fifty million edges.
    pub shortest: bool,
}

impl fmt::Display for Cycle {
    /// `a` (12:3) needs `b` (20:3) needs `a`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "")
    }
}

impl Cycle {
    /// The loop with each edge's place as editors take it: `a` (shop.toml:12:3) needs `b` (shop.toml:20:3) needs `a`.
    #[must_use]
    pub fn in_source(&self, source: &str) -> String {
        struct In<'a>(&'a Cycle, &'a str);
        impl fmt::Display for In<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(f, self.1)
            }
        }
        In(self, &format!("{source}:")).to_string()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, before_line: &str) -> fmt::Result {
        let left_out = self.steps.len().saturating_sub(PRINTED_MAX);
        let head = if left_out == 0 {
            self.steps.len()
        } else {
            PRINTED_MAX / 2
        };
        for (i, step) in self.steps.iter().enumerate() {
            if left_out > 0 && i == head {
                write!(f, "({left_out} more) needs ")?;
            }
            if i < head || i >= head + left_out {
                write!(f, "`{}`", step.service)?;
                step.at.map_or(Ok(()), |at| write!(f, " ({before_line}{at})"))?;
                f.write_str(" needs ")?;
            }
        }
        self.steps
            .first()
            .map_or(Ok(()), |first| write!(f, "`{}`", first.service))
    }
}

/// Indices of the shortest loop, rotated to its lowest index, lexicographically lowest among the shortest; and whether
/// the search was complete. `None`: there is no loop.
///
/// Loops are searched by their lowest node, in ascending order. From each, a breadth-first search over higher nodes of
/// the same component, neighbours ascending, cut at the best length so far: the first way back is the lowest of the
/// shortest. Then the node is dropped, with all that is on no loop any more, so that a single ring of any length costs
/// one search.
pub(super) fn shortest<N, E>(graph: &DiGraph<N, E>) -> Option<(Vec<usize>, bool)> {
    if let Some(node) = graph.node_indices().find(|n| graph.contains_edge(*n, *n)) {
        return Some((vec![node.index()], true));
    }
    let mut component = vec![usize::MAX; graph.node_count()];
    for (number, members) in kosaraju_scc(graph).iter().enumerate() {
        if members.len() > 1 {
            members.iter().for_each(|n| component[n.index()] = number);
        }
    }
    let mut search = Search::new(graph, &component);
    for start in 0..graph.node_count() {
        if search.alive[start] && !search.exhausted() {
            search.from(start);
            search.drop_node(start);
        }
    }
    let complete = !search.exhausted();
    search.best.map(|path| (path, complete))
}

/// Adjacency inside components and the state of the search.
struct Search {
    out: Vec<Vec<usize>>,
    into: Vec<Vec<usize>>,
    out_degree: Vec<usize>,
    in_degree: Vec<usize>,
    alive: Vec<bool>,
    parent: Vec<usize>,
    /// Which search visited the node last, so that the marks need no clearing.
    visited_by: Vec<usize>,
    best: Option<Vec<usize>>,
    edges_seen: u64,
}

impl Search {
    fn new<N, E>(graph: &DiGraph<N, E>, component: &[usize]) -> Self {
        let count = graph.node_count();
        let mut out = vec![Vec::new(); count];
        let mut into = vec![Vec::new(); count];
        for node in 0..count {
            let neighbours = graph.neighbors(NodeIndex::new(node)).map(|n| n.index());
            let inside = |n: &usize| component[*n] == component[node] && component[node] != usize::MAX;
            let mut targets: Vec<usize> = neighbours.filter(inside).collect();
            targets.sort_unstable();
            targets.dedup();
            targets.iter().for_each(|t: &usize| into[*t].push(node));
            out[node] = targets;
        }
        Self {
            out_degree: out.iter().map(Vec::len).collect(),
            in_degree: into.iter().map(Vec::len).collect(),
            alive: component.iter().map(|c| *c != usize::MAX).collect(),
            parent: vec![usize::MAX; count],
            visited_by: vec![usize::MAX; count],
            out,
            into,
            best: None,
            edges_seen: 0,
        }
    }

    const fn exhausted(&self) -> bool {
        self.edges_seen >= EDGES_MAX
    }

    /// Searches the shortest loop through `start`, over alive nodes.
    fn from(&mut self, start: usize) {
        let limit = self.best.as_ref().map_or(usize::MAX, Vec::len);
        let mut layer = vec![start];
        self.visited_by[start] = start;
        // A loop found from a layer at this depth has depth + 1 nodes.
        let mut depth = 0;
        while !layer.is_empty() && depth + 1 < limit && !self.exhausted() {
            let mut next = Vec::new();
            for &node in &layer {
                for i in 0..self.out[node].len() {
                    self.edges_seen += 1;
                    let target = self.out[node][i];
                    if target == start {
                        self.best = Some(self.path(start, node));
                        return;
                    }
                    if self.alive[target] && self.visited_by[target] != start {
                        self.visited_by[target] = start;
                        self.parent[target] = node;
                        next.push(target);
                    }
                }
            }
            layer = next;
            depth += 1;
        }
    }

    fn path(&self, start: usize, end: usize) -> Vec<usize> {
        let mut path = vec![end];
        let mut node = end;
        while node != start {
            node = self.parent[node];
            path.push(node);
        }
        path.reverse();
        path
    }

    /// Drops a node and, one after the other, all that have no way in or no way out left.
    fn drop_node(&mut self, node: usize) {
        let mut open = vec![node];
        while let Some(gone) = open.pop() {
            if !std::mem::replace(&mut self.alive[gone], false) {
                continue;
            }
            for &target in &self.out[gone] {
                self.in_degree[target] -= 1;
                if self.in_degree[target] == 0 {
                    open.push(target);
                }
            }
            for &source in &self.into[gone] {
                self.out_degree[source] -= 1;
                if self.out_degree[source] == 0 {
                    open.push(source);
                }
            }
        }
    }
}
