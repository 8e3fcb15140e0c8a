//! Plans to begin with where cost alone matters: what a reader of one price list would choose.
//!
//! All in one region; each task where it is cheapest, as if traffic were free; and, by one relaxation each, the best plan
//! if every byte cost the first tier's price, or the first price that is not zero, or if each flow were alone. No answer is
//! dearer than any of them (where the relaxation is solved: always for forests). Bounds do not belong here.

use super::compile::{Choice, Compiled};
use super::tariff::{Curve, Tariff};

/// The plan of the cheapest choice of each task, and the one with every task that can be there in one region, for the
/// region where the tasks are cheapest together.
pub(super) fn untouched(compiled: &Compiled<'_>) -> [Vec<usize>; 2] {
    let mut sums = vec![0i64; compiled.network.regions.len()];
    let mut extra = Vec::new();
    let mut cheapest = Vec::with_capacity(compiled.steps.len());
    for step in &compiled.steps {
        let (least, at) = least(step.choices.iter());
        cheapest.push(at);
        // What a region costs more than the cheapest; by region, so the first of each that is least is the least.
        extra.clear();
        for choice in &step.choices {
            match extra.last_mut() {
                Some((region, cost)) if *region == choice.region => *cost = choice.cost.min(*cost),
                _ => extra.push((choice.region, choice.cost)),
            }
        }
        let dearest = extra.iter().map(|(_, cost)| *cost).max().unwrap_or(0);
        // Where it has no choice it will have to pay for traffic: as much as its dearest place costs.
        sums.iter_mut()
            .for_each(|sum| *sum = sum.saturating_add(dearest - least));
        for (region, cost) in &extra {
            sums[*region] = sums[*region].saturating_add(cost - dearest);
        }
    }
    let best = (0..sums.len()).min_by_key(|region| (sums[*region], *region));
    let gathered = compiled.steps.iter().zip(&cheapest).map(|(step, cheapest)| {
        let here = step
            .choices
            .iter()
            .enumerate()
            .filter(|(_, choice)| Some(choice.region) == best);
        here.min_by_key(|(at, choice)| (choice.cost, *at))
            .map_or(*cheapest, |(at, _)| at)
    });
    let gathered = gathered.collect();
    [cheapest, gathered]
}

fn least<'c>(choices: impl Iterator<Item = &'c Choice>) -> (i64, usize) {
    let ranked = choices.enumerate().map(|(at, choice)| (choice.cost, at));
    ranked.min().unwrap_or((0, 0))
}

/// What a reader of one line of the price list charges: every byte at the first tier's price; where that is nothing, at the
/// first that is not; and each flow by all tiers, as if its sender sent nothing else.
pub(super) fn naive_lists(compiled: &Compiled<'_>) -> Vec<Vec<Curve>> {
    let list = |charged: fn(&Tariff) -> Curve| compiled.network.meters.iter().map(|m| charged(&m.tariff)).collect();
    let mut lists: Vec<Vec<Curve>> = vec![
        list(|tariff| Curve::flat(tariff.rates().next().unwrap_or(0))),
        list(|tariff| Curve::flat(tariff.rates().find(|rate| *rate > 0).unwrap_or(0))),
        list(Tariff::alone),
    ];
    lists.dedup();
    lists
}
