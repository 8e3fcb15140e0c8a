//! The environment of a replica: references in the manifest's values become addresses, places and secrets.

use std::collections::BTreeMap;
use std::fmt;

use skyloom_core::{
    Class, DataName, EnvValue, ReplicaSpec, Secret, SecretRef, ServiceName, TemplateError, TemplatePart, parse_template,
};
use thiserror::Error;

use crate::endpoints::Endpoints;

/// Variable that names the live list of endpoints.
pub const ENDPOINTS_VARIABLE: &str = "SKYLOOM_ENDPOINTS";

/// Gives the values that secret references stand for. Called at the last moment; the value is never stored.
pub trait SecretResolver: Send + Sync + fmt::Debug {
    /// The value, or `None` when there is none of that name.
    fn resolve(&self, reference: &SecretRef) -> Option<Secret<String>>;
}

/// Secrets of backend `env` are variables of this process; other backends are unknown.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvSecrets;

impl SecretResolver for EnvSecrets {
    fn resolve(&self, reference: &SecretRef) -> Option<Secret<String>> {
        (reference.backend == "env")
            .then(|| std::env::var(&reference.name).ok())
            .flatten()
            .map(Secret::new)
    }
}

/// Why an environment cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvError {
    /// A value is not a template.
    #[error("read variable `{name}`")]
    Template {
        /// The variable.
        name: String,
        /// What is wrong.
        source: TemplateError,
    },
    /// A data set has no place here.
    #[error("find data set `{data}` for variable `{name}`")]
    NoData {
        /// The variable.
        name: String,
        /// The data set.
        data: DataName,
    },
    /// No resolver knows the secret.
    #[error("resolve secret `{reference}` for variable `{name}`")]
    NoSecret {
        /// The variable.
        name: String,
        /// The reference, which is safe to show.
        reference: SecretRef,
    },
}

impl EnvError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Template { .. } => Class::Invalid,
            Self::NoData { .. } | Self::NoSecret { .. } => Class::NotFound,
        }
    }
}

/// What references of addresses and places are rendered from.
pub(crate) struct References<'a> {
    pub(crate) endpoints: &'a Endpoints,
    pub(crate) data: &'a dyn Fn(&DataName) -> Option<String>,
}

/// An environment whose addresses and places are rendered and whose secrets are still references.
///
/// Two steps, because a resolver is somebody else's code: it may take its time or ask this very control plane, so
/// nobody may hold the endpoints meanwhile.
pub(crate) struct Rendered(BTreeMap<String, EnvValue>);

/// The environment of a replica but for its secrets, `SKYLOOM_ENDPOINTS` included.
pub(crate) fn render_all(spec: &ReplicaSpec, references: &References<'_>) -> Result<Rendered, EnvError> {
    let mut env = BTreeMap::new();
    let list = references.endpoints.path().to_string_lossy().into_owned();
    env.insert(ENDPOINTS_VARIABLE.to_owned(), EnvValue::Text(list));
    for (name, value) in &spec.run.env {
        let value = match value {
            EnvValue::Text(text) => EnvValue::Text(render(name, text, references)?),
            EnvValue::Secret(reference) => EnvValue::Secret(reference.clone()),
        };
        env.insert(name.clone(), value);
    }
    Ok(Rendered(env))
}

impl Rendered {
    /// The whole environment.
    pub(crate) fn resolve(self, secrets: &dyn SecretResolver) -> Result<BTreeMap<String, Secret<String>>, EnvError> {
        let resolved = self.0.into_iter().map(|(name, value)| {
            let value = match value {
                EnvValue::Text(text) => Secret::new(text),
                EnvValue::Secret(reference) => match secrets.resolve(&reference) {
                    Some(secret) => secret,
                    None => return Err(EnvError::NoSecret { name, reference }),
                },
            };
            Ok((name, value))
        });
        resolved.collect()
    }
}

fn render(name: &str, text: &str, references: &References<'_>) -> Result<String, EnvError> {
    let parts = parse_template(text).map_err(|source| EnvError::Template {
        name: name.to_owned(),
        source,
    })?;
    let mut rendered = String::new();
    for part in parts {
        match part {
            TemplatePart::Text(text) => rendered.push_str(&text),
            TemplatePart::Endpoints(service) => rendered.push_str(&addresses(&service, references.endpoints)),
            TemplatePart::Data(data) => {
                let place = (references.data)(&data);
                rendered.push_str(&place.ok_or_else(|| EnvError::NoData {
                    name: name.to_owned(),
                    data,
                })?);
            }
        }
    }
    Ok(rendered)
}

fn addresses(service: &ServiceName, endpoints: &Endpoints) -> String {
    let addresses: Vec<String> = endpoints
        .addresses(service, None)
        .iter()
        .map(ToString::to_string)
        .collect();
    addresses.join(",")
}
