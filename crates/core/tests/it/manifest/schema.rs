//! The published schema and the guide tell what the reader does.

use serde_json::{Map, Value, json};
use skyloom_core::Manifest;
use skyloom_core::manifest::json_schema;

use super::{CLINIC_TOML, print};

const PUBLISHED: &str = include_str!("../../../../../docs/manifest.schema.json");
const GUIDE: &str = include_str!("../../../../../docs/manifest.md");

#[test]
fn the_published_schema_is_true() {
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    assert!(
        published == json_schema(),
        "docs/manifest.schema.json is old: `cargo run --example manifest_schema > \
         docs/manifest.schema.json`"
    );
}

/// Whether `value` is as `schema` says: the part of JSON Schema that ours uses, without patterns. A `$ref` may stand
/// beside a description only.
fn conforms(value: &Value, schema: &Value, root: &Value) -> bool {
    if let Some(path) = schema["$ref"].as_str() {
        return conforms(value, root.pointer(path.trim_start_matches('#')).unwrap(), root);
    }
    let type_of = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => unreachable!("type {other}"),
    };
    let typed = match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(type_of),
        name => type_of(name),
    };
    let chosen = ["anyOf", "oneOf"].iter().all(|key| match schema[key].as_array() {
        Some(choices) => choices.iter().any(|choice| conforms(value, choice, root)),
        None => true,
    });
    let constant = schema["const"].is_null() || schema["const"] == *value;
    let bound = |key: &str| schema[key].as_f64().zip(value.as_f64());
    let bounded = bound("minimum").is_none_or(|(min, n)| n >= min)
        && bound("exclusiveMinimum").is_none_or(|(min, n)| n > min)
        && bound("maximum").is_none_or(|(max, n)| n <= max);
    let items = value.as_array().is_none_or(|items| {
        schema["items"].is_null() || items.iter().all(|item| conforms(item, &schema["items"], root))
    });
    typed && chosen && constant && bounded && items && value.as_object().is_none_or(|o| keys_conform(o, schema, root))
}

fn keys_conform(object: &Map<String, Value>, schema: &Value, root: &Value) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    let complete = required
        .into_iter()
        .all(|key| object.contains_key(key.as_str().unwrap()));
    let known = object.iter().all(
        |(key, value)| match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(allowed)) => *allowed,
            (Value::Null, Value::Null) => true,
            (Value::Null, other) => conforms(value, other, root),
            (of_key, _) => conforms(value, of_key, root),
        },
    );
    complete && known
}

/// The clinic as JSON: what the test printer writes for YAML is JSON too, as long as it is ASCII.
fn clinic() -> Value {
    let manifest = Manifest::parse(CLINIC_TOML, "clinic.toml").unwrap();
    serde_json::from_str(&print::yaml(&manifest)).unwrap()
}

#[test]
fn a_good_manifest_conforms_to_the_schema() {
    assert!(conforms(&clinic(), &json_schema(), &json_schema()));
}

#[test]
fn what_the_reader_refuses_by_form_the_schema_refuses_too() {
    let schema = json_schema();
    let rows = [
        ("/version", json!(2)),
        ("/name", Value::Null),
        ("/service/0/replicas", json!(0)),
        ("/service/0/replicas", json!("1")),
        ("/service/0/resources/cpu", json!([])),
        ("/service/0/resources", json!({ "cpu": 1, "memory": 1, "ram": 1 })),
        ("/service/0/resources", json!({ "cpu": 1 })),
        ("/service/0/purchase", json!("sport")),
        ("/service/0/depends_on", json!("x")),
        ("/service/0/depends_on", json!({ "x": "ready" })),
        ("/service/0/run/env/KEY", json!({ "secrets": "env:X" })),
        ("/service/0/run/env/KEY", json!(true)),
        ("/service/0/health/interval", json!(5)),
        ("/service/0/regions", json!([1])),
        ("/service/0/spread", json!([{ "over": "planet" }])),
        ("/budget", json!({})),
        ("/data/0/replicas", json!(["aws/x", { "cloud": "aws" }])),
    ];
    for (path, bad) in rows {
        let mut manifest = clinic();
        *manifest.pointer_mut(path).unwrap() = bad.clone();
        assert!(!conforms(&manifest, &schema, &schema), "{path} = {bad}");
        let text = serde_json::to_string(&manifest).unwrap();
        assert!(Manifest::parse(&text, "x.yaml").is_err(), "{path} = {bad}");
    }
}

#[test]
fn the_schema_refuses_unknown_keys_and_null() {
    let schema = json_schema();
    let tables: Vec<&Value> = std::iter::once(&schema)
        .chain(schema["$defs"].as_object().unwrap().values())
        .collect();
    for table in tables.into_iter().filter(|table| table["type"] == "object") {
        assert_eq!(table["additionalProperties"], false, "{table}");
    }
    assert!(!schema.to_string().contains("\"null\""));
    assert_eq!(schema["required"], json!(["version", "name"]));
}

#[test]
fn the_guide_names_every_key() {
    let schema = json_schema();
    for table in std::iter::once(&schema).chain(schema["$defs"].as_object().unwrap().values()) {
        for key in table["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
        {
            let named = [format!("`{key}`"), format!("`{key} ="), format!(".{key}`")];
            assert!(
                named.iter().any(|name| GUIDE.contains(name)),
                "docs/manifest.md does not name `{key}`"
            );
        }
    }
}

#[test]
fn the_examples_of_the_guide_are_good_and_equal() {
    let block = |fence: &str| {
        let (_, rest) = GUIDE.split_once(fence).unwrap();
        rest.split_once("\n```").unwrap().0.to_owned()
    };
    let toml = Manifest::parse(&block("```toml\n"), "guide.toml").unwrap();
    let yaml = Manifest::parse(&block("```yaml\n"), "guide.yaml").unwrap();
    assert_eq!(toml.without_locations(), yaml.without_locations());
}
