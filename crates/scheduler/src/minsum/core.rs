//! What is left of a model without leaves, with all its tables, as the bound and the search move costs about in it.
//!
//! Every step keeps the sum of all tables, for each assignment, equal to the cost of that assignment (or drops states
//! that are proven useless); choosing steps does not belong here.

use super::leaves::{Bond, Folded};
use super::{FORBIDDEN, IMPOSSIBLE, Limits, MinsumError, Model, Pairs};

/// The state of a node that has none yet.
pub(super) const UNDECIDED: usize = usize::MAX;

/// A table between two nodes, `a` before `b`; what it costs now is `table + from_a + from_b`, which is at least 0.
#[derive(Debug, Clone)]
pub(super) struct Joint {
    pub(super) a: usize,
    pub(super) b: usize,
    /// The states of `a` outermost.
    pub(super) table: Vec<i64>,
    /// Moved into the table (or, negative, out of it) per state of `a`.
    pub(super) from_a: Vec<i64>,
    /// The same per state of `b`.
    pub(super) from_b: Vec<i64>,
}

/// Nodes and joints; nodes are variables that are left, numbered anew.
#[derive(Debug, Clone)]
pub(super) struct Core {
    /// What each state of each node costs now, at least 0.
    pub(super) unary: Vec<Vec<i64>>,
    /// The states' numbers in the model.
    pub(super) names: Vec<Vec<u32>>,
    pub(super) joints: Vec<Joint>,
    /// Joints of each node, by the other node's number.
    pub(super) of: Vec<Vec<usize>>,
    /// How many states each node had before any was dropped.
    pub(super) all_states: Vec<usize>,
    /// Moved out of all tables: with all else at least 0, a lower bound.
    pub(super) constant: i64,
}

impl Core {
    /// `None`: its tables would hold more than the limit.
    pub(super) fn of<P: Pairs>(
        folded: &mut Folded,
        model: &Model<'_, P>,
        limits: &Limits,
    ) -> Result<Option<Self>, MinsumError> {
        let states = |variable: usize| model.unary.row(variable).len();
        let bonds = folded.bonds_left();
        let sizes = |bond: &Bond| (states(bond.a) as u64).saturating_mul(states(bond.b) as u64);
        let entries = bonds.iter().map(sizes).fold(0u64, u64::saturating_add);
        if entries > limits.entries_max {
            return Ok(None);
        }
        let mut node = vec![usize::MAX; model.unary.len()];
        for (number, &variable) in folded.left.iter().enumerate() {
            node[variable] = number;
        }
        let mut core = Self {
            unary: folded.left.iter().map(|v| folded.unary.row(*v).to_vec()).collect(),
            names: folded
                .left
                .iter()
                .map(|v| (0u32..).take(states(*v)).collect())
                .collect(),
            joints: Vec::with_capacity(bonds.len()),
            of: vec![Vec::new(); folded.left.len()],
            all_states: folded.left.iter().map(|v| states(*v)).collect(),
            constant: 0,
        };
        for bond in bonds {
            let mut table = Vec::new();
            folded.table(model, bond, (bond.a, bond.b), &mut table)?;
            let joint = Joint {
                a: node[bond.a],
                b: node[bond.b],
                from_a: vec![0; states(bond.a)],
                from_b: vec![0; states(bond.b)],
                table,
            };
            core.of[joint.a].push(core.joints.len());
            core.of[joint.b].push(core.joints.len());
            core.joints.push(joint);
        }
        core.drop_states(&vec![None; core.unary.len()], FORBIDDEN);
        Ok(Some(core))
    }

    /// Whether some node has no state left: nothing is allowed, or nothing is better than what was to be beaten.
    pub(super) fn is_empty(&self) -> bool {
        self.unary.iter().any(Vec::is_empty)
    }

    /// What an assignment (state positions) costs; at least [`IMPOSSIBLE`] where it is forbidden.
    pub(super) fn cost(&self, states: &[usize]) -> i64 {
        let mut sum = self.constant;
        for (costs, &state) in self.unary.iter().zip(states) {
            sum = sum.saturating_add(costs[state]);
        }
        for joint in &self.joints {
            sum = sum.saturating_add(joint.at(states[joint.a], states[joint.b]));
        }
        sum
    }

