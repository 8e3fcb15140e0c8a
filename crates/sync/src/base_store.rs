//! Where a merge base is kept between runs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

use crate::base::{BASE_VERSION, Base};
use crate::store::Cause;
use crate::{ContentHash, StoreId};

/// Why a merge base cannot be had or kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BaseError {
    /// Reading or writing failed.
    #[error("{action} the merge base `{place}`")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// Where it is kept.
        place: String,
        /// What kind of failure it is.
        class: Class,
        /// The raw error.
        source: io::Error,
    },
    /// What is there is no merge base, or a damaged one. Deleting it is safe: without a base nothing is deleted.
    #[error("read the merge base `{place}`: {reason}")]
    Corrupt {
        /// Where it is kept.
        place: String,
        /// What is wrong, for people.
        reason: &'static str,
    },
    /// Another run saved the base meanwhile.
    #[error("write the merge base `{place}`: generation {expected} was expected, {found} is there")]
    Outrun {
        /// Where it is kept.
        place: String,
        /// Generation that was read.
        expected: u64,
        /// Generation that is there.
        found: u64,
    },
    /// The base is of other stores: one was replaced or emptied, or is not mounted.
    #[error(
        "use the merge base of `{base_left}` and `{base_right}` for `{left}` and `{right}`: \
         a store was replaced, emptied or is not mounted"
    )]
    OtherStores {
        /// Left store of the base.
        base_left: StoreId,
        /// Right store of the base.
        base_right: StoreId,
        /// Left store now.
        left: StoreId,
        /// Right store now.
        right: StoreId,
    },
}

impl BaseError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Io { class, .. } => *class,
            Self::Corrupt { .. } => Class::Bug,
            Self::Outrun { .. } | Self::OtherStores { .. } => Class::Conflict,
        }
    }
}

/// Where a merge base is kept. An error of `load` stops a synchronisation; it is never taken for an empty base.
#[async_trait]
pub trait BaseStore: std::fmt::Debug + Send + Sync {
    /// The base as it was last saved; none before the first save.
    ///
    /// # Errors
    /// [`BaseError`] when it cannot be read or is damaged.
    async fn load(&self) -> Result<Option<Base>, BaseError>;

    /// Saves the base durably and atomically, if the saved one still has generation `base.generation - 1` (0: none).
    /// Dropping the future leaves the old or the new one.
    ///
    /// # Errors
    /// [`BaseError::Outrun`] when another generation is there, or [`BaseError`] when it cannot be written.
    async fn save(&self, base: &Base) -> Result<(), BaseError>;
}

/// A merge base in a file: a header line with generation and checksum, then the base as JSON. Replaced atomically,
/// flushed to the device. Beside it lies a lock file of the same name with `.lock`.
#[derive(Debug, Clone)]
pub struct BaseFile {
    path: PathBuf,
}

/// First line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    generation: u64,
    checksum: ContentHash,
}

impl BaseFile {
    /// The base in this file, which need not exist; its folder must.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn io(&self, action: &'static str, source: io::Error) -> BaseError {
        let (place, class) = match Cause::from_io(source) {
            Cause::Io { class, source } => {
                return BaseError::Io {
                    action,
                    place: self.place(),
                    class,
                    source,
                };
            }
            _ => (self.place(), Class::NotFound),
        };
        BaseError::Io {
            action,
            place,
            class,
            source: io::ErrorKind::NotFound.into(),
        }
    }

    fn read(&self) -> Result<Option<(Header, String)>, BaseError> {
        let corrupt = |reason| BaseError::Corrupt {
            place: self.place(),
            reason,
        };
        let mut text = String::new();
        match File::options().read(true).open(&self.path) {
            Ok(mut file) => match file.read_to_string(&mut text) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(corrupt("it is not UTF-8")),
                Err(error) => return Err(self.io("read", error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("read", error)),
        }
        let (header, body) = text.split_once('\n').ok_or_else(|| corrupt("it has no header"))?;
        let header: Header = serde_json::from_str(header).map_err(|_| corrupt("its header cannot be read"))?;
        if header.version != BASE_VERSION {
            return Err(corrupt("its version is not known"));
        }
        if ContentHash::of(body.as_bytes()) != header.checksum {
            return Err(corrupt("its checksum does not hold"));
        }
        let body = body.to_owned();
        Ok(Some((header, body)))
    }

    fn write(&self, base: &Base) -> Result<(), BaseError> {
        let io = |error| self.io("write", error);
        let _lock = self.lock().map_err(io)?;
        let expected = base.generation.saturating_sub(1);
        let found = self.read()?.map_or(0, |(header, _)| header.generation);
        if found != expected {
            let place = self.place();
            return Err(BaseError::Outrun { place, expected, found });
        }
        let body = serde_json::to_string(base).map_err(|error| io(error.into()))?;
        let header = Header {
            version: BASE_VERSION,
            generation: base.generation,
            checksum: ContentHash::of(body.as_bytes()),
        };
        let header = serde_json::to_string(&header).map_err(|error| io(error.into()))?;
        self.replace(format!("{header}\n{body}").as_bytes()).map_err(io)
    }

    /// Held while the file is compared and replaced. The temporary file has one name because of it.
    fn lock(&self) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let path = self.path.with_added_extension("lock");
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
        retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))?;
        Ok(file.into())
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let tmp = self.path.with_added_extension("tmp");
        let mut file = File::options().write(true).create(true).truncate(true).open(&tmp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&tmp, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::options().read(true).open(folder)?.sync_all()
    }
}

#[async_trait]
impl BaseStore for BaseFile {
    async fn load(&self) -> Result<Option<Base>, BaseError> {
        let Some((header, body)) = self.read()? else {
            return Ok(None);
        };
        let base: Option<Base> = serde_json::from_str(&body).ok();
        match base.filter(|base| base.generation == header.generation && base.version == BASE_VERSION) {
            Some(base) => Ok(Some(base)),
            None => Err(BaseError::Corrupt {
                place: self.place(),
                reason: "its content cannot be read",
            }),
        }
    }

    async fn save(&self, base: &Base) -> Result<(), BaseError> {
        self.write(base)
    }
}

/// A merge base in memory, for tests and for stores that live no longer than the program.
#[derive(Debug, Default)]
pub struct InMemoryBase {
    saved: Mutex<Option<Base>>,
}

impl InMemoryBase {
    /// No base yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl BaseStore for InMemoryBase {
    async fn load(&self) -> Result<Option<Base>, BaseError> {
        Ok(self.saved.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn save(&self, base: &Base) -> Result<(), BaseError> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = base.generation.saturating_sub(1);
        let found = saved.as_ref().map_or(0, |saved| saved.generation);
        if found != expected {
            let place = "memory".to_owned();
            return Err(BaseError::Outrun { place, expected, found });
        }
        *saved = Some(base.clone());
        Ok(())
    }
}
