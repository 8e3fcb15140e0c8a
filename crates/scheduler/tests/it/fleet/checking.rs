//! The checker catches every corruption of an answer, and only those.

use skyloom_scheduler::Effort;
use skyloom_scheduler::fleet::*;

use super::questions::{offer, question, workload};

/// Devices, a set of offers, a limit per machine, a limit of purchase, a budget, and something left out.
fn world() -> (FleetProblem, FleetAnswer) {
    let mut problem = question(
        vec![
            workload(&[2, 2], Devices::Whole(2), 1),
            workload(&[1, 1], Devices::Share(600), 2),
            workload(&[1, 1], Devices::None, 3),
            workload(&[99, 1], Devices::None, 1),
        ],
        vec![offer(&[8, 8], 4, 400), offer(&[2, 4], 0, 50)],
    );
    problem.eligibility = vec![vec![1]];
    problem.workloads[2].eligible = Some(0);
    problem.workloads[2].per_machine_max = Some(1);
    problem.limits = vec![Limit {
        name: "region".to_owned(),
        max: 4,
        takes: vec![(0, 1), (1, 1)],
    }];
    problem.budget_nano_usd_per_hour = Some(550);
    let answer = buy(&problem, &mut Effort::units(10_000)).unwrap();
    (problem, answer)
}

#[test]
fn a_good_answer_has_no_violations() {
    let (problem, answer) = world();
    assert_eq!(check(&problem, &answer), []);
    assert_eq!(answer.nano_usd_per_hour, 550);
    assert_eq!(answer.machines.len(), 4);
}

/// Residents of the machine with devices that is first in the answer.
fn with_devices(answer: &mut FleetAnswer) -> &mut Vec<Resident> {
    &mut answer.machines[0].residents
}

#[test]
fn every_corruption_is_caught() {
    use FleetViolation as V;
    type Spoil = fn(&mut FleetAnswer);
    type Caught = fn(&FleetViolation) -> bool;
    let rows: &[(&str, Spoil, Caught)] = &[
        (
            "another offer",
            |a| a.machines[0].offer = 9,
            |v| matches!(v, V::UnknownOffer { .. }),
        ),
        (
            "another workload",
            |a| with_devices(a)[0].workload = 9,
            |v| matches!(v, V::UnknownWorkload { .. }),
        ),
        (
            "nobody aboard",
            |a| a.machines[1].residents.clear(),
            |v| matches!(v, V::Empty { .. }),
        ),
        (
            "a smaller machine",
            |a| a.machines[0].offer = 1,
            |v| matches!(v, V::OverCapacity { dimension: 0, .. }),
        ),
        (
            "no device",
            |a| with_devices(a)[0].devices.clear(),
            |v| matches!(v, V::WrongDevices { .. }),
        ),
        (
            "one device twice",
            |a| with_devices(a)[0].devices = vec![1, 1],
            |v| matches!(v, V::WrongDevices { .. }),
        ),
        (
            "no such device",
            |a| with_devices(a)[1].devices = vec![4],
            |v| matches!(v, V::WrongDevices { .. }),
        ),
        (
            "a share over two",
            |a| with_devices(a)[1].devices = vec![2, 3],
            |v| matches!(v, V::WrongDevices { .. }),
        ),
        (
            "one device for two",
            |a| {
                let devices = with_devices(a)[1].devices.clone();
                with_devices(a)[2].devices = devices;
            },
            |v| matches!(v, V::DeviceOverused { milli: 1200, .. }),
        ),
        (
            "a share on a whole one",
            |a| {
                let device = with_devices(a)[0].devices[0];
                with_devices(a)[1].devices = vec![device];
            },
            |v| matches!(v, V::DeviceOverused { milli: 1600, .. }),
        ),
        (
            "on a forbidden offer",
            |a| {
                let resident = a.machines[1].residents.remove(0);
                with_devices(a).push(resident);
            },
            |v| matches!(v, V::NotEligible { workload: 2, .. }),
        ),
        (
            "two on one machine",
            |a| {
                let resident = a.machines[1].residents.remove(0);
                a.machines[2].residents.push(resident);
            },
            |v| matches!(v, V::TooManyTogether { copies: 2, .. }),
        ),
        (
            "one machine more",
            |a| {
                let machine = a.machines[3].clone();
                a.machines.push(machine);
            },
            |v| matches!(v, V::LimitExceeded { used: 5, .. }),
        ),
        (
            "a copy lost",
            |a| {
                with_devices(a).pop();
            },
            |v| {
                matches!(
                    v,
                    V::WrongCopies {
                        counted: 1,
                        asked: 2,
                        ..
                    }
                )
            },
        ),
        (
            "a refusal lost",
            |a| a.left_out.clear(),
            |v| matches!(v, V::WrongCopies { counted: 0, .. }),
        ),
        (
            "placed and left out",
            |a| {
                let more = LeftOut {
                    workload: 0,
                    copies: 1,
                    reason: LeftOutReason::NoEligibleOffer,
                };
                a.left_out.push(more);
            },
            |v| {
                matches!(
                    v,
                    V::WrongCopies {
                        counted: 2,
                        asked: 1,
                        ..
                    }
                )
            },
        ),
        (
            "cheaper than it is",
            |a| a.nano_usd_per_hour -= 1,
            |v| matches!(v, V::WrongCost { sum: 550 }),
        ),
        (
            "a bound too high",
            |a| a.lower_bound_nano_usd_per_hour = 551,
            |v| matches!(v, V::BoundAboveCost),
        ),
        (
            "over the budget",
            |a| a.nano_usd_per_hour += 1,
            |v| matches!(v, V::OverBudget),
        ),
    ];
    for (what, spoil, caught) in rows {
        let (problem, mut answer) = world();
        spoil(&mut answer);
        let found = check(&problem, &answer);
        assert!(found.iter().any(caught), "{what}: {found:?}");
        assert!(found.iter().all(|violation| !violation.to_string().is_empty()));
    }
}
