//! Exact reading of decimal quantities such as `1.5GiB` or `500m`, shared by units and money.
//!
//! Floats do not belong here: `0.1 + 0.2` is not a price.

use thiserror::Error;

/// Why a piece of text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// The text is empty or has no digits where a number is due.
    #[error("read `{text}` as a number")]
    NotANumber {
        /// What was given.
        text: String,
    },
    /// The number is below zero.
    #[error("accept `{text}`: a quantity may not be negative")]
    Negative {
        /// What was given.
        text: String,
    },
    /// The number does not fit the unit's integer.
    #[error("hold `{text}`: it is beyond the largest {unit}")]
    Overflow {
        /// What was given.
        text: String,
        /// Unit that was asked for.
        unit: &'static str,
    },
    /// The suffix is none of the unit's.
    #[error("read the unit of `{text}`: expected one of {expected}")]
    UnknownUnit {
        /// What was given.
        text: String,
        /// Suffixes that are known, for people.
        expected: &'static str,
    },
    /// The number is finer than the unit can hold.
    #[error("hold `{text}` exactly: the finest step is one {unit}")]
    TooFine {
        /// What was given.
        text: String,
        /// The unit's finest step.
        unit: &'static str,
    },
}

/// What to do with digits below the unit's finest step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fraction {
    /// An error: somebody wrote a quantity that cannot be held.
    Refuse,
    /// Round half up: published prices carry more digits than a micro-dollar.
    Round,
}

/// Splits `12.5GiB` into its number and its suffix (spaces between are dropped).
pub(crate) fn split_suffix(text: &str) -> (&str, &str) {
    let trimmed = text.trim();
    let end = trimmed
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && matches!(c, '-' | '+'))))
        .map_or(trimmed.len(), |(i, _)| i);
    let (number, suffix) = trimmed.split_at(end);
    (number, suffix.trim())
}

/// `number × scale` as an integer, exact in decimal. `whole` is the text that an error shows.
///
/// # Errors
/// [`QuantityError`] names the cause; nothing is clamped.
pub(crate) fn scaled(
    number: &str,
    scale: u64,
    unit: &'static str,
    fraction: Fraction,
    whole: &str,
) -> Result<u64, QuantityError> {
    let text = || whole.to_owned();
    let digits = number.strip_prefix('+').unwrap_or(number);
    if let Some(rest) = digits.strip_prefix('-') {
        let is_number = rest.chars().any(|c| c.is_ascii_digit());
        return Err(if is_number {
            QuantityError::Negative { text: text() }
        } else {
            QuantityError::NotANumber { text: text() }
        });
    }
    let (int_part, frac_part) = digits.split_once('.').unwrap_or((digits, ""));
    let well_formed = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (int_part.is_empty() && frac_part.is_empty()) || !well_formed(int_part) || !well_formed(frac_part) {
        return Err(QuantityError::NotANumber { text: text() });
    }
    let overflow = || QuantityError::Overflow { text: text(), unit };
    let whole_units = parse_digits(int_part)
        .and_then(|n| n.checked_mul(u128::from(scale)))
        .ok_or_else(overflow)?;
    // Beyond 20 decimals nothing can matter: scale is below 10^19.
    const DECIMALS_MAX: usize = 20;
    let kept = &frac_part[..frac_part.len().min(DECIMALS_MAX)];
    let denominator = 10u128.pow(u32::try_from(kept.len()).unwrap_or(0));
    let product = parse_digits(kept)
        .and_then(|n| n.checked_mul(u128::from(scale)))
        .ok_or_else(overflow)?;
    let (quotient, remainder) = (product / denominator, product % denominator);
    let dropped = frac_part[kept.len()..].bytes().any(|b| b != b'0');
    if fraction == Fraction::Refuse && (remainder != 0 || dropped) {
        return Err(QuantityError::TooFine { text: text(), unit });
    }
    let rounded = quotient + u128::from(remainder * 2 >= denominator && remainder != 0);
    whole_units
        .checked_add(rounded)
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(overflow)
}

/// Digits as an integer; empty is 0, too many is `None`.
fn parse_digits(digits: &str) -> Option<u128> {
    if digits.is_empty() {
        Some(0)
    } else {
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_in_decimal() {
        let rows: &[(&str, u64, Result<u64, &str>)] = &[
            ("1.5", 1024, Ok(1536)),
            ("0.1", 10, Ok(1)),
            (".5", 1000, Ok(500)),
            ("5.", 1000, Ok(5000)),
            ("0.0001", 1000, Err("TooFine")),
            ("-1", 1000, Err("Negative")),
            ("", 1000, Err("NotANumber")),
            (".", 1000, Err("NotANumber")),
            ("1.2.3", 1000, Err("NotANumber")),
            ("99999999999999999999", 1000, Err("Overflow")),
            ("99999999999999999999999999999999999999999999", 1000, Err("Overflow")),
        ];
        for (text, scale, expected) in rows {
            let got = scaled(text, *scale, "unit", Fraction::Refuse, text);
            match expected {
                Ok(n) => assert_eq!(got, Ok(*n), "{text}"),
                Err(name) => assert!(format!("{:?}", got.unwrap_err()).starts_with(name), "{text}"),
            }
        }
    }

    #[test]
    fn prices_round_half_up() {
        assert_eq!(scaled("0.0000005", 1_000_000, "micro", Fraction::Round, ""), Ok(1));
        assert_eq!(scaled("0.00000049", 1_000_000, "micro", Fraction::Round, ""), Ok(0));
    }
}
