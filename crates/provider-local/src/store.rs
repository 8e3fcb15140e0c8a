//! The folder on disk: one sub-folder per thing, replaced only by rename, changed only under one lock.
//!
//! ```text
//! ROOT/lock                       held by whoever changes anything
//! ROOT/root.json                  the mark of this folder's processes
//! ROOT/epochs.json                latest epoch seen of each owner
//! ROOT/things/ID/record.json      what it is
//! ROOT/things/ID/exit.json        how its last run ended
//! ROOT/things/ID/output.log       what it printed
//! ROOT/things/ID/work/            its working directory
//! ROOT/tombstones/ID.json         what stays of a deleted thing
//! ROOT/staging, ROOT/trash        things that are not there yet, or not any more
//! ```
//!
//! One lock for the whole folder, not one per thing: capacity and ports are sums over all things. It is a file lock
//! and not only a mutex, so that two controllers on one folder (the old one not knowing that it was replaced) cannot
//! interleave. It also closes a gap of recovery: a child between `fork` and `exec` still holds the lock of its dead
//! parent, so whoever has the lock sees every child under its own name.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;
use skyloom_core::{OwnerTag, ResourceId, Timestamp};
use skyloom_provider::{Cause, Epoch};

use crate::error::{Fault, OpenError};
use crate::record::{Damage, Epochs, Exit, Record, Root, Tombstone, seal, unseal};

/// Longest wait for the folder's lock. Whoever holds it works for milliseconds, or is stopped in a debugger.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);
/// Pause between two tries for the lock while another process holds it.
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// How long a deleted thing's token is remembered: longer than any journal is replayed.
const TOMBSTONE_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Largest file of this crate that is read; a record is a few KiB.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The folder.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    mark: String,
    /// Queues the threads of this process before they compete for the file lock.
    gate: Mutex<()>,
}

/// Proof that nobody else changes the folder now.
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    _file: File,
    _gate: MutexGuard<'a, ()>,
}

impl Store {
    /// Opens or makes the folder and clears what an interrupted driver left in the way.
    pub(crate) fn open(root: &Path) -> Result<Self, OpenError> {
        let folder_error = |path: &Path, source| OpenError::Folder {
            path: path.to_owned(),
            source,
        };
        let root = std::path::absolute(root).map_err(|e| folder_error(root, e))?;
        for folder in ["things", "tombstones", "staging", "trash"].map(|name| root.join(name)) {
            make_folders(&folder).map_err(|e| folder_error(&folder, e))?;
        }
        let mut store = Self {
            root,
            mark: String::new(),
            gate: Mutex::new(()),
        };
        store.mark = store.prepare()?;
        Ok(store)
    }

    /// Reads or makes the mark, and sweeps. Under the lock.
    fn prepare(&self) -> Result<String, OpenError> {
        let lock = self.try_lock().map_err(|fault| {
            let path = self.root.join("lock");
            match fault {
                None => OpenError::Locked { path },
                Some(source) => OpenError::Folder { path, source },
            }
        })?;
        let path = self.root.join("root.json");
        let folder_error = |source| OpenError::Folder {
            path: path.clone(),
            source,
        };
        let root = match read_bounded(&path).map_err(folder_error)? {
            Some(bytes) => unseal::<Root>(&bytes).map_err(|damage| OpenError::Damaged {
                path: path.clone(),
                damage: damage.to_string(),
            })?,
            None => {
                let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(folder_error)?;
                let root = Root {
                    mark: uuid.trim().to_owned(),
                };
                write_atomic(&path, &seal(&root)).map_err(folder_error)?;
                root
            }
        };
        self.sweep(&lock);
        Ok(root.mark)
    }

    /// Finishes interrupted deletions and forgets old tombstones. What cannot be removed now is tried again at the
    /// next opening; nothing depends on it.
    fn sweep(&self, _lock: &Lock<'_>) {
        for room in ["staging", "trash"] {
            for entry in entries(&self.root.join(room)).unwrap_or_default() {
                drop(fs::remove_dir_all(entry));
            }
        }
        for path in entries(&self.root.join("tombstones")).unwrap_or_default() {
            if path.extension().is_none_or(|extension| extension != "json") {
                drop(fs::remove_file(path)); // half-written when its writer died
                continue;
            }
            let read = read_bounded(&path).ok().flatten();
            let Some(tombstone) = read.and_then(|bytes| unseal::<Tombstone>(&bytes).ok()) else {
                continue;
            };
            let thing = path.file_stem().map(|id| self.root.join("things").join(id));
            if let Some(thing) = thing.filter(|thing| thing.exists()) {
                drop(self.discard(&thing));
            }
            if now().saturating_since(tombstone.deleted_at) > TOMBSTONE_KEPT {
                drop(fs::remove_file(path));
            }
        }
    }

