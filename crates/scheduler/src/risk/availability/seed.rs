//! A good mix in a moment: even spreads over the cheapest zones, then single exchanges while they pay.
//!
//! Its cost is where the search for the best one starts from. How many replicas a spread needs at least comes from the
//! binomial distribution; a wrong guess would cost time, never the answer.

use skyloom_core::{Purchase, Ratio};
use statrs::distribution::{Binomial, DiscreteCDF};

use super::judge::Judge;
use super::plan::Plan;
use crate::Effort;

/// The fewest replicas of which at least `need` are up with probability `slo`, when each is down with chance `down`
/// independently of the others; `None` beyond `most`. No correlated failure can make fewer enough.
///
/// By the binomial distribution in floats: at the very limit it may be one off.
///
/// ```
/// use skyloom_core::Ratio;
/// use skyloom_scheduler::risk::availability::replicas_if_independent;
///
/// let (slo, down) = (Ratio::new(0.9995)?, Ratio::new(0.01)?);
/// assert_eq!(replicas_if_independent(3, slo, down, 100), Some(5));
/// # Ok::<(), skyloom_core::RatioError>(())
/// ```
#[must_use]
pub fn replicas_if_independent(need: u32, slo: Ratio, down: Ratio, most: u32) -> Option<u32> {
    let Some(too_few) = need.checked_sub(1) else {
        return Some(0);
    };
    let enough = |count: u32| {
        let up = Binomial::new(1.0 - down.get(), u64::from(count));
        up.is_ok_and(|up| up.sf(u64::from(too_few)) >= slo.get())
    };
    let (mut low, mut high) = (need, most);
    if low > high || !enough(high) {
        return None;
    }
    while low < high {
        let middle = u32::midpoint(low, high);
        if enough(middle) {
            high = middle
        } else {
            low = middle + 1
        }
    }
    Some(low)
}

/// The cheapest mix found, if any spread is enough.
pub(super) fn seed(judge: &Judge<'_>, effort: &mut Effort<'_>) -> Option<Vec<u32>> {
    let plan = judge.plan;
    let mut best: Option<Vec<u32>> = None;
    for kinds in [
        &[Purchase::OnDemand][..],
        &[Purchase::Spot],
        &[Purchase::OnDemand, Purchase::Spot],
    ] {
        let order = zones_by_price(plan, kinds);
        for zones in 1..=order.len() {
            effort.spend(1);
            if let Some(counts) = even_spread(judge, kinds, &order[..zones]) {
                keep_cheaper(plan, &mut best, counts);
            }
        }
    }
    if best.is_none() {
        best = Some(fullest(plan, &judge.count_max)).filter(|counts| judge.meets(counts));
    }
    let mut counts = best?;
    while let Some(better) = exchanged(judge, &counts, effort) {
        counts = better;
    }
    Some(plan.canonical(&counts))
}

fn keep_cheaper(plan: &Plan, best: &mut Option<Vec<u32>>, counts: Vec<u32>) {
    let is_better = |kept: &Vec<u32>| (plan.cost(&counts), &counts) < (plan.cost(kept), kept);
    if best.as_ref().is_none_or(is_better) {
        *best = Some(counts);
    }
}

/// Zones that sell one of these kinds, the cheapest first.
fn zones_by_price(plan: &Plan, kinds: &[Purchase]) -> Vec<usize> {
    let price = |zone: usize| {
        let stages = plan.zones[zone].stages.clone();
        stages
            .filter(|s| kinds.contains(&plan.stages[*s].purchase))
            .map(|s| plan.stages[s].price)
            .min()
    };
    let mut zones: Vec<(u64, usize)> = (0..plan.zones.len()).filter_map(|z| Some((price(z)?, z))).collect();
    zones.sort_unstable();
    zones.into_iter().map(|(_, zone)| zone).collect()
}

/// The fewest replicas of each of these kinds in each of these zones that are enough.
fn even_spread(judge: &Judge<'_>, kinds: &[Purchase], zones: &[usize]) -> Option<Vec<u32>> {
    let plan = judge.plan;
    let spread = |each: u32| -> Vec<u32> {
        let mut counts: Vec<u32> = plan.stages.iter().map(|stage| stage.min).collect();
        for zone in zones {
            for stage in plan.zones[*zone].stages.clone() {
                if kinds.contains(&plan.stages[stage].purchase) {
                    counts[stage] = each.clamp(plan.stages[stage].min, judge.count_max[stage]);
                }
            }
        }
        counts
    };
    let most = judge.count_max.iter().copied().max().unwrap_or(0);
    let (mut low, mut high) = (0, most);
    if !judge.meets(&spread(high)) {
        return None;
    }
    while low < high {
        let middle = u32::midpoint(low, high);
        if judge.meets(&spread(middle)) {
            high = middle
        } else {
            low = middle + 1
        }
    }
    Some(spread(low)).filter(|counts| plan.is_allowed(counts))
}

/// As many as limits and quotas allow, the least likely to be down first.
pub(super) fn fullest(plan: &Plan, count_max: &[u32]) -> Vec<u32> {
    let mut counts: Vec<u32> = plan.stages.iter().map(|stage| stage.min).collect();
    let mut order: Vec<usize> = (0..plan.stages.len()).collect();
    let odds = |s: &usize| {
        (
            plan.zones[plan.stages[*s].zone].down,
            plan.stages[*s].gone,
            plan.stages[*s].down,
        )
    };
    order.sort_by_key(|s| (odds(s), *s));
    for stage in order {
        let (mut low, mut high) = (counts[stage], count_max[stage].max(counts[stage]));
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            counts[stage] = middle;
            if plan.is_allowed(&counts) {
                low = middle
            } else {
                high = middle - 1
            }
        }
        counts[stage] = low;
    }
    counts
}

/// The cheapest mix that is enough and differs by one replica less, or one or two less and one more elsewhere.
fn exchanged(judge: &Judge<'_>, counts: &[u32], effort: &mut Effort<'_>) -> Option<Vec<u32>> {
    let plan = judge.plan;
    let mut best: Option<Vec<u32>> = None;
    let cost = plan.cost(counts);
    for from in 0..counts.len() {
        for less in 1..=2 {
            let Some(left) = counts[from].checked_sub(less).filter(|n| *n >= plan.stages[from].min) else {
                break;
            };
            for to in 0..=counts.len() {
                if !effort.within(0.5) {
                    return best;
                }
                let mut tried = counts.to_vec();
                tried[from] = left;
                if let Some(count) = tried.get_mut(to) {
                    *count += 1;
                }
                let fits = tried.get(to).is_none_or(|count| *count <= judge.count_max[to]);
                let pays = plan.cost(&tried) < best.as_ref().map_or(cost, |b| plan.cost(b));
                if to != from && fits && pays && plan.is_allowed(&tried) {
                    effort.spend(1);
                    if judge.meets(&tried) {
                        best = Some(tried);
                    }
                }
            }
        }
    }
    best
}
