//! What can be changed from outside, what follows from it, and what a provider shows of a thing.
//!
//! Finding a change is the orchestrator's; here are the words for it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{InstanceType, Resources};

/// What follows from a change made from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DriftPolicy {
    /// It is told, and the next plan makes it as the manifest says.
    #[default]
    Correct,
    /// It is told; no plan touches it.
    Report,
    /// Nothing: the field is somebody else's.
    Ignore,
}

/// What can be changed from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DriftField {
    /// It is not there any more.
    Missing,
    /// It is stopped, has ended or was evicted.
    State,
    /// Its image.
    Image,
    /// Its program and arguments.
    Command,
    /// Its environment.
    Env,
    /// Its tags or labels at the provider.
    Tags,
    /// What it is given, or a machine's type.
    Size,
    /// A thing that carries our owner tag and that no plan made.
    Extra,
    /// It belongs to somebody else.
    Owner,
}

impl DriftField {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Missing,
        Self::State,
        Self::Image,
        Self::Command,
        Self::Env,
        Self::Tags,
        Self::Size,
        Self::Extra,
        Self::Owner,
    ];

    /// The word for it, as in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::State => "state",
            Self::Image => "image",
            Self::Command => "command",
            Self::Env => "env",
            Self::Tags => "tags",
            Self::Size => "size",
            Self::Extra => "extra",
            Self::Owner => "owner",
        }
    }

    /// Whether a service may say what follows from it. What nobody made, and what is another's, is never touched.
    #[must_use]
    pub const fn has_policy(self) -> bool {
        !matches!(self, Self::Extra | Self::Owner)
    }
}

impl fmt::Display for DriftField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a provider shows of a thing beyond its state. `None`: it cannot be observed, and never counts as changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attributes {
    /// Container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Program and arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment by name; a value that is a secret, or is not shown, is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, Option<String>>>,
    /// Tags or labels that this control plane set or somebody added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// What a replica is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Resources>,
    /// A machine's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceType>,
}

impl Attributes {
    /// Whether nothing can be observed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
