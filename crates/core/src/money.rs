//! Money as integers of a millionth of a US dollar, and prices per hour.
//!
//! Conversion to floats is for reports only; sums, budgets and shares stay integers.

use std::fmt;
use std::iter;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quantity::{Fraction, QuantityError, scaled};

/// Hours in a month of account: 8,760 / 12, the figure the clouds' own price pages use.
pub const HOURS_PER_MONTH: u64 = 730;

const MICROS_PER_USD: u64 = 1_000_000;

macro_rules! money {
    ($(#[$doc:meta])* $name:ident, $suffix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The largest amount that can be held, about 9.2 million million dollars.
            pub const MAX: Self = Self(i64::MAX);

            /// An amount in millionths of a dollar.
            #[must_use]
            pub const fn from_micros(micros: i64) -> Self {
                Self(micros)
            }

            /// The amount in millionths of a dollar.
            #[must_use]
            pub const fn as_micros(self) -> i64 {
                self.0
            }

            /// The amount in dollars, for reports; exact below 9 thousand million dollars.
            #[must_use]
            #[expect(clippy::cast_precision_loss, reason = "for reports only; documented above")]
            pub fn as_usd(self) -> f64 {
                self.0 as f64 / 1e6
            }

            /// The sum, or `None` when it cannot be held.
            #[must_use]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The difference (may be negative), or `None` when it cannot be held.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The product, or `None` when it cannot be held.
            #[must_use]
            pub const fn checked_mul(self, factor: i64) -> Option<Self> {
                match self.0.checked_mul(factor) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The sum of all, or `None` when it cannot be held at some point. Empty gives zero.
            pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
                amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
            }
        }

        impl FromStr for $name {
            type Err = QuantityError;
            /// Dollars in decimal, rounded half up to a millionth.
            fn from_str(text: &str) -> Result<Self, QuantityError> {
                let text = text.trim();
                let micros = scaled(text, MICROS_PER_USD, "amount of money", Fraction::Round, text)?;
                i64::try_from(micros)
                    .map(Self)
                    .map_err(|_| QuantityError::Overflow { text: text.to_owned(), unit: "amount of money" })
            }
        }

        impl fmt::Display for $name {
            /// Dollars with two to six decimals.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let sign = if self.0 < 0 { "-" } else { "" };
                let micros = self.0.unsigned_abs();
                let decimals = format!("{:06}", micros % MICROS_PER_USD);
                let trimmed = decimals.trim_end_matches('0');
                let shown = &decimals[..trimmed.len().max(2)];
                f.pad(&format!("{sign}{}.{shown}{}", micros / MICROS_PER_USD, $suffix))
            }
        }
    };
}

money!(
    /// An amount of money in millionths of a US dollar; negative for a saving.
    MicroUsd, " USD"
);
money!(
    /// A price in millionths of a US dollar per hour; negative for a difference.
    MicroUsdPerHour, " USD/h"
);

impl MicroUsdPerHour {
    /// What this price comes to over a month of [`HOURS_PER_MONTH`] hours, or `None` when it cannot be held.
    #[must_use]
    pub fn per_month(self) -> Option<MicroUsd> {
        self.over(Duration::from_secs(HOURS_PER_MONTH * 3600))
    }

    /// What this price comes to over `period`, rounded half away from zero, or `None` when it cannot be held.
    #[must_use]
    pub fn over(self, period: Duration) -> Option<MicroUsd> {
        const NANOS_PER_HOUR: i128 = 3_600_000_000_000;
        let nanos = i128::try_from(period.as_nanos()).ok()?;
        let product = i128::from(self.0).checked_mul(nanos)?;
        let half = NANOS_PER_HOUR / 2 * product.signum();
        i64::try_from((product + half) / NANOS_PER_HOUR).ok().map(MicroUsd)
    }
}

impl MicroUsd {
    /// The hourly price that comes to this over a month of [`HOURS_PER_MONTH`] hours, rounded down.
    #[must_use]
    pub fn per_hour_of_month(self) -> MicroUsdPerHour {
        MicroUsdPerHour(self.0.div_euclid(i64::try_from(HOURS_PER_MONTH).unwrap_or(i64::MAX)))
    }
}

/// Splits `total` in proportion to `weights` so that the parts sum to it exactly (largest remainder, ties to the
/// lower index). All weights zero: equal parts. No weights: no parts.
pub(crate) fn split_exactly(total: i64, weights: &[u64]) -> Vec<i64> {
    if weights.is_empty() {
        return Vec::new();
    }
    let sum: u128 = weights.iter().map(|w| u128::from(*w)).sum();
    let weight = |i: usize| if sum == 0 { 1 } else { u128::from(weights[i]) };
    let whole = if sum == 0 { weights.len() as u128 } else { sum };
    let magnitude = u128::from(total.unsigned_abs());
    // magnitude < 2^63 and weight < 2^64: the product is below 2^127.
    let mut parts: Vec<(u128, u128)> = (0..weights.len())
        .map(|i| (magnitude * weight(i) / whole, magnitude * weight(i) % whole))
        .collect();
    let given: u128 = parts.iter().map(|(floor, _)| floor).sum();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(parts[i].1), i));
    let left = usize::try_from(magnitude - given).unwrap_or(usize::MAX);
    for &i in iter::repeat(()).flat_map(|()| &order).take(left.min(order.len())) {
        parts[i].0 += 1;
    }
    parts
        .iter()
        .map(|(n, _)| i64::try_from(*n).unwrap_or(i64::MAX) * total.signum())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact() {
        let rows = [
            ("0.0104", 10_400, "0.0104 USD"),
            ("12.5", 12_500_000, "12.50 USD"),
            ("0.0000005", 1, "0.000001 USD"),
        ];
        for (text, micros, printed) in rows {
            let amount: MicroUsd = text.parse().unwrap();
            assert_eq!((amount.as_micros(), amount.to_string().as_str()), (micros, printed));
        }
        assert!(matches!("-1".parse::<MicroUsd>(), Err(QuantityError::Negative { .. })));
        assert!(matches!(
            "99999999999999".parse::<MicroUsd>(),
            Err(QuantityError::Overflow { .. })
        ));
        assert!("NaN".parse::<MicroUsd>().is_err());
    }

    #[test]
    fn a_month_has_730_hours() {
        let price = MicroUsdPerHour::from_micros(10_400);
        assert_eq!(price.per_month(), Some(MicroUsd::from_micros(7_592_000)));
        assert_eq!(MicroUsdPerHour::MAX.per_month(), None);
        assert_eq!(price.over(Duration::from_secs(1800)), Some(MicroUsd::from_micros(5200)));
    }

    proptest::proptest! {
        #[test]
        fn parts_sum_to_the_whole(total in -1_000_000_000_000i64..1_000_000_000_000, weights in proptest::collection::vec(0u64..u64::MAX, 1..12)) {
            let parts = split_exactly(total, &weights);
            proptest::prop_assert_eq!(parts.iter().sum::<i64>(), total);
            proptest::prop_assert!(parts.iter().all(|p| p.signum() == 0 || p.signum() == total.signum()));
        }
    }
}
