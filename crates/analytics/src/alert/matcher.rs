//! Which labels are meant: equality and anchored regular expressions, as Prometheus and Alertmanager have them.

use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

use super::Labels;

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MatchOp {
    /// Equal.
    #[serde(rename = "=")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    NotEqual,
    /// The whole value matches the regular expression.
    #[serde(rename = "=~")]
    Regex,
    /// It does not.
    #[serde(rename = "!~")]
    NotRegex,
}

/// One comparison of one label; an absent label has the empty value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

/// The saved form.
#[derive(Serialize, Deserialize)]
struct Parts {
    name: String,
    op: MatchOp,
    value: String,
}

/// The regular expression cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("match `{name}` against `{pattern}`: {why}")]
pub struct MatcherError {
    /// The label.
    pub name: String,
    /// The expression.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl MatcherError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Matcher {
    /// A comparison.
    ///
    /// # Errors
    /// [`MatcherError`] for a regular expression that cannot be read.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let compiled = Regex::new(&format!("^(?:{value})$")).map_err(|error| MatcherError {
                    name: name.clone(),
                    pattern: value.clone(),
                    why: error.to_string(),
                })?;
                Some(compiled)
            }
        };
        Ok(Self { name, op, value, regex })
    }

    /// `name = value`.
    #[must_use]
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::Equal,
            value: value.into(),
            regex: None,
        }
    }

    /// Whether these labels are meant.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name);
        let is_match = self.regex.as_ref().map(|regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => is_match == Some(true),
            MatchOp::NotRegex => is_match == Some(false),
        }
    }

    /// The pair that this matcher asks for, when it asks for exactly one.
    pub(super) fn pair(&self) -> Option<(&str, &str)> {
        (self.op == MatchOp::Equal && !self.value.is_empty()).then_some((self.name.as_str(), self.value.as_str()))
    }
}

/// Whether all of them match.
pub(super) fn all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl TryFrom<Parts> for Matcher {
    type Error = MatcherError;
    fn try_from(parts: Parts) -> Result<Self, MatcherError> {
        Self::new(parts.name, parts.op, parts.value)
    }
}

impl From<Matcher> for Parts {
    fn from(matcher: Matcher) -> Self {
        Self {
            name: matcher.name,
            op: matcher.op,
            value: matcher.value,
        }
    }
}
