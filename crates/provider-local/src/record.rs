//! What is written down about each thing, and the form it is written in.
//!
//! A pure room: bytes in, values out. The form is one JSON object with a version and a SHA-256 over the body, since a
//! torn or bit-flipped record that still parses would be worse than one that does not. Values of environment
//! variables are in no record; only their names are.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skyloom_core::{Digest, Machine, OperationId, OwnerTag, PortName, ReplicaSpec, ResourceId, Timestamp, Token};
use skyloom_provider::{Epoch, Kind};
use thiserror::Error;

/// Version of all files of this crate. A file with a later version is refused, never guessed at.
pub(crate) const VERSION: u32 = 1;

/// Hexadecimal digits of the token's digest in a resource id: 80 bits, so that no two tokens of a folder collide.
const ID_DIGITS: usize = 20;

/// A thing that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) id: ResourceId,
    pub(crate) owner: OwnerTag,
    pub(crate) operation: OperationId,
    pub(crate) token: Token,
    pub(crate) parameters: Digest,
    pub(crate) created_at: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) thing: Thing,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Thing {
    Machine(Machine),
    Replica(Box<Replica>),
}

/// A replica: one process group at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replica {
    pub(crate) spec: ReplicaSpec,
    /// The machine it is on, as this driver calls it.
    pub(crate) machine: ResourceId,
    /// Chosen or given numbers.
    pub(crate) ports: BTreeMap<PortName, u16>,
    /// Names of the environment variables that were given, without their values.
    pub(crate) env_names: Vec<String>,
    /// Counts its starts, from 1.
    pub(crate) run: u32,
}

/// Where a thing is in its life. `Starting`, `Stopping` and `Deleting` are intents: written before the act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// About to be started; the process may be there or not.
    Starting,
    /// Started. A machine has no process.
    Up { process: Option<ProcessId> },
    /// Being stopped.
    Stopping { process: Option<ProcessId> },
    /// Stopped on request.
    Stopped,
    /// Being removed.
    Deleting { process: Option<ProcessId> },
}

impl Phase {
    pub(crate) const fn process(&self) -> Option<&ProcessId> {
        match self {
            Self::Up { process } | Self::Stopping { process } | Self::Deleting { process } => process.as_ref(),
            Self::Starting | Self::Stopped => None,
        }
    }
}

/// One process, for ever: a number alone is given again to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessId {
    /// Process number, which is the number of its group as well.
    pub(crate) pid: i32,
    /// When it began, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub(crate) start_ticks: u64,
    /// Which boot.
    pub(crate) boot: String,
}

/// How a run ended, written by whoever waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exit {
    pub(crate) run: u32,
    pub(crate) code: Option<i32>,
}

/// What stays of a deleted thing, so that its token is not used twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tombstone {
    /// `None` when the record was damaged.
    pub(crate) token: Option<Token>,
    pub(crate) deleted_at: Timestamp,
}

/// Latest epoch seen of each owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Epochs(pub(crate) BTreeMap<OwnerTag, Epoch>);

/// Tells this folder's processes from all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Root {
    pub(crate) mark: String,
}

impl Record {
    pub(crate) const fn kind(&self) -> Kind {
        match self.thing {
            Thing::Machine(_) => Kind::Machine,
            Thing::Replica(_) => Kind::Replica,
        }
    }

    pub(crate) const fn replica(&self) -> Option<&Replica> {
        match &self.thing {
            Thing::Machine(_) => None,
            Thing::Replica(replica) => Some(replica),
        }
    }

    /// Whether it is (or is about to be) on that machine.
    pub(crate) fn is_on(&self, machine: &ResourceId) -> bool {
        self.replica().is_some_and(|replica| replica.machine == *machine)
    }
}

/// The id that a thing made with this token has: found again without any index.
pub(crate) fn id_of(token: &Token) -> ResourceId {
    let digest = Digest::of_bytes(token.as_str().as_bytes()).to_string();
    let digits: String = digest.chars().take(ID_DIGITS).collect();
    ResourceId::new(format!("local-{digits}")).expect("invariant: letters, digits and a dash are a resource id")
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum Damage {
    #[error("torn or not a record of this driver")]
    Unreadable(#[source] serde_json::Error),
    #[error("damaged: its digest does not match")]
    Digest,
    #[error("of version {found}, this driver reads version {VERSION}")]
    Version { found: u32 },
    #[error("missing")]
    Missing,
    #[error("the record of another thing, `{found}`")]
    Misplaced { found: ResourceId },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<T> {
    version: u32,
    sha256: Digest,
    body: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// The bytes of a file that holds `body`.
pub(crate) fn seal<T: Serialize>(body: &T) -> Vec<u8> {
    let envelope = Envelope {
        version: VERSION,
        sha256: Digest::of(body),
        body,
    };
    let mut bytes =
        serde_json::to_vec(&envelope).expect("invariant: every persisted type of this crate has a JSON form");
    bytes.push(b'\n');
    bytes
}

/// What a file holds.
pub(crate) fn unseal<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Damage> {
    let VersionOnly { version } = serde_json::from_slice(bytes).map_err(Damage::Unreadable)?;
    if version != VERSION {
        return Err(Damage::Version { found: version });
    }
    let envelope: Envelope<T> = serde_json::from_slice(bytes).map_err(Damage::Unreadable)?;
    if Digest::of(&envelope.body) == envelope.sha256 {
        Ok(envelope.body)
    } else {
        Err(Damage::Digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit() -> Exit {
        Exit { run: 2, code: Some(7) }
    }

    #[test]
    fn the_form_of_version_1_stays_readable() {
        let written = br#"{"version":1,"sha256":"0d2aab3cd7ad25d75d04df2a4bb2a2ef7a04a9c2bd4ffbd2ae8ad4d8cf22ad3c","body":{"run":2,"code":7}}"#;
        let sealed = String::from_utf8(seal(&exit())).unwrap();
        let digest = Digest::of_bytes(br#"{"run":2,"code":7}"#).to_string();
        let expected = format!("{{\"version\":1,\"sha256\":\"{digest}\",\"body\":{{\"run\":2,\"code\":7}}}}\n");
        assert_eq!(sealed, expected);
        assert_eq!(unseal::<Exit>(expected.as_bytes()).unwrap(), exit());
        assert!(matches!(unseal::<Exit>(written), Err(Damage::Digest)), "another digest");
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen_or_harmless() {
        let sealed = seal(&exit());
        for cut in 0..sealed.len() - 1 {
            assert!(unseal::<Exit>(&sealed[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = unseal::<Exit>(&flipped) {
                assert_eq!(read, exit(), "bit {bit} changed the value unseen");
            }
        }
    }

    #[test]
    fn a_later_version_is_refused_by_name() {
        let later = br#"{"version":2,"anything":{"new":true}}"#;
        assert!(matches!(unseal::<Exit>(later), Err(Damage::Version { found: 2 })));
    }

    #[test]
    fn ids_are_a_function_of_the_token() {
        let token = |text: &str| Token::new(text).unwrap();
        assert_eq!(id_of(&token("a")), id_of(&token("a")));
        assert_ne!(id_of(&token("a")), id_of(&token("b")));
        assert_eq!(id_of(&token("a")).as_str().len(), "local-".len() + ID_DIGITS);
    }
}
