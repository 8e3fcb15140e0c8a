//! Questions for the tests of fleet purchase: small ones from a seed, and the parts to write others by hand.

use skyloom_scheduler::fleet::*;

use crate::random_world::Dice;

pub(crate) fn amounts(values: &[u64]) -> Amounts {
    let mut amounts = Amounts::default();
    amounts.0[..values.len()].copy_from_slice(values);
    amounts
}

pub(crate) fn workload(need: &[u64], devices: Devices, copies: u64) -> Workload {
    Workload {
        need: amounts(need),
        devices,
        copies,
        per_machine_max: None,
        eligible: None,
    }
}

pub(crate) fn offer(capacity: &[u64], devices: u32, price: u64) -> MachineOffer {
    MachineOffer {
        capacity: amounts(capacity),
        devices,
        nano_usd_per_hour: price,
    }
}

/// A question in CPU and memory.
pub(crate) fn question(workloads: Vec<Workload>, offers: Vec<MachineOffer>) -> FleetProblem {
    let mut problem = FleetProblem::new(vec!["cpu".to_owned(), "memory".to_owned()]);
    problem.workloads = workloads;
    problem.offers = offers;
    problem
}

/// Up to `copies_max` copies and four offers, with devices, sets of offers, limits per machine and limits of purchase,
/// each in some of the questions.
pub(crate) fn tiny(seed: u64, copies_max: u64) -> FleetProblem {
    let mut dice = Dice::new(seed);
    let mut problem = question(Vec::new(), Vec::new());
    for _ in 0..2 + dice.roll(3) {
        let capacity = [2 + dice.roll(9), 2 + dice.roll(9)];
        let devices = if dice.one_in(2) {
            u32::try_from(dice.roll(4)).unwrap()
        } else {
            0
        };
        let fair = capacity[0] * 10 + capacity[1] * 5 + u64::from(devices) * 40;
        problem
            .offers
            .push(offer(&capacity, devices, fair * (60 + dice.roll(80)) / 100));
    }
    let sets = dice.roll(3);
    for _ in 0..sets {
        let set = (0..problem.offers.len()).filter(|_| !dice.one_in(3)).collect();
        problem.eligibility.push(set);
    }
    let mut left = 1 + dice.roll(copies_max);
    while left > 0 {
        let copies = (1 + dice.roll(3)).min(left);
        left -= copies;
        let devices = match dice.roll(6) {
            0 => Devices::Whole(1 + u32::try_from(dice.roll(2)).unwrap()),
            1 | 2 => Devices::Share([250, 300, 400, 500, 700][usize::try_from(dice.roll(5)).unwrap()]),
            _ => Devices::None,
        };
        let mut workload = workload(&[dice.roll(6), dice.roll(6)], devices, copies);
        workload.per_machine_max = dice.one_in(4).then_some(1);
        if sets > 0 && dice.one_in(2) {
            workload.eligible = Some(usize::try_from(dice.roll(sets)).unwrap());
        }
        problem.workloads.push(workload);
    }
    if dice.one_in(3) {
        let mut takes: Vec<(usize, u64)> = Vec::new();
        for offer in 0..problem.offers.len() {
            if !dice.one_in(3) {
                takes.push((offer, 1 + dice.roll(3)));
            }
        }
        problem.limits.push(Limit {
            name: "quota".to_owned(),
            max: dice.roll(7),
            takes,
        });
    }
    problem
}
