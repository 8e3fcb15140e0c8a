//! Secrets of 32 random bytes that a control plane makes once and then keeps.
//!
//! They are written beside their place and take their name only when they are durable: a disk that is full leaves no
//! half of one, which would keep the control plane from starting ever after.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::StoreError;
use super::atomic::{beside, folder_of, read_if_there, sync_folder};

/// 32 random bytes that are made once and then stay, readable by the owner only.
///
/// # Errors
/// [`StoreError::Format`] when there is a file of another length, [`StoreError::Io`] when the system refuses; there is
/// then no new file.
pub(crate) fn seed(path: &Path) -> Result<[u8; 32], StoreError> {
    seed_by(path, |file, bytes| file.write_all(bytes))
}

fn seed_by(path: &Path, write: impl FnOnce(&mut File, &[u8]) -> io::Result<()>) -> Result<[u8; 32], StoreError> {
    if let Some(seed) = read_seed(path)? {
        return Ok(seed);
    }
    let mut bytes = [0; 32];
    let other = |error: getrandom::Error| StoreError::io("draw random bytes for", path)(io::Error::other(error));
    getrandom::fill(&mut bytes).map_err(other)?;
    let beside = beside(path);
    let published = write_new(&beside, &bytes, write).and_then(|()| publish(&beside, path));
    // The name beside is of no more use, whatever became of it.
    let _ = fs::remove_file(&beside);
    let seed = match published? {
        Published::Ours => bytes,
        Published::Theirs => read_seed(path)?.unwrap_or(bytes),
    };
    sync_folder(folder_of(path))?;
    Ok(seed)
}

fn read_seed(path: &Path) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(bytes) = read_if_there(path)? else {
        return Ok(None);
    };
    let seed = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| StoreError::Format {
        path: path.to_owned(),
        detail: format!("it has {} bytes, expected 32", bytes.len()),
    })?;
    Ok(Some(seed))
}

/// Writes a file that was not there, for the owner only, and makes it durable.
fn write_new(
    path: &Path,
    bytes: &[u8],
    write: impl FnOnce(&mut File, &[u8]) -> io::Result<()>,
) -> Result<(), StoreError> {
    // A leftover of a crash would keep its own mode.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io("remove", path)(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).map_err(StoreError::io("create", path))?;
    write(&mut file, bytes).map_err(StoreError::io("write", path))?;
    file.sync_all().map_err(StoreError::io("sync", path))
}

/// Whose bytes have the name.
enum Published {
    Ours,
    Theirs,
}

/// Gives the file at `beside` its name, replacing nothing.
fn publish(beside: &Path, path: &Path) -> Result<Published, StoreError> {
    match fs::hard_link(beside, path) {
        Ok(()) => Ok(Published::Ours),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Published::Theirs),
        // A file system without hard links. The lease keeps other controllers out, so nothing comes in between.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            ) =>
        {
            if fs::exists(path).map_err(StoreError::io("stat", path))? {
                return Ok(Published::Theirs);
            }
            fs::rename(beside, path).map_err(StoreError::io("rename", path))?;
            Ok(Published::Ours)
        }
        Err(error) => Err(StoreError::io("link", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_seed_is_made_once_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        let first = seed(&path).unwrap();
        assert_eq!(seed(&path).unwrap(), first);
        assert_ne!(seed(&folder.path().join("other")).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(folder.path().join("other")).unwrap();
        assert_eq!(names(folder.path()), ["identity"]);
    }

    #[test]
    fn a_full_disk_leaves_nothing_and_the_next_try_succeeds() {
        for fits in 0..32 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("identity");
            let refused = seed_by(&path, |file, bytes| {
                file.write_all(&bytes[..fits])?;
                Err(io::ErrorKind::StorageFull.into())
            });
            assert_eq!(refused.unwrap_err().class(), skyloom_core::Class::Exhausted);
            assert!(names(folder.path()).is_empty(), "after {fits} bytes");
            let made = seed(&path).unwrap();
            assert_eq!(seed(&path).unwrap(), made);
        }
    }

    #[test]
    fn a_leftover_is_not_taken_and_an_earlier_seed_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        fs::write(beside(&path), "half").unwrap();
        let raced = seed_by(&path, |file, bytes| {
            fs::write(&path, [7; 32])?;
            file.write_all(bytes)
        });
        assert_eq!(raced.unwrap(), [7; 32]);
        assert_eq!(names(folder.path()), ["identity"]);
        fs::write(&path, [7; 31]).unwrap();
        assert!(matches!(seed(&path), Err(StoreError::Format { .. })));
        assert_eq!(fs::read(&path).unwrap(), [7; 31]);
    }
}
