//! Prints the JSON Schema of the manifest: how `docs/manifest.schema.json` is made.
//!
//! `cargo run --example manifest_schema > docs/manifest.schema.json`

fn main() -> Result<(), serde_json::Error> {
    let schema = skyloom::core::manifest::json_schema();
    println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(())
}
