//! A serde deserializer over the spanned tree, and `Spanned`, by which a document type asks where a value stands.
//!
//! Our own, so that both formats give the same message for the same mistake at the exact place of it. Besides serde's
//! data model it knows four private newtype names: a value with its span, a quantity (text or number, handed over as
//! its spelling), a whole number (likewise) and a list of which one element may stand alone.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, U64Deserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::error::{Fault, ManifestErrorKind, shortened};
use super::text::Span;
use super::tree::{Key, Node, Value};
use crate::nearest::nearest;

const SPANNED: &str = "$skyloom::Spanned";
/// Text and numbers come as text; a table comes as a table, for those who take one too.
pub(crate) const QUANTITY: &str = "$skyloom::Quantity";
pub(crate) const WHOLE: &str = "$skyloom::Whole";
const ONE_OR_MANY: &str = "$skyloom::OneOrMany";

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) span: Span,
    pub(crate) value: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Spanned<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its span")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
                let missing = || de::Error::custom("expected start, end and value of a span");
                let start = parts.next_element::<usize>()?.ok_or_else(missing)?;
                let end = parts.next_element::<usize>()?.ok_or_else(missing)?;
                let value = parts.next_element::<T>()?.ok_or_else(missing)?;
                let span = Span::new(start, end);
                Ok(Spanned { span, value })
            }
        }
        deserializer.deserialize_newtype_struct(SPANNED, Parts(PhantomData))
    }
}

/// A list, or its only element without a list around it.
#[derive(Debug, Clone)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one or a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(OneOrMany(all))
            }
        }
        deserializer.deserialize_newtype_struct(ONE_OR_MANY, Items(PhantomData))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refuse the manifest")
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let expected = message.to_string();
        Self::somewhere(ManifestErrorKind::WrongType {
            expected,
            found: "something else",
        })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "a boolean",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) | Unexpected::Char(_) => "text",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a table",
            _ => "something else",
        };
        let expected = expected.to_string();
        Self::somewhere(ManifestErrorKind::WrongType { expected, found })
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::somewhere(ManifestErrorKind::BadValue {
            text: shortened(found),
            expected: one_of(known),
            nearest: nearest(found, known.iter().copied()).map(str::to_owned),
        })
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self::somewhere(ManifestErrorKind::UnknownKey {
            key: shortened(found),
            nearest: nearest(found, known.iter().copied()).map(str::to_owned),
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::somewhere(ManifestErrorKind::MissingKey { key })
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("one of {}", quoted.join(", "))
}

fn wrong_type(span: Span, expected: impl Into<String>, found: &Value) -> Fault {
    let (expected, found) = (expected.into(), found.describe());
    Fault::at(span, ManifestErrorKind::WrongType { expected, found })
}

impl Node {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let span = self.span;
        let result = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(_) => Err(de::Error::invalid_type(Unexpected::Float(0.0), &visitor)),
            Value::Date => Err(wrong_type(span, (&visitor as &dyn Expected).to_string(), &Value::Date)),
            Value::Text(text) => visitor.visit_string(text),
            Value::List(items) => visitor.visit_seq(Items(items.into_iter())),
            Value::Map(entries) => visitor.visit_map(Entries::new(entries)),
        };
        result.map_err(|fault| fault.or_at(span))
    }

    /// Hands over a value only if it is of the kind that the visitor can take; serde's derived visitors would take
    /// a list for a struct and would name Rust types in their messages.
    fn expect<'de, V: Visitor<'de>>(
        self,
        is_expected: impl Fn(&Value) -> bool,
        expected: &str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if is_expected(&self.value) {
            self.visit(visitor)
        } else {
            Err(wrong_type(self.span, expected, &self.value))
        }
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.expect(|value| matches!(value, Value::Text(_)), "text", visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.expect(|value| matches!(value, Value::List(_)), "a list", visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.expect(|value| matches!(value, Value::Map(_)), "a table", visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    /// An absent key is no value; YAML's null is not an absent key: a rule that somebody began to write must not vanish.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let span = self.span;
        match self.value {
            Value::Text(word) => visitor
                .visit_enum(word.into_deserializer())
                .map_err(|fault: Fault| fault.or_at(span)),
            other => Err(wrong_type(span, one_of(words), &other)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        let span = self.span;
        let result = match (name, self.value) {
            (SPANNED, value) => visitor.visit_seq(SpanParts::new(Self { span, value })),
            (ONE_OR_MANY, Value::List(items)) => visitor.visit_seq(Items(items.into_iter())),
            (ONE_OR_MANY, value) => visitor.visit_seq(Items(vec![Self { span, value }].into_iter())),
            (QUANTITY, Value::Text(text) | Value::Number(text)) => visitor.visit_string(text),
            (WHOLE, Value::Number(digits)) if !digits.contains('.') => visitor.visit_string(digits),
            (WHOLE, value) => Err(wrong_type(span, "a whole number", &value)),
            (_, value) => Self { span, value }.visit(visitor),
        };
        result.map_err(|fault| fault.or_at(span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

struct Items(std::vec::IntoIter<Node>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Fault;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

struct Entries {
    rest: std::vec::IntoIter<(Key, Node)>,
    value: Option<Node>,
}

impl Entries {
    fn new(entries: Vec<(Key, Node)>) -> Self {
        let rest = entries.into_iter();
        Self { rest, value: None }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((key, node)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(node);
        let (span, value) = (key.span, Value::Text(key.name));
        seed.deserialize(Node { span, value }).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let node = self.value.take();
        let node = node.ok_or_else(|| <Fault as de::Error>::custom("expected a key before its value"))?;
        seed.deserialize(node)
    }
}

/// The three parts of a [`Spanned`]: first byte, byte after the last, value.
struct SpanParts {
    span: Span,
    node: Option<Node>,
    given: usize,
}

impl SpanParts {
    fn new(node: Node) -> Self {
        let span = node.span;
        let node = Some(node);
        Self { span, node, given: 0 }
    }
}

impl<'de> SeqAccess<'de> for SpanParts {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.given += 1;
        let byte = |at: usize| U64Deserializer::<Fault>::new(u64::try_from(at).unwrap_or(u64::MAX));
        match self.given {
            1 => seed.deserialize(byte(self.span.start)).map(Some),
            2 => seed.deserialize(byte(self.span.end)).map(Some),
            _ => self.node.take().map(|node| seed.deserialize(node)).transpose(),
        }
    }
}

/// Reads a struct from the rest of a map that a visitor was given.
pub(crate) fn from_map<'de, T: Deserialize<'de>, A: MapAccess<'de>>(map: A) -> Result<T, A::Error> {
    T::deserialize(MapAccessDeserializer::new(map))
}
