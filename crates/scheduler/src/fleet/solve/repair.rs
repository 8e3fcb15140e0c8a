//! A better purchase from a complete one: a few wasteful machines are given back and bought anew under the prices of the
//! linear program.
//!
//! Under good values a machine's loss is its price less what it carries is worth, and the sum of losses is the gap. So
//! machines are chosen by loss, and an attempt ends as soon as it has lost as much as they did.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded, Pattern};

use super::carrier::{Carrier, as_signed};
use super::greedy::fill;
use super::part::Part;
use super::search::{Found, search};

/// Machines given back at once, at most and at least.
const TAKEN_MAX: u64 = 7;
const TAKEN_MIN: u64 = 2;
/// Shapes whose best filling is also searched for, and partial loads looked at for each.
const SEARCHED: usize = 2;
const NODES: u64 = 300;
/// Attempts between two looks at the allowance.
const ATTEMPTS: u32 = 4;
/// Machines beyond which a purchase is left as it is.
const MACHINES_MAX: u64 = 1_000_000;

struct Repair<'a> {
    folded: &'a Folded,
    values: &'a [i64],
    shapes: Vec<usize>,
    machines: Vec<Pattern>,
    losses: Vec<i64>,
    dice: ChaCha8Rng,
}

/// The same purchase or a cheaper one. `values` are worth most when no load is worth more than its machine costs.
pub(super) fn repair(
    folded: &Folded,
    bought: Bought,
    values: &[i64],
    shapes: Vec<usize>,
    effort: &mut Effort<'_>,
) -> Bought {
    let count: u64 = bought.machines.iter().map(|(_, n)| n).sum();
    if count < TAKEN_MIN || count > MACHINES_MAX || !folded.limits.is_empty() {
        return bought;
    }
    let machines: Vec<Pattern> = bought
        .machines
        .into_iter()
        .flat_map(|(pattern, n)| std::iter::repeat_n(pattern, usize::try_from(n).unwrap_or(0)))
        .collect();
    let mut repair = Repair {
        folded,
        values,
        shapes,
        losses: machines.iter().map(|m| loss(folded, values, m)).collect(),
        machines,
        dice: ChaCha8Rng::seed_from_u64(7),
    };
    while effort.within(1.0) {
        for _ in 0..ATTEMPTS {
            let units = repair.attempt();
            effort.spend(units);
        }
    }
    let mut machines: std::collections::BTreeMap<Pattern, u64> = std::collections::BTreeMap::new();
    for pattern in repair.machines {
        *machines.entry(pattern).or_default() += 1;
    }
    Bought {
        machines: machines.into_iter().collect(),
        left_out: bought.left_out,
    }
}

/// What a load is worth.
fn values_of(machine: &Pattern, values: &[i64]) -> i64 {
    machine
        .items
        .iter()
        .map(|(c, n)| values[*c as usize].saturating_mul(i64::from(*n)))
        .sum()
}

/// What a machine costs more than its load is worth.
fn loss(folded: &Folded, values: &[i64], machine: &Pattern) -> i64 {
    i64::try_from(folded.shapes[machine.shape].price)
        .unwrap_or(i64::MAX)
        .saturating_sub(values_of(machine, values))
}

