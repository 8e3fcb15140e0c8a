//! The content hash: BLAKE3 of an object's bytes, the only thing by which two contents are held to be equal.
//!
//! Entity tags of other stores are not used for that: the tag of a multipart upload is no checksum.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

/// BLAKE3 hash of some bytes, printed as 64 lower-case hexadecimal digits.
///
/// ```
/// use skyloom_sync::ContentHash;
///
/// let hash = ContentHash::of(b"abc");
/// assert_eq!(hash.to_string().parse(), Ok(hash));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read a content hash: expected 64 hexadecimal digits")]
pub struct ContentHashParseError;

impl ContentHashParseError {
    /// What kind of failure it is: always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl ContentHash {
    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first `digits` hexadecimal digits, at most 64.
    #[must_use]
    pub fn prefix(&self, digits: usize) -> String {
        let mut text = self.to_string();
        text.truncate(digits);
        text
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl FromStr for ContentHash {
    type Err = ContentHashParseError;
    fn from_str(text: &str) -> Result<Self, ContentHashParseError> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| ContentHashParseError)
    }
}

impl TryFrom<String> for ContentHash {
    type Error = ContentHashParseError;
    fn try_from(text: String) -> Result<Self, ContentHashParseError> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

/// Hashes bytes as they pass, and counts them.
#[derive(Debug, Default)]
pub(crate) struct Hasher {
    inner: blake3::Hasher,
    bytes: u64,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(crate) fn finish(&self) -> (ContentHash, u64) {
        (ContentHash(*self.inner.finalize().as_bytes()), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors() {
        // BLAKE3 reference: the hash of no bytes, and of "abc".
        let rows: [(&[u8], &str); 2] = [
            (b"", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (
                b"abc",
                "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
            ),
        ];
        for (bytes, hex) in rows {
            assert_eq!(ContentHash::of(bytes).to_string(), hex);
            let mut hasher = Hasher::default();
            bytes.iter().for_each(|b| hasher.update(&[*b]));
            assert_eq!(hasher.finish(), (hex.parse().unwrap(), bytes.len() as u64));
        }
        assert!("xyz".parse::<ContentHash>().is_err());
    }
}
