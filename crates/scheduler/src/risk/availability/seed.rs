//! A good mix in a moment: even spreads over the cheapest zones, then single exchanges while they pay.
//!
//! Its cost is where the search for the best one starts from. How many replicas a spread needs at least comes from the
//! binomial distribution; a wrong guess would cost time, never the answer.

use skyloom_core::{Purchase, Ratio};
use statrs::distribution::{Binomial, DiscreteCDF};

use super::bisect;
use super::judge::Judge;
use super::plan::Plan;
use crate::Effort;

/// Stages up to which exchanges of one or two replicas for three are tried: thousands of ways, not millions.
const STAGES_FEW: usize = 10;

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
    bisect::least(need, most, enough)
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
    // In ever smaller bundles: a large mix does not change by single replicas.
    let need = u32::try_from(plan.need).unwrap_or(u32::MAX);
    for size in [need / 8, need / 32, 1].into_iter().filter(|size| *size > 0) {
        while let Some(better) = exchanged(judge, &counts, size, effort) {
            counts = better;
        }
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
    let each = bisect::least(0, most, |each| judge.meets(&spread(each)))?;
    Some(spread(each)).filter(|counts| plan.is_allowed(counts))
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
        let (least, most) = (counts[stage], count_max[stage].max(counts[stage]));
        let too_many = |count: u32| {
            let mut tried = counts.clone();
            tried[stage] = count;
            !plan.is_allowed(&tried)
        };
        counts[stage] = bisect::least(least, most, too_many).map_or(most, |first| first.saturating_sub(1).max(least));
    }
    counts
}

/// The cheapest mix that is enough and differs by a few bundles of `size` replicas: one or two less, and up to three more
/// elsewhere.
fn exchanged(judge: &Judge<'_>, counts: &[u32], size: u32, effort: &mut Effort<'_>) -> Option<Vec<u32>> {
    let plan = judge.plan;
    let cost = plan.cost(counts);
    let more_max = if counts.len() <= STAGES_FEW { 3 } else { 1 };
    let mut paying: Vec<(u64, Vec<u32>)> = Vec::new();
    for less in bundles(counts.len(), 2).iter().filter(|less| !less.is_empty()) {
        for more in bundles(counts.len(), more_max) {
            let mut tried = counts.to_vec();
            let taken = less.iter().all(|s| {
                let left = tried[*s].checked_sub(size).filter(|left| *left >= plan.stages[*s].min);
                tried[*s] = left.unwrap_or(0);
                left.is_some()
            });
            more.iter().for_each(|s| tried[*s] += size);
            let fits = tried.iter().zip(&judge.count_max).all(|(count, max)| count <= max);
            let is_plain = less.iter().all(|s| !more.contains(s));
            if taken && fits && is_plain && plan.cost(&tried) < cost && plan.is_allowed(&tried) {
                paying.push((plan.cost(&tried), tried));
            }
        }
    }
    paying.sort_unstable();
    for (_, tried) in paying {
        if !effort.within(0.5) {
            return None;
        }
        effort.spend(1);
        if judge.meets(&tried) {
            return Some(tried);
        }
    }
    None
}

/// All ways to pick up to `most` of `stages`, with repetition, in rising order.
fn bundles(stages: usize, most: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    let mut first = 0;
    for _ in 0..most {
        let last = all.len();
        for index in first..last {
            let from = all[index].last().copied().unwrap_or(0);
            for stage in from..stages {
                let mut longer = all[index].clone();
                longer.push(stage);
                all.push(longer);
            }
        }
        first = last;
    }
    all
}
