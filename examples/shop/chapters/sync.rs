//! The data set is copied to a second store and verified; one file changes; only the change moves.

use std::fs;
use std::path::Path;

use skyloom::core::{DataName, SyncMode, Timestamp};
use skyloom::runtime::{CopyOutcome, SyncOutcome};
use skyloom::sync::{BaseFile, LocalDisk, SyncConfig, sync, verify};
use skyloom::{Principal, Skyloom};

use crate::Failure;
use crate::chapters::rehearse::ORDERS;
use crate::report::Sync;

/// Copies, changes one file, copies again.
pub(crate) async fn copy_change_copy(sky: &Skyloom, data: &DataName, me: &Principal) -> Result<Sync, Failure> {
    let place = sky.data_location(data).ok_or("find the data set's primary copy")?;
    ensure_files(Path::new(&place))?;
    let first = sky.sync(data, me).await?;
    let changed = change_one(Path::new(&place))?;
    let second = sky.sync(data, me).await?;
    let bytes_second = sum(&second, |copy| copy.report.bytes_moved);
    let expected = changed * second.copies.len() as u64;
    if bytes_second != expected {
        return Err(format!("move only the change: {expected} bytes were to move, {bytes_second} moved").into());
    }
    Ok(Sync {
        data: data.to_string(),
        objects: sum(&first, |copy| copy.report.copied),
        bytes_first: sum(&first, |copy| copy.report.bytes_moved),
        bytes_second,
        objects_second: sum(&second, |copy| copy.report.copied),
        verified: verified(&first) && verified(&second),
    })
}

/// The same with files and stores of our own, for a manifest without a data set that has two copies: the engine is
/// called directly, as a program may that wants nothing else of skyloom.
pub(crate) async fn copy_change_copy_of_own(name: &DataName) -> Result<Sync, Failure> {
    let name = name.to_string();
    // A store on the local disk blocks, so this runs on a thread that may.
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(own_files(name))).await?
}

async fn own_files(name: String) -> Result<Sync, Failure> {
    let folder = tempfile::tempdir()?;
    let (left_folder, right_folder) = (folder.path().join("left"), folder.path().join("right"));
    fs::create_dir(&left_folder)?;
    fs::create_dir(&right_folder)?;
    ensure_files(&left_folder)?;
    let (left, right) = (LocalDisk::open(&left_folder)?, LocalDisk::open(&right_folder)?);
    let base = BaseFile::new(folder.path().join("base.json"));
    let config = SyncConfig::new(SyncMode::Mirror);
    let first = sync(&left, &right, &base, &config, Timestamp::EPOCH).await?;
    change_one(&left_folder)?;
    let second = sync(&left, &right, &base, &config, Timestamp::EPOCH).await?;
    let equal = verify(&left, &right, &config).await?.is_equal();
    Ok(Sync {
        data: name,
        objects: first.copied,
        bytes_first: first.bytes_moved,
        bytes_second: second.bytes_moved,
        objects_second: second.copied,
        verified: first.is_complete() && second.is_complete() && equal,
    })
}

/// What the copies of one synchronisation come to together.
fn sum(outcome: &SyncOutcome, of: impl Fn(&CopyOutcome) -> u64) -> u64 {
    outcome.copies.iter().map(of).sum()
}

fn verified(outcome: &SyncOutcome) -> bool {
    !outcome.copies.is_empty() && outcome.copies.iter().all(CopyOutcome::is_verified)
}

/// A manifest whose services keep no orders gets some files, so that there is something to copy.
fn ensure_files(folder: &Path) -> Result<(), Failure> {
    if visible_files(folder)?.is_empty() {
        for number in 0..ORDERS {
            fs::write(
                folder.join(format!("{number:05}.json")),
                format!("{{\"order\": {number}}}\n"),
            )?;
        }
    }
    Ok(())
}

/// Appends to the first file; gives its new size.
fn change_one(folder: &Path) -> Result<u64, Failure> {
    let files = visible_files(folder)?;
    let first = files.first().ok_or("find a file to change")?;
    let mut text = fs::read(first)?;
    text.extend_from_slice(b"{\"changed\": true}\n");
    fs::write(first, &text)?;
    Ok(text.len() as u64)
}

fn visible_files(folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && !entry.file_name().to_string_lossy().starts_with('.') {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
