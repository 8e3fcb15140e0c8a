//! Reading manifests from TOML and YAML.
//!
//! Text becomes a tree of values with their places (`toml`, `yaml`), the tree becomes the document as it is written
//! (`de`, `raw`), and the document becomes the checked types of core (`check`). The obvious design, each format's own
//! serde support and checks on the result, was not taken: places would be lost in YAML, the same mistake would read
//! differently in the two formats, and money would pass through floats.
//!
//! Reading files, dependency cycles, prices and places do not belong here.

mod check;
mod de;
mod duration;
mod error;
mod limits;
mod parse;
mod raw;
mod scalars;
#[cfg(feature = "schema")]
mod schema;
mod text;
mod toml;
mod tree;
mod yaml;

pub use error::{ManifestError, ManifestErrorKind};
pub use limits::{
    CLAIMS_MAX, DATA_SETS_MAX, DEPTH_MAX, MANIFEST_BYTES_MAX, REPLICAS_MAX, REPLICAS_TOTAL_MAX, SERVICES_MAX,
    VALUES_MAX,
};
#[cfg(feature = "schema")]
pub use schema::json_schema;
