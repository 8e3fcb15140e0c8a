//! Changes of the endpoints by calls that run beside each other: those that come together share one write of the file.
//!
//! As with the journal's records (group commit): whoever finds a write under way waits for it and writes then, for all who
//! have come meanwhile. A change counts when the file shows it, so a replica is in it before anything that waits for the
//! replica begins, and out of it before the replica is told to stop.

use std::io;

use skyloom_core::ResourceId;
use tokio::task::{spawn_blocking, yield_now};

use crate::endpoints::Endpoint;
use crate::shared::Shared;
use crate::store::StoreError;
use crate::telemetry;

impl Shared {
    /// Lets a healthy replica into the endpoints and their file.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the replica is then not in the list.
    pub(crate) async fn enter_endpoints(&self, resource: &ResourceId, endpoint: Endpoint) -> Result<(), StoreError> {
        let (before, version) = {
            let mut endpoints = self.endpoints();
            (endpoints.put(resource, endpoint), endpoints.version())
        };
        telemetry::endpoints_changed("entered");
        let shown = self.show_endpoints(version).await;
        shown.inspect_err(|_| self.endpoints().put_back(resource, before))
    }

    /// Takes a replica out of the endpoints and their file.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be replaced; the list is without the replica all the same, and so is the file
    /// with the next write: it is about to go.
    pub(crate) async fn leave_endpoints(&self, resource: &ResourceId) -> Result<(), StoreError> {
        let version = {
            let mut endpoints = self.endpoints();
            endpoints.take_out(resource).map(|_| endpoints.version())
        };
        match version {
            Some(version) => {
                telemetry::endpoints_changed("left");
                self.show_endpoints(version).await
            }
            None => Ok(()),
        }
    }

    /// Waits until the file shows every change up to `version`, writing it where nobody else has.
    async fn show_endpoints(&self, version: u64) -> Result<(), StoreError> {
        let _turn = self.endpoints_turn.lock().await;
        // Those that are about to come in this moment as well need no write of their own.
        yield_now().await;
        let Some(draft) = self.endpoints().draft(version) else {
            return Ok(());
        };
        match spawn_blocking(|| draft.write()).await {
            Ok(written) => {
                telemetry::endpoints_written();
                written
            }
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The executor shuts down and has not begun the write.
                Err(cancelled) => {
                    let not_begun = io::Error::new(io::ErrorKind::Interrupted, cancelled);
                    let path = self.endpoints().path().to_owned();
                    Err(StoreError::io("replace", &path)(not_begun))
                }
            },
        }
    }
}
