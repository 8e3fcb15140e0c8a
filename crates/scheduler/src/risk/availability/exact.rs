//! The chance of a shortfall in whole numbers, for the rare mix that floats cannot tell from the limit.
//!
//! Every chance is a numerator over a power of 10^12. A library of big numbers would bring more than these few lines.

use std::cmp::Ordering;

use super::chance::{Chance, ONE};
use super::plan::Plan;

/// Replicas beyond which the numbers are too long: such a mix counts as falling short.
const REPLICAS_MAX: u32 = 300;

/// Whether the chance of a shortfall is at most the allowed one, to the last digit; `None` for a mix that is too large.
pub(super) fn holds(plan: &Plan, counts: &[u32]) -> Option<bool> {
    if counts.iter().map(|c| u64::from(*c)).sum::<u64>() > u64::from(REPLICAS_MAX) {
        return None;
    }
    let shortfall = shortfall(plan, counts);
    // numerator / 10^(12 power) <= allowed / 10^12
    let limit = Natural::from(plan.allowed.units()).times(&ten_to_12(shortfall.power.saturating_sub(1)));
    Some(shortfall.sum().compare(&limit) != Ordering::Greater)
}

/// Numerators of the chances of 0, 1, … up, all over 10^(12 power).
#[derive(Debug, Clone)]
struct Chances {
    numerators: Vec<Natural>,
    power: usize,
}

fn shortfall(plan: &Plan, counts: &[u32]) -> Chances {
    let mut up = Chances::certain(plan.need);
    for area in &plan.areas {
        let region_down = up.clone();
        for zone in &plan.zones[area.zones.clone()] {
            let zone_down = up.clone();
            for stage in zone.stages.clone().filter(|s| counts[*s] > 0) {
                let terms = &plan.stages[stage];
                let without = Chances::certain(plan.need);
                let mut alone = without.clone();
                for _ in 0..counts[stage] {
                    alone = alone.with_one_more(terms.down);
                }
                up = up.plus(&alone.blended(&without, terms.gone));
            }
            up = up.blended(&zone_down, zone.down);
        }
        up = up.blended(&region_down, area.down);
    }
    up
}

impl Chances {
    fn certain(need: usize) -> Self {
        let mut numerators = vec![Natural::default(); need];
        numerators[0] = Natural::from(1);
        Self { numerators, power: 0 }
    }

    fn with_one_more(&self, down: Chance) -> Self {
        let (down, up) = (Natural::from(down.units()), Natural::from(ONE - down.units()));
        let each = self.numerators.iter().enumerate().map(|(x, same)| {
            let stayed = same.times(&down);
            match x.checked_sub(1) {
                Some(less) => stayed.plus(&self.numerators[less].times(&up)),
                None => stayed,
            }
        });
        Self {
            numerators: each.collect(),
            power: self.power + 1,
        }
    }

    /// The sum of two independent numbers of replicas.
    fn plus(&self, other: &Self) -> Self {
        let need = self.numerators.len();
        let mut numerators = vec![Natural::default(); need];
        for (x, a) in self.numerators.iter().enumerate() {
            for (y, b) in other.numerators[..need - x].iter().enumerate() {
                numerators[x + y] = numerators[x + y].plus(&a.times(b));
            }
        }
        Self {
            numerators,
            power: self.power + other.power,
        }
    }

    /// `without` with chance `down`, else `self`; `without` has no larger power.
    fn blended(&self, without: &Self, down: Chance) -> Self {
        let p = Natural::from(down.units()).times(&ten_to_12(self.power - without.power));
        let q = Natural::from(ONE - down.units());
        let pairs = self.numerators.iter().zip(&without.numerators);
        Self {
            numerators: pairs.map(|(a, b)| a.times(&q).plus(&b.times(&p))).collect(),
            power: self.power + 1,
        }
    }

    fn sum(&self) -> Natural {
        self.numerators.iter().fold(Natural::default(), |sum, n| sum.plus(n))
    }
}

fn ten_to_12(power: usize) -> Natural {
    (0..power).fold(Natural::from(1), |product, _| product.times(&Natural::from(ONE)))
}

/// A natural number: digits to the base 2^32, the lowest first, without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Natural(Vec<u32>);

impl From<u64> for Natural {
    fn from(n: u64) -> Self {
        Self::trimmed(vec![low(n), low(n >> 32)])
    }
}

impl Natural {
    fn trimmed(mut digits: Vec<u32>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }

    fn plus(&self, other: &Self) -> Self {
        let (long, short) = if self.0.len() >= other.0.len() {
            (self, other)
        } else {
            (other, self)
        };
        let mut digits = Vec::with_capacity(long.0.len() + 1);
        let mut carry = 0_u64;
        for (index, digit) in long.0.iter().enumerate() {
            let sum = u64::from(*digit) + u64::from(short.0.get(index).copied().unwrap_or(0)) + carry;
            digits.push(low(sum));
            carry = sum >> 32;
        }
        digits.push(low(carry));
        Self::trimmed(digits)
    }

    fn times(&self, other: &Self) -> Self {
        let mut digits = vec![0_u32; self.0.len() + other.0.len()];
        for (i, a) in self.0.iter().enumerate() {
            let mut carry = 0_u64;
            for (j, b) in other.0.iter().enumerate() {
                // At most (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1.
                let sum = u64::from(*a) * u64::from(*b) + u64::from(digits[i + j]) + carry;
                digits[i + j] = low(sum);
                carry = sum >> 32;
            }
            digits[i + other.0.len()] = low(carry);
        }
        Self::trimmed(digits)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn low(n: u64) -> u32 {
    n as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn naturals_are_as_the_machine_s_own(a: u64, b: u64, c: u64) {
            let wide = |n: u128| {
                let high = Natural::from(u64::try_from(n >> 64).unwrap());
                let low = Natural::from(u64::try_from(n & u128::from(u64::MAX)).unwrap());
                let two_to_64 = Natural(vec![0, 0, 1]);
                high.times(&two_to_64).plus(&low)
            };
            let product = u128::from(a) * u128::from(b);
            proptest::prop_assert_eq!(Natural::from(a).times(&Natural::from(b)), wide(product));
            if let Some(sum) = product.checked_add(u128::from(c)) {
                proptest::prop_assert_eq!(wide(product).plus(&Natural::from(c)), wide(sum));
            }
            proptest::prop_assert_eq!(wide(product).compare(&Natural::from(c)), product.cmp(&u128::from(c)));
        }
    }
}