    /// The best state of a node with the others as they are, those undecided left aside; what it costs there; and what the
    /// node's present state does.
    pub(super) fn best_state(&self, node: usize, states: &[usize]) -> (usize, i64, i64) {
        let mut costs = self.unary[node].clone();
        for &joint in &self.of[node] {
            let joint = &self.joints[joint];
            let other = states[joint.other(node)];
            if other == UNDECIDED {
                continue;
            }
            for (state, cost) in costs.iter_mut().enumerate() {
                let (a, b) = if joint.a == node {
                    (state, other)
                } else {
                    (other, state)
                };
                *cost = cost.saturating_add(joint.at(a, b));
            }
        }
        let best = costs.iter().enumerate().min_by_key(|(state, cost)| (**cost, *state));
        let (state, cost) = best.map_or((0, FORBIDDEN), |(state, cost)| (state, *cost));
        (state, cost, costs.get(states[node]).copied().unwrap_or(FORBIDDEN))
    }

    /// The states' numbers in the model.
    pub(super) fn named(&self, states: &[usize]) -> Vec<usize> {
        self.names
            .iter()
            .zip(states)
            .map(|(names, state)| names[*state] as usize)
            .collect()
    }

    /// Keeps, of each node, the states whose cost (see [`Core::unary`]) is below `limit` and, where a single one is
    /// asked for, that one. Gives whether anything was dropped.
    pub(super) fn drop_states(&mut self, only: &[Option<(usize, bool)>], limit: i64) -> bool {
        let limit = limit.min(IMPOSSIBLE);
        let keeps = |v: usize, s: usize, cost: i64| {
            cost < limit && only[v].is_none_or(|(state, wanted)| (state == s) == wanted)
        };
        let kept: Vec<Vec<usize>> = self
            .unary
            .iter()
            .enumerate()
            .map(|(v, costs)| (0..costs.len()).filter(|s| keeps(v, *s, costs[*s])).collect())
            .collect();
        if kept.iter().zip(&self.unary).all(|(kept, all)| kept.len() == all.len()) {
            return false;
        }
        let pick = |values: &[i64], kept: &[usize]| kept.iter().map(|s| values[*s]).collect::<Vec<i64>>();
        for joint in &mut self.joints {
            let (rows, columns) = (&kept[joint.a], &kept[joint.b]);
            let width = joint.from_b.len();
            if rows.len() == joint.from_a.len() && columns.len() == width {
                continue;
            }
            let mut table = Vec::with_capacity(rows.len() * columns.len());
            for row in rows {
                table.extend(columns.iter().map(|column| joint.table[row * width + column]));
            }
            joint.table = table;
            joint.from_a = pick(&joint.from_a, rows);
            joint.from_b = pick(&joint.from_b, columns);
        }
        for (v, kept) in kept.iter().enumerate() {
            self.unary[v] = pick(&self.unary[v], kept);
            self.names[v] = kept.iter().map(|s| self.names[v][*s]).collect();
        }
        true
    }
}

impl Joint {
    /// What it costs now.
    pub(super) fn at(&self, a: usize, b: usize) -> i64 {
        self.table[a * self.from_b.len() + b] + self.from_a[a] + self.from_b[b]
    }

    /// The node at the other end.
    pub(super) const fn other(&self, node: usize) -> usize {
        if self.a == node { self.b } else { self.a }
    }

    /// Moves out, to the end `node`, all that does not depend on the other end, adding it to `unary`.
    pub(super) fn pull(&mut self, node: usize, unary: &mut [i64]) {
        let width = self.from_b.len();
        if width == 0 {
            return;
        }
        if self.a == node {
            for ((row, moved), cost) in self.table.chunks_exact(width).zip(&mut self.from_a).zip(unary) {
                if *cost >= IMPOSSIBLE {
                    continue;
                }
                let least = row
                    .iter()
                    .zip(&self.from_b)
                    .map(|(c, m)| c + m)
                    .min()
                    .unwrap_or(FORBIDDEN);
                take(least, moved, cost);
            }
        } else {
            let mut least = vec![FORBIDDEN; width];
            for (row, moved) in self.table.chunks_exact(width).zip(&self.from_a) {
                for (least, cost) in least.iter_mut().zip(row) {
                    *least = (*least).min(cost + moved);
                }
            }
            for ((least, moved), cost) in least.into_iter().zip(&mut self.from_b).zip(unary) {
                if *cost < IMPOSSIBLE {
                    take(least, moved, cost);
                }
            }
        }
    }

    /// The amounts moved in from the end `node`.
    pub(super) fn from(&mut self, node: usize) -> &mut [i64] {
        if self.a == node {
            &mut self.from_a
        } else {
            &mut self.from_b
        }
    }
}

/// Moves `least + moved` out of a table into `cost`; a state that nothing on the other side goes with becomes impossible
/// at both ends.
fn take(least: i64, moved: &mut i64, cost: &mut i64) {
    if least >= IMPOSSIBLE {
        (*cost, *moved) = (FORBIDDEN, FORBIDDEN);
    } else {
        *cost += *moved + least;
        *moved = -least;
    }
}
