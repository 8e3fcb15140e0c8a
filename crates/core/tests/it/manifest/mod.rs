//! Reading manifests: what good ones mean, what is said about bad ones, what hostile ones cost.

mod bad;
mod claims;
mod good;
mod hostile;
mod print;
mod properties;
#[cfg(feature = "schema")]
mod schema;

/// Every key of a manifest, in both formats.
pub(crate) const CLINIC_TOML: &str = include_str!("fixtures/clinic.toml");
/// The same in YAML.
pub(crate) const CLINIC_YAML: &str = include_str!("fixtures/clinic.yaml");
