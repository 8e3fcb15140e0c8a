//! What is wrong with a manifest, and where: file, line, column, the offending text.
//!
//! One error for reading, whatever the stage: a user has one text and wants one place in it. Which stage noticed is
//! told by the kind.

use std::fmt;

use thiserror::Error;

use super::text::{Excerpt, Span, Text};
use crate::{Class, IdError, Location, QuantityError, TemplateError};

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestErrorKind {
    /// The text is not TOML or YAML.
    #[error("bad {format}: {message}")]
    Syntax {
        /// `TOML` or `YAML`.
        format: &'static str,
        /// What the parser says.
        message: String,
    },
    /// A byte that does not belong to UTF-8 text.
    #[error("not UTF-8: byte 0x{byte:02x}")]
    NotUtf8 {
        /// The byte.
        byte: u8,
    },
    /// More than this program accepts.
    #[error("too many {what}: the limit is {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is accepted.
        limit: u64,
    },
    /// Values are nested deeper than this program accepts.
    #[error("nested too deeply: the limit is {limit} levels")]
    TooDeep {
        /// How many levels are accepted.
        limit: usize,
    },
    /// A thing that the format has and a manifest may not use.
    #[error("{what} may not stand in a manifest")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// A key that means nothing here.
    #[error("unknown key `{key}`{}", did_you_mean(nearest.as_ref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// The known key that was probably meant.
        nearest: Option<String>,
    },
    /// A key that must be given is not.
    #[error("missing key `{key}`")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// None or several of keys of which exactly one, or at least one, must be given.
    #[error("expected {expected}")]
    KeyChoice {
        /// The rule, such as ``exactly one of `http`, `tcp`, `exec` ``.
        expected: &'static str,
    },
    /// A value of another type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What may stand here.
        expected: String,
        /// What does.
        found: &'static str,
    },
    /// A value of the right type that cannot be accepted.
    #[error("cannot accept `{text}`: expected {expected}{}", did_you_mean(nearest.as_ref()))]
    BadValue {
        /// The value.
        text: String,
        /// What may stand here.
        expected: String,
        /// The known value that was probably meant.
        nearest: Option<String>,
    },
    /// A text that has not the form of a name.
    #[error("cannot {0}")]
    BadName(IdError),
    /// A number, amount, price or duration that cannot be read or held.
    #[error("cannot {0}")]
    Quantity(QuantityError),
    /// A text that is no reference to a secret. It is not repeated, nor shown in the source line: it may be the secret.
    #[error("expected a reference `backend:name` or `backend:name#version`, such as `env:TOKEN`, for a secret")]
    BadSecret,
    /// An environment value that is not a template.
    #[error("cannot {0}")]
    Template(TemplateError),
    /// A name or key for the second time.
    #[error("duplicate {what} `{name}`{}", first.map(|at| format!(" (first at line {})", at.line)).unwrap_or_default())]
    Duplicate {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
        /// Where it stood first, where that is known.
        first: Option<Location>,
    },
    /// A service that the manifest does not have.
    #[error("unknown service `{name}`{}", did_you_mean(nearest.as_ref()))]
    UnknownService {
        /// The name.
        name: String,
        /// The service that was probably meant.
        nearest: Option<String>,
    },
    /// A data set that the manifest does not have.
    #[error("unknown data set `{name}`{}", did_you_mean(nearest.as_ref()))]
    UnknownData {
        /// The name.
        name: String,
        /// The data set that was probably meant.
        nearest: Option<String>,
    },
    /// The other end of a link that is neither a service nor a data set of the manifest.
    #[error("unknown service or data set `{name}`{}", did_you_mean(nearest.as_ref()))]
    UnknownLink {
        /// The name.
        name: String,
        /// The service or data set that was probably meant.
        nearest: Option<String>,
    },
    /// A name that both a service and a data set have.
    #[error("`{name}` is a service and a data set: write `service.{name}` or `data.{name}`")]
    AmbiguousLink {
        /// The name.
        name: String,
    },
    /// A port that the service does not declare.
    #[error("unknown port `{name}`{}", did_you_mean(nearest.as_ref()))]
    UnknownPort {
        /// The name.
        name: String,
        /// The port that was probably meant.
        nearest: Option<String>,
    },
    /// A version of the manifest that this program does not read.
    #[error("unsupported version `{found}`: this program reads version 1")]
    UnsupportedVersion {
        /// The version.
        found: String,
    },
    /// Names that are moved in a loop.
    #[error("moved in a loop: {}", path.join(" -> "))]
    MoveLoop {
        /// The names on the way, the first one again at its end.
        path: Vec<String>,
    },
    /// Two moves give or take one name.
    #[error("`{name}` {how} twice{}", first.map(|at| format!(" (first at line {})", at.line)).unwrap_or_default())]
    MoveConflict {
        /// The name, as the second has it.
        name: String,
        /// `moves away` or `is moved to`.
        how: &'static str,
        /// Where it stood first.
        first: Option<Location>,
    },
    /// A name that is moved away and that the manifest still asks for.
    #[error("`{name}` is moved away, and the manifest still asks for it")]
    MovedStillThere {
        /// The name.
        name: String,
    },
    /// A new name that the manifest does not ask for.
    #[error("`{name}` is moved to, and the manifest does not ask for it{}", did_you_mean(nearest.as_ref()))]
    MovedNowhere {
        /// The name.
        name: String,
        /// The service that was probably meant.
        nearest: Option<String>,
    },
    /// A service that depends on itself.
    #[error("service `{name}` depends on itself")]
    SelfDependency {
        /// The service.
        name: String,
    },
}

