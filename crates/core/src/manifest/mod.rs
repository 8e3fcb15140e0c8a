//! Reading manifests from TOML and YAML.
