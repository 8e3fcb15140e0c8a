//! The cheapest plan in time where the graph of tasks is a forest: for each task and choice, all ways to serve what hangs
//! on it of which none is cheaper and quicker than another.
//!
//! Dynamic programming over Pareto labels (Hansen, 1980, for paths). From the leaves to the root of each tree a label says
//! what a subtree costs, how early its end of the edge can be ready, and how late the other end may be; both kinds of
//! children meet at a task. Exact under the charges of a relaxation. Where labels would become too many, nothing is said and
//! the tolls must do.

use crate::effort::Effort;
use crate::minsum::{COST_MAX, FORBIDDEN};

use super::compile::{Compiled, End, NO_DEADLINE};
use super::relax::Costs;

/// Labels of one choice at most, and of all together.
const LABELS_MAX: (usize, usize) = (4096, 1 << 20);

/// Combinations of labels that are looked at, at most.
const COMBINED_MAX: u64 = 1 << 25;

/// Combinations that are a unit of effort.
const COMBINED_PER_UNIT: u64 = 100;

/// A way to serve a task with some of what hangs on it.
#[derive(Debug, Clone, Copy)]
struct Label {
    cost: i64,
    /// When all that the task waits for is there, at the earliest.
    start: u64,
    /// When it must have ended, at the latest.
    latest: u64,
    task: usize,
    /// Position in the domain.
    state: usize,
    /// The label of the task without its last child, and that child's.
    from: Option<(usize, usize)>,
}

/// What a child offers to one choice of its parent.
#[derive(Debug, Clone, Copy)]
struct Offer {
    cost: i64,
    /// When it arrives, or when the parent must have ended.
    time: u64,
    label: usize,
}

/// A task that hangs on another, and the flows between them.
#[derive(Debug)]
struct Branch {
    child: usize,
    parent: usize,
    /// Whether the bytes go from child to parent.
    is_sender: bool,
    flows: Vec<usize>,
}

/// The shape of a forest: branches from the leaves inwards, and the roots.
#[derive(Debug)]
pub(super) struct Forest {
    branches: Vec<Branch>,
    roots: Vec<usize>,
}

impl Forest {
    /// `None`: tasks hang together in a ring somewhere.
    pub(super) fn of(compiled: &Compiled<'_>) -> Option<Self> {
        let count = compiled.steps.len();
        let mut seen = vec![false; count];
        let (mut branches, mut roots) = (Vec::new(), Vec::new());
        for root in 0..count {
            if seen[root] {
                continue;
            }
            seen[root] = true;
            roots.push(root);
            let mut stack = vec![(root, usize::MAX)];
            while let Some((task, parent)) = stack.pop() {
                let mut found: Vec<Branch> = Vec::new();
                for &flow in compiled.flows_of.row(task) {
                    let (End::Task(from), End::Task(to)) = (compiled.flows[flow].from, compiled.flows[flow].to) else {
                        continue;
                    };
                    let other = if from == task { to } else { from };
                    if other == parent {
                        continue;
                    }
                    match found.iter_mut().find(|branch| branch.child == other) {
                        Some(branch) => branch.flows.push(flow),
                        None => found.push(Branch {
                            child: other,
                            parent: task,
                            is_sender: to == task,
                            flows: vec![flow],
                        }),
                    }
                }
                for branch in found {
                    if std::mem::replace(&mut seen[branch.child], true) {
                        return None;
                    }
                    stack.push((branch.child, task));
                    branches.push(branch);
                }
            }
        }
        branches.reverse();
        Some(Self { branches, roots })
    }

    /// The cheapest assignment in time under the costs, by positions in the domains, with its scaled cost: `Ok(None)`
    /// where none is in time and cheaper than `beat`, `Err` where there are too many labels.
    pub(super) fn cheapest(
        &self,
        costs: &Costs<'_>,
        beat: i64,
        effort: &mut Effort<'_>,
    ) -> Result<Option<(i64, Vec<usize>)>, TooMany> {
        let unary = costs.unary();
        let mut labels = Labels {
            costs,
            beat,
            all: Vec::new(),
            of: unary.iter().map(|states| vec![Vec::new(); states.len()]).collect(),
            combined: 0,
        };
        for (task, states) in unary.iter().enumerate() {
            labels.begin(task, states);
        }
        let attached = self.branches.iter().try_for_each(|branch| labels.attach(branch));
        // A combination takes as long as a few entries of a table.
        effort.spend(labels.combined / COMBINED_PER_UNIT);
        attached?;
        let mut best = Vec::with_capacity(self.roots.len());
        let mut sum = 0i64;
        for &root in &self.roots {
            let Some(label) = labels.best(root) else {
                return Ok(None);
            };
            sum = sum.saturating_add(labels.all[label].cost);
            best.push(label);
        }
        Ok((sum < beat).then(|| (sum, labels.states(best))))
    }
}

/// There would be too many labels.
#[derive(Debug)]
pub(super) struct TooMany;

