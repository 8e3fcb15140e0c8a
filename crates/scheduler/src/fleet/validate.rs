//! Whether a question can be asked at all: every number in range, every position there. What fits where is `fold`'s.

use std::collections::BTreeSet;

use super::error::{FleetError, Part};
use super::problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX, Devices, FleetProblem};

/// The most that any quantity may be: sums over [`COPIES_MAX`] of them are far inside a `u128`.
pub(crate) const QUANTITY_MAX: u64 = 1 << 62;

/// Most copies in one question: the answer names each of them.
pub(crate) const COPIES_MAX: u64 = 1 << 24;

/// Most devices of one machine: a layout is searched device by device.
pub(crate) const DEVICES_MAX: u32 = 1 << 12;

pub(crate) fn validate(problem: &FleetProblem) -> Result<(), FleetError> {
    names(problem)?;
    for (at, offer) in problem.offers.iter().enumerate() {
        let part = Part::Offer(at);
        amounts(problem, part, &offer.capacity)?;
        at_most(part, "devices", u64::from(offer.devices), u64::from(DEVICES_MAX))?;
        at_most(part, "price", offer.nano_usd_per_hour, QUANTITY_MAX)?;
    }
    for (at, row) in problem.eligibility.iter().enumerate() {
        rising(problem, Part::Eligibility(at), row.iter().copied())?;
    }
    for (at, limit) in problem.limits.iter().enumerate() {
        let part = Part::Limit(at);
        rising(problem, part, limit.takes.iter().map(|(offer, _)| *offer))?;
        at_most(part, "maximum", limit.max, QUANTITY_MAX)?;
        for (_, taken) in &limit.takes {
            at_most(part, "share of one machine", *taken, QUANTITY_MAX)?;
        }
    }
    workloads(problem)
}

fn names(problem: &FleetProblem) -> Result<(), FleetError> {
    let asked = problem.dimensions.len();
    if asked > DIMENSIONS_MAX {
        return Err(FleetError::TooManyDimensions { asked });
    }
    if let Some(name) = first_twice(problem.dimensions.iter()) {
        return Err(FleetError::DuplicateDimension { name });
    }
    first_twice(problem.limits.iter().map(|limit| &limit.name))
        .map_or(Ok(()), |name| Err(FleetError::DuplicateLimit { name }))
}

fn first_twice<'a>(names: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut names = names;
    names.find(|name| !seen.insert(*name)).cloned()
}

fn workloads(problem: &FleetProblem) -> Result<(), FleetError> {
    let mut copies = 0u128;
    for (at, workload) in problem.workloads.iter().enumerate() {
        let part = Part::Workload(at);
        amounts(problem, part, &workload.need)?;
        match workload.devices {
            Devices::Share(asked) if !(1..DEVICE_MILLI).contains(&asked) => {
                return Err(FleetError::ShareOutOfRange { part, asked });
            }
            Devices::Whole(0) => return Err(FleetError::NoWholeDevices { part }),
            Devices::None | Devices::Share(_) | Devices::Whole(_) => {}
        }
        if workload.per_machine_max == Some(0) && workload.copies > 0 {
            return Err(FleetError::NonePerMachine { part });
        }
        if let Some(set) = workload.eligible.filter(|set| *set >= problem.eligibility.len()) {
            let sets = problem.eligibility.len();
            return Err(FleetError::UnknownEligibility { part, set, sets });
        }
        copies += u128::from(workload.copies);
    }
    if copies > u128::from(COPIES_MAX) {
        return Err(FleetError::TooManyCopies {
            asked: copies,
            allowed: COPIES_MAX,
        });
    }
    Ok(())
}

fn amounts(problem: &FleetProblem, part: Part, amounts: &Amounts) -> Result<(), FleetError> {
    let dimensions = problem.dimensions.len();
    for (position, amount) in amounts.0.iter().enumerate() {
        match problem.dimensions.get(position) {
            Some(name) if *amount > QUANTITY_MAX => at_most(part, name, *amount, QUANTITY_MAX)?,
            None if *amount > 0 => {
                return Err(FleetError::UnknownDimension {
                    part,
                    position,
                    dimensions,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn at_most(part: Part, what: &str, asked: u64, allowed: u64) -> Result<(), FleetError> {
    if asked <= allowed {
        return Ok(());
    }
    Err(FleetError::TooMuch {
        part,
        what: what.to_owned(),
        asked,
        allowed,
    })
}

fn rising(problem: &FleetProblem, part: Part, positions: impl Iterator<Item = usize>) -> Result<(), FleetError> {
    let offers = problem.offers.len();
    let mut last = None;
    for offer in positions {
        if offer >= offers {
            return Err(FleetError::UnknownOffer { part, offer, offers });
        }
        if last >= Some(offer) {
            return Err(FleetError::Unsorted { part, offer });
        }
        last = Some(offer);
    }
    Ok(())
}
