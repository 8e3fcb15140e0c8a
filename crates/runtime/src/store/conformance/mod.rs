//! The conformance suite for stores: what [`super::ControlStore`] promises, tried on any implementation.
//!
//! A [`Harness`] brings fresh stores and a way to let a lease lapse; [`run`] tries every case of [`CASES`] and returns a
//! [`Report`]. A case that a store gives no way to try is in the report with its reason. The cases know no store.
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use skyloom_runtime::store::conformance::{Harness, Subject, run};
//! use skyloom_runtime::store::{ControlStore, DirStore};
//!
//! struct Folders;
//! struct Folder(tempfile::TempDir);
//!
//! #[async_trait]
//! impl Harness for Folders {
//!     fn name(&self) -> String {
//!         "folders".to_owned()
//!     }
//!
//!     async fn fresh(&self) -> Box<dyn Subject> {
//!         Box::new(Folder(tempfile::tempdir().unwrap()))
//!     }
//! }
//!
//! #[async_trait]
//! impl Subject for Folder {
//!     fn open(&self) -> Arc<dyn ControlStore> {
//!         Arc::new(DirStore::new(self.0.path()))
//!     }
//!
//!     async fn lapse(&self) {
//!         // The lock is lost: another file has the name of the locked one.
//!         let (lease, copy) = (self.0.path().join("lease"), self.0.path().join("copy"));
//!         std::fs::copy(&lease, &copy).unwrap();
//!         std::fs::rename(&copy, &lease).unwrap();
//!     }
//! }
//!
//! let executor = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! let report = executor.block_on(run(&Folders));
//! assert!(report.failures().is_empty(), "{report}");
//! ```

mod damage;
mod handover;
mod lease;
mod report;
mod support;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::ControlStore;
pub use report::{CaseResult, Outcome, Report};
use support::Found;

/// Where fresh stores come from.
#[async_trait]
pub trait Harness: Send + Sync {
    /// What the report calls the store.
    fn name(&self) -> String;

    /// A store in which nothing ever was.
    async fn fresh(&self) -> Box<dyn Subject>;
}

/// One store under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A new handle on it, as another process would open it.
    fn open(&self) -> Arc<dyn ControlStore>;

    /// Lets the present lease lapse without its holder's doing: lets its time pass, or has its lock lost. A handle that
    /// was refused before may take the lease afterwards.
    async fn lapse(&self);

    /// Lets this much of the time of a lease pass; `false`: time is nothing to this store.
    async fn pass(&self, _time: Duration) -> bool {
        false
    }

    /// A crash of whatever keeps the bytes: what is not durable is lost.
    async fn crash(&self) {}

    /// Changes what is kept behind the store's back; `false`: the store gives no way to. No session is open then.
    async fn damage(&self, _damage: Damage) -> bool {
        false
    }
}

/// What is done to the bytes of a store. The journal holds twelve entries in three batches then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The last bytes of the journal are missing.
    Torn,
    /// A bit in the middle of the journal is another one.
    Flipped,
    /// Two entries, or two batches, of the journal have changed places.
    Swapped,
    /// A part in the middle of the journal is missing.
    Removed,
    /// The store says that it has the form of a later version.
    Later,
}

/// A case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, which says what is promised.
    pub name: &'static str,
    run: fn(&dyn Subject) -> BoxFuture<'_, Result<(), Found>>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Case({})", self.name)
    }
}

macro_rules! cases {
    ($($module:ident::$case:ident),* $(,)?) => {
        &[$(Case { name: stringify!($case), run: |subject| Box::pin($module::$case(subject)) }),*]
    };
}

/// Every case, in the order in which they are tried.
pub const CASES: &[Case] = cases![
    lease::a_fresh_store_is_empty_and_its_first_epoch_is_not_zero,
    lease::a_held_lease_is_refused_to_others,
    lease::of_many_that_race_one_wins,
    lease::of_many_that_race_for_a_lapsed_lease_one_wins,
    lease::the_epoch_only_grows,
    lease::a_released_lease_is_free_at_once_and_its_session_is_fenced,
    lease::a_renewed_lease_lasts_and_one_not_renewed_does_not,
    lease::a_lapsed_lease_that_nobody_took_can_be_renewed,
    handover::a_stale_append_is_fenced_and_has_no_effect,
    handover::a_stale_replacement_is_fenced_and_has_no_effect,
    handover::a_stale_reset_is_fenced_and_has_no_effect,
    handover::a_stale_renewal_is_fenced,
    handover::a_stale_release_frees_nothing,
    handover::what_a_new_holder_has_read_stays,
    handover::everything_acknowledged_is_handed_over,
    writes::a_document_is_replaced_as_a_whole,
    writes::a_reader_sees_one_document_or_the_other,
    writes::a_big_document_comes_back,
    writes::entries_come_back_in_order,
    writes::what_is_acknowledged_survives_a_crash,
    writes::a_reset_empties_the_journal_for_good,
    writes::writes_and_renewals_beside_each_other_all_hold,
    writes::a_dropped_write_happens_as_a_whole_or_not,
    damage::a_torn_journal_gives_its_beginning_or_an_error,
    damage::a_flipped_bit_is_seen,
    damage::swapped_entries_are_seen,
    damage::a_missing_part_is_seen,
    damage::a_later_version_is_refused_and_left_alone,
];

/// Tries every case, each on a fresh store.
pub async fn run(harness: &dyn Harness) -> Report {
    let mut report = Report::new(harness.name());
    for case in CASES {
        let subject = harness.fresh().await;
        let outcome = match (case.run)(subject.as_ref()).await {
            Ok(()) => Outcome::Passed,
            Err(Found::Broken(why)) => Outcome::Failed { why },
            Err(Found::Untried(why)) => Outcome::Skipped { why },
        };
        report.cases.push(CaseResult {
            name: case.name,
            outcome,
        });
    }
    report
}
