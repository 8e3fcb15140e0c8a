//! Decimal numbers as they are written, without floats: `0.0475` is exactly 475 of its last place.

use std::fmt;

/// A number of units of 10^-decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u64,
    decimals: u32,
}

impl Decimal {
    /// Digits with at most one point among them; no sign, no exponent.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a number of zero or more");
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let part = part.trim_end_matches('0');
        if whole.is_empty() && part.is_empty() {
            return Err(bad());
        }
        let mut digits = 0u64;
        for digit in whole.chars().chain(part.chars()) {
            let digit = digit.to_digit(10).ok_or_else(bad)?;
            let next = digits.checked_mul(10).and_then(|d| d.checked_add(u64::from(digit)));
            digits = next.ok_or_else(|| format!("`{text}` has more digits than can be counted"))?;
        }
        let decimals = u32::try_from(part.len()).map_err(|_| bad())?;
        Ok(Self { digits, decimals })
    }

    /// So many units of 10^-decimals.
    pub(crate) fn of(digits: u64, decimals: u32) -> Self {
        Self { digits, decimals }
    }

    pub(crate) fn decimals(self) -> u32 {
        self.decimals
    }

    /// In units of 10^-decimals, half up.
    pub(crate) fn in_units(self, decimals: u32) -> Option<u64> {
        if let Some(more) = decimals.checked_sub(self.decimals) {
            return self.digits.checked_mul(10u64.checked_pow(more)?);
        }
        match 10u64.checked_pow(self.decimals - decimals) {
            Some(unit) => Some(self.digits / unit + u64::from(self.digits % unit >= unit.div_ceil(2))),
            None => Some(0),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match 10u64.checked_pow(self.decimals) {
            Some(unit) if self.decimals > 0 => {
                let places = self.decimals as usize;
                write!(f, "{}.{:0places$}", self.digits / unit, self.digits % unit)
            }
            _ => write!(f, "{}", self.digits),
        }
    }
}

/// Billionths as a decimal number with nine places.
pub(crate) fn billionths(nano: u128) -> String {
    format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000)
}
