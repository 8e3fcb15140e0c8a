//! An independent judge of a purchase: reads the question and the answer, and shares no code with what made it.
//!
//! It does not say whether a better purchase exists: that is the bound's, of which only what can be seen is checked.

use std::collections::BTreeMap;
use std::fmt;

use super::answer::{BoughtMachine, FleetAnswer};
use super::problem::{DEVICE_MILLI, Devices, FleetProblem};

/// What is wrong with an answer. Machines are named by their position in it, workloads and offers by theirs in the
/// question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FleetViolation {
    /// A machine of an offer that is not there.
    UnknownOffer {
        /// Which machine.
        machine: usize,
    },
    /// A resident that is no workload of the question.
    UnknownWorkload {
        /// Which machine.
        machine: usize,
        /// What it names.
        workload: usize,
    },
    /// A machine that nobody is on.
    Empty {
        /// Which machine.
        machine: usize,
    },
    /// Residents take more than the machine has.
    OverCapacity {
        /// Which machine.
        machine: usize,
        /// Position of the dimension.
        dimension: usize,
        /// What they take.
        used: u128,
        /// What it has.
        capacity: u64,
    },
    /// A resident does not have the devices that it asks for: their number, their order, or one that is not there.
    WrongDevices {
        /// Which machine.
        machine: usize,
        /// Whose devices.
        workload: usize,
    },
    /// Thousandths of one device are given twice.
    DeviceOverused {
        /// Which machine.
        machine: usize,
        /// Which device.
        device: u32,
        /// Thousandths given.
        milli: u64,
    },
    /// A workload on an offer that may not carry it.
    NotEligible {
        /// Which machine.
        machine: usize,
        /// Which workload.
        workload: usize,
    },
    /// More copies on one machine than the workload allows.
    TooManyTogether {
        /// Which machine.
        machine: usize,
        /// Which workload.
        workload: usize,
        /// Copies there.
        copies: u64,
    },
    /// A limit is exceeded.
    LimitExceeded {
        /// Its name.
        limit: String,
        /// What the machines take of it.
        used: u128,
    },
    /// Copies are lost or doubled.
    WrongCopies {
        /// Which workload.
        workload: usize,
        /// Copies on machines and left out.
        counted: u64,
        /// Copies of the question.
        asked: u64,
    },
    /// The cost is not the sum of what is paid.
    WrongCost {
        /// The sum, in billionths of a dollar per hour.
        sum: u128,
    },
    /// The bound is above the cost.
    BoundAboveCost,
    /// The cost is above the budget.
    OverBudget,
}

impl fmt::Display for FleetViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOffer { machine } => write!(f, "machine `{machine}` is of no offer"),
            Self::UnknownWorkload { machine, workload } => {
                write!(f, "machine `{machine}` carries `{workload}`, which is no workload")
            }
            Self::Empty { machine } => write!(f, "machine `{machine}` carries nothing"),
            Self::OverCapacity {
                machine,
                dimension,
                used,
                capacity,
            } => write!(
                f,
                "machine `{machine}` has `{capacity}` of dimension `{dimension}`, used are `{used}`"
            ),
            Self::WrongDevices { machine, workload } => {
                write!(
                    f,
                    "workload `{workload}` has not the devices it asks for on machine `{machine}`"
                )
            }
            Self::DeviceOverused { machine, device, milli } => {
                write!(
                    f,
                    "device `{device}` of machine `{machine}` is given to `{milli}` thousandths"
                )
            }
            Self::NotEligible { machine, workload } => {
                write!(
                    f,
                    "workload `{workload}` may not be on the offer of machine `{machine}`"
                )
            }
            Self::TooManyTogether {
                machine,
                workload,
                copies,
            } => write!(
                f,
                "`{copies}` copies of workload `{workload}` are on machine `{machine}`"
            ),
            Self::LimitExceeded { limit, used } => write!(f, "`{used}` is taken of limit `{limit}`"),
            Self::WrongCopies {
                workload,
                counted,
                asked,
            } => write!(
                f,
                "workload `{workload}` has `{asked}` copies, placed or left out are `{counted}`"
            ),
            Self::WrongCost { sum } => write!(f, "what is paid adds up to `{sum}`"),
            Self::BoundAboveCost => write!(f, "the bound is above the cost"),
            Self::OverBudget => write!(f, "the cost is above the budget"),
        }
    }
}

/// Everything that is wrong with an answer; empty when nothing is.
///
/// The question must be one that [`super::buy`] accepts; a position that is not there counts as "may not".
#[must_use]
pub fn check(problem: &FleetProblem, answer: &FleetAnswer) -> Vec<FleetViolation> {
    let mut found = Vec::new();
    let mut counted = vec![0u64; problem.workloads.len()];
    for (at, machine) in answer.machines.iter().enumerate() {
        check_machine(problem, at, machine, &mut found);
        for resident in &machine.residents {
            if let Some(copies) = counted.get_mut(resident.workload) {
                *copies += 1;
            }
        }
    }
    for entry in &answer.left_out {
        if let Some(copies) = counted.get_mut(entry.workload) {
            *copies = copies.saturating_add(entry.copies);
        }
    }
    for (workload, (counted, spec)) in counted.iter().zip(&problem.workloads).enumerate() {
        if *counted != spec.copies {
            found.push(FleetViolation::WrongCopies {
                workload,
                counted: *counted,
                asked: spec.copies,
            });
        }
    }
    check_limits(problem, answer, &mut found);
    check_money(problem, answer, &mut found);
    found
}

