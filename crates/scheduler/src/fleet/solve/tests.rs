//! Bounds and searches against every load of small machines, and fleets against every purchase of small questions.

use super::carrier::Carrier;
use super::combine::combine;
use super::generate::Generation;
use super::master::{Column, Master};
use super::rows::{Rows, grouped};
use super::search::search;
use super::{by_prices, by_program};
use crate::effort::Effort;
use crate::fleet::folded::{Bought, Class, Folded, Pattern, Shape};
use crate::fleet::greedy;
use crate::fleet::problem::{Amounts, DEVICE_MILLI, Devices};

/// A small generator of numbers that look random.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A question of a few classes and shapes, every class fitting some shape.
pub(super) fn question(dice: &mut Dice, classes: usize, shapes: usize) -> Folded {
    let dimensions = 1 + usize::try_from(dice.below(3)).unwrap_or(0);
    let mut amounts = |low: u64, high: u64| {
        let mut amounts = Amounts::default();
        amounts.0[..dimensions]
            .iter_mut()
            .for_each(|a| *a = low + dice.below(high - low));
        amounts
    };
    let needs: Vec<Amounts> = (0..classes).map(|_| amounts(1, 40)).collect();
    let capacities: Vec<Amounts> = (0..shapes).map(|_| amounts(40, 100)).collect();
    let class = |need: &Amounts| {
        let count = 1 + dice.below(3);
        let devices = match dice.below(5) {
            0 | 1 => Devices::None,
            2 => Devices::Whole(1 + u32::from(dice.below(3) == 0)),
            _ => Devices::Share([200, 250, 350, 500, 700][usize::try_from(dice.below(5)).unwrap_or(0)]),
        };
        Class {
            need: *need,
            devices,
            count,
            per_machine_max: u32::try_from(count).unwrap_or(1),
            eligible: 0,
        }
    };
    let classes = needs.iter().map(class).collect();
    let shape = |(offer, capacity): (usize, &Amounts)| Shape {
        capacity: *capacity,
        // The first shape holds any class.
        devices: if offer == 0 {
            2
        } else {
            u32::try_from(dice.below(3)).unwrap_or(0)
        },
        price: 1_000_000 * (50 + dice.below(100)),
        offer,
    };
    Folded {
        dimensions,
        classes,
        shapes: capacities.iter().enumerate().map(shape).collect(),
        eligible: vec![vec![true; shapes]],
        limits: Vec::new(),
    }
}

/// Whether shares fit on devices, by trying every device for each.
fn pack(shares: &[u32], devices: &mut Vec<u32>) -> bool {
    let Some((first, others)) = shares.split_first() else {
        return true;
    };
    (0..devices.len()).any(|device| {
        if devices[device] < *first {
            return false;
        }
        devices[device] -= first;
        let fits = pack(others, devices);
        devices[device] += first;
        fits
    })
}

fn feasible(folded: &Folded, shape: usize, copies: &[u64]) -> bool {
    let this = &folded.shapes[shape];
    let within = (0..folded.dimensions).all(|d| {
        let sum: u64 = folded
            .classes
            .iter()
            .zip(copies)
            .map(|(class, n)| class.need.0[d] * n)
            .sum();
        sum <= this.capacity.0[d]
    });
    let (mut whole, mut shares) = (0u64, Vec::new());
    for (class, n) in folded.classes.iter().zip(copies) {
        match class.devices {
            Devices::None => {}
            Devices::Whole(devices) => whole += u64::from(devices) * n,
            Devices::Share(milli) => (0..*n).for_each(|_| shares.push(milli)),
        }
    }
    let left = u64::from(this.devices).checked_sub(whole);
    within && left.is_some_and(|left| pack(&shares, &mut vec![DEVICE_MILLI; usize::try_from(left).unwrap_or(0)]))
}

/// Every choice of copies up to the counts.
fn choices(folded: &Folded) -> Vec<Vec<u64>> {
    folded.classes.iter().fold(vec![Vec::new()], |all, class| {
        let longer = |choice: &Vec<u64>, n: u64| choice.iter().copied().chain([n]).collect();
        all.iter()
            .flat_map(|choice| (0..=class.count).map(move |n| longer(choice, n)))
            .collect()
    })
}