    /// The mark of this folder's processes.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// Waits for the lock. Blocks the thread.
    pub(crate) fn lock(&self) -> Result<Lock<'_>, Fault> {
        self.try_lock().map_err(|fault| match fault {
            None => Fault::from(Cause::Timeout { after: LOCK_WAIT_MAX }),
            Some(source) => Fault::file("lock", &self.root.join("lock"), source),
        })
    }

    /// The lock, or `None` when somebody else kept it for too long, or what the system said.
    fn try_lock(&self) -> Result<Lock<'_>, Option<io::Error>> {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.root.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(Some)?;
        let deadline = Instant::now() + LOCK_WAIT_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    return Ok(Lock {
                        _file: file,
                        _gate: gate,
                    });
                }
                Err(TryLockError::Error(e)) => return Err(Some(e)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Err(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            }
        }
    }

    /// Folder of a thing.
    pub(crate) fn folder(&self, id: &ResourceId) -> PathBuf {
        self.root.join("things").join(file_name(id))
    }

    /// Log of a replica.
    pub(crate) fn log(&self, id: &ResourceId) -> PathBuf {
        self.folder(id).join("output.log")
    }

    /// Working directory of a replica.
    pub(crate) fn work(&self, id: &ResourceId) -> PathBuf {
        self.folder(id).join("work")
    }

    /// Ids of all things, sorted.
    pub(crate) fn ids(&self) -> Result<Vec<ResourceId>, Fault> {
        let things = self.root.join("things");
        let paths = entries(&things).map_err(|e| Fault::file("read", &things, e))?;
        let name = |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
        let mut ids = Vec::with_capacity(paths.len());
        for path in paths {
            let id = name(&path).and_then(|name| ResourceId::new(name).ok());
            ids.push(id.ok_or_else(|| Fault::unexpected(format!("`{}` is not a thing's folder", path.display())))?);
        }
        ids.sort();
        Ok(ids)
    }

    /// The record of a thing; `None` when it is not there.
    pub(crate) fn record(&self, id: &ResourceId) -> Result<Option<Record>, Fault> {
        let folder = self.folder(id);
        let path = folder.join("record.json");
        match self.read::<Record>(&path)? {
            Some(record) if record.id == *id => Ok(Some(record)),
            Some(record) => Err(damaged(&path, Damage::Misplaced { found: record.id })),
            // A folder appears and disappears with its record in it: one without has lost it.
            None if folder.exists() => match self.read::<Record>(&path)? {
                Some(record) => Ok(Some(record)),
                None if folder.exists() => Err(damaged(&path, Damage::Missing)),
                None => Ok(None),
            },
            None => Ok(None),
        }
    }

    /// All records that can be read; damaged ones are left out.
    pub(crate) fn readable(&self) -> Result<Vec<Record>, Fault> {
        let read = |id: &ResourceId| self.record(id).ok().flatten();
        Ok(self.ids()?.iter().filter_map(read).collect())
    }

    /// Makes the folder of a new thing appear with its record, working directory and empty log in it, or not at all.
    pub(crate) fn add(&self, _lock: &Lock<'_>, record: &Record) -> Result<(), Fault> {
        let staged = self.root.join("staging").join(file_name(&record.id));
        let made = self.stage(&staged, record).and_then(|()| {
            let folder = self.folder(&record.id);
            fs::rename(&staged, &folder).map_err(|e| Fault::file("rename", &staged, e))?;
            sync_parent(&folder).map_err(|e| Fault::file("sync the parent of", &folder, e))
        });
        if made.is_err() {
            drop(fs::remove_dir_all(&staged));
            drop(self.discard(&self.folder(&record.id)));
        }
        made
    }

    fn stage(&self, staged: &Path, record: &Record) -> Result<(), Fault> {
        drop(fs::remove_dir_all(staged)); // left by an interrupted creation, if by anything
        make_folders(&staged.join("work")).map_err(|e| Fault::file("make", staged, e))?;
        let path = staged.join("record.json");
        write_atomic(&path, &seal(record)).map_err(|e| Fault::file("write", &path, e))
    }

    /// Replaces a thing's record.
    pub(crate) fn replace(&self, _lock: &Lock<'_>, record: &Record) -> Result<(), Fault> {
        let path = self.folder(&record.id).join("record.json");
        write_atomic(&path, &seal(record)).map_err(|e| Fault::file("write", &path, e))
    }

    /// Removes a thing and remembers its token.
    pub(crate) fn bury(&self, lock: &Lock<'_>, id: &ResourceId, record: Option<&Record>) -> Result<(), Fault> {
        let tombstone = Tombstone {
            token: record.map(|r| r.token.clone()),
            deleted_at: now(),
        };
        let path = self.tombstone_path(id);
        write_atomic(&path, &seal(&tombstone)).map_err(|e| Fault::file("write", &path, e))?;
        self.remove(lock, id)
    }

    /// Removes a thing as if it had never been.
    pub(crate) fn remove(&self, _lock: &Lock<'_>, id: &ResourceId) -> Result<(), Fault> {
        let folder = self.folder(id);
        self.discard(&folder).map_err(|e| Fault::file("remove", &folder, e))
    }

    /// Whether a thing with this id was deleted. A damaged tombstone still says so: its name is enough.
    pub(crate) fn is_buried(&self, id: &ResourceId) -> bool {
        self.tombstone_path(id).exists()
    }

    /// How the last run of a replica ended, if it was written down. A damaged note counts as none.
    pub(crate) fn exit(&self, id: &ResourceId) -> Option<Exit> {
        let path = self.folder(id).join("exit.json");
        self.read::<Exit>(&path).ok().flatten()
    }

    /// Notes how a run ended. Needs no lock: one run has one waiter, and a later run has a higher number.
    pub(crate) fn note_exit(&self, id: &ResourceId, exit: Exit) -> io::Result<()> {
        write_atomic(&self.folder(id).join("exit.json"), &seal(&exit))
    }

    /// Refuses a call of an earlier controller than one already seen; remembers a later one.
    pub(crate) fn admit(&self, _lock: &Lock<'_>, owner: &OwnerTag, ours: Epoch) -> Result<(), Fault> {
        let path = self.root.join("epochs.json");
        let mut epochs = self.read::<Epochs>(&path)?.unwrap_or_default();
        let seen = epochs.0.get(owner).copied();
        match seen {
            Some(seen) if seen > ours => Err(Fault::from(Cause::StaleEpoch {
                seen: seen.0,
                ours: ours.0,
            })),
            Some(seen) if seen == ours => Ok(()),
            _ => {
                epochs.0.insert(owner.clone(), ours);
                write_atomic(&path, &seal(&epochs)).map_err(|e| Fault::file("write", &path, e))
            }
        }
    }

    /// As [`Store::admit`] for a thing whose owner cannot be read: refused when any owner's latest epoch is later.
    pub(crate) fn admit_any(&self, _lock: &Lock<'_>, ours: Epoch) -> Result<(), Fault> {
        let epochs = self.read::<Epochs>(&self.root.join("epochs.json"))?.unwrap_or_default();
        match epochs.0.values().max() {
            Some(seen) if *seen > ours => Err(Fault::from(Cause::StaleEpoch {
                seen: seen.0,
                ours: ours.0,
            })),
            _ => Ok(()),
        }
    }

    fn tombstone_path(&self, id: &ResourceId) -> PathBuf {
        self.root.join("tombstones").join(format!("{}.json", file_name(id)))
    }

    fn read<T: Serialize + DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Fault> {
        let bytes = read_bounded(path).map_err(|e| Fault::file("read", path, e))?;
        bytes
            .map(|b| unseal(&b).map_err(|damage| damaged(path, damage)))
            .transpose()
    }

    /// Takes a folder out of sight in one step, then removes it; the second step may be repeated at any time.
    fn discard(&self, folder: &Path) -> io::Result<()> {
        let Some(name) = folder.file_name() else {
            return Ok(());
        };
        let trash = self.root.join("trash").join(name);
        drop(fs::remove_dir_all(&trash));
        match fs::rename(folder, &trash) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        }
        sync_parent(folder)?;
        drop(fs::remove_dir_all(&trash)); // out of sight already; swept at the next opening at the latest
        Ok(())
    }
}

fn damaged(path: &Path, damage: Damage) -> Fault {
    Fault::unexpected(format!("`{}` is {damage}", path.display())).with_source(damage)
}

/// Ids come from outside as well; none may lead out of the folder.
fn file_name(id: &ResourceId) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    id.as_str().chars().map(safe).collect()
}

/// The system's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.saturating_add(since)
}

fn make_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect()
}

/// `None` when the file is not there.
fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Replaces a file: after a crash at any point it holds either the old bytes or the new ones.
fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let unique = format!("tmp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let temporary = path.with_extension(unique);
    let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written.and_then(|()| sync_parent(path))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
