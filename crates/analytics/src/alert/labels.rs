//! Names of series and alerts: sorted pairs, and their fingerprint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Label names and values, sorted by name. The name of a metric is the label `__name__`, that of an alert `alertname`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

/// The label that holds the name of a metric.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds the name of a rule, on the alerts it raises.
pub const ALERT_NAME: &str = "alertname";

impl Labels {
    /// The value of a label; an absent label is the same as an empty one.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// With one label set; an empty value removes it.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        if value.is_empty() {
            self.0.remove(&name.into());
        } else {
            self.0.insert(name.into(), value);
        }
        self
    }

    /// Pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Only these labels.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        let keep = |name: &&str| names.iter().any(|other| other == *name);
        self.iter().filter(|(name, _)| keep(name)).collect()
    }

    /// 64-bit FNV-1a over names and values, each followed by the byte 255: the fingerprint that Prometheus gives the same
    /// labels.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let pieces = self.iter().flat_map(|(name, value)| [name, value]);
        let bytes = pieces.flat_map(|piece| piece.bytes().chain([0xff]));
        bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        pairs
            .into_iter()
            .fold(Self::default(), |labels, (name, value)| labels.with(name, value))
    }
}

impl std::fmt::Display for Labels {
    /// `{a="1", b="2"}`, as Prometheus shows them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}
