//! The narrow port that every store implements, and the values that pass through it.
//!
//! Kept free of any client's types: a store on S3, GCS or Azure is an adapter beside [`LocalDisk`](super::LocalDisk),
//! and nobody above it changes. It is an object-safe trait rather than a generic one because a program chooses its
//! stores at run time.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Metadata, StoreError};
use crate::{ContentHash, Key};

/// Most bytes of one chunk of a [`ByteStream`]: large enough that a read costs little, small enough that a hundred
/// streams fit in memory.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Most objects of one page of a listing: what S3 returns at once.
pub const PAGE_OBJECTS_MAX: usize = 1000;

/// Identity of a store, kept in the store itself. An emptied disk or another bucket has another identity, so that a
/// merge base is never applied to a store it was not made with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct StoreId(Arc<str>);

/// The store's own tag of one version of an object. Opaque: only equality counts, and only within one store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Etag(Arc<str>);

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// From text.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.as_ref().to_owned()
            }
        }
    };
}
text!(StoreId);
text!(Etag);

/// What must be so for a write or a delete to happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing. The synchroniser never uses it.
    Any,
    /// No object has this key.
    IfAbsent,
    /// The object has this tag.
    IfMatch(Etag),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("nothing"),
            Self::IfAbsent => f.write_str("absence"),
            Self::IfMatch(tag) => write!(f, "tag `{tag}`"),
        }
    }
}

impl Condition {
    /// Whether an object with this tag (none: no object) satisfies the condition.
    #[must_use]
    pub fn holds(&self, found: Option<&Etag>) -> bool {
        match self {
            Self::Any => true,
            Self::IfAbsent => found.is_none(),
            Self::IfMatch(tag) => found == Some(tag),
        }
    }
}

/// What a store can do, known before any call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// `put` honours [`Condition`], atomically against other writers.
    pub conditional_put: bool,
    /// `delete` honours [`Condition`], atomically against other writers.
    pub conditional_delete: bool,
    /// [`Metadata`] is kept.
    pub metadata: bool,
    /// An object cannot have a name that is also a folder of another (`a` beside `a/b`).
    pub folders: bool,
    /// `A` and `a` are two keys.
    pub case_sensitive: bool,
    /// Longest segment of a key in bytes.
    pub segment_bytes_max: Option<u32>,
}

impl Capabilities {
    /// All that an object store can have, and none of the limits of a file system.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            conditional_put: true,
            conditional_delete: true,
            metadata: true,
            folders: false,
            case_sensitive: true,
            segment_bytes_max: None,
        }
    }
}

/// What a listing tells of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its name.
    pub key: Key,
    /// Bytes of its content.
    pub size: u64,
    /// Tag of this version.
    pub etag: Etag,
    /// Hash of its content, where the store knows it without reading the object.
    pub hash: Option<ContentHash>,
}

/// What is known of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// As a listing tells it.
    pub meta: ObjectMeta,
    /// Its user metadata.
    pub metadata: Metadata,
}

/// An object being read.
pub struct Download {
    /// What is known of it.
    pub head: Head,
    /// Its bytes: exactly those of the version in `head`, or an error.
    pub body: Box<dyn ByteStream>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

/// Where a listing goes on: strictly after these bytes, in the order of keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// After this name (which need not exist, nor be a valid key).
    #[must_use]
    pub fn after(name: impl Into<Vec<u8>>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Objects, sorted by key.
    pub objects: Vec<ObjectMeta>,
    /// Things between them that are no objects.
    pub skipped: Vec<Skipped>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// Something in a store that is not synchronised. What has its name, or lies beneath it, is left alone on both sides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name, with bytes that are no UTF-8 replaced.
    pub path: String,
    /// Why.
    pub reason: SkipReason,
}

/// Why something is not synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// A symbolic link. Never followed: it may lead outside.
    Symlink,
    /// A socket, pipe or device.
    Special,
    /// A folder where an object is due.
    Folder,
    /// An object where a folder is due.
    Object,
    /// It may not be read.
    Unreadable,
    /// Its name is not UTF-8.
    NotUtf8,
    /// Its name is no [`Key`].
    InvalidKey,
    /// It changed each time while it was read.
    Changing,
    /// A folder that is a store of its own: one inside the other would be copied into itself without end.
    OtherStore,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "a symbolic link",
            Self::Special => "a special file",
            Self::Folder => "a folder",
            Self::Object => "an object",
            Self::Unreadable => "something that may not be read",
            Self::NotUtf8 => "a name that is not UTF-8",
            Self::InvalidKey => "a name that is no key",
            Self::Changing => "something that keeps changing",
            Self::OtherStore => "another store",
        })
    }
}