fn check_machine(problem: &FleetProblem, at: usize, machine: &BoughtMachine, found: &mut Vec<FleetViolation>) {
    let Some(offer) = problem.offers.get(machine.offer) else {
        found.push(FleetViolation::UnknownOffer { machine: at });
        return;
    };
    if machine.residents.is_empty() {
        found.push(FleetViolation::Empty { machine: at });
    }
    let mut used = [0u128; super::problem::DIMENSIONS_MAX];
    let mut devices = vec![0u64; offer.devices as usize];
    let mut together: BTreeMap<usize, u64> = BTreeMap::new();
    for resident in &machine.residents {
        let workload = resident.workload;
        let Some(spec) = problem.workloads.get(workload) else {
            found.push(FleetViolation::UnknownWorkload { machine: at, workload });
            continue;
        };
        used.iter_mut()
            .zip(spec.need.0)
            .for_each(|(sum, need)| *sum += u128::from(need));
        *together.entry(workload).or_default() += 1;
        let (number, milli) = match spec.devices {
            Devices::None => (0, 0),
            Devices::Share(milli) => (1, milli),
            Devices::Whole(number) => (number as usize, DEVICE_MILLI),
        };
        let distinct = resident.devices.windows(2).all(|pair| pair[0] < pair[1]);
        let there = resident.devices.iter().all(|device| *device < offer.devices);
        if resident.devices.len() != number || !distinct || !there {
            found.push(FleetViolation::WrongDevices { machine: at, workload });
        }
        for device in resident.devices.iter().filter(|device| **device < offer.devices) {
            devices[*device as usize] += u64::from(milli);
        }
    }
    for (dimension, (used, capacity)) in used.into_iter().zip(offer.capacity.0).enumerate() {
        if used > u128::from(capacity) {
            found.push(FleetViolation::OverCapacity {
                machine: at,
                dimension,
                used,
                capacity,
            });
        }
    }
    for (device, milli) in (0u32..)
        .zip(devices)
        .filter(|(_, milli)| *milli > u64::from(DEVICE_MILLI))
    {
        found.push(FleetViolation::DeviceOverused {
            machine: at,
            device,
            milli,
        });
    }
    check_rules(problem, at, machine.offer, &together, found);
}

fn check_rules(
    problem: &FleetProblem,
    machine: usize,
    offer: usize,
    together: &BTreeMap<usize, u64>,
    found: &mut Vec<FleetViolation>,
) {
    for (&workload, &copies) in together {
        let spec = &problem.workloads[workload];
        let may = |set: usize| {
            problem
                .eligibility
                .get(set)
                .is_some_and(|offers| offers.contains(&offer))
        };
        if spec.eligible.is_some_and(|set| !may(set)) {
            found.push(FleetViolation::NotEligible { machine, workload });
        }
        if spec.per_machine_max.is_some_and(|max| copies > u64::from(max)) {
            found.push(FleetViolation::TooManyTogether {
                machine,
                workload,
                copies,
            });
        }
    }
}

fn check_limits(problem: &FleetProblem, answer: &FleetAnswer, found: &mut Vec<FleetViolation>) {
    let mut bought: BTreeMap<usize, u128> = BTreeMap::new();
    for machine in &answer.machines {
        *bought.entry(machine.offer).or_default() += 1;
    }
    for limit in &problem.limits {
        let taken = |(offer, each): &(usize, u64)| bought.get(offer).copied().unwrap_or(0) * u128::from(*each);
        let used: u128 = limit.takes.iter().map(taken).sum();
        if used > u128::from(limit.max) {
            found.push(FleetViolation::LimitExceeded {
                limit: limit.name.clone(),
                used,
            });
        }
    }
}

fn check_money(problem: &FleetProblem, answer: &FleetAnswer, found: &mut Vec<FleetViolation>) {
    let price = |machine: &BoughtMachine| {
        problem
            .offers
            .get(machine.offer)
            .map_or(0, |o| u128::from(o.nano_usd_per_hour))
    };
    let sum = answer.machines.iter().map(price).sum::<u128>() + u128::from(problem.fixed_nano_usd_per_hour);
    if sum != answer.nano_usd_per_hour {
        found.push(FleetViolation::WrongCost { sum });
    }
    if answer.lower_bound_nano_usd_per_hour > answer.nano_usd_per_hour {
        found.push(FleetViolation::BoundAboveCost);
    }
    if problem
        .budget_nano_usd_per_hour
        .is_some_and(|budget| answer.nano_usd_per_hour > u128::from(budget))
    {
        found.push(FleetViolation::OverBudget);
    }
}
