//! Replacing a file as a whole: readers see the old bytes or the new ones, also after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Writes `bytes` beside `path`, makes them durable, renames over `path` and makes the rename durable.
///
/// # Errors
/// [`StoreError::Io`]; the old file is then still there, and nothing is left beside it.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    replace_with(path, bytes, OpenOptions::new().write(true).create(true).truncate(true))
}

/// As [`replace_file`], readable by the owner only.
///
/// # Errors
/// As [`replace_file`].
pub(super) fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    // A leftover of a crash would keep its own mode.
    match fs::remove_file(beside(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io("remove", path)(error)),
        _ => {}
    }
    replace_with(path, bytes, OpenOptions::new().write(true).create_new(true).mode(0o600))
}

fn replace_with(path: &Path, bytes: &[u8], options: &OpenOptions) -> Result<(), StoreError> {
    let (folder, beside) = (folder_of(path), beside(path));
    let written = write_durably(&beside, bytes, options).and_then(|()| {
        fs::rename(&beside, path).map_err(StoreError::io("rename", path))?;
        sync_folder(folder)
    });
    if written.is_err() {
        // The first error is the one to tell; a leftover is overwritten by the next attempt.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// As [`replace_file`] for readers, but nothing is synced: after a crash of the machine (not of the process) the file may
/// be the old one, the new one, or damaged. For what is derived from other files.
///
/// # Errors
/// [`StoreError::Io`]; the old file is then still there, and nothing is left beside it.
pub fn swap_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let beside = beside(path);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.map_err(StoreError::io("replace", path))
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Where the new bytes of a file are written before they take its name.
pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!(".{name}.{}.new", std::process::id()))
}

fn write_durably(path: &Path, bytes: &[u8], options: &OpenOptions) -> Result<(), StoreError> {
    let mut file = options.open(path).map_err(StoreError::io("create", path))?;
    file.write_all(bytes).map_err(StoreError::io("write", path))?;
    file.sync_all().map_err(StoreError::io("sync", path))
}

/// Makes renames and new names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(StoreError::io("sync", folder))
}

/// The bytes of a file, or `None` when there is no such file.
///
/// # Errors
/// [`StoreError::Io`] for every other failure.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}
