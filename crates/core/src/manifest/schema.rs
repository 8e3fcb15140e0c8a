//! The JSON Schema of the manifest, from the very types that read it.
//!
//! A schema cannot say everything: names that must exist, sums and choices between keys stay with the parser.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::de::{OneOrMany, Spanned};
use super::raw::{RawManifest, RawNeed};
use super::scalars::{DependsOn, Table, TextOr};
use crate::Condition;

/// The JSON Schema (draft 2020-12) of a manifest, for editors and other tools; holds for TOML and YAML alike.
///
/// Print it with `serde_json::to_string_pretty`. `docs/manifest.schema.json` of the project is this value.
///
/// ```
/// let schema = skyloom_core::manifest::json_schema();
/// assert_eq!(schema["title"], "Manifest");
/// ```
#[must_use]
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(remove_null));
    settings
        .into_generator()
        .into_root_schema_for::<RawManifest>()
        .to_value()
}

/// An optional key may be absent, never null: the parser refuses a key without a value.
fn remove_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let is_null = |schema: &Value| schema.get("type").is_some_and(|name| name == "null");
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| !is_null(choice));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        object.extend(only);
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl<T: JsonSchema + Table> JsonSchema for TextOr<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("TextOr{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        let text = if T::NUMBER_IS_TEXT {
            json_schema!({ "type": ["string", "number"] })
        } else {
            json_schema!({ "type": "string" })
        };
        json_schema!({ "anyOf": [text, table] })
    }
}

impl JsonSchema for DependsOn {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "DependsOn".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let condition = generator.subschema_for::<Condition>();
        let need = generator.subschema_for::<RawNeed>();
        json_schema!({ "anyOf": [
            { "type": "array", "items": { "anyOf": [{ "type": "string" }, need] } },
            { "type": "object", "additionalProperties": condition },
        ] })
    }
}
