//! Times as they stand in files of measurements: dates with or without a zone, or seconds or milliseconds since 1970.

use skyloom::core::Timestamp;

/// Seconds from which a bare number is taken for milliseconds: the year 5138.
const SECONDS_MAX: f64 = 1e11;

/// `YYYY-MM-DD HH:MM[:SS[.fraction]]` (of universal time), RFC 3339, or seconds or milliseconds since 1970.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        let seconds = if number.abs() < SECONDS_MAX {
            number
        } else {
            number / 1e3
        };
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and NaN becomes 0")]
        return Some(Timestamp::from_micros((seconds * 1e6) as i64));
    }
    let iso = text.replacen(' ', "T", 1);
    let with_seconds = format!("{iso}:00Z");
    iso.parse()
        .or_else(|_| format!("{iso}Z").parse())
        .or_else(|_| with_seconds.parse())
        .ok()
}
