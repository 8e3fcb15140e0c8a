//! A disk that fills up at every step of a creation in turn. Needs a small file system of its own, which a user
//! namespace gives; where that is not allowed the test says so and is skipped.

use std::path::Path;
use std::process::Command;

use skyloom_core::Class;
use skyloom_provider::{Driver as _, DriverError, Resource};

use crate::support::{EPOCH, STOP, command, machine_request, open, owner, processes, replica_request};

const FOLDER_VARIABLE: &str = "SKYLOOM_TEST_SMALL_DISK";
const PAGE_BYTES: usize = 4096;

/// Not a test by itself: runs inside the namespace, on a file system of 256 KiB.
#[tokio::test]
async fn inside_the_small_disk() {
    let Ok(folder) = std::env::var(FOLDER_VARIABLE) else {
        return;
    };
    let folder = Path::new(&folder);
    let root = folder.join("root");
    let driver = open(&root);
    let machine = driver.create(&machine_request()).await.unwrap();
    let mut refused = 0;
    for pages in 0..40 {
        fill_but(&folder.join("filler"), pages);
        let request = replica_request(&machine, &format!("t{pages}"), command(&["sleep", "1000"]));
        match driver.create(&request).await {
            Ok(made) => {
                std::fs::remove_file(folder.join("filler")).unwrap();
                driver.delete(&made.id, STOP, EPOCH).await.unwrap();
                assert!(refused >= 3, "it failed at only {refused} steps");
                println!("refused at {refused} steps");
                return;
            }
            Err(error) => {
                refused += 1;
                check_nothing_left(&root, &driver.list(&owner()).await.unwrap(), &machine, &error);
            }
        }
    }
    panic!("never enough room");
}

/// Fills the disk but for this many pages.
fn fill_but(filler: &Path, pages: usize) {
    let _ = std::fs::remove_file(filler);
    let mut written = 0;
    while std::fs::write(filler, vec![0; written + PAGE_BYTES]).is_ok() {
        written += PAGE_BYTES;
    }
    std::fs::write(filler, vec![0; written.saturating_sub(pages * PAGE_BYTES)]).unwrap();
}

fn check_nothing_left(root: &Path, listed: &[Resource], machine: &Resource, error: &DriverError) {
    assert_eq!(error.class(), Class::Exhausted, "{error}");
    assert_eq!(error.cause.to_string(), "the system has no more disk space");
    assert_eq!(listed, std::slice::from_ref(machine), "after {error}");
    assert!(processes(root, None).is_empty(), "after {error}");
    for room in ["staging", "trash"] {
        assert_eq!(std::fs::read_dir(root.join(room)).unwrap().count(), 0, "after {error}");
    }
}

#[test]
fn a_full_disk_is_a_typed_error_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=256k skyloom "$1" || exit 99; shift; exec "$@""#;
    let mut inside = Command::new("unshare");
    inside
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(folder.path());
    inside.arg(std::env::current_exe().unwrap());
    inside.args(["--exact", "full_disk::inside_the_small_disk", "--nocapture"]);
    let output = inside.env(FOLDER_VARIABLE, folder.path()).output();
    let Some(output) = output
        .ok()
        .filter(|o| o.status.code() != Some(99) && !o.stdout.is_empty())
    else {
        eprintln!("skipped  a_full_disk_is_a_typed_error_at_every_step: no user namespace with a mount here");
        return;
    };
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("refused at"), "{told}");
}