impl Repair<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        // The bias is sides / 2^64.
        usize::try_from(self.dice.next_u64() % (sides as u64).max(1)).unwrap_or(0)
    }

    /// Some machines, rising, the wasteful ones more often.
    fn choose(&mut self) -> Vec<usize> {
        let wanted = TAKEN_MIN + self.dice.next_u64() % (TAKEN_MAX - TAKEN_MIN + 1);
        let mut chosen = Vec::new();
        for turn in 0..wanted {
            let looks = if turn == 0 { 6 } else { 1 + self.roll(3) };
            let looked: Vec<usize> = (0..looks).map(|_| self.roll(self.machines.len())).collect();
            let worst = looked.into_iter().max_by_key(|at| (self.losses[*at], *at));
            chosen.extend(worst.filter(|at| !chosen.contains(at)));
        }
        chosen.sort_unstable();
        chosen
    }

    /// Gives some machines back and buys anew if that is cheaper; tells what it took.
    fn attempt(&mut self) -> u64 {
        let chosen = self.choose();
        let mut counts = vec![0u64; self.folded.classes.len()];
        for at in &chosen {
            for (class, copies) in &self.machines[*at].items {
                counts[*class as usize] += u64::from(*copies);
            }
        }
        let lost: i64 = chosen.iter().map(|at| self.losses[*at]).sum();
        let part = Part::new(self.folded, &counts, &[]);
        let (bought, units) = self.buy(&part, lost);
        if let Some(bought) = bought {
            for at in chosen.into_iter().rev() {
                self.machines.swap_remove(at);
                self.losses.swap_remove(at);
            }
            for pattern in bought {
                let pattern = part.outside(&pattern);
                self.losses.push(loss(self.folded, self.values, &pattern));
                self.machines.push(pattern);
            }
        }
        units
    }

    /// Machines for a part that lose at most as much as `lost` together, in the part's names; and units of work.
    fn buy(&mut self, part: &Part, lost: i64) -> (Option<Vec<Pattern>>, u64) {
        let folded = &part.folded;
        let values = part.values(self.values);
        let shaken: Vec<i64> = values.iter().map(|value| self.shaken(*value)).collect();
        let mut left = part.counts();
        let mut bought = Vec::new();
        let (mut losing, mut units) = (0i64, 0u64);
        while left.iter().any(|n| *n > 0) {
            units += (left.len() * self.shapes.len()) as u64;
            let Some(pattern) = self.best(folded, &left, &values, &shaken) else {
                return (None, units);
            };
            losing = losing.saturating_add(loss(folded, &values, &pattern));
            if losing > lost {
                return (None, units);
            }
            for (class, copies) in &pattern.items {
                left[*class as usize] -= u64::from(*copies);
            }
            bought.push(pattern);
        }
        (Some(bought), units)
    }

    /// The load that loses least for its price.
    fn best(&mut self, folded: &Folded, left: &[u64], values: &[i64], shaken: &[i64]) -> Option<Pattern> {
        let mut filled: Vec<(f64, Carrier, Found)> = Vec::new();
        for shape in &self.shapes {
            let carrier = Carrier::new(folded, *shape, left);
            if let Some(found) = fill(&carrier, folded, shaken) {
                let loss = as_signed(loss(folded, values, &found.pattern));
                filled.push((loss / as_signed(found.value.max(1)), carrier, found));
            }
        }
        filled.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.2.pattern.cmp(&b.2.pattern)));
        let mut best: Option<(f64, Pattern)> = None;
        for (at, (rate, carrier, found)) in filled.into_iter().enumerate() {
            let mut candidates = vec![(rate, found.pattern)];
            if at < SEARCHED {
                let mut lambda = carrier.even(values_of(&candidates[0].1, values), folded.dimensions);
                let bound = carrier.tighten(folded, values, &mut lambda, 0, 12);
                let worth = loss(folded, values, &candidates[0].1);
                let price = i64::try_from(folded.shapes[carrier.shape].price).unwrap_or(i64::MAX);
                let outcome = search(&carrier, folded, values, &bound, price - worth, NODES);
                for better in outcome.found.into_iter().take(1) {
                    let rate = as_signed(price - better.value) / as_signed(better.value.max(1));
                    candidates.push((rate, better.pattern));
                }
            }
            for (rate, pattern) in candidates {
                if best.as_ref().is_none_or(|(other, _)| rate < *other) {
                    best = Some((rate, pattern));
                }
            }
        }
        best.map(|(_, pattern)| pattern)
    }

    /// A value up to a tenth lower, for variety.
    fn shaken(&mut self, value: i64) -> i64 {
        let part = i64::try_from(self.dice.next_u64() % 1024).unwrap_or(0);
        value - value / 10240 * part
    }
}
