//! From patterns back to machines and residents: which copy of which workload is where, and on which devices.
//!
//! Copies of one class are alike, so they are handed out in the order of their workloads.

use super::answer::{BoughtMachine, LeftOut, Resident};
use super::error::FleetError;
use super::fold::Fold;
use super::folded::{Bought, Pattern};
use super::layout::layout;
use super::problem::FleetProblem;
use super::reasons;

/// The machines, sorted by offer, then by residents, and what has none, by workload.
pub(crate) fn unfold(
    problem: &FleetProblem,
    fold: &Fold,
    bought: Bought,
) -> Result<(Vec<BoughtMachine>, Vec<LeftOut>), FleetError> {
    let mut patterns = bought.machines;
    patterns.sort_unstable();
    let mut hands: Vec<Hand<'_>> = fold.members.iter().map(|members| Hand::new(problem, members)).collect();
    let total: u64 = patterns.iter().map(|(_, copies)| *copies).sum();
    let mut machines = Vec::with_capacity(usize::try_from(total).unwrap_or_default());
    for (pattern, copies) in &patterns {
        let devices = layout(&fold.folded, pattern).ok_or(FleetError::Broken {
            what: "devices of a pattern have a layout",
        })?;
        for _ in 0..*copies {
            machines.push(machine(fold, pattern, &devices, &mut hands)?);
        }
    }
    machines.sort_by(|a, b| {
        let key = |m: &BoughtMachine| m.residents.first().map(|r| r.workload);
        (a.offer, key(a))
            .cmp(&(b.offer, key(b)))
            .then_with(|| a.residents.cmp(&b.residents))
    });
    let left_out = left_out(problem, fold, &machines, hands);
    Ok((machines, left_out))
}

fn machine(
    fold: &Fold,
    pattern: &Pattern,
    devices: &[Vec<Vec<u32>>],
    hands: &mut [Hand<'_>],
) -> Result<BoughtMachine, FleetError> {
    let size = pattern.items.iter().map(|(_, copies)| *copies as usize).sum();
    let mut residents = Vec::with_capacity(size);
    for ((class, copies), devices) in pattern.items.iter().zip(devices) {
        for copy in 0..*copies as usize {
            let workload = hands[*class as usize].next().ok_or(FleetError::Broken {
                what: "no more copies are placed than there are",
            })?;
            let devices = devices.get(copy).cloned().unwrap_or_default();
            residents.push(Resident { workload, devices });
        }
    }
    residents.sort_unstable();
    Ok(BoughtMachine {
        offer: fold.folded.shapes[pattern.shape].offer,
        residents,
    })
}

/// Copies of one class, workload after workload.
struct Hand<'a> {
    problem: &'a FleetProblem,
    members: &'a [usize],
    /// Copies of the first member that are handed out.
    given: u64,
}

impl<'a> Hand<'a> {
    fn new(problem: &'a FleetProblem, members: &'a [usize]) -> Self {
        Self {
            problem,
            members,
            given: 0,
        }
    }

    /// What is left of the first member.
    fn rest(&self) -> Option<(usize, u64)> {
        let first = self.members.first()?;
        Some((*first, self.problem.workloads[*first].copies - self.given))
    }

    fn next(&mut self) -> Option<usize> {
        let (workload, rest) = self.rest()?;
        if rest == 1 {
            self.members = &self.members[1..];
            self.given = 0;
        } else {
            self.given += 1;
        }
        Some(workload)
    }
}

/// What fits no offer, and what the hands still hold: limits stand in its way.
fn left_out(problem: &FleetProblem, fold: &Fold, machines: &[BoughtMachine], hands: Vec<Hand<'_>>) -> Vec<LeftOut> {
    let mut left_out = fold.left_out.clone();
    if hands.iter().any(|hand| !hand.members.is_empty()) {
        let used = used(problem, machines);
        for mut hand in hands {
            // Members of one class have one reason.
            let Some(first) = hand.members.first() else { continue };
            let reason = reasons::used_up(problem, &problem.workloads[*first], &used);
            while let Some((workload, copies)) = hand.rest() {
                left_out.push(LeftOut {
                    workload,
                    copies,
                    reason: reason.clone(),
                });
                hand.members = &hand.members[1..];
                hand.given = 0;
            }
        }
        left_out.sort_by_key(|entry| entry.workload);
    }
    left_out
}

/// What the machines take of each limit.
fn used(problem: &FleetProblem, machines: &[BoughtMachine]) -> Vec<u128> {
    let mut bought = vec![0u128; problem.offers.len()];
    machines.iter().for_each(|machine| bought[machine.offer] += 1);
    let of = |limit: &super::problem::Limit| limit.takes.iter().map(|(o, t)| bought[*o] * u128::from(*t)).sum();
    problem.limits.iter().map(of).collect()
}