fn worth(copies: &[u64], values: &[i64]) -> i64 {
    copies
        .iter()
        .zip(values)
        .map(|(n, v)| i64::try_from(*n).unwrap_or(0) * v)
        .sum()
}

fn copies_of(folded: &Folded, pattern: &Pattern) -> Vec<u64> {
    let mut copies = vec![0; folded.classes.len()];
    pattern
        .items
        .iter()
        .for_each(|(class, n)| copies[*class as usize] += u64::from(*n));
    copies
}

#[test]
fn bounds_and_searches_agree_with_every_load() {
    let (mut complete, mut above) = (0, 0);
    for seed in 0..250 {
        let mut dice = Dice(seed);
        let folded = question(&mut dice, 5, 1);
        let values: Vec<i64> = (0..5)
            .map(|_| i64::try_from(dice.below(40_000_000)).unwrap_or(0))
            .collect();
        let all = choices(&folded);
        let best = all
            .iter()
            .filter(|c| feasible(&folded, 0, c))
            .map(|c| worth(c, &values))
            .max()
            .unwrap_or(0);
        let counts: Vec<u64> = folded.classes.iter().map(|class| class.count).collect();
        let carrier = Carrier::new(&folded, 0, &counts);
        for steps in [0, 3, 30] {
            let mut start = [1e7; 8];
            let bound = carrier.tighten(&folded, &values, &mut start, 0, steps);
            assert!(
                bound.upper >= best && bound.endless >= bound.upper,
                "seed {seed}: {bound:?} against {best}"
            );
            for threshold in [0, best / 2, best - 1, best, best + 5] {
                for (engine, nodes) in [
                    (search as fn(_, _, _, _, _, _) -> _, 3),
                    (search, 1 << 20),
                    (combine, 200),
                    (combine, 1 << 20),
                ] {
                    let outcome = engine(&carrier, &folded, &values, &bound, threshold.max(0), nodes);
                    assert!(outcome.upper >= best, "seed {seed}: {outcome:?} against {best}");
                    for found in &outcome.found {
                        let copies = copies_of(&folded, &found.pattern);
                        assert!(feasible(&folded, 0, &copies), "seed {seed}: {found:?}");
                        assert_eq!(worth(&copies, &values), found.value, "seed {seed}");
                        above += 1;
                    }
                    if outcome.complete {
                        assert_eq!(
                            outcome.upper,
                            best.max(threshold.max(0)).min(bound.upper.max(best)),
                            "seed {seed}: {outcome:?}"
                        );
                        complete += 1;
                    }
                }
            }
        }
    }
    assert!(
        complete > 5_000 && above > 2_000,
        "{complete} complete searches, {above} loads found"
    );
}

/// The cheapest purchase: over all numbers of copies held, the cheapest way there by one more machine.
fn cheapest(folded: &Folded) -> u64 {
    let all = choices(folded);
    let loads: Vec<(&Vec<u64>, u64)> = all
        .iter()
        .filter_map(|load| {
            let carrying = (0..folded.shapes.len()).filter(|shape| feasible(folded, *shape, load));
            carrying
                .map(|shape| folded.shapes[shape].price)
                .min()
                .map(|price| (load, price))
        })
        .collect();
    // In the order of `choices` each one comes after everything it contains.
    let mut least = vec![u64::MAX; all.len()];
    least[0] = 0;
    for at in 1..all.len() {
        for (load, price) in &loads {
            let rest: Option<Vec<u64>> = all[at].iter().zip(*load).map(|(n, l)| n.checked_sub(*l)).collect();
            let before = rest.and_then(|rest| all[..at].iter().position(|other| *other == rest));
            if let Some(before) = before {
                least[at] = least[at].min(least[before].saturating_add(*price));
            }
        }
    }
    least[all.len() - 1]
}