/// Bytes in bounded chunks.
#[async_trait]
pub trait ByteStream: Send {
    /// The next chunk of 1 to [`CHUNK_BYTES_MAX`] bytes; none at the end, and again none after it. After an error the
    /// stream is over and what it gave must not be used. Dropping the future loses the stream, nothing else.
    ///
    /// # Errors
    /// [`StoreError`] when the bytes cannot be read, or are not those of the version that was asked for.
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Bytes that are in memory already.
#[derive(Debug, Clone)]
pub struct BytesBody {
    bytes: Arc<[u8]>,
    at: usize,
}

impl BytesBody {
    /// A stream of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            bytes: bytes.into(),
            at: 0,
        }
    }
}

#[async_trait]
impl ByteStream for BytesBody {
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let rest = &self.bytes[self.at..];
        let chunk = &rest[..rest.len().min(CHUNK_BYTES_MAX)];
        self.at += chunk.len();
        Ok((!chunk.is_empty()).then(|| chunk.to_vec()))
    }
}

/// Where objects live. Strongly consistent: what a finished `put` or `delete` did is seen by every later call.
///
/// The suite in `testkit::conformance` (feature `testkit`) checks an implementation against these contracts, including
/// 64 writers of which exactly one may win.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// What people call it, such as its path or URL. No secrets.
    fn name(&self) -> &str;

    /// Its identity, the same every time the same store is opened.
    fn id(&self) -> &StoreId;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// One page of the objects whose key starts with `prefix` (any text, empty for all), after `after`, sorted by the
    /// bytes of the key; at most `limit` objects (more than [`PAGE_OBJECTS_MAX`] or 0 is taken as that).
    ///
    /// A listing of several pages is no snapshot: an object written meanwhile may be in it or not, but one that was
    /// there all the time is in it exactly once. Only a page without `next` ends the listing; an error is never an end.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError>;

    /// What is known of an object, including its user metadata.
    ///
    /// # Errors
    /// [`Cause::NotFound`](super::Cause::NotFound), or what the store says.
    async fn head(&self, key: &Key) -> Result<Head, StoreError>;

    /// Opens an object for reading; with `if_match` only that version.
    ///
    /// # Errors
    /// [`Cause::NotFound`](super::Cause::NotFound), [`Cause::Precondition`](super::Cause::Precondition) when another
    /// version is there, or what the store says.
    async fn get(&self, key: &Key, if_match: Option<&Etag>) -> Result<Download, StoreError>;

    /// Writes an object: all of it or nothing is ever visible. On return it is durable. An error of `body` is returned
    /// as it is, and nothing was written; the same holds when the future is dropped before the body has ended. Dropped
    /// later, the object is written or not. Not idempotent under [`Condition::IfAbsent`]: the second call fails.
    ///
    /// # Errors
    /// [`Cause::Precondition`](super::Cause::Precondition) when `condition` does not hold at the moment of the write
    /// (of any number of writers with one condition, one wins), or what the store says.
    async fn put(
        &self,
        key: &Key,
        body: &mut dyn ByteStream,
        condition: &Condition,
        metadata: &Metadata,
    ) -> Result<ObjectMeta, StoreError>;

    /// Deletes an object. On return it is durably gone.
    ///
    /// # Errors
    /// [`Cause::NotFound`](super::Cause::NotFound) when it is not there, whatever the condition;
    /// [`Cause::Precondition`](super::Cause::Precondition) when `condition` does not hold; or what the store says.
    async fn delete(&self, key: &Key, condition: &Condition) -> Result<(), StoreError>;
}
