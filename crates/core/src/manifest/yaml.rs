//! YAML text to the spanned tree, by folding the parser's events with an explicit stack.
//!
//! Scalars are resolved by the YAML 1.2 core schema (`yes` and `on` are text). Aliases are replaced by what they stand
//! for and paid from the same budget of values, so that a small text cannot become a large tree. Tags besides `!!str`,
//! several documents and keys that are not scalars are refused: TOML has none of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::error::{Fault, ManifestErrorKind};
use super::limits::{DEPTH_MAX, MANIFEST_BYTES_MAX, VALUES_MAX};
use super::text::{Span, Text};
use super::tree::{Key, Node, Value, plain_decimal};

/// The tree of a YAML document; an empty one is an empty map.
///
/// # Errors
/// [`Fault`] for a syntax error, a duplicate key, what a manifest may not use, and more nesting or values than accepted.
pub(crate) fn read(text: &Text<'_>) -> Result<Node, Fault> {
    let mut places = Places::new(text);
    let mut fold = Fold::default();
    for event in Parser::new_from_str(text.text) {
        let (event, span) = event.map_err(|error| syntax(text, &error))?;
        let span = places.span(span);
        fold.event(event, span).map_err(|fault| fault.or_at(span))?;
    }
    let empty = Node {
        span: Span::default(),
        value: Value::Map(Vec::new()),
    };
    Ok(match fold.root {
        Some(Node { value: Value::Null, .. }) | None => empty,
        Some(root) => root,
    })
}

fn syntax(text: &Text<'_>, error: &ScanError) -> Fault {
    let at = Places::new(text).byte(*error.marker());
    let span = text.clamp(Span::new(at, at + 1));
    if error.info().contains("recursion limit") {
        return Fault::at(span, ManifestErrorKind::TooDeep { limit: DEPTH_MAX });
    }
    let message = error.info().to_owned();
    Fault::at(
        span,
        ManifestErrorKind::Syntax {
            format: "YAML",
            message,
        },
    )
}

/// Parser markers (lines and characters) to bytes. Markers come nearly in order, so that a cursor makes the whole
/// text cost one pass even where it is a single line.
struct Places<'t> {
    text: &'t Text<'t>,
    start: Cursor,
    end: Cursor,
}

#[derive(Clone, Copy, Default)]
struct Cursor {
    line: usize,
    column: usize,
    byte: usize,
}

impl<'t> Places<'t> {
    fn new(text: &'t Text<'t>) -> Self {
        let (start, end) = (Cursor::default(), Cursor::default());
        Self { text, start, end }
    }

    fn span(&mut self, span: saphyr_parser::Span) -> Span {
        self.start = self.advance(self.start, span.start);
        self.end = self.advance(self.end, span.end);
        let span = self.text.clamp(Span::new(self.start.byte, self.end.byte));
        // The parser counts the blanks behind a quoted scalar as part of it.
        let shown = self.text.text[span.start..span.end].trim_end();
        Span::new(span.start, span.start + shown.len())
    }

    fn byte(&self, marker: Marker) -> usize {
        self.advance(Cursor::default(), marker).byte
    }

    /// The parser counts lines from 1 and columns from 0, in characters.
    fn advance(&self, from: Cursor, to: Marker) -> Cursor {
        let (line, column) = (to.line().saturating_sub(1), to.col());
        let within = self.text.line_span(line);
        let (mut at, mut byte) = if from.line == line && from.column <= column && from.byte >= within.start {
            (from.column, from.byte)
        } else {
            (0, within.start)
        };
        let rest = self.text.text.get(byte..within.end).unwrap_or_default();
        for c in rest.chars().take(column - at) {
            byte += c.len_utf8();
            at += 1;
        }
        Cursor { line, column: at, byte }
    }
}

/// A list or map that is not closed yet.
struct Open {
    start: usize,
    anchor: usize,
    /// Values in it so far, itself included.
    values: usize,
    /// Levels below it so far.
    height: usize,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        seen: BTreeMap<String, Span>,
        key: Option<Key>,
    },
}

/// A finished value that an alias may stand for.
struct Anchored {
    node: Node,
    values: usize,
    height: usize,
}

#[derive(Default)]
struct Fold {
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    root: Option<Node>,
    documents: usize,
    values: usize,
    alias_bytes: usize,
}

