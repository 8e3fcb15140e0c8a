//! The seam between a control plane and what keeps its state: a lease, a journal, and small documents.
//!
//! A store is asked for the lease and answers with a [`Session`]; everything else goes through the session, so that no
//! write can forget under which epoch it is made. Nothing here says where bytes are; what each store does about it is in
//! a module of its own, and what all of them promise is tried by [`super::conformance`].

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::value::RawValue;

use super::StoreError;

/// An entry of a journal: one JSON text without line ends. Stores keep it and do not look into it.
pub type Entry = Box<RawValue>;

/// A small document that is replaced as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Document(&'static str);

impl Document {
    /// The reached state.
    pub const STATE: Self = Self("state.json");
    /// Since when replicas are sick and when they were replaced.
    pub const HEALING: Self = Self("healing.json");
    /// How places stand: which are lost, which are back.
    pub const FAILOVER: Self = Self("failover.json");
    /// When something was last moved.
    pub const REBALANCED: Self = Self("rebalanced.json");
    /// The random bytes that the owner tag comes from.
    pub const IDENTITY: Self = Self("identity");

    /// A document of this name; `None` for a name that is not 1 to 64 lower-case letters, digits, dots and hyphens
    /// beginning with a letter. Names of the directory store's own files are taken.
    #[must_use]
    pub fn new(name: &'static str) -> Option<Self> {
        const TAKEN: [&str; 5] = ["lease", "journal", "audit.log", "audit.checkpoint", "audit.key"];
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        let is_name =
            name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(is_plain);
        (is_name && !TAKEN.contains(&name)).then_some(Self(name))
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// What a controller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Who asks: shown to others while the lease is held. It decides nothing.
    pub holder: String,
    /// How long the lease lasts without being renewed. A store whose lease dies with its process may ignore it.
    pub ttl: Duration,
}

/// What keeps the state of one control plane.
///
/// Several handles may be open on one store, in several processes; at most one of them has the lease.
#[async_trait]
pub trait ControlStore: Send + Sync + fmt::Debug {
    /// Takes the lease, with an epoch higher than that of every holder before, whatever became of them.
    ///
    /// Of any number of callers at the same time at most one gets it. When this returns, every write of an earlier
    /// session has happened or is refused for ever: what the new session reads then, nobody but itself changes.
    ///
    /// # Errors
    /// [`StoreError::Held`] while another holder's lease lasts. Whether it does is judged by a clock that all contenders
    /// share (a database's), by the kernel, or by watching the lease unrenewed for its whole time, never by comparing
    /// wall clocks of two machines. In the last case the time begins with the first call on this handle.
    /// [`StoreError::Version`] when what is there has the form of a later version; nothing is changed then. A store may
    /// say so when its journal is read instead.
    async fn take(&self, ask: &Ask) -> Result<Arc<dyn Session>, StoreError>;
}

/// What the holder of the lease may do.
///
/// Every method that changes something is refused with [`StoreError::Fenced`], without any effect, once a later holder
/// has the lease, and after [`Session::release`]. A lease that has lapsed and that nobody has taken may still be written
/// under and renewed: no harm is done by it.
///
/// Dropping a future, or an error other than `Fenced`, leaves it open whether the change happened; the next call on the
/// same session finds out, or fails with [`StoreError::Moved`] when it cannot go on from what it finds. Reading the
/// journal shows what is there, and a session that has read it can go on.
#[async_trait]
pub trait Session: Send + Sync + fmt::Debug {
    /// Higher than that of every session before; never 0.
    fn epoch(&self) -> u64;

    /// How long the lease lasts after each renewal; `None`: as long as this session and its process live.
    fn ttl(&self) -> Option<Duration>;

    /// What messages call the store: a folder, an address. Without secrets.
    fn place(&self) -> PathBuf;

    /// Makes the lease last for its whole time again.
    async fn renew(&self) -> Result<(), StoreError>;

    /// Gives the lease back, so that the next controller need not wait. The epoch stays used. A second call is `Ok`.
    async fn release(&self) -> Result<(), StoreError>;

    /// The bytes last put there; `None` when there never were any. Never a mixture of two.
    async fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces a document as a whole, durable when it returns.
    async fn replace(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError>;

    /// All entries since the last reset, in the order of their appending.
    async fn journal(&self) -> Result<Vec<Entry>, StoreError>;

    /// Appends entries at the end: all of them, in this order, or none; durable when it returns.
    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError>;

    /// Empties the journal at one moment, durable when it returns.
    async fn reset(&self) -> Result<(), StoreError>;
}
