//! Chance-constrained packing against simulated use, brute force, and the inequality that it rests on.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use skyloom_core::{Bytes, Dimension, Millicores, Ratio, Resources};
use skyloom_scheduler::risk::overload::*;

use crate::random_world::Dice;

#[expect(
    clippy::cast_precision_loss,
    reason = "millicores and bytes of tests are far below 2^53"
)]
fn as_f64(amount: u64) -> f64 {
    amount as f64
}

/// The next whole amount.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive, small number"
)]
fn whole(amount: f64) -> u64 {
    libm::ceil(amount) as u64
}

fn resources(cpu: u64, mib: u64) -> Resources {
    Resources::new(Millicores::from_millicores(cpu), Bytes::from_bytes(mib << 20))
}

fn workload(dice: &mut Dice) -> Uncertain {
    let cpu = 200 + dice.roll(1800);
    let mib = 256 + dice.roll(3840);
    let (cpu_deviation, mib_deviation) = (cpu * (10 + dice.roll(50)) / 100, mib * dice.roll(20) / 100);
    Uncertain {
        // What people ask for: two deviations above the mean, and a bit.
        request: resources(cpu + 2 * cpu_deviation + 100, mib + 2 * mib_deviation),
        used: Use {
            mean: resources(cpu, mib),
            deviation: resources(cpu_deviation, mib_deviation),
        },
    }
}

struct Draws(ChaCha8Rng);

impl Draws {
    fn uniform(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 0.5) / 4_294_967_296.0
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }
}

/// Share of draws in which the machine is overrun in some dimension.
fn overruns(uses: &[Use], capacity: &Resources, correlation: f64, draws: u32, mut draw: impl FnMut() -> f64) -> f64 {
    let mut over = 0;
    for _ in 0..draws {
        let is_over = Dimension::ALL.iter().any(|dimension| {
            let common = draw();
            let total: f64 = uses
                .iter()
                .map(|used| {
                    let (mean, deviation) = (
                        as_f64(used.mean.get(*dimension)),
                        as_f64(used.deviation.get(*dimension)),
                    );
                    let own = if deviation > 0.0 { draw() } else { 0.0 };
                    mean + deviation * (libm::sqrt(correlation) * common + libm::sqrt(1.0 - correlation) * own)
                })
                .sum();
            total > as_f64(capacity.get(*dimension))
        });
        over += u32::from(is_over);
    }
    f64::from(over) / f64::from(draws)
}

#[test]
fn machines_are_overrun_as_rarely_as_allowed() {
    let mut dice = Dice::new(3);
    let workloads: Vec<Uncertain> = (0..120).map(|_| workload(&mut dice)).collect();
    let uses: Vec<Use> = workloads.iter().map(|w| w.used).collect();
    let capacity = resources(16_000, 65_536);
    const DRAWS: u32 = 3000;
    for (epsilon, correlation) in [(0.05, 0.0), (0.01, 0.0), (0.05, 0.3)] {
        let overload = Overload::new(epsilon, Tail::Normal, Ratio::new(correlation).unwrap()).unwrap();
        let packing = pack_by_use(&workloads, &capacity, 1000, &overload).unwrap();
        assert!(packing.by_use.unplaced.is_empty());
        let mut draws = Draws(ChaCha8Rng::seed_from_u64(17));
        let shares: Vec<f64> = packing
            .by_use
            .machines
            .iter()
            .map(|machine| {
                let on: Vec<Use> = machine.iter().map(|item| uses[*item]).collect();
                overruns(&on, &capacity, correlation, DRAWS, || draws.normal())
            })
            .collect();
        // Four standard errors of a share of `epsilon` among so many draws.
        let tolerance = 4.0 * libm::sqrt(epsilon * (1.0 - epsilon) / f64::from(DRAWS));
        assert!(
            shares.iter().all(|share| *share <= epsilon + tolerance),
            "{epsilon} {shares:?}"
        );
        // And the constraint is used, not merely kept: the fullest machines come near it.
        let most = shares.iter().copied().fold(0.0, f64::max);
        assert!(most > epsilon * 0.3, "{epsilon} {shares:?}");
    }
}

