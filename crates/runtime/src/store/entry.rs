//! What the journal of a control plane holds, and what follows from it at a start.

use serde::{Deserialize, Serialize};
use skyloom_core::{Manifest, Plan};
use skyloom_orchestrator::Record;

use super::State;

/// An entry of the control plane's journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub enum JournalEntry {
    /// The plan that the following records belong to, with the manifest that it brings into force.
    Plan {
        /// The plan.
        plan: Box<Plan>,
        /// The manifest; `None` when the deployment is taken down.
        manifest: Option<Box<Manifest>>,
    },
    /// A record of the saga.
    Saga {
        /// The record.
        record: Record,
    },
}

/// A plan that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// The plan.
    pub plan: Plan,
    /// What it brings into force; `None`: it takes everything down.
    pub manifest: Option<Manifest>,
    /// What the saga has recorded.
    pub records: Vec<Record>,
}

impl Interrupted {
    /// What the journal holds; `None` for an empty one, and for one whose plan the state already counts as finished
    /// (a crash between replacing the state and emptying the journal).
    #[must_use]
    pub fn from_entries(entries: Vec<JournalEntry>, state: &State) -> Option<Self> {
        let mut found: Option<Self> = None;
        for entry in entries {
            match (entry, &mut found) {
                (JournalEntry::Plan { plan, manifest }, _) => {
                    let manifest = manifest.map(|manifest| *manifest);
                    found = Some(Self {
                        plan: *plan,
                        manifest,
                        records: Vec::new(),
                    });
                }
                (JournalEntry::Saga { record }, Some(interrupted)) => interrupted.records.push(record),
                (JournalEntry::Saga { .. }, None) => {}
            }
        }
        found.filter(|interrupted| state.last_plan != Some(interrupted.plan.id()))
    }
}
