//! From a question to classes and shapes: equal workloads counted, offers that another one beats left out, what fits
//! nowhere set aside with its reason.
//!
//! The order of classes and shapes comes from what they are, not from where they stand in the question; only between
//! equal ones does the position decide. Going back to workloads and offers is `unfold`'s.

use std::collections::BTreeMap;

use super::answer::LeftOut;
use super::error::FleetError;
use super::folded::{Class, Folded, FoldedLimit, Shape};
use super::problem::{Amounts, DIMENSIONS_MAX, Devices, FleetProblem};
use super::reasons;
use super::undominated::{Candidate, undominated};
use super::validate::validate;

/// A question as the solvers see it, and the way back.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) folded: Folded,
    /// The workloads of each class, rising.
    pub(crate) members: Vec<Vec<usize>>,
    /// What fits no offer, by workload.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Workloads of one class before it is known whether they fit.
#[derive(Debug)]
struct Group {
    need: Amounts,
    devices: Devices,
    count: u64,
    per_machine_max: u32,
    row: usize,
    members: Vec<usize>,
}

pub(crate) fn fold(problem: &FleetProblem) -> Result<Fold, FleetError> {
    validate(problem)?;
    let rows = Rows::of(problem);
    let mut groups = groups(problem, &rows);
    let all = candidates(problem, &rows);
    let mut best = undominated(all);
    let mut left_out = Vec::new();
    groups.retain(|group| {
        let fits = best
            .iter()
            .any(|candidate| candidate.carries(group.row, &group.need, group.devices));
        if !fits {
            left_out.extend(group.members.iter().map(|workload| LeftOut {
                workload: *workload,
                copies: problem.workloads[*workload].copies,
                reason: reasons::fits_nowhere(problem, &problem.workloads[*workload]),
            }));
        }
        fits
    });
    left_out.sort_by_key(|entry| entry.workload);
    // A machine is worth no more than all that there is to hold.
    let (need, devices) = demand(&groups);
    for candidate in &mut best {
        (0..DIMENSIONS_MAX).for_each(|d| candidate.capacity.0[d] = candidate.capacity.0[d].min(need[d]));
        candidate.devices = candidate.devices.min(devices);
    }
    best.retain(|c| {
        groups
            .iter()
            .any(|group| c.carries(group.row, &group.need, group.devices))
    });
    let best = undominated(best);
    let folded = Folded {
        dimensions: problem.dimensions.len().max(1),
        classes: groups.iter().map(class).collect(),
        shapes: best.iter().map(shape).collect(),
        eligible: (0..rows.sets.len())
            .map(|row| best.iter().map(|candidate| candidate.is_in(row)).collect())
            .collect(),
        limits: limits(problem, &best),
    };
    Ok(Fold {
        folded,
        members: groups.into_iter().map(|group| group.members).collect(),
        left_out,
    })
}

/// The limits that concern any of the shapes, by name.
fn limits(problem: &FleetProblem, shapes: &[Candidate]) -> Vec<FoldedLimit> {
    let mut order: Vec<usize> = (0..problem.limits.len()).collect();
    order.sort_by_key(|limit| &problem.limits[*limit].name);
    let takes = |limit: usize, shape: &Candidate| {
        let found = shape.takes.iter().find(|(at, _)| *at == limit);
        found.map_or(0, |(_, taken)| *taken)
    };
    let fold = |at: usize| FoldedLimit {
        max: problem.limits[at].max,
        takes: shapes.iter().map(|shape| takes(at, shape)).collect(),
    };
    let concerns = |limit: &FoldedLimit| limit.takes.iter().any(|taken| *taken > 0);
    order.into_iter().map(fold).filter(concerns).collect()
}

fn class(group: &Group) -> Class {
    Class {
        need: group.need,
        devices: group.devices,
        count: group.count,
        per_machine_max: group.per_machine_max,
        eligible: group.row,
    }
}

fn shape(candidate: &Candidate) -> Shape {
    Shape {
        capacity: candidate.capacity,
        devices: candidate.devices,
        price: candidate.price,
        offer: candidate.offer,
    }
}

/// What all groups take: in each dimension, and devices if each share had one of its own.
fn demand(groups: &[Group]) -> ([u64; DIMENSIONS_MAX], u32) {
    let mut need = [0u64; DIMENSIONS_MAX];
    let mut devices = 0u64;
    for group in groups {
        for (sum, each) in need.iter_mut().zip(group.need.0) {
            *sum = sum.saturating_add(each.saturating_mul(group.count));
        }
        let each = match group.devices {
            Devices::None => 0,
            Devices::Share(_) => 1,
            Devices::Whole(devices) => u64::from(devices),
        };
        devices = devices.saturating_add(each.saturating_mul(group.count));
    }
    (need, u32::try_from(devices).unwrap_or(u32::MAX))
}