#[test]
fn the_inequality_holds_where_the_normal_quantile_does_not() {
    // Use that is rarely very high: 0 with probability 0.98, else so high that mean and deviation are these.
    let used = Use {
        mean: resources(100, 0),
        deviation: resources(700, 0),
    };
    let rare = 0.02;
    let mut draws = Draws(ChaCha8Rng::seed_from_u64(4));
    let mut two_points = || {
        let up = draws.uniform() < rare;
        if up {
            libm::sqrt((1.0 - rare) / rare)
        } else {
            -libm::sqrt(rare / (1.0 - rare))
        }
    };
    let capacity_for = |tail: Tail| {
        let overload = Overload::new(0.01, tail, Ratio::ZERO).unwrap();
        let need = overload.effective(&Load::of([&used]))[0];
        resources(whole(need), 1)
    };
    let share = |tail: Tail, draw: &mut dyn FnMut() -> f64| overruns(&[used], &capacity_for(tail), 0.0, 20_000, draw);
    assert!(share(Tail::Normal, &mut two_points) > 0.015);
    assert!(share(Tail::Cantelli, &mut two_points) <= 0.01);
}

#[test]
fn effective_sizes_are_those_of_the_formulas() {
    let used = Use {
        mean: resources(1000, 0),
        deviation: resources(300, 0),
    };
    let rows = [
        // z of 0.95 and of 0.999 by published tables.
        (0.05, Tail::Normal, 0.0, 4, 4000.0 + 1.644_853_6 * 600.0),
        (0.001, Tail::Normal, 0.0, 1, 1000.0 + 3.090_232_3 * 300.0),
        // Peaks together: deviations add up.
        (0.05, Tail::Normal, 1.0, 4, 4000.0 + 1.644_853_6 * 1200.0),
        // sqrt(0.95 / 0.05) = sqrt(19)
        (0.05, Tail::Cantelli, 0.0, 4, 4000.0 + libm::sqrt(19.0) * 600.0),
        (0.5, Tail::Normal, 0.0, 4, 4000.0),
    ];
    for (epsilon, tail, correlation, count, expected) in rows {
        let overload = Overload::new(epsilon, tail, Ratio::new(correlation).unwrap()).unwrap();
        let load = Load::of(&vec![used; count]);
        let effective = overload.effective(&load)[0];
        assert!((effective - expected).abs() < 1e-3, "{effective} {expected}");
        let whole = whole(effective);
        assert!(overload.fits(&load, &resources(whole + 1, 0)) && !overload.fits(&load, &resources(whole - 1, 0)));
    }
}

/// Fewest machines over all ways to part the workloads.
fn fewest(uses: &[Use], capacity: &Resources, overload: &Overload, machines: &mut Vec<Load>, best: &mut usize) {
    let Some((first, rest)) = uses.split_first() else {
        *best = machines.len().min(*best);
        return;
    };
    for index in 0..=machines.len() {
        let before = machines.get(index).copied();
        let mut load = before.unwrap_or_default();
        load.add(first);
        if !overload.fits(&load, capacity) {
            continue;
        }
        match before {
            Some(_) => machines[index] = load,
            None => machines.push(load),
        }
        fewest(rest, capacity, overload, machines, best);
        match before {
            Some(load) => machines[index] = load,
            None => drop(machines.pop()),
        }
    }
}

