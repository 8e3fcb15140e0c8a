//! Bad questions: a typed error that names the place, or copies left out with a reason. Never a panic.

use skyloom_scheduler::Effort;
use skyloom_scheduler::fleet::*;

use super::questions::{offer, question, workload};

fn good() -> FleetProblem {
    question(
        vec![
            workload(&[1, 1], Devices::None, 2),
            workload(&[1, 1], Devices::Share(500), 1),
        ],
        vec![offer(&[4, 4], 1, 100), offer(&[8, 8], 2, 190)],
    )
}

#[test]
fn a_bad_question_is_refused_with_its_place() {
    type Spoil = fn(&mut FleetProblem);
    let rows: [(Spoil, &str); 19] = [
        (
            |p| p.dimensions = (0..9).map(|i| i.to_string()).collect(),
            "count in `9` dimensions",
        ),
        (
            |p| p.dimensions[1] = "cpu".to_owned(),
            "tell two dimensions named `cpu` apart",
        ),
        (
            |p| p.workloads[1].need.0[5] = 1,
            "read dimension `5` of workload `1`: the question has `2`",
        ),
        (|p| p.offers[1].capacity.0[2] = 1, "read dimension `2` of offer `1`"),
        (
            |p| p.workloads[0].need.0[0] = 1 << 63,
            "accept `9223372036854775808` as the cpu of workload `0`",
        ),
        (|p| p.offers[0].capacity.0[1] = u64::MAX, "as the memory of offer `0`"),
        (
            |p| p.offers[0].nano_usd_per_hour = u64::MAX,
            "as the price of offer `0`",
        ),
        (|p| p.offers[0].devices = u32::MAX, "as the devices of offer `0`"),
        (
            |p| p.workloads[0].copies = 1 << 63,
            "place `9223372036854775809` copies",
        ),
        (
            |p| p.workloads.iter_mut().for_each(|w| w.copies = u64::MAX),
            "place `36893488147419103230` copies",
        ),
        (
            |p| p.workloads[1].devices = Devices::Share(0),
            "give workload `1` `0` thousandths",
        ),
        (
            |p| p.workloads[1].devices = Devices::Share(1000),
            "give workload `1` `1000` thousandths",
        ),
        (
            |p| p.workloads[1].devices = Devices::Whole(0),
            "give workload `1` `0` whole devices",
        ),
        (
            |p| p.workloads[0].per_machine_max = Some(0),
            "place workload `0`: at most `0` copies",
        ),
        (
            |p| p.workloads[0].eligible = Some(0),
            "find set of offers `0`, which workload `0` names: there are `0`",
        ),
        (
            |p| p.eligibility = vec![vec![0, 2]],
            "find offer `2`, which set of offers `0` names: there are `2`",
        ),
        (
            |p| p.eligibility = vec![vec![0], vec![1, 0]],
            "read set of offers `1`: offer `0` stands after",
        ),
        (
            |p| p.limits = vec![named("quota", vec![(0, 1), (0, 1)])],
            "read limit `0`: offer `0` stands after",
        ),
        (
            |p| p.limits = vec![named("quota", Vec::new()), named("quota", Vec::new())],
            "tell two limits named `quota` apart",
        ),
    ];
    for (spoil, expected) in rows {
        let mut problem = good();
        spoil(&mut problem);
        let refused = buy(&problem, &mut Effort::units(1000)).unwrap_err();
        assert!(
            refused.to_string().contains(expected),
            "`{refused}` does not say `{expected}`"
        );
        assert_eq!(refused.class(), skyloom_core::Class::Invalid);
    }
}

fn named(name: &str, takes: Vec<(usize, u64)>) -> Limit {
    Limit {
        name: name.to_owned(),
        max: 1,
        takes,
    }
}

