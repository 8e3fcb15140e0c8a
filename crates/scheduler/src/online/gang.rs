//! All or nothing: the members of a gang have a place each, or nothing has happened.

use serde::{Deserialize, Serialize};

use super::OnlineError;
use super::ledger::Entry;
use super::placer::{ClassId, Outcome, Placed, Placer};

/// What became of a gang.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GangOutcome {
    /// Each member has a place; in the order of the question.
    Placed(Vec<Placed>),
    /// This member has none beside those before it; everything is as it was.
    Refused {
        /// Rank of the member in the question.
        member: usize,
    },
}

impl Placer {
    /// Gives every member a place, in their order, or none: then moves and evictions are taken back as well. Members
    /// never push each other out.
    ///
    /// # Errors
    /// [`OnlineError::UnknownClass`]; nothing is placed then.
    pub fn place_gang(&mut self, members: &[ClassId]) -> Result<GangOutcome, OnlineError> {
        members.iter().try_for_each(|class| self.known(*class))?;
        members.iter().for_each(|class| self.arrived(class.0));
        let (placements, moved) = (self.placements, self.moved);
        self.gangs += 1;
        self.journal = Some(Vec::new());
        let mut placed: Vec<Placed> = Vec::new();
        for (rank, class) in members.iter().enumerate() {
            let outcome = self.decide(class.0, self.gangs);
            let pushed_own = |new: &Placed| placed.iter().any(|member| new.evicted.contains(&member.pod));
            match outcome {
                Outcome::Placed(new) if !pushed_own(&new) => placed.push(new),
                Outcome::Placed(_) | Outcome::Refused => {
                    self.forget(placements, moved);
                    return Ok(GangOutcome::Refused { member: rank });
                }
            }
        }
        self.settle();
        Ok(GangOutcome::Placed(placed))
    }

    /// Takes the journal back, and voids the ids it gave.
    fn forget(&mut self, placements: u64, moved: u64) {
        let slots = self.slots_of_journal(|entry| matches!(entry, Entry::Put(_)));
        self.undo(0);
        self.journal = None;
        for slot in slots {
            // Those that stand again were only moved.
            if self.pods.get(slot).is_none() && !self.pods.is_closed(slot) {
                self.pods.close(slot);
            }
        }
        (self.placements, self.moved) = (placements, moved);
    }

    /// What the journal did stands; ids of the evicted are void.
    fn settle(&mut self) {
        let slots = self.slots_of_journal(|entry| matches!(entry, Entry::Lifted(..)));
        self.journal = None;
        for slot in slots {
            if self.pods.get(slot).is_none() && !self.pods.is_closed(slot) {
                self.pods.close(slot);
            }
        }
    }

    fn slots_of_journal(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<u32> {
        let entries = self.journal.iter().flatten().filter(|entry| wanted(entry));
        let mut slots: Vec<u32> = entries
            .map(|entry| match entry {
                Entry::Put(slot) | Entry::Lifted(slot, _) => *slot,
            })
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }
}