#[test]
fn few_machines_are_used_and_the_bound_is_one() {
    let mut dice = Dice::new(8);
    let (mut used, mut optimal) = (0, 0);
    for case in 0..60 {
        let workloads: Vec<Uncertain> = (0..7).map(|_| workload(&mut dice)).collect();
        let uses: Vec<Use> = workloads.iter().map(|w| w.used).collect();
        let capacity = resources(5000, 12_000);
        let tail = *dice.pick(&[Tail::Normal, Tail::Cantelli]);
        let overload = Overload::new(0.05, tail, Ratio::new(*dice.pick(&[0.0, 0.5])).unwrap()).unwrap();
        let packing = pack_by_use(&workloads, &capacity, 100, &overload).unwrap();
        let mut items: Vec<usize> = packing.by_use.machines.concat();
        items.extend(&packing.by_use.unplaced);
        items.sort_unstable();
        assert_eq!(items, (0..7).collect::<Vec<_>>(), "each workload once");
        for machine in &packing.by_use.machines {
            assert!(overload.fits(&Load::of(machine.iter().map(|i| &uses[*i])), &capacity));
        }
        let placed: Vec<Use> = packing.by_use.machines.concat().iter().map(|i| uses[*i]).collect();
        let mut best = usize::MAX;
        fewest(&placed, &capacity, &overload, &mut Vec::new(), &mut best);
        assert!(
            packing.machines_min <= best && best <= packing.by_use.machines.len(),
            "{case}"
        );
        used += packing.by_use.machines.len();
        optimal += best;
    }
    assert!(used * 100 <= optimal * 103, "{used} machines where {optimal} would do");
}

#[test]
fn use_needs_fewer_machines_than_requests_and_the_inequality_more() {
    let mut dice = Dice::new(21);
    let workloads: Vec<Uncertain> = (0..400).map(|_| workload(&mut dice)).collect();
    let capacity = resources(32_000, 131_072);
    let machines = |tail: Tail, correlation: f64| {
        let overload = Overload::new(0.01, tail, Ratio::new(correlation).unwrap()).unwrap();
        let packing = pack_by_use(&workloads, &capacity, 1000, &overload).unwrap();
        (
            packing.by_use.machines.len(),
            packing.by_request.machines.len(),
            packing.machines_min,
        )
    };
    let (normal, requests, least) = machines(Tail::Normal, 0.0);
    let (cantelli, _, _) = machines(Tail::Cantelli, 0.0);
    let (together, _, _) = machines(Tail::Normal, 0.5);
    println!(
        "machines: {requests} by requests, {normal} by use, {together} at a correlation of 0.5, {cantelli} by Cantelli, \
         {least} at least"
    );
    assert!(least <= normal && normal < together && normal < cantelli && normal < requests);
    let mut reversed = workloads.clone();
    reversed.reverse();
    let overload = Overload::new(0.01, Tail::Normal, Ratio::ZERO).unwrap();
    let again = pack_by_use(&reversed, &capacity, 1000, &overload).unwrap();
    assert_eq!(again.by_use.machines.len(), normal);
}

#[test]
fn caps_and_impossible_workloads_leave_some_out() {
    let huge = Uncertain {
        request: resources(1, 1),
        used: Use {
            mean: resources(u64::MAX, 1),
            deviation: resources(u64::MAX, 1),
        },
    };
    let small = Uncertain {
        request: resources(600, 1),
        used: Use {
            mean: resources(600, 1),
            deviation: resources(0, 0),
        },
    };
    let overload = Overload::new(0.01, Tail::Cantelli, Ratio::ONE).unwrap();
    let packing = pack_by_use(&[huge, small, small, small, huge], &resources(1000, 10), 2, &overload).unwrap();
    assert_eq!(packing.by_use.unplaced, [0, 3, 4]);
    assert_eq!(packing.by_use.machines, [vec![1], vec![2]]);
    let nothing = pack_by_use(&[small], &Resources::ZERO, 2, &overload);
    assert_eq!(nothing.unwrap_err(), PackOverloadError::NoCapacity);
    let none = pack_by_use(&[], &resources(1, 1), 0, &overload).unwrap();
    assert!(none.by_use.machines.is_empty() && none.machines_min == 0);
    for epsilon in [f64::NAN, -0.1, 0.0, 0.6, 1.0, f64::INFINITY] {
        assert!(Overload::new(epsilon, Tail::Normal, Ratio::ZERO).is_err());
    }
}
