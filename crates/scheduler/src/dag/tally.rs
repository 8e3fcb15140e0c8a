//! What an assignment costs and how long it takes, exactly, and how that changes when one task moves.
//!
//! Volumes are added up per meter before the tiers are applied; bounds and searching do not belong here.

use super::compile::{Compiled, End, Flow, NO_DEADLINE};
use super::network::FREE;
use super::tariff::GRAINS;

/// An assignment (a choice of each task, by position) with its volumes and its cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) picks: Vec<usize>,
    /// Bytes per meter.
    pub(super) volumes: Vec<u64>,
    /// Of the tasks, in micro-dollars.
    pub(super) run: i64,
    /// Of the traffic, in grains.
    pub(super) egress: i128,
}

impl Tally {
    pub(super) fn of(compiled: &Compiled<'_>, picks: Vec<usize>) -> Self {
        let mut volumes = vec![0u64; compiled.network.meters.len()];
        for flow in &compiled.flows {
            let (from, to) = (region(compiled, &picks, flow.from), region(compiled, &picks, flow.to));
            let meter = compiled.network.meter_of(from, to);
            if meter != FREE {
                volumes[meter as usize] += flow.bytes;
            }
        }
        let egress = compiled
            .network
            .meters
            .iter()
            .zip(&volumes)
            .map(|(meter, volume)| meter.tariff.cost(*volume))
            .sum();
        let run = compiled
            .steps
            .iter()
            .zip(&picks)
            .map(|(step, pick)| step.choices[*pick].cost)
            .sum();
        Self {
            picks,
            volumes,
            run,
            egress,
        }
    }

    /// Of tasks and traffic, in grains.
    pub(super) fn cost(&self) -> i128 {
        i128::from(self.run) * GRAINS + self.egress
    }

    /// Moves one task.
    pub(super) fn set(&mut self, compiled: &Compiled<'_>, task: usize, pick: usize, scratch: &mut Vec<(u32, i128)>) {
        let choices = &compiled.steps[task].choices;
        self.egress += self.egress_delta(compiled, task, choices[pick].region, scratch);
        self.run += choices[pick].cost - choices[self.picks[task]].cost;
        for (meter, delta) in scratch.drain(..) {
            let volume = &mut self.volumes[meter as usize];
            *volume = u64::try_from(i128::from(*volume) + delta).unwrap_or(0);
        }
        self.picks[task] = pick;
    }

    /// By how many grains the cost changes if one task moves.
    pub(super) fn delta(
        &self,
        compiled: &Compiled<'_>,
        task: usize,
        pick: usize,
        scratch: &mut Vec<(u32, i128)>,
    ) -> i128 {
        let choices = &compiled.steps[task].choices;
        let run = i128::from(choices[pick].cost - choices[self.picks[task]].cost);
        run * GRAINS + self.egress_delta(compiled, task, choices[pick].region, scratch)
    }

    /// The same of the traffic alone, if the task moves to a region; leaves the changes of volumes in `scratch`, each meter
    /// once.
    pub(super) fn egress_delta(
        &self,
        compiled: &Compiled<'_>,
        task: usize,
        after: usize,
        scratch: &mut Vec<(u32, i128)>,
    ) -> i128 {
        scratch.clear();
        let before = compiled.steps[task].choices[self.picks[task]].region;
        if before == after {
            return 0;
        }
        for &flow in compiled.flows_of.row(task) {
            let Flow { from, to, bytes } = compiled.flows[flow];
            let at = |end: End, own: usize| match end {
                End::Task(other) if other == task => own,
                other => region(compiled, &self.picks, other),
            };
            let bytes = i128::from(bytes);
            count(
                scratch,
                compiled.network.meter_of(at(from, before), at(to, before)),
                -bytes,
            );
            count(
                scratch,
                compiled.network.meter_of(at(from, after), at(to, after)),
                bytes,
            );
        }
        scratch
            .iter()
            .map(|(meter, change)| self.charge(compiled, *meter, *change))
            .sum()
    }

    /// What the traffic of a task costs: no place for it saves more, since no tariff falls.
    pub(super) fn traffic(&self, compiled: &Compiled<'_>, task: usize, scratch: &mut Vec<(u32, i128)>) -> i128 {
        scratch.clear();
        for &flow in compiled.flows_of.row(task) {
            let Flow { from, to, bytes } = compiled.flows[flow];
            let (from, to) = (region(compiled, &self.picks, from), region(compiled, &self.picks, to));
            count(scratch, compiled.network.meter_of(from, to), -i128::from(bytes));
        }
        let changes = scratch
            .iter()
            .map(|(meter, change)| self.charge(compiled, *meter, *change));
        -changes.sum::<i128>()
    }

    fn charge(&self, compiled: &Compiled<'_>, meter: u32, change: i128) -> i128 {
        let (tariff, volume) = (
            &compiled.network.meters[meter as usize].tariff,
            self.volumes[meter as usize],
        );
        let after = u64::try_from(i128::from(volume) + change).unwrap_or(0);
        tariff.cost(after) - tariff.cost(volume)
    }
}

/// Adds bytes to the change of a meter.
fn count(changes: &mut Vec<(u32, i128)>, meter: u32, bytes: i128) {
    if meter == FREE {
        return;
    }
    match changes.iter_mut().find(|(known, _)| *known == meter) {
        Some((_, sum)) => *sum += bytes,
        None => changes.push((meter, bytes)),
    }
}

/// Where an end of a flow is.
pub(super) fn region(compiled: &Compiled<'_>, picks: &[usize], end: End) -> usize {
    match end {
        End::Task(task) => compiled.steps[task].choices[picks[task]].region,
        End::Data(region) => region,
    }
}

/// When each task ends, and when all is done, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) ends: Vec<u64>,
    pub(super) makespan: u64,
}

impl Timing {
    pub(super) fn of(compiled: &Compiled<'_>, picks: &[usize]) -> Self {
        let mut ends = vec![0u64; picks.len()];
        let mut makespan = 0;
        for task in 0..picks.len() {
            let mut start = 0u64;
            let mut outputs = 0u64;
            for &number in compiled.flows_of.row(task) {
                let flow = &compiled.flows[number];
                let (from, to) = (region(compiled, picks, flow.from), region(compiled, picks, flow.to));
                let millis = compiled.millis(number, from, to);
                match (flow.from, flow.to) {
                    (End::Task(other), End::Task(to)) if to == task => {
                        start = start.max(ends[other].saturating_add(millis))
                    }
                    (End::Data(_), _) => start = start.max(millis),
                    (_, End::Data(_)) => outputs = outputs.max(millis),
                    _ => {}
                }
            }
            ends[task] = start.saturating_add(compiled.steps[task].choices[picks[task]].millis);
            makespan = makespan.max(ends[task].saturating_add(outputs));
        }
        Self { ends, makespan }
    }

    /// Whether every task and the whole are in time.
    pub(super) fn is_within(&self, compiled: &Compiled<'_>, deadline: u64) -> bool {
        let own = |(end, step): (&u64, &super::compile::Step<'_>)| step.latest == NO_DEADLINE || *end <= step.latest;
        self.makespan <= deadline && self.ends.iter().zip(&compiled.steps).all(own)
    }
}
