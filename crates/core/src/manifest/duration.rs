//! Durations as a manifest writes them: `500ms`, `1s`, `5m`, `1h`, `7d`. Exact in decimal, as every quantity.

use std::time::Duration;

use crate::QuantityError;
use crate::quantity::{Fraction, scaled, split_suffix};

const UNITS: [(&str, u64); 5] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// A number and one unit; the number may have decimals down to a nanosecond. A day has 24 hours.
///
/// # Errors
/// [`QuantityError`]: not a number, negative, no or another unit, beyond 584 years, finer than a nanosecond.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let (number, suffix) = split_suffix(text);
    let unit = UNITS.iter().find(|(name, _)| *name == suffix);
    let (_, nanos) = unit.ok_or_else(|| match number {
        "" | "-" | "+" => QuantityError::NotANumber { text: text.to_owned() },
        _ => QuantityError::UnknownUnit {
            text: text.to_owned(),
            expected: "ms, s, m, h, d",
        },
    })?;
    scaled(number, *nanos, "duration", Fraction::Refuse, text).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        let rows = [
            ("500ms", Some(Duration::from_millis(500))),
            ("1s", Some(Duration::from_secs(1))),
            ("1.5 s", Some(Duration::from_millis(1500))),
            ("5m", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("7d", Some(Duration::from_secs(604_800))),
            ("0s", Some(Duration::ZERO)),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_duration(text).ok(), expected, "{text}");
        }
        let rows = [
            ("", "NotANumber"),
            ("soon", "NotANumber"),
            ("5", "UnknownUnit"),
            ("5min", "UnknownUnit"),
            ("1h30m", "UnknownUnit"),
            ("-1s", "Negative"),
            ("300000d", "Overflow"),
            ("0.0000000001s", "TooFine"),
        ];
        for (text, name) in rows {
            assert!(
                format!("{:?}", parse_duration(text).unwrap_err()).starts_with(name),
                "{text}"
            );
        }
    }
}
