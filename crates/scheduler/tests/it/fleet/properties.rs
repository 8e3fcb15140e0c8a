//! What holds for every fleet purchase, whatever the question.

use skyloom_scheduler::Effort;
use skyloom_scheduler::fleet::*;

use super::questions::{offer, question, tiny, workload};
use crate::random_world::Dice;

fn bought(problem: &FleetProblem) -> FleetAnswer {
    let answer = buy(problem, &mut Effort::units(20_000)).unwrap();
    assert_eq!(check(problem, &answer), []);
    answer
}

/// What was bought, without positions: sizes and prices of the machines, and how many copies each carries.
fn looks(problem: &FleetProblem, answer: &FleetAnswer) -> Vec<(MachineOffer, usize)> {
    let look = |machine: &BoughtMachine| (problem.offers[machine.offer].clone(), machine.residents.len());
    let mut looks: Vec<_> = answer.machines.iter().map(look).collect();
    looks.sort_by_key(|(offer, copies)| (offer.nano_usd_per_hour, offer.devices, offer.capacity, *copies));
    looks
}

/// The same question with workloads and offers in another order.
fn permuted(problem: &FleetProblem, seed: u64) -> FleetProblem {
    let mut dice = Dice::new(seed);
    let mut shuffled = |len: usize| {
        let mut order: Vec<usize> = (0..len).collect();
        (1..len)
            .rev()
            .for_each(|i| order.swap(i, usize::try_from(dice.roll(i as u64 + 1)).unwrap()));
        order
    };
    let workloads = shuffled(problem.workloads.len());
    let offers = shuffled(problem.offers.len());
    let place = |offer: usize| offers.iter().position(|old| *old == offer).unwrap();
    let mut other = problem.clone();
    other.workloads = workloads.iter().map(|at| problem.workloads[*at].clone()).collect();
    other.offers = offers.iter().map(|at| problem.offers[*at].clone()).collect();
    for set in &mut other.eligibility {
        set.iter_mut().for_each(|offer| *offer = place(*offer));
        set.sort_unstable();
    }
    for limit in &mut other.limits {
        limit.takes.iter_mut().for_each(|(offer, _)| *offer = place(*offer));
        limit.takes.sort_unstable();
    }
    other
}

#[test]
fn the_order_of_the_question_does_not_matter() {
    for seed in 0..150 {
        let problem = tiny(seed, 12);
        let other = permuted(&problem, seed + 1000);
        let (a, b) = (bought(&problem), bought(&other));
        assert_eq!(a.nano_usd_per_hour, b.nano_usd_per_hour, "seed {seed}");
        assert_eq!(
            a.lower_bound_nano_usd_per_hour, b.lower_bound_nano_usd_per_hour,
            "seed {seed}"
        );
        assert_eq!(looks(&problem, &a), looks(&other, &b), "seed {seed}");
    }
}

#[test]
fn an_offer_that_is_beaten_changes_nothing() {
    for seed in 0..150 {
        let problem = tiny(seed, 12);
        let before = bought(&problem);
        let mut more = problem.clone();
        let first = more.offers[0].clone();
        for (cut, dearer) in [(0, 0), (0, 5), (1, 0), (1, 3)] {
            let capacity = [first.capacity.0[0] - cut, first.capacity.0[1]];
            more.offers
                .push(offer(&capacity, first.devices, first.nano_usd_per_hour + dearer));
            let added = more.offers.len() - 1;
            let like = |set: &mut Vec<usize>| set.first() == Some(&0);
            more.eligibility
                .iter_mut()
                .filter_map(|s| like(s).then_some(s))
                .for_each(|set| set.push(added));
            for limit in &mut more.limits {
                let taken = limit
                    .takes
                    .iter()
                    .find(|(offer, _)| *offer == 0)
                    .map(|(_, taken)| *taken);
                limit.takes.extend(taken.map(|taken| (added, taken)));
            }
        }
        let after = bought(&more);
        assert_eq!(before.machines, after.machines, "seed {seed}");
        assert_eq!(
            before.lower_bound_nano_usd_per_hour, after.lower_bound_nano_usd_per_hour,
            "seed {seed}"
        );
        assert_eq!(before.left_out.len(), after.left_out.len(), "seed {seed}");
    }
}