#[test]
fn no_purchase_is_cheaper_than_the_bound() {
    let mut close = 0;
    for seed in 0..25 {
        let mut dice = Dice(1000 + seed);
        let mut folded = question(&mut dice, 4, 3);
        folded.shapes.iter_mut().for_each(|shape| shape.devices = 2);
        let optimum = cheapest(&folded);
        let counts: Vec<u64> = folded.classes.iter().map(|class| class.count).collect();
        let mut effort = Effort::units(1_000_000);
        let rows = Rows::new(&folded, &grouped(&folded, 2));
        let mut generation = Generation::new(&folded, counts, rows, &Bought::default());
        for _ in 0..4 {
            generation.round(&mut effort);
        }
        assert!(
            generation.best_bound <= u128::from(optimum),
            "seed {seed}: coarse prices"
        );
        generation = generation.with_rows(Rows::new(&folded, &grouped(&folded, 4)));
        for _ in 0..40 {
            generation.round(&mut effort);
        }
        assert!(
            generation.best_bound <= u128::from(optimum),
            "seed {seed}: {} of {optimum}",
            generation.best_bound
        );
        close += u32::from(generation.best_bound * 10 >= u128::from(optimum) * 6);
    }
    assert!(close >= 20, "only {close} bounds are of any use");
}

#[test]
fn both_tactics_hold_everything_and_stay_above_their_bound() {
    let mut best = [0; 2];
    let mut close = [0; 2];
    for seed in 0..25 {
        let mut dice = Dice(3000 + seed);
        let mut folded = question(&mut dice, 4, 3);
        folded.shapes.iter_mut().for_each(|shape| shape.devices = 2);
        let optimum = u128::from(cheapest(&folded));
        let counts: Vec<u64> = folded.classes.iter().map(|class| class.count).collect();
        for (at, tactic) in [by_program, by_prices].into_iter().enumerate() {
            let start = greedy::first(&folded, &mut Effort::units(10_000), 0.1);
            let before = start.price(&folded);
            let (bought, bound) = tactic(&folded, start, &mut Effort::units(60_000));
            let mut held = vec![0; counts.len()];
            for (pattern, machines) in &bought.machines {
                let copies = copies_of(&folded, pattern);
                assert!(feasible(&folded, pattern.shape, &copies), "seed {seed}: {pattern:?}");
                held.iter_mut().zip(&copies).for_each(|(sum, n)| *sum += n * machines);
            }
            assert_eq!((held, bought.missing()), (counts.clone(), 0), "seed {seed}");
            let price = bought.price(&folded);
            assert!(
                bound <= optimum && optimum <= price && price <= before,
                "seed {seed}: {bound} {optimum} {price} {before}"
            );
            best[at] += u32::from(price == optimum);
            close[at] += u32::from(bound * 10 >= optimum * 6);
        }
    }
    assert!(
        best.iter().all(|n| *n >= 18),
        "only {best:?} of 25 purchases are the cheapest"
    );
    assert!(
        close.iter().all(|n| *n >= 18),
        "only {close:?} of 25 bounds are of any use"
    );
}

#[test]
fn programs_of_two_rows_are_solved() {
    for seed in 0..200 {
        let mut dice = Dice(7 + seed);
        let mut number = |end: u64| f64::from(u32::try_from(1 + dice.below(end)).unwrap_or(1));
        let rhs = [number(20), number(20)];
        let columns: Vec<[f64; 3]> = (0..6).map(|_| [number(50), number(9), number(9) - 1.0]).collect();
        let mut master = Master::new(&rhs, &[1000.0, 1000.0]);
        for [cost, first, second] in &columns {
            let entries = vec![(0, *first), (1, *second)];
            master.add(Column {
                cost: *cost,
                scale: cost.abs(),
                entries,
            });
        }
        master.solve(1000);
        // Every basis of two columns, artificial ones among them.
        let mut all = columns;
        all.extend([[1000.0, 1.0, 0.0], [1000.0, 0.0, 1.0]]);
        let mut least = f64::MAX;
        for a in &all {
            for b in &all {
                let determinant = a[1] * b[2] - b[1] * a[2];
                if determinant.abs() > 1e-9 {
                    let x = (rhs[0] * b[2] - b[1] * rhs[1]) / determinant;
                    let y = (a[1] * rhs[1] - rhs[0] * a[2]) / determinant;
                    if x >= -1e-9 && y >= -1e-9 {
                        least = least.min(a[0] * x + b[0] * y);
                    }
                }
            }
        }
        let objective = master.objective();
        assert!(
            (objective - least).abs() <= 1e-4 * least,
            "seed {seed}: {objective} instead of {least}"
        );
        let dual: f64 = master.prices().iter().zip(rhs).map(|(price, b)| price * b).sum();
        assert!(
            (dual - least).abs() <= 1e-4 * least,
            "seed {seed}: prices give {dual} instead of {least}"
        );
    }
}
