//! The published schema is the one of the types that read.

use serde_json::Value;
use skyloom_core::manifest::json_schema;

const PUBLISHED: &str = include_str!("../../../../../docs/manifest.schema.json");

#[test]
fn the_published_schema_is_true() {
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    assert!(
        published == json_schema(),
        "docs/manifest.schema.json is old: `cargo run -p skyloom-core --features schema --example manifest_schema > \
         docs/manifest.schema.json`"
    );
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
    assert_eq!(schema["required"], serde_json::json!(["version", "name"]));
}
