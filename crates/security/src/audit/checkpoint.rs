//! Signed checkpoints: C2SP `tlog-checkpoint` in a signed note, Ed25519. Any tool that speaks that format verifies them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use skyloom_core::Class;
use thiserror::Error;

use super::Hash;

/// Signature type of Ed25519 in signed notes.
const ED25519: u8 = 1;

/// How far a log had grown, and the root then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, such as `skyloom/shop`.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// Why a text is not a checkpoint signed by the key in question.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It does not have the form.
    #[error("read a checkpoint: {what}")]
    Malformed {
        /// What is missing or wrong.
        what: &'static str,
    },
    /// The signature is absent or does not fit key and text.
    #[error("verify the checkpoint of `{origin}`: no good signature of the trusted key")]
    BadSignature {
        /// The log that it claims to be of.
        origin: String,
    },
    /// It is a good checkpoint of another log.
    #[error("accept the checkpoint of `{found}` for `{expected}`")]
    WrongOrigin {
        /// The log that it is of.
        found: String,
        /// The log that was asked for.
        expected: String,
    },
}

impl CheckpointError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Malformed { .. } => Class::Invalid,
            Self::BadSignature { .. } | Self::WrongOrigin { .. } => Class::Denied,
        }
    }
}

/// Why a text cannot name a log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("name a log `{}`: a name is not empty and has no white space, control character or `+`", .name.escape_debug())]
pub struct LogNameError {
    /// The text.
    pub name: String,
}

impl LogNameError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Checkpoint {
    fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn parse_body(body: &str) -> Result<Self, CheckpointError> {
        let malformed = |what| CheckpointError::Malformed { what };
        let mut lines = body.lines();
        let origin = lines
            .next()
            .filter(|line| !line.is_empty())
            .ok_or(malformed("no origin"))?
            .to_owned();
        let size = lines
            .next()
            .and_then(|line| line.parse().ok())
            .ok_or(malformed("no size"))?;
        let root = lines
            .next()
            .and_then(|line| STANDARD.decode(line).ok())
            .and_then(|bytes| bytes.try_into().ok());
        Ok(Self {
            origin,
            size,
            root: root.ok_or(malformed("no root"))?,
        })
    }
}

/// Signs checkpoints. Never printed, never serialised.
pub struct LogKey {
    name: String,
    key: SigningKey,
}

/// Verifies checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingLogKey {
    name: String,
    key: VerifyingKey,
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogKey")
            .field("name", &self.name)
            .field("key", &"[redacted]")
            .finish()
    }
}

impl LogKey {
    /// A key from 32 bytes that came from the operating system's random source. `name` names it in signatures and is
    /// also the origin of its log.
    ///
    /// # Errors
    /// [`LogNameError`]: signed notes have no quoting, so a name that is empty or has white space, a control character
    /// or `+` could not be read back.
    pub fn from_seed(name: impl Into<String>, seed: &[u8; 32]) -> Result<Self, LogNameError> {
        let name = name.into();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
            return Err(LogNameError { name });
        }
        Ok(Self {
            name,
            key: SigningKey::from_bytes(seed),
        })
    }

    /// Name of the key and of its log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingLogKey {
        VerifyingLogKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// The checkpoint as a signed note.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let body = checkpoint.body();
        let signature = self.key.sign(body.as_bytes()).to_bytes();
        let id = key_id(&self.name, &self.key.verifying_key());
        let encoded = STANDARD.encode([id.as_slice(), &signature].concat());
        format!("{body}\n\u{2014} {} {encoded}\n", self.name)
    }
}

/// First four bytes of `SHA-256(name || 0x0A || 0x01 || public key)`.
fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

impl VerifyingLogKey {
    /// The public key in the form of signed notes: `name+id+base64`.
    #[must_use]
    pub fn to_note_key(&self) -> String {
        let id: String = key_id(&self.name, &self.key)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        format!("{}+{id}+{}", self.name, STANDARD.encode(bytes))
    }

    /// The checkpoint in a signed note, if this key signed it.
    ///
    /// # Errors
    /// [`CheckpointError`]: another form, no good signature of this key, or another log's checkpoint.
    pub fn open(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(CheckpointError::Malformed {
            what: "no empty line before signatures",
        })?;
        let body = format!("{text}\n");
        let checkpoint = Checkpoint::parse_body(&body)?;
        let bad = || CheckpointError::BadSignature {
            origin: checkpoint.origin.clone(),
        };
        if !signatures.lines().any(|line| self.is_good_signature(line, &body)) {
            return Err(bad());
        }
        if checkpoint.origin != self.name {
            return Err(CheckpointError::WrongOrigin {
                found: checkpoint.origin,
                expected: self.name.clone(),
            });
        }
        Ok(checkpoint)
    }

    fn is_good_signature(&self, line: &str, body: &str) -> bool {
        let Some((name, encoded)) = line.strip_prefix("\u{2014} ").and_then(|rest| rest.rsplit_once(' ')) else {
            return false;
        };
        let Ok(bytes) = STANDARD.decode(encoded) else {
            return false;
        };
        let Some((id, signature)) = bytes.split_first_chunk::<4>() else {
            return false;
        };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else {
            return false;
        };
        name == self.name
            && *id == key_id(&self.name, &self.key)
            && self.key.verify_strict(body.as_bytes(), &signature).is_ok()
    }
}