/// Equal workloads together. A limit per machine that can bind is each workload's own, so such a workload stays alone.
fn groups(problem: &FleetProblem, rows: &Rows) -> Vec<Group> {
    type Key = (Amounts, Devices, usize, Option<usize>);
    let mut by_key: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (at, workload) in problem.workloads.iter().enumerate().filter(|(_, w)| w.copies > 0) {
        let binds = workload
            .per_machine_max
            .is_some_and(|max| u64::from(max) < workload.copies);
        let row = rows.row_of_set[workload.eligible.map_or(0, |set| set + 1)];
        let key = (workload.need, workload.devices, row, binds.then_some(at));
        by_key.entry(key).or_default().push(at);
    }
    let mut groups: Vec<Group> = by_key
        .into_iter()
        .map(|((need, devices, row, alone), members)| {
            let count = members.iter().map(|at| problem.workloads[*at].copies).sum();
            let max = alone.and_then(|at| problem.workloads[at].per_machine_max);
            Group {
                need,
                devices,
                count,
                per_machine_max: max.unwrap_or_else(|| u32::try_from(count).unwrap_or(u32::MAX)),
                row,
                members,
            }
        })
        .collect();
    groups.sort_by_key(|g| (g.need, g.devices, g.per_machine_max, g.row, g.count, g.members[0]));
    groups
}

/// Sets of offers that workloads name, equal ones once, in canonical order.
struct Rows {
    /// Offers of each row, rising.
    sets: Vec<Vec<usize>>,
    /// The row of "any offer", then of each set of the question; those that no workload names have row 0.
    row_of_set: Vec<usize>,
}

impl Rows {
    fn of(problem: &FleetProblem) -> Self {
        // What all users of a set take, to tell sets apart that hold equal offers.
        let mut users: BTreeMap<usize, [u128; DIMENSIONS_MAX + 1]> = BTreeMap::new();
        for workload in problem.workloads.iter().filter(|workload| workload.copies > 0) {
            let sums = users.entry(workload.eligible.map_or(0, |set| set + 1)).or_default();
            let copies = u128::from(workload.copies);
            let needs = workload.need.0.into_iter().map(u128::from);
            sums.iter_mut()
                .zip(needs.chain([1]))
                .for_each(|(sum, need)| *sum += need * copies);
        }
        let rank = ranks(problem);
        let everything: Vec<usize> = (0..problem.offers.len()).collect();
        let mut keyed: Vec<_> = users
            .into_iter()
            .map(|(set, users)| {
                let offers = if set == 0 {
                    &everything
                } else {
                    &problem.eligibility[set - 1]
                };
                let mut ranks: Vec<usize> = offers.iter().map(|offer| rank[*offer]).collect();
                ranks.sort_unstable();
                (ranks, users, offers.clone(), set)
            })
            .collect();
        keyed.sort_unstable();
        let mut sets: Vec<Vec<usize>> = Vec::new();
        let mut row_of_set = vec![0; problem.eligibility.len() + 1];
        for (_, _, offers, set) in keyed {
            let known = sets.iter().position(|other| *other == offers);
            row_of_set[set] = known.unwrap_or(sets.len());
            if known.is_none() {
                sets.push(offers);
            }
        }
        Self { sets, row_of_set }
    }
}

/// What an offer is, without who may use it.
type Looks = (u64, u32, Amounts, Vec<(String, u64)>);

/// For each offer the number of offers that look different and come before it.
fn ranks(problem: &FleetProblem) -> Vec<usize> {
    let mut limits: Vec<Vec<(String, u64)>> = vec![Vec::new(); problem.offers.len()];
    for limit in &problem.limits {
        for (offer, taken) in limit.takes.iter().filter(|(_, taken)| *taken > 0) {
            limits[*offer].push((limit.name.clone(), *taken));
        }
    }
    let mut looks: Vec<(Looks, usize)> = Vec::with_capacity(problem.offers.len());
    for (at, (offer, mut limits)) in problem.offers.iter().zip(limits).enumerate() {
        limits.sort_unstable();
        looks.push(((offer.nano_usd_per_hour, offer.devices, offer.capacity, limits), at));
    }
    looks.sort_unstable();
    let mut ranks = vec![0; looks.len()];
    let mut rank = 0;
    for (index, (look, at)) in looks.iter().enumerate() {
        if index > 0 && looks[index - 1].0 != *look {
            rank = index;
        }
        ranks[*at] = rank;
    }
    ranks
}

/// Every offer of which at least one machine can be bought, in canonical order.
fn candidates(problem: &FleetProblem, rows: &Rows) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = problem
        .offers
        .iter()
        .enumerate()
        .map(|(at, offer)| Candidate {
            offer: at,
            capacity: offer.capacity,
            devices: offer.devices,
            price: offer.nano_usd_per_hour,
            takes: Vec::new(),
            rows: vec![0; rows.sets.len().div_ceil(64)],
        })
        .collect();
    let mut can_be_bought = vec![true; candidates.len()];
    for (at, limit) in problem.limits.iter().enumerate() {
        for (offer, taken) in limit.takes.iter().filter(|(_, taken)| *taken > 0) {
            candidates[*offer].takes.push((at, *taken));
            can_be_bought[*offer] &= *taken <= limit.max;
        }
    }
    for (row, offers) in rows.sets.iter().enumerate() {
        offers
            .iter()
            .for_each(|offer| candidates[*offer].rows[row / 64] |= 1 << (row % 64));
    }
    candidates.retain(|candidate| can_be_bought[candidate.offer] && candidate.rows.iter().any(|bits| *bits > 0));
    let rank = ranks(problem);
    candidates.sort_by(|a, b| (rank[a.offer], &a.rows, a.offer).cmp(&(rank[b.offer], &b.rows, b.offer)));
    candidates
}
