//! The template of an environment value: what the manifest checks and whoever starts a replica fills in.
//!
//! One reader for both, so that a template which was accepted cannot fail to render. Finding out endpoints and data
//! locations does not belong here.

use thiserror::Error;

use crate::{Class, DataName, IdError, ServiceName};

/// A piece of an environment value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text as it is, braces unescaped.
    Text(String),
    /// `{service.NAME.endpoints}`: the comma-separated `host:port` list of that service.
    Endpoints(ServiceName),
    /// `{data.NAME}`: where the data set is.
    Data(DataName),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A `{` or `}` without its partner.
    #[error("read the lone `{brace}` of a template: a brace is written `{brace}{brace}`")]
    LoneBrace {
        /// The brace.
        brace: char,
    },
    /// The text between braces is none of the known references.
    #[error("read `{{{reference}}}`: a reference is `{{service.NAME.endpoints}}` or `{{data.NAME}}`")]
    UnknownReference {
        /// The text between the braces (cut to a printable length).
        reference: String,
    },
    /// The name in a reference has not the form of a name.
    #[error(transparent)]
    Name(#[from] IdError),
}

impl TemplateError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// Splits an environment value into its parts, in order; neighbouring text is one part, an empty text has none.
///
/// # Errors
/// [`TemplateError`] for a lone brace and for a reference of another form. Whether the named service or data set exists
/// is the caller's question.
///
/// ```
/// use skyloom_core::{TemplatePart, parse_template};
///
/// let parts = parse_template("http://{service.backend.endpoints}/{{x}}")?;
/// assert_eq!(parts[0], TemplatePart::Text("http://".to_owned()));
/// assert_eq!(parts[1], TemplatePart::Endpoints("backend".parse()?));
/// assert_eq!(parts[2], TemplatePart::Text("/{x}".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub fn parse_template(text: &str) -> Result<Vec<TemplatePart>, TemplateError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let from = &rest[at..];
        if let Some(after) = from.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else if let Some(inner) = from.strip_prefix('{') {
            let end = inner.find(['{', '}']).filter(|&end| inner[end..].starts_with('}'));
            let end = end.ok_or(TemplateError::LoneBrace { brace: '{' })?;
            if !plain.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
            }
            parts.push(reference(&inner[..end])?);
            rest = &inner[end + 1..];
        } else {
            return Err(TemplateError::LoneBrace { brace: '}' });
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(TemplatePart::Text(plain));
    }
    Ok(parts)
}

fn reference(inner: &str) -> Result<TemplatePart, TemplateError> {
    let service = inner
        .strip_prefix("service.")
        .and_then(|r| r.strip_suffix(".endpoints"));
    if let Some(name) = service {
        Ok(TemplatePart::Endpoints(ServiceName::new(name)?))
    } else if let Some(name) = inner.strip_prefix("data.") {
        Ok(TemplatePart::Data(DataName::new(name)?))
    } else {
        Err(TemplateError::UnknownReference {
            reference: inner.chars().take(80).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_split_or_refused() {
        let endpoints = |name: &str| TemplatePart::Endpoints(ServiceName::new(name).unwrap());
        let data = |name: &str| TemplatePart::Data(DataName::new(name).unwrap());
        let plain = |text: &str| TemplatePart::Text(text.to_owned());
        let good = [
            ("", vec![]),
            ("a", vec![plain("a")]),
            ("{{}}", vec![plain("{}")]),
            ("{data.x}", vec![data("x")]),
            ("{data.x}{service.y.endpoints}", vec![data("x"), endpoints("y")]),
            ("a{data.x}b", vec![plain("a"), data("x"), plain("b")]),
            ("ü{{{data.x}}}", vec![plain("ü{"), data("x"), plain("}")]),
        ];
        for (text, parts) in good {
            assert_eq!(parse_template(text), Ok(parts), "{text}");
        }
        for bad in [
            "{",
            "}",
            "{data.x",
            "{data.x{{",
            "{}",
            "{data.}",
            "{service.x}",
            "{data.X Y}",
            "a}b",
        ] {
            assert!(parse_template(bad).is_err(), "{bad}");
        }
    }
}
