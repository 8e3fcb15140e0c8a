//! A plan's edges as a graph of steps and barriers, checked once, with the longest remaining path of each step.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Action, MachineId, Plan, Step, StepId, Until};
use thiserror::Error;

/// A plan that does not hold together: written by hand, damaged, or made by another program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MalformedPlan {
    /// It has a later form than this program knows.
    #[error(
        "accept the plan: it has version {found}, version {} is understood",
        skyloom_core::PLAN_VERSION
    )]
    FutureVersion {
        /// Its version.
        found: u32,
    },
    /// A step's id is not its position.
    #[error("accept the plan: step `{step}` is at position {position}")]
    Misplaced {
        /// Its id.
        step: StepId,
        /// Where it is.
        position: usize,
    },
    /// A step waits for itself, a later step, or one that is not there.
    #[error("accept the plan: step `{step}` waits for `{after}`, which is not earlier")]
    NotEarlier {
        /// The step that waits.
        step: StepId,
        /// What it waits for.
        after: StepId,
    },
    /// A barrier that is not there, or whose part is not an earlier barrier or not there.
    #[error("accept the plan: barrier {barrier} is not there or not earlier")]
    NoBarrier {
        /// Position of the barrier.
        barrier: u32,
    },
    /// A replica's machine is neither there nor created earlier.
    #[error("accept the plan: the machine of step `{step}` is neither there nor created earlier")]
    NoMachine {
        /// The step that creates the replica.
        step: StepId,
    },
}

impl MalformedPlan {
    /// What kind of failure it is: the plan can never be carried out.
    #[must_use]
    pub const fn class(&self) -> skyloom_core::Class {
        skyloom_core::Class::Invalid
    }
}

/// An edge: who waits, and for what (`None`: for a barrier).
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) target: usize,
    pub(super) until: Option<Until>,
}

/// Nodes are steps, then barriers.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) out: Vec<Vec<Edge>>,
    pub(super) into: Vec<Vec<usize>>,
    /// Steps on the longest path from a step to the end, itself included: who is started first.
    pub(super) height: Vec<u32>,
    /// What somebody waits for beyond [`Until::Done`], ascending, per step.
    pub(super) needs: Vec<Vec<Until>>,
    /// The step that creates each new machine.
    pub(super) makers: BTreeMap<MachineId, usize>,
    pub(super) steps: usize,
}

impl Network {
    pub(super) fn build(plan: &Plan) -> Result<Self, MalformedPlan> {
        if plan.version > skyloom_core::PLAN_VERSION {
            return Err(MalformedPlan::FutureVersion { found: plan.version });
        }
        check(plan)?;
        let steps = plan.steps.len();
        let count = steps + plan.barriers.len();
        let mut out: Vec<Vec<Edge>> = vec![Vec::new(); count];
        let mut into: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut link = |source: usize, target: usize, until: Option<Until>| {
            out[source].push(Edge { target, until });
            into[target].push(source);
        };
        let waiting = plan.steps.iter().map(|s| (&s.after, &s.after_all));
        let all = waiting.chain(plan.barriers.iter().map(|b| (&b.after, &b.after_all)));
        for (target, (after, after_all)) in all.enumerate() {
            for edge in after {
                link(index(edge.step), target, Some(edge.until));
            }
            for barrier in after_all {
                link(steps + barrier.0 as usize, target, None);
            }
        }
        let needs = (0..steps).map(|step| needs_of(plan, step, &out[step])).collect();
        let height = heights(&out, &into, steps);
        let maker = |(position, step): (usize, &Step)| match &step.action {
            Action::CreateMachine { machine } => Some((machine.id.clone(), position)),
            _ => None,
        };
        Ok(Self {
            makers: plan.steps.iter().enumerate().filter_map(maker).collect(),
            out,
            into,
            height,
            needs,
            steps,
        })
    }

    /// How many edges each node waits for.
    pub(super) fn waits(&self) -> Vec<usize> {
        self.into.iter().map(Vec::len).collect()
    }
}

pub(super) const fn index(step: StepId) -> usize {
    step.0 as usize
}

fn check(plan: &Plan) -> Result<(), MalformedPlan> {
    // The last step of each barrier, those of its parts included.
    let mut last_of: Vec<Option<StepId>> = Vec::with_capacity(plan.barriers.len());
    for (position, barrier) in plan.barriers.iter().enumerate() {
        let mut last = barrier.after.iter().map(|after| after.step).max();
        for part in &barrier.after_all {
            let known = last_of.get(part.0 as usize).ok_or(MalformedPlan::NoBarrier {
                barrier: u32::try_from(position).unwrap_or(u32::MAX),
            })?;
            last = last.max(*known);
        }
        last_of.push(last);
    }
    let mut machines: BTreeSet<_> = plan.machines.keys().collect();
    for (position, step) in plan.steps.iter().enumerate() {
        if index(step.id) != position {
            return Err(MalformedPlan::Misplaced {
                step: step.id,
                position,
            });
        }
        for barrier in &step.after_all {
            let last = last_of
                .get(barrier.0 as usize)
                .ok_or(MalformedPlan::NoBarrier { barrier: barrier.0 })?;
            earlier(step.id, *last)?;
        }
        for after in &step.after {
            earlier(step.id, Some(after.step))?;
        }
        match &step.action {
            Action::CreateMachine { machine } => {
                machines.insert(&machine.id);
            }
            Action::Gate { gate } => {
                for watched in &gate.watched {
                    earlier(step.id, Some(*watched))?;
                }
            }
            Action::CreateReplica { spec } if !machines.contains(&spec.machine) => {
                return Err(MalformedPlan::NoMachine { step: step.id });
            }
            _ => {}
        }
    }
    Ok(())
}

fn earlier(step: StepId, after: Option<StepId>) -> Result<(), MalformedPlan> {
    match after {
        Some(after) if after >= step => Err(MalformedPlan::NotEarlier { step, after }),
        _ => Ok(()),
    }
}

/// A created replica must become healthy even if nobody waits for it (without a health check: run), else the plan did
/// not succeed. One that has to complete need not be seen running.
fn needs_of(plan: &Plan, step: usize, edges: &[Edge]) -> Vec<Until> {
    let is_new = matches!(&plan.steps[step].action, Action::CreateReplica { .. });
    let asked = edges.iter().filter_map(|edge| edge.until);
    let mut needs: Vec<Until> = asked.filter(|until| *until != Until::Done).collect();
    if is_new && !needs.contains(&Until::Completed) {
        needs.push(Until::Healthy);
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Longest paths, backwards over the nodes in reverse topological order; barriers weigh nothing.
fn heights(out: &[Vec<Edge>], into: &[Vec<usize>], steps: usize) -> Vec<u32> {
    let mut height = vec![0u32; out.len()];
    let mut left: Vec<usize> = out.iter().map(Vec::len).collect();
    let mut open: Vec<usize> = (0..out.len()).filter(|node| left[*node] == 0).collect();
    while let Some(node) = open.pop() {
        let below = out[node].iter().map(|edge| height[edge.target]).max().unwrap_or(0);
        height[node] = below + u32::from(node < steps);
        for &source in &into[node] {
            left[source] -= 1;
            if left[source] == 0 {
                open.push(source);
            }
        }
    }
    height.truncate(steps);
    height
}
