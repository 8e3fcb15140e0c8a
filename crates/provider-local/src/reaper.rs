//! Waits for the children of this process, so that none stays a zombie and each exit code is written down.
//!
//! One waiting task per child; it owns nothing of the driver, so that a driver may be dropped while its children live.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skyloom_core::ResourceId;
use tokio::process::Child;

use crate::record::Exit;
use crate::store::Store;

/// How a child of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Not waited for yet.
    Alive,
    /// Ended with this code; `None`: by a signal, or nobody could wait for it.
    Ended(Option<i32>),
}

/// The latest run of each replica that this process started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children(Arc<Mutex<BTreeMap<ResourceId, (u32, Status)>>>);

impl Children {
    fn map(&self) -> MutexGuard<'_, BTreeMap<ResourceId, (u32, Status)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How this run is; `None` when it is no child of ours.
    pub(crate) fn status(&self, id: &ResourceId, run: u32) -> Option<Status> {
        let map = self.map();
        map.get(id)
            .filter(|(known, _)| *known == run)
            .map(|(_, status)| *status)
    }

    /// Forgets a thing that is deleted.
    pub(crate) fn forget(&self, id: &ResourceId) {
        self.map().remove(id);
    }

    /// Begins to wait for a child. Must be called inside a tokio runtime.
    pub(crate) fn watch(&self, store: &Arc<Store>, id: &ResourceId, run: u32, mut child: Child) {
        self.map().insert(id.clone(), (run, Status::Alive));
        let ending = Ending {
            children: self.clone(),
            id: id.clone(),
            run,
            code: None,
        };
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut ending = ending; // tells the end even when this task is dropped with its runtime
            ending.code = child.wait().await.ok().and_then(|status| status.code());
            let (id, exit) = (ending.id.clone(), Exit { run, code: ending.code });
            // A thing that was deleted meanwhile has no folder any more; on a full disk the code is still in memory.
            drop(tokio::task::spawn_blocking(move || store.note_exit(&id, exit)).await);
        });
    }
}

/// Marks a run as ended when it is dropped.
struct Ending {
    children: Children,
    id: ResourceId,
    run: u32,
    code: Option<i32>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut map = self.children.map();
        if let Some((run, status)) = map.get_mut(&self.id)
            && *run == self.run
        {
            *status = Status::Ended(self.code);
        }
    }
}
