//! Going through all assignments that are left, one task after the other, where they have become few.
//!
//! Exact in cost and time; a branch is left as soon as what is decided costs too much or ends too late. Where there are
//! many, the search splits and bounds instead.

use super::compile::{Compiled, End, NO_DEADLINE};
use super::network::FREE;
use super::node::Domains;
use super::tally::Tally;
use super::tariff::GRAINS;

/// The going-through.
#[derive(Debug)]
struct Direct<'d> {
    compiled: &'d Compiled<'d>,
    domains: &'d Domains,
    deadline: u64,
    /// Least cost of each task and all after it, in grains.
    rest: Vec<i128>,
    volumes: Vec<u64>,
    picks: Vec<usize>,
    ends: Vec<u64>,
    /// Only what is cheaper is wanted, in grains.
    beat: i128,
    best: Option<Vec<usize>>,
    looked_at: u64,
}

/// The cheapest assignment below `beat` grains that is in time, and how many partial assignments were looked at.
pub(super) fn direct(compiled: &Compiled<'_>, domains: &Domains, deadline: u64, beat: i128) -> (Option<Tally>, u64) {
    let mut rest = vec![0i128; domains.len() + 1];
    for (task, domain) in domains.iter().enumerate().rev() {
        let least = domain
            .iter()
            .map(|choice| compiled.steps[task].choices[*choice].cost)
            .min()
            .unwrap_or(0);
        rest[task] = rest[task + 1] + i128::from(least) * GRAINS;
    }
    let mut direct = Direct {
        compiled,
        domains,
        deadline,
        rest,
        volumes: vec![0; compiled.network.meters.len()],
        picks: Vec::with_capacity(domains.len()),
        ends: Vec::with_capacity(domains.len()),
        beat,
        best: None,
        looked_at: 0,
    };
    direct.from(0, 0);
    (direct.best.map(|picks| Tally::of(compiled, picks)), direct.looked_at)
}

impl Direct<'_> {
    /// Decides `task` and all after it; `cost` is that of what is decided.
    fn from(&mut self, task: usize, cost: i128) {
        if task == self.domains.len() {
            self.beat = cost;
            self.best = Some(self.picks.clone());
            return;
        }
        for &choice in &self.domains[task] {
            self.looked_at += 1;
            self.picks.push(choice);
            if let Some(end) = self.end(task) {
                let mark = self.volumes.clone();
                let cost = cost + i128::from(self.compiled.steps[task].choices[choice].cost) * GRAINS + self.send(task);
                if cost + self.rest[task + 1] < self.beat {
                    self.ends.push(end);
                    self.from(task + 1, cost);
                    self.ends.pop();
                }
                self.volumes = mark;
            }
            self.picks.pop();
        }
    }

    /// When the task just decided ends; `None`: too late.
    fn end(&self, task: usize) -> Option<u64> {
        let step = &self.compiled.steps[task];
        let choice = &step.choices[self.picks[task]];
        let (mut start, mut output) = (0u64, 0u64);
        for &flow in self.compiled.flows_of.row(task) {
            match (self.compiled.flows[flow].from, self.compiled.flows[flow].to) {
                (End::Data(from), _) => start = start.max(self.compiled.millis(flow, from, choice.region)),
                (_, End::Data(to)) => output = output.max(self.compiled.millis(flow, choice.region, to)),
                (End::Task(other), End::Task(to)) if to == task => {
                    let from = self.compiled.steps[other].choices[self.picks[other]].region;
                    start = start.max(self.ends[other].saturating_add(self.compiled.millis(flow, from, choice.region)));
                }
                _ => {}
            }
        }
        let end = start.saturating_add(choice.millis);
        let late = step.latest != NO_DEADLINE && end > step.latest;
        (!late && end.saturating_add(output) <= self.deadline).then_some(end)
    }

    /// Counts the flows of the task just decided whose other end is decided too; gives what they add to the cost.
    fn send(&mut self, task: usize) -> i128 {
        let mut added = 0;
        for &flow in self.compiled.flows_of.row(task) {
            let flow = &self.compiled.flows[flow];
            let region = |end: End| match end {
                End::Data(region) => Some(region),
                End::Task(other) if other <= task => Some(self.compiled.steps[other].choices[self.picks[other]].region),
                End::Task(_) => None,
            };
            let (Some(from), Some(to)) = (region(flow.from), region(flow.to)) else {
                continue;
            };
            let meter = self.compiled.network.meter_of(from, to);
            if meter != FREE {
                let tariff = &self.compiled.network.meters[meter as usize].tariff;
                let volume = &mut self.volumes[meter as usize];
                added -= tariff.cost(*volume);
                *volume += flow.bytes;
                added += tariff.cost(*volume);
            }
        }
        added
    }
}
