//! The fluid program against a simplex that knows nothing of homes, and against what its prices promise.

use super::super::carrier::{Carrier, as_float, as_signed};
use super::super::master::{Column, Master};
use super::super::tests::{Dice, question};
use super::simplex::{Carrying, Simplex};
use super::{Measures, fluid};
use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded};
use crate::fleet::greedy;

/// The same program with a row for everything: what it costs.
fn by_rows(folded: &Folded, carriers: &[Carrier]) -> f64 {
    let measures = Measures::of(folded);
    let classes = folded.classes.len();
    let mut rhs: Vec<f64> = folded.classes.iter().map(|class| as_float(class.count)).collect();
    rhs.resize(classes + carriers.len() * measures.len(), 0.0);
    let mut master = Master::new(&rhs, &vec![1e9; rhs.len()]);
    let mut add = |cost: f64, entries: Vec<(usize, f64)>| {
        let scale = cost.max(1.0);
        let entries = entries
            .into_iter()
            .map(|(row, x)| (u32::try_from(row).unwrap_or(u32::MAX), x));
        let entries = entries.collect();
        master.add(Column { cost, scale, entries });
    };
    for (at, carrier) in carriers.iter().enumerate() {
        let carrying = measures.carrying(folded, carrier);
        let row = |measure: usize| classes + at * measures.len() + measure;
        // Rows of what a shape has nothing of hold nothing: they are left out.
        let rows: Vec<usize> = (0..measures.len())
            .filter(|m| carrying.inverse_capacity[*m] > 0.0)
            .collect();
        add(carrying.price, rows.iter().map(|m| (row(*m), -1.0)).collect());
        rows.iter().for_each(|m| add(0.0, vec![(row(*m), 1.0)]));
        for class in (0..classes).filter(|class| carrying.holds[*class]) {
            let need = measures.need(folded, class);
            let used = rows.iter().map(|m| (row(*m), need[*m] * carrying.inverse_capacity[*m]));
            add(0.0, std::iter::once((class, 1.0)).chain(used).collect());
        }
    }
    master.solve(100_000);
    master.objective()
}

/// What all shapes together cost by the simplex with homes, which are the first shapes that hold the classes.
fn by_homes(folded: &Folded, carriers: &[Carrier]) -> f64 {
    let measures = Measures::of(folded);
    let shapes: Vec<Carrying> = carriers
        .iter()
        .map(|carrier| measures.carrying(folded, carrier))
        .collect();
    let classes = 0..folded.classes.len();
    let needs = classes.clone().flat_map(|class| measures.need(folded, class)).collect();
    let counts: Vec<f64> = folded.classes.iter().map(|class| as_float(class.count)).collect();
    let first = |class: usize| shapes.iter().position(|shape| shape.holds[class]).unwrap_or(0);
    let home = classes.map(first).collect();
    let mut simplex = Simplex::new(measures.len(), needs, counts.clone(), shapes, home);
    assert!(simplex.solve(|_| true));
    simplex.values().iter().zip(counts).map(|(value, n)| value * n).sum()
}

fn carriers(folded: &Folded) -> Vec<Carrier> {
    let counts: Vec<u64> = folded.classes.iter().map(|class| class.count).collect();
    (0..folded.shapes.len())
        .map(|s| Carrier::new(folded, s, &counts))
        .collect()
}

fn start(folded: &Folded) -> Bought {
    greedy::first(folded, &mut Effort::units(1_000_000), 1.0)
}

#[test]
fn prices_cost_what_a_general_simplex_says() {
    for seed in 0..150 {
        let mut dice = Dice(90 + seed);
        let (classes, shapes) = (
            2 + usize::try_from(dice.below(12)).unwrap_or(0),
            2 + usize::try_from(dice.below(5)).unwrap_or(0),
        );
        let folded = question(&mut dice, classes, shapes);
        let carriers = carriers(&folded);
        let expected = by_rows(&folded, &carriers);
        let found = by_homes(&folded, &carriers);
        let room = 1e-4 * expected;
        assert!(
            (found - expected).abs() <= room,
            "seed {seed}: {found} instead of {expected}"
        );
        // Shapes that hold few copies of a class are kept out sooner than this program knows: prices may be higher.
        let prices = fluid(&folded, &carriers, &start(&folded), &mut Effort::units(u64::MAX));
        let counts = folded.classes.iter().map(|class| as_float(class.count));
        let value: f64 = prices
            .values
            .iter()
            .zip(counts)
            .map(|(value, n)| as_signed(*value) * n)
            .sum();
        assert!(value >= expected - room, "seed {seed}: {value} below {expected}");
    }
}

#[test]
fn little_effort_still_gives_prices_that_no_shape_in_the_program_exceeds() {
    for seed in 0..60 {
        let mut dice = Dice(400 + seed);
        let folded = question(&mut dice, 8, 5);
        let carriers = carriers(&folded);
        for units in [0, 5, 50] {
            let prices = fluid(&folded, &carriers, &start(&folded), &mut Effort::units(units));
            for (shape, own) in &prices.dimensions {
                let price = i64::try_from(folded.shapes[*shape].price).unwrap_or(i64::MAX);
                let bound = carriers[*shape].tighten(&folded, &prices.values, &mut { *own }, 0, 60);
                let allowed = price + price / 10_000 + 4;
                assert!(bound.upper <= allowed, "seed {seed}: {bound:?} for {price}");
            }
        }
    }
}
