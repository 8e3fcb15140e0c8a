//! The suite over the directory store and over the model that the flawed stores are made from.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use skyloom_runtime::store::conformance::{Damage, Harness, Report, Subject, run};
use skyloom_runtime::store::{Ask, ControlStore, DirStore, Document, StoreError};

use super::model::{Flaw, Models};

/// A store in which nothing may fail; what was skipped is printed.
pub(crate) fn assert_conforms(report: &Report, skipped: usize) {
    println!("{report}");
    assert!(report.failures().is_empty(), "{report}");
    assert_eq!(report.skipped().len(), skipped, "{report}");
}

struct Folders;

struct Folder(tempfile::TempDir);

impl Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn edit_journal(&self, edit: impl FnOnce(Vec<String>) -> String) {
        let path = self.path("journal");
        let lines = fs::read_to_string(&path).unwrap();
        let lines = lines.split_inclusive('\n').map(str::to_owned).collect();
        fs::write(&path, edit(lines)).unwrap();
    }
}

#[async_trait]
impl Harness for Folders {
    fn name(&self) -> String {
        "directory".to_owned()
    }

    async fn fresh(&self) -> Box<dyn Subject> {
        Box::new(Folder(tempfile::tempdir().unwrap()))
    }
}

#[async_trait]
impl Subject for Folder {
    fn open(&self) -> Arc<dyn ControlStore> {
        Arc::new(DirStore::new(self.0.path()))
    }

    async fn lapse(&self) {
        fs::copy(self.path("lease"), self.path("copy")).unwrap();
        fs::rename(self.path("copy"), self.path("lease")).unwrap();
    }

    async fn damage(&self, damage: Damage) -> bool {
        let known = [
            Damage::Torn,
            Damage::Flipped,
            Damage::Swapped,
            Damage::Removed,
            Damage::Later,
        ];
        if !known.contains(&damage) {
            return false;
        }
        self.edit_journal(|mut lines| {
            match damage {
                Damage::Torn => {
                    let last = lines.last_mut().unwrap();
                    last.truncate(last.len() - 5);
                }
                Damage::Flipped => lines[5] = lines[5].replacen("tail", "tain", 1),
                Damage::Swapped => lines.swap(4, 5),
                Damage::Removed => drop(lines.remove(5)),
                _ => lines[0] = "skyloom-journal 2\n".to_owned(),
            }
            lines.concat()
        });
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_store_conforms() {
    // Its lease ends with its process, not by time: two cases.
    assert_conforms(&run(&Folders).await, 2);
}

#[tokio::test]
async fn the_model_conforms() {
    // Nobody gets behind it: five kinds of damage.
    assert_conforms(&run(&Models(Flaw::None)).await, 5);
}

#[tokio::test]
async fn a_removed_or_overwritten_lease_file_fences_its_holder() {
    let ask = Ask {
        holder: "a".to_owned(),
        ttl: std::time::Duration::from_secs(1),
    };
    for spoil in [
        |lease: PathBuf| fs::remove_file(lease).unwrap(),
        |lease: PathBuf| fs::write(lease, format!("{:020}\n", 9)).unwrap(),
        |lease: PathBuf| fs::write(lease, "scribble").unwrap(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let session = DirStore::new(folder.path()).take(&ask).await.unwrap();
        session.replace(Document::STATE, b"{}").await.unwrap();
        spoil(folder.path().join("lease"));
        let refused = session.replace(Document::STATE, b"stale").await;
        assert!(
            matches!(refused, Err(StoreError::Fenced { epoch: 1, .. })),
            "{refused:?}"
        );
        assert_eq!(fs::read(folder.path().join("state.json")).unwrap(), b"{}");
    }
}
