//! The first half of a layered layout (Sugiyama, Tagawa and Toda 1981): which layer each node is in, and in which order.
//!
//! Layers by longest path; nodes that wait for nothing stand just before what waits for them. Order by sweeps of
//! barycentres (their section 4), keeping the best of all sweeps; ties stay as they are, so equal input gives an equal
//! picture. Where the nodes stand exactly is `layout`'s.

use std::cmp::Ordering;

/// Sweeps over all layers. Crossings hardly fall after the first few.
const SWEEPS: usize = 16;

/// A graph in layers: an edge goes from a layer to the next, longer ones through nodes of their own.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Nodes of each layer from top to bottom; numbers from `real` on are bends of long edges.
    pub(super) rows: Vec<Vec<usize>>,
    /// The layer of each node, bends included.
    pub(super) layer: Vec<usize>,
    /// Neighbours in the layer before, and in the one after.
    pub(super) before: Vec<Vec<usize>>,
    pub(super) after: Vec<Vec<usize>>,
    /// For each edge the nodes on its way, both ends included; in the direction of the picture.
    pub(super) ways: Vec<Vec<usize>>,
    /// Whether an edge runs against the picture's direction, because it closes a loop.
    pub(super) reversed: Vec<bool>,
    /// Nodes that are not bends.
    pub(super) real: usize,
}

impl Layers {
    /// Edges are pairs of nodes below `count`; an edge from a node to itself is left out by the caller.
    pub(super) fn new(count: usize, edges: &[(usize, usize)]) -> Self {
        let reversed = closing(count, edges);
        let forward: Vec<(usize, usize)> = edges
            .iter()
            .zip(&reversed)
            .map(|(&(from, to), reversed)| if *reversed { (to, from) } else { (from, to) })
            .collect();
        let mut layers = Self {
            layer: ranks(count, &forward),
            before: vec![Vec::new(); count],
            after: vec![Vec::new(); count],
            reversed,
            real: count,
            ..Self::default()
        };
        for &(from, to) in &forward {
            layers.link(from, to);
        }
        let depth = layers.layer.iter().max().map_or(0, |deepest| deepest + 1);
        layers.rows = vec![Vec::new(); depth];
        for (node, layer) in layers.layer.iter().enumerate() {
            layers.rows[*layer].push(node);
        }
        layers.order();
        layers
    }

    /// Lays an edge through the layers between its ends.
    fn link(&mut self, from: usize, to: usize) {
        let mut way = vec![from];
        for layer in self.layer[from] + 1..self.layer[to] {
            way.push(self.layer.len());
            self.layer.push(layer);
            self.before.push(Vec::new());
            self.after.push(Vec::new());
        }
        way.push(to);
        for pair in way.windows(2) {
            self.after[pair[0]].push(pair[1]);
            self.before[pair[1]].push(pair[0]);
        }
        self.ways.push(way);
    }

    fn order(&mut self) {
        let mut best = (self.crossings(), self.rows.clone());
        for sweep in 0..SWEEPS {
            if best.0 == 0 {
                break;
            }
            if sweep % 2 == 0 {
                (1..self.rows.len()).for_each(|layer| self.settle(layer, true));
            } else {
                (0..self.rows.len().saturating_sub(1))
                    .rev()
                    .for_each(|layer| self.settle(layer, false));
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
        }
        self.rows = best.1;
    }

    fn positions(&self) -> Vec<usize> {
        let mut position = vec![0; self.layer.len()];
        for row in &self.rows {
            row.iter().enumerate().for_each(|(i, node)| position[*node] = i);
        }
        position
    }

    /// Sorts a layer by the mean place of each node's neighbours; a node without any keeps its place.
    fn settle(&mut self, layer: usize, by_before: bool) {
        let position = self.positions();
        let neighbours = if by_before { &self.before } else { &self.after };
        let mean = |node: usize| {
            let all = &neighbours[node];
            if all.is_empty() {
                (position[node], 1)
            } else {
                (all.iter().map(|other| position[*other]).sum::<usize>(), all.len())
            }
        };
        let compare = |a: &usize, b: &usize| -> Ordering {
            let ((sum_a, count_a), (sum_b, count_b)) = (mean(*a), mean(*b));
            (sum_a * count_b).cmp(&(sum_b * count_a))
        };
        self.rows[layer].sort_by(compare);
    }

    /// How often edges of neighbouring layers cross: inversions, counted by insertion.
    fn crossings(&self) -> usize {
        let position = self.positions();
        let mut count = 0;
        for row in &self.rows {
            let mut ends: Vec<usize> = Vec::new();
            for node in row {
                let mut targets: Vec<usize> = self.after[*node].iter().map(|other| position[*other]).collect();
                targets.sort_unstable();
                for target in &targets {
                    count += ends.len() - ends.partition_point(|end| end <= target);
                }
                for target in targets {
                    let at = ends.partition_point(|end| *end <= target);
                    ends.insert(at, target);
                }
            }
        }
        count
    }
}

/// Which edges close a loop when nodes are walked in their order, without recursion.
fn closing(count: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut out: Vec<Vec<(usize, usize)>> = vec![Vec::new(); count];
    for (i, &(from, to)) in edges.iter().enumerate() {
        out[from].push((to, i));
    }
    let mut closes = vec![false; edges.len()];
    let (mut entered, mut left) = (vec![false; count], vec![false; count]);
    for start in 0..count {
        let mut path = vec![(start, 0)];
        if std::mem::replace(&mut entered[start], true) {
            continue;
        }
        while let Some((node, next)) = path.last_mut() {
            let Some(&(target, edge)) = out[*node].get(*next) else {
                left[*node] = true;
                path.pop();
                continue;
            };
            *next += 1;
            if !entered[target] {
                entered[target] = true;
                path.push((target, 0));
            } else if !left[target] {
                closes[edge] = true;
            }
        }
    }
    closes
}

/// Longest paths over edges without loops; then what waits for nothing moves next to what waits for it.
fn ranks(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut out = vec![Vec::new(); count];
    let mut waiting = vec![0usize; count];
    for &(from, to) in edges {
        out[from].push(to);
        waiting[to] += 1;
    }
    let is_source: Vec<bool> = waiting.iter().map(|waits| *waits == 0).collect();
    let mut rank = vec![0; count];
    let mut open: Vec<usize> = (0..count).filter(|node| is_source[*node]).collect();
    while let Some(node) = open.pop() {
        for &target in &out[node] {
            rank[target] = rank[target].max(rank[node] + 1);
            waiting[target] -= 1;
            if waiting[target] == 0 {
                open.push(target);
            }
        }
    }
    for node in (0..count).filter(|node| is_source[*node]) {
        if let Some(nearest) = out[node].iter().map(|target| rank[*target]).min() {
            rank[node] = nearest - 1;
        }
    }
    rank
}