/// All labels, and those of each task and choice.
#[derive(Debug)]
struct Labels<'l> {
    costs: &'l Costs<'l>,
    beat: i64,
    all: Vec<Label>,
    of: Vec<Vec<Vec<usize>>>,
    combined: u64,
}

impl Labels<'_> {
    /// A task alone: what it waits for of data sets, and its own deadline.
    fn begin(&mut self, task: usize, states: &[i64]) {
        for (state, &cost) in states.iter().enumerate().filter(|(_, cost)| **cost < COST_MAX) {
            let (start, latest) = self.costs.alone(task, state);
            self.of[task][state].push(self.all.len());
            self.all.push(Label {
                cost,
                start,
                latest,
                task,
                state,
                from: None,
            });
        }
    }

    fn attach(&mut self, branch: &Branch) -> Result<(), TooMany> {
        let (child, parent) = (branch.child, branch.parent);
        let joint = self.costs.joint(child, parent, &branch.flows);
        let states = self.of[parent].len();
        for state in 0..states {
            let mut offers = Vec::new();
            for child_state in 0..self.of[child].len() {
                let (cost, millis) = joint[child_state * states + state];
                if cost == FORBIDDEN {
                    continue;
                }
                for &label in &self.of[child][child_state] {
                    let Label {
                        cost: own,
                        start,
                        latest,
                        ..
                    } = self.all[label];
                    let run = self.costs.run(child, child_state);
                    let end = start.saturating_add(run);
                    if end > latest {
                        continue;
                    }
                    let time = if branch.is_sender {
                        end.saturating_add(millis)
                    } else if latest == NO_DEADLINE {
                        NO_DEADLINE
                    } else {
                        let Some(time) = latest.checked_sub(run.saturating_add(millis)) else {
                            continue;
                        };
                        time
                    };
                    offers.push(Offer {
                        cost: own.saturating_add(cost),
                        time,
                        label,
                    });
                }
            }
            undominated(&mut offers, branch.is_sender);
            self.combine(parent, state, &offers, branch.is_sender)?;
        }
        Ok(())
    }

    /// Joins each label of a task's choice with each offer, and keeps what nothing beats.
    fn combine(&mut self, task: usize, state: usize, offers: &[Offer], is_sender: bool) -> Result<(), TooMany> {
        let before = std::mem::take(&mut self.of[task][state]);
        self.combined += before.len() as u64 * offers.len() as u64;
        if self.combined > COMBINED_MAX || before.len() * offers.len() > LABELS_MAX.1 {
            return Err(TooMany);
        }
        let run = self.costs.run(task, state);
        let mut joined = Vec::with_capacity(before.len() * offers.len());
        for &old in &before {
            for offer in offers {
                let mut label = self.all[old];
                label.cost = label.cost.saturating_add(offer.cost);
                label.from = Some((old, offer.label));
                if is_sender {
                    label.start = label.start.max(offer.time);
                } else {
                    label.latest = label.latest.min(offer.time);
                }
                if label.cost < self.beat && label.start.saturating_add(run) <= label.latest {
                    joined.push(label);
                }
            }
        }
        joined.sort_by_key(|label| (label.cost, label.start, std::cmp::Reverse(label.latest), label.from));
        let mut kept: Vec<Label> = Vec::new();
        for label in joined {
            let beaten = kept
                .iter()
                .any(|other| other.start <= label.start && other.latest >= label.latest);
            if !beaten {
                kept.push(label);
            }
            if kept.len() > LABELS_MAX.0 {
                return Err(TooMany);
            }
        }
        if self.all.len() + kept.len() > LABELS_MAX.1 {
            return Err(TooMany);
        }
        self.of[task][state] = (self.all.len()..self.all.len() + kept.len()).collect();
        self.all.extend(kept);
        Ok(())
    }

    /// The cheapest label of a root.
    fn best(&self, root: usize) -> Option<usize> {
        let in_time = |label: &&usize| {
            let label = &self.all[**label];
            label.start.saturating_add(self.costs.run(label.task, label.state)) <= label.latest
        };
        let all = self.of[root].iter().flatten().filter(in_time);
        all.copied().min_by_key(|label| (self.all[*label].cost, *label))
    }

    /// The states that labels stand for.
    fn states(&self, mut labels: Vec<usize>) -> Vec<usize> {
        let mut states = vec![0; self.of.len()];
        while let Some(label) = labels.pop() {
            let Label { task, state, from, .. } = self.all[label];
            states[task] = state;
            labels.extend(from.into_iter().flat_map(|(before, child)| [before, child]));
        }
        states
    }
}

/// Keeps the offers that no other beats in cost and time: earlier is better for what arrives, later for a limit.
fn undominated(offers: &mut Vec<Offer>, earlier: bool) {
    let rank = |offer: &Offer| if earlier { offer.time } else { u64::MAX - offer.time };
    offers.sort_by_key(|offer| (rank(offer), offer.cost, offer.label));
    let mut least = i64::MAX;
    offers.retain(|offer| {
        let better = offer.cost < least;
        least = least.min(offer.cost);
        better
    });
}
