//! A disk that fills up at every step of a creation in turn. Needs a small file system of its own, which a user
//! namespace gives; where that is not allowed the test says so and is skipped.

use std::path::Path;
use std::process::Command;

use skyloom_core::Class;
use skyloom_provider::{Driver as _, DriverError, Resource};

use crate::support::{EPOCH, STOP, command, machine_request, open, owner, processes, replica_request};

const FOLDER_VARIABLE: &str = "SKYLOOM_TEST_SMALL_DISK";
const PAGE_BYTES: usize = 4096;

/// What runs out.
#[derive(Debug, Clone, Copy)]
enum Scarce {
    /// Room for content. A creation needs it for its intent and, after the start, for its completion.
    Pages,
    /// Room for names: two folders, the record, the log, and the record's replacement.
    Files,
}

/// Not a test by itself: runs inside the namespace, on a file system of 256 KiB and 100 files.
#[tokio::test]
async fn inside_the_small_disk() {
    let Ok(folder) = std::env::var(FOLDER_VARIABLE) else {
        return;
    };
    let folder = Path::new(&folder);
    let (root, filler) = (folder.join("root"), folder.join("filler"));
    let driver = open(&root);
    let machine = driver.create(&machine_request()).await.unwrap();
    for (scarce, steps) in [(Scarce::Pages, 2), (Scarce::Files, 5)] {
        for room in 0..=steps {
            fill_but(&filler, scarce, room);
            let request = replica_request(&machine, &format!("{scarce:?}{room}"), command(&["sleep", "1000"]));
            let answer = driver.create(&request).await;
            std::fs::remove_dir_all(&filler).unwrap();
            match answer {
                Ok(made) => {
                    assert_eq!(room, steps, "{scarce:?}: it does not fail where it should");
                    driver.delete(&made.id, STOP, EPOCH).await.unwrap();
                }
                Err(error) => {
                    assert!(room < steps, "{scarce:?}: {error} with room for {room}");
                    check_nothing_left(&root, &driver.list(&owner()).await.unwrap(), &machine, &error);
                }
            }
        }
    }
    println!("refused at each step");
}

/// Fills the disk but for this many pages or files.
fn fill_but(filler: &Path, scarce: Scarce, room: usize) {
    std::fs::create_dir(filler).unwrap();
    let content: &[u8] = match scarce {
        Scarce::Pages => &[0; PAGE_BYTES],
        Scarce::Files => &[],
    };
    let name = |index: usize| filler.join(index.to_string());
    let full = (0..)
        .find(|index| std::fs::write(name(*index), content).is_err())
        .unwrap();
    let _ = std::fs::remove_file(name(full)); // there, but empty, when pages ran out
    (full - room..full).for_each(|index| std::fs::remove_file(name(index)).unwrap());
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
    let script = r#"mount -t tmpfs -o size=256k,nr_inodes=100 skyloom "$1" || exit 99; shift; exec "$@""#;
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
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.contains("refused at each step"),
        "{told}{errors}"
    );
}