#[test]
fn equal_workloads_may_stand_together_or_apart() {
    for seed in 0..150 {
        let mut together = tiny(seed, 12);
        together
            .workloads
            .iter_mut()
            .for_each(|workload| workload.per_machine_max = None);
        let mut apart = together.clone();
        apart.workloads = together
            .workloads
            .iter()
            .flat_map(|w| std::iter::repeat_n(Workload { copies: 1, ..w.clone() }, usize::try_from(w.copies).unwrap()))
            .collect();
        assert_eq!(
            looks(&together, &bought(&together)),
            looks(&apart, &bought(&apart)),
            "seed {seed}"
        );
    }
}

#[test]
fn a_replay_gives_the_same_bytes() {
    let log_normal = question(
        (1..60)
            .map(|i| workload(&[i * 37 % 50 + 1, i * 53 % 61 + 1], Devices::None, i % 7 + 1))
            .collect(),
        (1..12)
            .map(|i| offer(&[i * 12, i * 17 % 90 + 10], 0, i * 100 + i % 3))
            .collect(),
    );
    for problem in [log_normal, tiny(7, 12)] {
        // A clock that ends the work at an arbitrary point.
        let ticks = std::cell::Cell::new(0.0);
        let spent = || {
            ticks.set(ticks.get() + 0.0003);
            ticks.get()
        };
        let first = buy(&problem, &mut Effort::watched(&spent)).unwrap();
        let again = buy(&problem, &mut Effort::replayed(&first.effort)).unwrap();
        assert_eq!(first, again);
    }
}

#[test]
fn a_share_never_straddles_devices_and_devices_are_not_summed() {
    // Three shares of 0.6 need three devices although they add up to 1.8.
    let three = question(
        vec![workload(&[1, 1], Devices::Share(600), 3)],
        vec![
            offer(&[10, 10], 2, 100),
            offer(&[10, 10], 3, 180),
            offer(&[10, 10], 1, 70),
        ],
    );
    assert_eq!(bought(&three).nano_usd_per_hour, 170);
    // First fit falling would open a third device here: 0.5 0.4 | 0.4 0.3 0.3 | ... ; a search finds two.
    let shares = [500, 400, 300, 300, 250, 250].map(|milli| workload(&[1, 1], Devices::Share(milli), 1));
    let exact = question(shares.to_vec(), vec![offer(&[10, 10], 2, 100)]);
    assert_eq!(bought(&exact).machines.len(), 1);
}

#[test]
fn limits_are_hard_and_say_who_they_stop() {
    let mut problem = question(
        vec![workload(&[2, 2], Devices::None, 5)],
        vec![offer(&[2, 2], 0, 10), offer(&[4, 4], 0, 50)],
    );
    let limit = |name: &str, max, takes| Limit {
        name: name.to_owned(),
        max,
        takes,
    };
    problem.limits = vec![limit("small ones", 2, vec![(0, 1)])];
    let answer = bought(&problem);
    assert_eq!(answer.nano_usd_per_hour, 2 * 10 + 2 * 50);
    problem.limits.push(limit("large ones", 1, vec![(1, 1)]));
    let answer = bought(&problem);
    assert_eq!(answer.nano_usd_per_hour, 2 * 10 + 50);
    assert_eq!(answer.left_out.len(), 1);
    assert_eq!(answer.left_out[0].copies, 1);
    let names = vec!["large ones".to_owned(), "small ones".to_owned()];
    assert_eq!(answer.left_out[0].reason, LeftOutReason::Limited { limits: names });
    problem.limits[0].max = 0;
    problem.limits[1].max = 0;
    let answer = bought(&problem);
    assert_eq!((answer.machines.len(), answer.left_out[0].copies), (0, 5));
}

#[test]
fn a_budget_is_met_or_the_purchase_is_refused_with_what_is_proven() {
    let mut problem = question(vec![workload(&[4, 1], Devices::None, 3)], vec![offer(&[4, 4], 0, 100)]);
    problem.fixed_nano_usd_per_hour = 7;
    problem.budget_nano_usd_per_hour = Some(307);
    assert_eq!(bought(&problem).nano_usd_per_hour, 307);
    problem.budget_nano_usd_per_hour = Some(306);
    let refused = buy(&problem, &mut Effort::units(10_000)).unwrap_err();
    assert!(refused.is_proven(), "{refused}");
    assert_eq!(refused.class(), skyloom_core::Class::Exhausted);
}