fn did_you_mean(nearest: Option<&String>) -> String {
    nearest
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

/// A manifest was refused: why, and where in which file.
///
/// `Display` has several lines: the message, the source line, carets under the offending text. A manifest is to hold
/// references to secrets, never their values; what stands where a reference should is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    source_name: String,
    location: Location,
    excerpt: Excerpt,
    kind: ManifestErrorKind,
}

impl ManifestError {
    pub(crate) fn new(text: &Text<'_>, span: Span, kind: ManifestErrorKind) -> Self {
        Self(Box::new(Inner {
            source_name: text.name.to_owned(),
            location: text.location(span.start),
            excerpt: match kind {
                ManifestErrorKind::BadSecret => text.excerpt(span).masked(),
                _ => text.excerpt(span),
            },
            kind,
        }))
    }

    /// Where the text came from, as the caller said: `shop.toml`.
    #[must_use]
    pub fn source_name(&self) -> &str {
        &self.0.source_name
    }

    /// The first character of the offending text.
    #[must_use]
    pub fn location(&self) -> Location {
        self.0.location
    }

    /// The offending text, or the first line of it, cut to a printable length.
    #[must_use]
    pub fn offending_text(&self) -> String {
        let Excerpt { line, before, width } = &self.0.excerpt;
        line.chars().skip(*before).take(*width).collect()
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ManifestErrorKind {
        &self.0.kind
    }

    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl std::error::Error for ManifestError {}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            source_name,
            location: Location { line, column },
            excerpt,
            kind,
        } = &*self.0;
        writeln!(f, "parse `{source_name}`: line {line}, column {column}: {kind}")?;
        let gutter = line.to_string().len();
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{}", format!("{line} | {}", excerpt.line).trim_end())?;
        let (before, carets) = (excerpt.before, "^".repeat(excerpt.width));
        write!(f, "{:gutter$} | {:before$}{carets}", "", "")
    }
}

/// An error before its place is looked up: a span (if known yet) and a kind.
#[derive(Debug)]
pub(crate) struct Fault {
    span: Option<Span>,
    /// Of a duplicate or a conflict: where the first one stands.
    first: Option<Span>,
    kind: Box<ManifestErrorKind>,
}

impl Fault {
    /// An error whose place is not known where it arises; see [`Fault::or_at`].
    pub(crate) fn somewhere(kind: ManifestErrorKind) -> Self {
        Self {
            span: None,
            first: None,
            kind: Box::new(kind),
        }
    }

    pub(crate) fn at(span: Span, kind: ManifestErrorKind) -> Self {
        Self::somewhere(kind).or_at(span)
    }

    pub(crate) fn duplicate(what: &'static str, name: String, span: Span, first: Span) -> Self {
        let kind = ManifestErrorKind::Duplicate {
            what,
            name,
            first: None,
        };
        Self {
            first: Some(first),
            ..Self::at(span, kind)
        }
    }

    pub(crate) fn move_conflict(name: String, how: &'static str, span: Span, first: Span) -> Self {
        let kind = ManifestErrorKind::MoveConflict { name, how, first: None };
        Self {
            first: Some(first),
            ..Self::at(span, kind)
        }
    }

    pub(crate) fn bad_value(span: Span, text: impl fmt::Display, expected: impl Into<String>) -> Self {
        let text = shortened(&text.to_string());
        let expected = expected.into();
        Self::at(
            span,
            ManifestErrorKind::BadValue {
                text,
                expected,
                nearest: None,
            },
        )
    }

    /// The same with a place, unless it has one: what is nearest to the cause knows best.
    pub(crate) fn or_at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    pub(crate) fn into_error(mut self, text: &Text<'_>) -> ManifestError {
        let first = self.first.map(|span| text.location(span.start));
        if let ManifestErrorKind::Duplicate { first: at, .. } | ManifestErrorKind::MoveConflict { first: at, .. } =
            &mut *self.kind
        {
            *at = first;
        }
        ManifestError::new(text, self.span.unwrap_or_default(), *self.kind)
    }
}

/// Texts of a manifest may be megabytes; an error repeats the beginning.
pub(crate) fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
