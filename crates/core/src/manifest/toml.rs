//! TOML text to the spanned tree.
//!
//! The `toml` crate's own deserializer is not used above this file: its errors and YAML's would differ for the same
//! mistake, and it reads numbers as floats. Its parser stops at 80 levels by itself, so that the recursion here and in
//! its destructors is bounded.

use toml::de::{DeTable, DeValue};

use super::error::{Fault, ManifestErrorKind};
use super::limits::{DEPTH_MAX, VALUES_MAX};
use super::text::{Span, Text};
use super::tree::{Key, Node, Value, plain_decimal};

/// The tree of a TOML document; its root is a map.
///
/// # Errors
/// [`Fault`] for a syntax error, a duplicate key, and more nesting or values than accepted.
pub(crate) fn read(text: &Text<'_>) -> Result<Node, Fault> {
    let root = DeTable::parse(text.text).map_err(|error| fault(text, &error))?;
    let mut folder = Folder { values: 0 };
    let value = folder.table(root.into_inner(), 0)?;
    Ok(Node {
        span: Span::default(),
        value,
    })
}

/// What the parser complains about, in our words where we have a kind for it.
fn fault(text: &Text<'_>, error: &toml::de::Error) -> Fault {
    let message = error.message();
    let span = error.span().map(|span| text.clamp(Span::new(span.start, span.end)));
    if message.starts_with("recursion limit") || message.starts_with("cannot recurse") {
        let span = span.unwrap_or_else(|| longest_key(text));
        return Fault::at(span, ManifestErrorKind::TooDeep { limit: DEPTH_MAX });
    }
    let span = span.unwrap_or_default();
    if message == "duplicate key" {
        let name = text.text[span.start..span.end].to_owned();
        let what = "key";
        return Fault::at(
            span,
            ManifestErrorKind::Duplicate {
                what,
                name,
                first: None,
            },
        );
    }
    let message = message.lines().next().unwrap_or_default().to_owned();
    Fault::at(
        span,
        ManifestErrorKind::Syntax {
            format: "TOML",
            message,
        },
    )
}

/// The first line with as many dots as a key may have: the parser gives no place for a dotted key that is too long.
fn longest_key(text: &Text<'_>) -> Span {
    let mut start = 0;
    for line in text.text.split_inclusive('\n') {
        if line.bytes().filter(|b| *b == b'.').count() > DEPTH_MAX {
            let blank = line.len() - line.trim_start().len();
            return Span::new(start + blank, start + line.trim_end().len());
        }
        start += line.len();
    }
    Span::default()
}

struct Folder {
    values: usize,
}

impl Folder {
    fn node(&mut self, value: DeValue<'_>, span: Span, depth: usize) -> Result<Node, Fault> {
        self.values += 1;
        if self.values > VALUES_MAX {
            let limit = u64::try_from(VALUES_MAX).unwrap_or(u64::MAX);
            return Err(Fault::at(span, ManifestErrorKind::TooLarge { what: "values", limit }));
        }
        if depth > DEPTH_MAX {
            return Err(Fault::at(span, ManifestErrorKind::TooDeep { limit: DEPTH_MAX }));
        }
        let value = match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(digits) => Value::Number(decimal_digits(digits.as_str(), digits.radix())),
            DeValue::Float(literal) => Value::Number(plain_decimal(literal.as_str())),
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(items) => {
                let items = items.into_iter().map(|item| {
                    let span = Span::new(item.span().start, item.span().end);
                    self.node(item.into_inner(), span, depth + 1)
                });
                Value::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => self.table(table, depth)?,
        };
        Ok(Node { span, value })
    }

    /// The parser sorts keys by name; the order of the text is that of their spans.
    fn table(&mut self, table: DeTable<'_>, depth: usize) -> Result<Value, Fault> {
        let mut entries = Vec::new();
        for (key, value) in table {
            let (at, place) = (key.span(), value.span());
            let value = self.node(value.into_inner(), Span::new(place.start, place.end), depth + 1)?;
            let key = Key {
                span: Span::new(at.start, at.end),
                name: key.into_inner().into_owned(),
            };
            entries.push((key, value));
        }
        entries.sort_by_key(|(key, _)| key.span.start);
        Ok(Value::Map(entries))
    }
}

/// `0x1f`, `0o17`, `0b1` in decimal.
fn decimal_digits(digits: &str, radix: u32) -> String {
    if radix == 10 {
        return digits.to_owned();
    }
    let number = u128::from_str_radix(digits, radix);
    number.map_or_else(|_| u128::MAX.to_string(), |n| n.to_string())
}