impl Fold {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(unsupported(span, "a second YAML document"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.charge(1, span)?;
                let value = scalar(text, style, tag.as_deref(), span)?;
                self.finish(Node { span, value }, anchor, 1, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                let body = Body::List(Vec::new());
                self.open(body, anchor, tag.as_deref(), span)
            }
            Event::MappingStart(anchor, tag) => {
                let (entries, seen, key) = (Vec::new(), BTreeMap::new(), None);
                self.open(Body::Map { entries, seen, key }, anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
        }
    }

    fn charge(&mut self, values: usize, span: Span) -> Result<(), Fault> {
        self.values = self.values.saturating_add(values);
        self.check_values(span)
    }

    fn check_values(&self, span: Span) -> Result<(), Fault> {
        if self.values > VALUES_MAX {
            let limit = u64::try_from(VALUES_MAX).unwrap_or(u64::MAX);
            return Err(Fault::at(span, ManifestErrorKind::TooLarge { what: "values", limit }));
        }
        Ok(())
    }

    fn open(&mut self, body: Body, anchor: usize, tag: Option<&Tag>, span: Span) -> Result<(), Fault> {
        if let Some(tag) = tag {
            return Err(unsupported(span, &format!("the tag `{tag}`")));
        }
        self.charge(1, span)?;
        self.check_depth(1, span)?;
        self.stack.push(Open {
            start: span.start,
            anchor,
            values: 1,
            height: 0,
            body,
        });
        Ok(())
    }

    fn check_depth(&self, height: usize, span: Span) -> Result<(), Fault> {
        if self.stack.len() + height > DEPTH_MAX {
            return Err(Fault::at(span, ManifestErrorKind::TooDeep { limit: DEPTH_MAX }));
        }
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Fault> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let value = match open.body {
            Body::List(items) => Value::List(items),
            Body::Map { entries, .. } => Value::Map(entries),
        };
        let span = Span::new(open.start, end.end.max(open.start));
        self.finish(Node { span, value }, open.anchor, open.values, open.height + 1)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Fault> {
        // The parser refuses unknown names; an anchor that is still open contains this alias.
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(unsupported(span, "an alias inside of what it stands for"));
        };
        let (values, height) = (anchored.values, anchored.height);
        self.alias_bytes = self.alias_bytes.saturating_add(text_bytes(&anchored.node));
        if self.alias_bytes > MANIFEST_BYTES_MAX {
            let (what, limit) = (
                "bytes behind aliases",
                u64::try_from(MANIFEST_BYTES_MAX).unwrap_or(u64::MAX),
            );
            return Err(Fault::at(span, ManifestErrorKind::TooLarge { what, limit }));
        }
        self.values = self.values.saturating_add(values);
        self.check_values(span)?;
        self.check_depth(height, span)?;
        let node = anchored.node.clone();
        self.finish(node, 0, values, height)
    }

    /// Puts a finished value into the list or map that is open, or makes it the root.
    fn finish(&mut self, node: Node, anchor: usize, values: usize, height: usize) -> Result<(), Fault> {
        if anchor != 0 {
            self.charge(values, node.span)?;
            let node = node.clone();
            self.anchors.insert(anchor, Anchored { node, values, height });
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.values += values;
        open.height = open.height.max(height);
        match &mut open.body {
            Body::List(items) => items.push(node),
            Body::Map {
                entries,
                key: slot @ Some(_),
                ..
            } => {
                if let Some(key) = slot.take() {
                    entries.push((key, node));
                }
            }
            Body::Map { seen, key: slot, .. } => {
                let key = key(node)?;
                if let Some(first) = seen.insert(key.name.clone(), key.span) {
                    return Err(Fault::duplicate("key", key.name, key.span, first));
                }
                *slot = Some(key);
            }
        }
        Ok(())
    }
}

fn unsupported(span: Span, what: &str) -> Fault {
    let what = what.chars().take(80).collect();
    Fault::at(span, ManifestErrorKind::Unsupported { what })
}

/// A key is text; a number or boolean in its place is taken by its spelling, as TOML does.
fn key(node: Node) -> Result<Key, Fault> {
    let span = node.span;
    let name = match node.value {
        Value::Text(text) | Value::Number(text) => text,
        Value::Bool(value) => value.to_string(),
        other => return Err(unsupported(span, &format!("{} as a key", other.describe()))),
    };
    Ok(Key { span, name })
}

fn text_bytes(node: &Node) -> usize {
    match &node.value {
        Value::Text(text) | Value::Number(text) => text.len(),
        Value::List(items) => items.iter().map(text_bytes).sum(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, node)| key.name.len() + text_bytes(node))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Date => 0,
    }
}

/// A scalar by the YAML 1.2 core schema (10.3.2 of the specification).
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Value, Fault> {
    if let Some(tag) = tag {
        let is_text = (tag.is_yaml_core_schema() && tag.suffix == "str") || tag.to_string() == "!";
        if !is_text {
            return Err(unsupported(span, &format!("the tag `{tag}`")));
        }
        return Ok(Value::Text(text.into_owned()));
    }
    if style != ScalarStyle::Plain {
        return Ok(Value::Text(text.into_owned()));
    }
    Ok(match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        plain => number(plain).map_or_else(|| Value::Text(plain.to_owned()), Value::Number),
    })
}

/// The plain decimal of a number of the core schema; `None`: it is text.
fn number(plain: &str) -> Option<String> {
    let radix = |prefix, radix| {
        let digits = plain.strip_prefix(prefix)?;
        let known = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        let number = known.then(|| u128::from_str_radix(digits, radix))?;
        Some(number.map_or_else(|_| u128::MAX.to_string(), |n| n.to_string()))
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    let unsigned = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(plain, ".nan" | ".NaN" | ".NAN") {
        return Some(plain.to_owned());
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let decimal = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    let exponent_ok = exponent.is_none_or(|digits| !digits.is_empty() && decimal(digits));
    (has_digits && decimal(whole) && decimal(fraction) && exponent_ok).then(|| plain_decimal(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let numbers = [
            ("12", "12"),
            ("-1.5", "-1.5"),
            (".5", ".5"),
            ("1e3", "1000"),
            ("0x1F", "31"),
            ("0o17", "15"),
        ];
        for (text, plain) in numbers {
            assert_eq!(number(text).as_deref(), Some(plain), "{text}");
        }
        for text in [
            "", "-", ".", "1m", "0x", "0xg", "1_000", "1e", "500ms", "1.2.3", "yes", "e3",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
