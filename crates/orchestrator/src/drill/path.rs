//! How long a plan takes where every step takes as long as is supposed: the longest way through it.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::{Action, BarrierId, Plan, ReplicaId, ServiceName, Step, StepId};

/// When each step of a plan is done, counted from its beginning, if every step begins as soon as it may and takes as long
/// as `takes` says. Limits of parallelism and rate are not in it: it is the least that the order allows. About linear in
/// steps and edges.
#[must_use]
pub fn finish_times(plan: &Plan, takes: impl Fn(&Step) -> Duration) -> BTreeMap<StepId, Duration> {
    let mut done: BTreeMap<StepId, Duration> = BTreeMap::new();
    let mut barriers: BTreeMap<BarrierId, Duration> = BTreeMap::new();
    // A step comes after those that it waits for; a barrier is asked for when all that it covers is known.
    for step in &plan.steps {
        let after = step.after.iter().map(|edge| done.get(&edge.step).copied());
        let mut begins = after.flatten().max().unwrap_or_default();
        for barrier in &step.after_all {
            begins = begins.max(reached(plan, *barrier, &done, &mut barriers));
        }
        done.insert(step.id, begins.saturating_add(takes(step)));
    }
    done
}

fn reached(
    plan: &Plan,
    id: BarrierId,
    done: &BTreeMap<StepId, Duration>,
    known: &mut BTreeMap<BarrierId, Duration>,
) -> Duration {
    if let Some(at) = known.get(&id) {
        return *at;
    }
    let Some(barrier) = plan.barriers.get(id.0 as usize) else {
        return Duration::ZERO;
    };
    let mut at = barrier
        .after
        .iter()
        .filter_map(|edge| done.get(&edge.step).copied())
        .max()
        .unwrap_or_default();
    for part in &barrier.after_all {
        // Parts have lower numbers than the whole; a plan from elsewhere that says otherwise gets no endless loop.
        if part.0 < id.0 {
            at = at.max(reached(plan, *part, done, known));
        }
    }
    known.insert(id, at);
    at
}

/// When the last new replica of each service is there, by the times of [`finish_times`]; services without a new one are
/// absent.
#[must_use]
pub fn first_capable(plan: &Plan, done: &BTreeMap<StepId, Duration>) -> BTreeMap<ServiceName, Duration> {
    let mut capable: BTreeMap<ServiceName, Duration> = BTreeMap::new();
    for step in &plan.steps {
        let Action::CreateReplica { spec } = &step.action else {
            continue;
        };
        let service = ReplicaId::service(&spec.replica).clone();
        let at = done.get(&step.id).copied().unwrap_or_default();
        let latest = capable.entry(service).or_default();
        *latest = at.max(*latest);
    }
    capable
}
