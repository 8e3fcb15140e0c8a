//! Why copies have no machine: the dimension that is exceeded, or the limits that are used up.

use std::cmp::Ordering;

use super::answer::LeftOutReason;
use super::problem::{Devices, FleetProblem, Workload};

/// One thing of which a workload needs more than an offer has.
#[derive(Debug, Clone, Copy)]
struct Excess {
    /// Position of the dimension; devices come after the last.
    dimension: usize,
    needs: u64,
    has: u64,
}

impl Excess {
    /// By how many times it is exceeded.
    fn compare(&self, other: &Self) -> Ordering {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        product(self.needs, other.has).cmp(&product(other.needs, self.has))
    }
}

/// Why a workload fits no offer of which a machine can be bought.
pub(crate) fn fits_nowhere(problem: &FleetProblem, workload: &Workload) -> LeftOutReason {
    let eligible: Vec<usize> = match workload.eligible {
        Some(set) => problem.eligibility[set].clone(),
        None => (0..problem.offers.len()).collect(),
    };
    let mut limits: Vec<String> = Vec::new();
    let mut nearest: Option<Vec<Excess>> = None;
    for offer in &eligible {
        let excess = excess(problem, workload, *offer);
        if excess.is_empty() {
            limits.extend(closed(problem, *offer));
        } else if nearest.as_ref().is_none_or(|best| is_nearer(&excess, best)) {
            nearest = Some(excess);
        }
    }
    if !limits.is_empty() {
        limits.sort_unstable();
        limits.dedup();
        return LeftOutReason::Limited { limits };
    }
    let Some(worst) = nearest.and_then(|excess| excess.into_iter().max_by(Excess::compare)) else {
        return LeftOutReason::NoEligibleOffer;
    };
    let most = eligible.iter().map(|offer| has(problem, *offer, worst.dimension)).max();
    // A combination can be too much although each part of it is there somewhere: then the nearest offer says it.
    let largest = most.filter(|most| *most < worst.needs).unwrap_or(worst.has);
    LeftOutReason::TooLarge {
        dimension: name(problem, worst.dimension),
        needs: worst.needs,
        largest,
    }
}

/// Fewer things exceeded, then less of the worst.
fn is_nearer(a: &[Excess], b: &[Excess]) -> bool {
    let worst = |list: &[Excess]| list.iter().copied().max_by(Excess::compare);
    match a.len().cmp(&b.len()) {
        Ordering::Less => true,
        Ordering::Greater => false,
        Ordering::Equal => match (worst(a), worst(b)) {
            (Some(a), Some(b)) => a.compare(&b).is_lt(),
            _ => false,
        },
    }
}

fn excess(problem: &FleetProblem, workload: &Workload, offer: usize) -> Vec<Excess> {
    let devices = match workload.devices {
        Devices::None => 0,
        Devices::Share(_) => 1,
        Devices::Whole(devices) => u64::from(devices),
    };
    let last = problem.dimensions.len();
    let needs = |dimension: usize| {
        if dimension == last {
            devices
        } else {
            workload.need.0[dimension]
        }
    };
    (0..=last)
        .map(|dimension| Excess {
            dimension,
            needs: needs(dimension),
            has: has(problem, offer, dimension),
        })
        .filter(|excess| excess.needs > excess.has)
        .collect()
}

fn has(problem: &FleetProblem, offer: usize, dimension: usize) -> u64 {
    let offer = &problem.offers[offer];
    if dimension == problem.dimensions.len() {
        u64::from(offer.devices)
    } else {
        offer.capacity.0[dimension]
    }
}

fn name(problem: &FleetProblem, dimension: usize) -> String {
    problem
        .dimensions
        .get(dimension)
        .cloned()
        .unwrap_or_else(|| "devices".to_owned())
}

/// Names of the limits that do not allow a single machine of an offer.
fn closed(problem: &FleetProblem, offer: usize) -> Vec<String> {
    let closes = |limit: &&super::problem::Limit| {
        let at = limit.takes.binary_search_by_key(&offer, |(position, _)| *position);
        at.is_ok_and(|at| limit.takes[at].1 > limit.max)
    };
    problem
        .limits
        .iter()
        .filter(closes)
        .map(|limit| limit.name.clone())
        .collect()
}

/// The limits that leave no room for another machine of any offer that could carry the workload, given what is used.
pub(crate) fn used_up(problem: &FleetProblem, workload: &Workload, used: &[u128]) -> LeftOutReason {
    let fits = |offer: &usize| excess(problem, workload, *offer).is_empty();
    let offers: Vec<usize> = match workload.eligible {
        Some(set) => problem.eligibility[set].iter().copied().filter(fits).collect(),
        None => (0..problem.offers.len()).filter(fits).collect(),
    };
    let mut limits: Vec<String> = Vec::new();
    for (limit, used) in problem.limits.iter().zip(used) {
        let full = |(offer, taken): &(usize, u64)| {
            *taken > 0 && offers.binary_search(offer).is_ok() && used + u128::from(*taken) > u128::from(limit.max)
        };
        if limit.takes.iter().any(full) {
            limits.push(limit.name.clone());
        }
    }
    limits.sort_unstable();
    LeftOutReason::Limited { limits }
}
