//! Which keys a synchronisation is about. A key outside is not touched, not deleted and keeps its merge base.

use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

use crate::Key;

/// Longest pattern in bytes: matching costs pattern times key, so both have a bound.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// A glob over whole keys: `*` any characters but `/`, `**` any characters, `?` one character but `/`, all else itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is empty: it would match nothing.
    #[error("accept an empty pattern")]
    Empty,
    /// It is longer than [`PATTERN_BYTES_MAX`].
    #[error("accept a pattern of {bytes} bytes: the longest is {PATTERN_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl PatternError {
    /// What kind of failure it is: always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// A part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(char),
    One,
    Segment,
    Any,
}

impl Pattern {
    /// A checked pattern.
    ///
    /// # Errors
    /// [`PatternError`] when it is empty or too long.
    pub fn new(text: impl Into<String>) -> Result<Self, PatternError> {
        let text = text.into();
        match text.len() {
            0 => Err(PatternError::Empty),
            bytes if bytes > PATTERN_BYTES_MAX => Err(PatternError::TooLong { bytes }),
            _ => Ok(Self(text)),
        }
    }

    /// Whether the whole key matches. Pattern length times key length at worst, whatever the pattern.
    #[must_use]
    pub fn matches(&self, key: &Key) -> bool {
        let parts = self.parts();
        let closure = |reached: &mut Vec<bool>| {
            for at in 0..parts.len() {
                if reached[at] && matches!(parts[at], Part::Segment | Part::Any) {
                    reached[at + 1] = true;
                }
            }
        };
        // `reached[i]`: the first i parts match the characters so far.
        let mut reached = vec![false; parts.len() + 1];
        reached[0] = true;
        closure(&mut reached);
        for c in key.as_str().chars() {
            let mut next = vec![false; parts.len() + 1];
            for (at, part) in parts.iter().enumerate().filter(|(at, _)| reached[*at]) {
                match part {
                    Part::Literal(literal) => next[at + 1] |= *literal == c,
                    Part::One => next[at + 1] |= c != '/',
                    Part::Segment => next[at] |= c != '/',
                    Part::Any => next[at] = true,
                }
            }
            closure(&mut next);
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::with_capacity(self.0.len());
        for c in self.0.chars() {
            match (c, parts.last()) {
                ('*', Some(Part::Segment)) => {
                    parts.pop();
                    parts.push(Part::Any);
                }
                ('*', Some(Part::Any)) => {}
                ('*', _) => parts.push(Part::Segment),
                ('?', _) => parts.push(Part::One),
                _ => parts.push(Part::Literal(c)),
            }
        }
        parts
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;
    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

/// Keys that match one of `include` (all keys when there is none) and none of `exclude`.
///
/// ```
/// use skyloom_sync::{Filter, Key, Pattern};
///
/// let mut filter = Filter::default();
/// filter.exclude.push(Pattern::new("**.tmp")?);
/// assert!(filter.admits(&Key::new("orders/1.json")?));
/// assert!(!filter.admits(&Key::new("orders/1.tmp")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Keys to take; empty takes all.
    #[serde(default)]
    pub include: Vec<Pattern>,
    /// Keys to leave out, stronger than `include`.
    #[serde(default)]
    pub exclude: Vec<Pattern>,
}

impl Filter {
    /// Whether the synchronisation is about this key.
    #[must_use]
    pub fn admits(&self, key: &Key) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|p| p.matches(key));
        included && !self.exclude.iter().any(|p| p.matches(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_keys() {
        let rows = [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "abc", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("**.tmp", "x/y.tmp", true),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/b/c", false),
            ("a/**/c", "a/b/b/c", true),
            ("?", "ä", true),
            ("a?b", "a/b", false),
            ("a*", "a", true),
            ("***", "a/b", true),
        ];
        for (pattern, key, expected) in rows {
            let got = Pattern::new(pattern).unwrap().matches(&Key::new(key).unwrap());
            assert_eq!(got, expected, "{pattern} {key}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = Pattern::new("a*".repeat(500)).unwrap();
        assert!(!pattern.matches(&Key::new(format!("{}b", "a".repeat(400))).unwrap()));
        assert!(Pattern::new("").is_err() && Pattern::new("x".repeat(2000)).is_err());
    }
}
