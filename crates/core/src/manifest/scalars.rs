//! The scalars of a manifest document: quantities and names as they are spelt, before they are checked.
//!
//! The spelling is kept, not a number: `0.1` in a manifest is a tenth, which no float is.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::de::{QUANTITY, Spanned, WHOLE, from_map};
use super::raw::RawNeed;

macro_rules! spelling {
    ($(#[$doc:meta])* $name:ident, $newtype:ident, $expecting:literal, $schema:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name(pub(crate) String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let spelling = Spelling { expecting: $expecting };
                deserializer.deserialize_newtype_struct($newtype, spelling).map(Self)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

struct Spelling {
    expecting: &'static str,
}

impl Visitor<'_> for Spelling {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
    fn visit_string<E: de::Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }
}

spelling!(
    /// CPU: cores as a number or text, or thousandths of a core such as `500m`.
    CpuText, QUANTITY, "cores, such as 2, `0.5` or `500m`", {
        "type": ["number", "string"], "exclusiveMinimum": 0,
        "pattern": r"^\s*(\d+\.?\d*|\.\d+)\s*m?\s*$"
    }
);
spelling!(
    /// GPU: devices as a number or text, or thousandths of a device such as `250m`.
    GpuText, QUANTITY, "devices, such as 1, `0.5` or `250m`", {
        "type": ["number", "string"], "minimum": 0,
        "pattern": r"^\s*(\d+\.?\d*|\.\d+)\s*m?\s*$"
    }
);
spelling!(
    /// Memory, disk or traffic: a number with a unit, or bytes as a bare number.
    BytesText, QUANTITY, "bytes, such as `4GiB` or `40GB`", {
        "type": ["integer", "string"], "minimum": 0,
        "pattern": r"^\s*(\d+\.?\d*|\.\d+)\s*(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)?\s*$"
    }
);
spelling!(
    /// US dollars as a number or text.
    MoneyText, QUANTITY, "dollars, such as 1200 or `12.50`", {
        "type": ["number", "string"], "minimum": 0,
        "pattern": r"^\s*(\d+\.?\d*|\.\d+)\s*$"
    }
);
spelling!(
    /// A number that is not negative, to a millionth.
    NumberText, QUANTITY, "a number, such as 3 or `0.01`", {
        "type": ["number", "string"], "minimum": 0,
        "pattern": r"^\s*(\d+\.?\d*|\.\d+)\s*$"
    }
);
spelling!(
    /// A number of replicas from 1, or a part of all such as `10%`.
    ShareText, QUANTITY, "a number of replicas, or a part such as `10%`", {
        "type": ["integer", "string"], "minimum": 1, "maximum": 4_294_967_295u32,
        "pattern": r"^\s*\d+\s*%?\s*$"
    }
);
spelling!(
    /// A duration: a number with one of the units ms, s, m, h, d.
    DurationText, QUANTITY, "a duration, such as `500ms`, `1s`, `5m`, `1h` or `7d`", {
        "type": "string", "pattern": r"^\s*(\d+\.?\d*|\.\d+)\s*(ms|s|m|h|d)\s*$"
    }
);
spelling!(
    /// A whole number from 0.
    CountText, WHOLE, "a whole number", { "type": "integer", "minimum": 0, "maximum": 4_294_967_295u32 }
);
spelling!(
    /// A whole number from 1.
    PositiveText, WHOLE, "a whole number", { "type": "integer", "minimum": 1, "maximum": 4_294_967_295u32 }
);
spelling!(
    /// A port number.
    PortText, WHOLE, "a port number", { "type": "integer", "minimum": 1, "maximum": 65535 }
);
spelling!(
    /// The version of the manifest's form.
    VersionText, WHOLE, "a whole number", { "const": 1 }
);

/// A table that may also be written as one text.
pub(crate) trait Table {
    /// What may stand there, for people.
    const TEXT_OR_TABLE: &'static str;
    /// Whether a number may stand for its digits.
    const NUMBER_IS_TEXT: bool = false;
}

/// Text, or a table.
#[derive(Debug, Clone)]
pub(crate) enum TextOr<T> {
    Text(String),
    Table(T),
}

impl<'de, T: Table + Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Table + Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::TEXT_OR_TABLE)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
                from_map(map).map(TextOr::Table)
            }
        }
        if T::NUMBER_IS_TEXT {
            deserializer.deserialize_newtype_struct(QUANTITY, Either(PhantomData))
        } else {
            deserializer.deserialize_any(Either(PhantomData))
        }
    }
}

/// What must come first: a list of names (each healthy) and tables, or a table from name to condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct DependsOn(pub(crate) Vec<Need>);

/// One thing that must come first.
#[derive(Debug, Clone)]
pub(crate) enum Need {
    /// A service by its name.
    Service(Spanned<String>, crate::Condition),
    /// A service or a data set, with its condition.
    Table(Spanned<RawNeed>),
}

impl<'de> Deserialize<'de> for DependsOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrTable;
        impl<'de> Visitor<'de> for ListOrTable {
            type Value = DependsOn;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of services, or a table from service to condition")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<DependsOn, A::Error> {
                let mut all = Vec::new();
                while let Some(Spanned { span, value }) = items.next_element()? {
                    all.push(match value {
                        TextOr::Text(value) => Need::Service(Spanned { span, value }, crate::Condition::Healthy),
                        TextOr::Table(value) => Need::Table(Spanned { span, value }),
                    });
                }
                Ok(DependsOn(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DependsOn, A::Error> {
                let mut all = Vec::new();
                while let Some((name, condition)) = map.next_entry()? {
                    all.push(Need::Service(name, condition));
                }
                Ok(DependsOn(all))
            }
        }
        deserializer.deserialize_any(ListOrTable)
    }
}
