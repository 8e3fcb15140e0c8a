//! A better purchase from a complete one: a few wasteful machines are given back and bought anew under the prices of the
//! linear program.
//!
//! Under good values a machine's loss is its price less what it carries is worth, and the sum of losses is the gap. So
//! machines are chosen by loss, and an attempt ends as soon as it has lost as much as they did.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded, Pattern};

use super::build::{Builder, loss, take};
use super::part::Part;

/// Machines given back at once, at most and at least.
const TAKEN_MAX: u64 = 7;
const TAKEN_MIN: u64 = 2;
/// Attempts between two looks at the allowance.
const ATTEMPTS: u32 = 4;
/// Machines beyond which a purchase is left as it is.
const MACHINES_MAX: u64 = 1_000_000;

struct Repair<'a> {
    folded: &'a Folded,
    values: &'a [i64],
    shapes: &'a [usize],
    machines: Vec<Pattern>,
    losses: Vec<i64>,
    dice: ChaCha8Rng,
}

/// The same purchase or a cheaper one. `values` are worth most when no load is worth more than its machine costs.
pub(super) fn repair(
    folded: &Folded,
    bought: Bought,
    values: &[i64],
    shapes: &[usize],
    effort: &mut Effort<'_>,
) -> Bought {
    let count: u64 = bought.machines.iter().map(|(_, n)| n).sum();
    if !(TAKEN_MIN..=MACHINES_MAX).contains(&count) || !folded.limits.is_empty() {
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
        let values = part.values(self.values);
        let mut builder = Builder::new(&part.folded, &values, self.shapes, &mut self.dice);
        let mut left = part.counts();
        let mut bought = Vec::new();
        let mut losing = 0i64;
        while left.iter().any(|n| *n > 0) {
            let Some(pattern) = builder.next(&left) else {
                return (None, builder.units);
            };
            losing = losing.saturating_add(loss(&part.folded, &values, &pattern));
            if losing > lost {
                return (None, builder.units);
            }
            take(&pattern, 1, &mut left);
            bought.push(pattern);
        }
        (Some(bought), builder.units)
    }
}
