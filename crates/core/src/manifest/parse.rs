//! The way from text to manifest: decode, read the format, fold into the document, check.

use serde::Deserialize;

use super::error::{Fault, ManifestError, ManifestErrorKind};
use super::limits::MANIFEST_BYTES_MAX;
use super::raw::RawManifest;
use super::text::{Span, Text};
use super::tree::Node;
use super::{check, toml, yaml};
use crate::Manifest;

impl Manifest {
    /// Reads a manifest; `source` names it in errors, and its extension tells the format: `.yaml` and `.yml` are YAML,
    /// everything else is TOML.
    ///
    /// A dependency cycle and a place that does not exist are not found here: the first is the service graph's, the
    /// second [`check_places`](crate::check_places)'s.
    ///
    /// # Errors
    /// [`ManifestError`] with the first mistake and its place.
    ///
    /// ```
    /// use skyloom_core::Manifest;
    ///
    /// let text = r#"
    /// version = 1
    /// name = "hello"
    ///
    /// [[service]]
    /// name = "web"
    /// replica = 2
    /// "#;
    /// let error = Manifest::parse(text, "hello.toml").unwrap_err();
    /// assert!(error.to_string().starts_with(
    ///     "parse `hello.toml`: line 7, column 1: unknown key `replica`; did you mean `replicas`?"
    /// ));
    /// ```
    pub fn parse(text: &str, source: &str) -> Result<Self, ManifestError> {
        let extension = source.rsplit_once('.').map(|(_, extension)| extension);
        let is_yaml = extension.is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
        if is_yaml {
            Self::parse_yaml(text, source)
        } else {
            Self::parse_toml(text, source)
        }
    }

    /// As [`Manifest::parse`], from bytes that may not be text.
    ///
    /// # Errors
    /// As [`Manifest::parse`]; [`ManifestErrorKind::NotUtf8`] is at the first byte that is not UTF-8.
    pub fn parse_bytes(bytes: &[u8], source: &str) -> Result<Self, ManifestError> {
        check_size(bytes.len(), source)?;
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return Self::parse(text, source),
            Err(error) => error,
        };
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        // Bad bytes become U+FFFD, so that the line can be shown; up to the first one nothing moves.
        let shown = String::from_utf8_lossy(bytes);
        let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
        let text = Text::new(source, &shown);
        Err(ManifestError::new(&text, span, ManifestErrorKind::NotUtf8 { byte }))
    }

    /// Reads a manifest in TOML; see [`Manifest::parse`].
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn parse_toml(text: &str, source: &str) -> Result<Self, ManifestError> {
        read(text, source, toml::read)
    }

    /// Reads a manifest in YAML; see [`Manifest::parse`].
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn parse_yaml(text: &str, source: &str) -> Result<Self, ManifestError> {
        read(text, source, yaml::read)
    }
}

fn read(text: &str, source: &str, format: fn(&Text<'_>) -> Result<Node, Fault>) -> Result<Manifest, ManifestError> {
    check_size(text.len(), source)?;
    let text = Text::new(source, text.strip_prefix('\u{feff}').unwrap_or(text));
    let tree = format(&text).map_err(|fault| fault.into_error(&text))?;
    let document = RawManifest::deserialize(tree).map_err(|fault| fault.into_error(&text))?;
    check::manifest(document, &text).map_err(|fault| fault.into_error(&text))
}

/// Before anything else looks at it: every later step is linear in this.
fn check_size(bytes: usize, source: &str) -> Result<(), ManifestError> {
    if bytes <= MANIFEST_BYTES_MAX {
        return Ok(());
    }
    let limit = u64::try_from(MANIFEST_BYTES_MAX).unwrap_or(u64::MAX);
    let kind = ManifestErrorKind::TooLarge { what: "bytes", limit };
    Err(ManifestError::new(&Text::new(source, ""), Span::default(), kind))
}
