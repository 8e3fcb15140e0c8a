//! The tree that both formats are read into: values with the bytes where they stand.
//!
//! Not a format's own value type: TOML has dates and YAML has nulls and aliases, and one reader above should meet
//! neither twice. Numbers keep their decimal digits as text, so that money never passes through a float.

use super::text::Span;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A value of either format.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// YAML's nothing; stands for no value, not for an absent key.
    Null,
    Bool(bool),
    /// Plain decimal digits: `-12`, `0.5`; or what cannot be one, such as `inf`.
    Number(String),
    /// A TOML date or time.
    Date,
    Text(String),
    List(Vec<Node>),
    /// Keys in the order of the text, each once.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) span: Span,
    pub(crate) name: String,
}

impl Value {
    /// What it is, for people.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Date => "a date",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a table",
        }
    }
}

/// Largest exponent that is written out: beyond it no quantity can be held, or be told from zero.
const EXPONENT_MAX: i32 = 40;

/// A decimal literal without exponent, exactly: `1.25e1` is `12.5`. What is no decimal stays as it is.
pub(crate) fn plain_decimal(literal: &str) -> String {
    let Some((mantissa, exponent)) = literal.split_once(['e', 'E']) else {
        return literal.to_owned();
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let decimal = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.parse::<i32>().ok().filter(|e| e.abs() <= EXPONENT_MAX);
    let (Some(exponent), true) = (exponent, decimal(whole) && decimal(fraction)) else {
        return literal.to_owned();
    };
    let shift = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
    let (left, right) = if exponent >= 0 {
        let taken = fraction.len().min(shift);
        let zeros = "0".repeat(shift - taken);
        (
            format!("{whole}{}{zeros}", &fraction[..taken]),
            fraction[taken..].to_owned(),
        )
    } else {
        let given = whole.len().min(shift);
        let zeros = "0".repeat(shift - given);
        let (left, right) = whole.split_at(whole.len() - given);
        (left.to_owned(), format!("{zeros}{right}{fraction}"))
    };
    let left = if left.is_empty() { "0".to_owned() } else { left };
    let right = right.trim_end_matches('0');
    if right.is_empty() {
        format!("{sign}{left}")
    } else {
        format!("{sign}{left}.{right}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_written_out_exactly() {
        let rows = [
            ("12", "12"),
            ("-1.50", "-1.50"),
            ("1e3", "1000"),
            ("1.25e1", "12.5"),
            ("1.25E+4", "12500"),
            ("125e-2", "1.25"),
            ("-5e-3", "-0.005"),
            ("1e999", "1e999"),
            ("inf", "inf"),
            ("1e", "1e"),
        ];
        for (literal, plain) in rows {
            assert_eq!(plain_decimal(literal), plain, "{literal}");
        }
    }
}