#[test]
fn what_fits_nowhere_is_left_out_with_what_it_lacks() {
    let too_large = |dimension: &str, needs, largest| LeftOutReason::TooLarge {
        dimension: dimension.to_owned(),
        needs,
        largest,
    };
    let mut nowhere = workload(&[1, 1], Devices::None, 1);
    nowhere.eligible = Some(0);
    let mut small_only = workload(&[6, 1], Devices::None, 1);
    small_only.eligible = Some(1);
    let mut closed = workload(&[1, 9], Devices::None, 1);
    closed.eligible = Some(2);
    let rows = [
        (workload(&[9, 1], Devices::None, 3), too_large("cpu", 9, 8)),
        (
            workload(&[1, 1 << 62], Devices::None, 1),
            too_large("memory", 1 << 62, 20),
        ),
        (workload(&[1, 1], Devices::Whole(3), 1), too_large("devices", 3, 2)),
        // Each part is there, but not on one machine: the nearest lacks memory.
        (workload(&[8, 9], Devices::None, 1), too_large("memory", 9, 8)),
        (nowhere, LeftOutReason::NoEligibleOffer),
        (small_only, too_large("cpu", 6, 4)),
        (
            closed,
            LeftOutReason::Limited {
                limits: vec!["none of these".to_owned()],
            },
        ),
    ];
    for (workload, reason) in rows {
        let mut problem = good();
        problem.offers.push(offer(&[4, 20], 0, 500));
        problem.eligibility = vec![vec![], vec![0], vec![2]];
        problem.limits = vec![named("none of these", vec![(2, 2)])];
        let copies = workload.copies;
        problem.workloads.push(workload);
        let answer = buy(&problem, &mut Effort::units(1000)).unwrap();
        assert_eq!(check(&problem, &answer), []);
        let expected = LeftOut {
            workload: 2,
            copies,
            reason,
        };
        assert_eq!(answer.left_out, [expected]);
    }
}

#[test]
fn nothing_to_hold_and_nothing_to_buy_are_answers() {
    let answer = buy(&question(Vec::new(), Vec::new()), &mut Effort::units(10)).unwrap();
    assert_eq!((answer.nano_usd_per_hour, answer.lower_bound_nano_usd_per_hour), (0, 0));
    assert!(answer.gap().abs() < f64::EPSILON && answer.machines.is_empty() && answer.left_out.is_empty());
    let mut no_offers = good();
    no_offers.offers.clear();
    let answer = buy(&no_offers, &mut Effort::units(10)).unwrap();
    assert_eq!(answer.left_out.iter().map(|l| l.copies).collect::<Vec<_>>(), [2, 1]);
    let mut no_capacity = good();
    no_capacity.offers.iter_mut().for_each(|o| *o = offer(&[0, 0], 0, 0));
    let answer = buy(&no_capacity, &mut Effort::units(10)).unwrap();
    assert_eq!(answer.left_out.len(), 2);
}

#[test]
fn workloads_that_take_nothing_and_machines_that_cost_nothing_are_held() {
    let problem = question(
        vec![
            workload(&[0, 0], Devices::None, 1000),
            workload(&[1, 0], Devices::None, 3),
        ],
        vec![offer(&[1, 0], 0, 0), offer(&[0, 0], 0, 5)],
    );
    let answer = buy(&problem, &mut Effort::units(1000)).unwrap();
    assert_eq!(check(&problem, &answer), []);
    assert_eq!(answer.nano_usd_per_hour, 0);
    assert!(answer.left_out.is_empty());
}

#[test]
fn no_dimensions_at_all_is_a_question_of_devices() {
    let mut problem = FleetProblem::new(Vec::new());
    problem.workloads = vec![workload(&[], Devices::Whole(2), 3)];
    problem.offers = vec![offer(&[], 4, 10), offer(&[], 2, 6)];
    let answer = buy(&problem, &mut Effort::units(1000)).unwrap();
    assert_eq!((answer.nano_usd_per_hour, answer.left_out.len()), (16, 0));
}

#[test]
fn the_largest_prices_and_needs_are_bought_or_refused_but_never_panic() {
    let amounts = |a: u64, b: u64| Amounts([a, b, 0, 0, 0, 0, 0, 0]);
    let most = 1u64 << 62;
    for (price, need, capacity, copies) in [
        (most, 1, 3, 1 << 20),
        (most, most / 2, most, 3),
        (1, most / 3, most, 1000),
    ] {
        let mut problem = FleetProblem::new(vec!["cpu".to_owned(), "memory".to_owned()]);
        for devices in [Devices::None, Devices::Share(300), Devices::Whole(1)] {
            problem.workloads.push(Workload {
                need: amounts(need, need),
                devices,
                copies,
                per_machine_max: None,
                eligible: None,
            });
        }
        for (part, devices) in [(1, 0), (1, 4)] {
            problem.offers.push(MachineOffer {
                capacity: amounts(capacity, capacity),
                devices,
                nano_usd_per_hour: price / part - u64::from(devices == 0),
            });
        }
        if let Ok(answer) = buy(&problem, &mut Effort::units(2_000_000)) {
            assert!(answer.lower_bound_nano_usd_per_hour <= answer.nano_usd_per_hour);
            assert!(check(&problem, &answer).is_empty());
        }
    }
}
