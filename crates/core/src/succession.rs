//! What a manifest says about things that are there already: services under a new name, and things to take over.
//!
//! Both are claims on what runs: carrying them out changes names and owner tags, not programs. What is there, and
//! whether it fits, is not known here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CloudId, Location, OwnerTag, ReplicaId, ResourceId, ServiceName};

/// Replicas of one service: all of them, or those from one number to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaRange {
    /// The service.
    pub service: ServiceName,
    /// First and last number, both included; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<(u32, u32)>,
}

impl ReplicaRange {
    /// All replicas of a service.
    #[must_use]
    pub const fn all(service: ServiceName) -> Self {
        Self { service, numbers: None }
    }

    /// First and last number, whatever the service's size.
    #[must_use]
    pub fn bounds(&self) -> (u32, u32) {
        self.numbers.unwrap_or((0, u32::MAX))
    }

    /// Whether a replica is one of them.
    #[must_use]
    pub fn contains(&self, replica: &ReplicaId) -> bool {
        let (first, last) = self.bounds();
        *replica.service() == self.service && (first..=last).contains(&replica.index())
    }

    /// Whether some replica is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let ((first, last), (other_first, other_last)) = (self.bounds(), other.bounds());
        self.service == other.service && first <= other_last && other_first <= last
    }
}

impl fmt::Display for ReplicaRange {
    /// As in a manifest: `web`, `web/3`, `web/2-4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.numbers {
            None => write!(f, "{}", self.service),
            Some((first, last)) if first == last => write!(f, "{}/{first}", self.service),
            Some((first, last)) => write!(f, "{}/{first}-{last}", self.service),
        }
    }
}

/// Replicas that have another name now. What runs under the old name is kept under the new one where its
/// specification allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Their old name.
    pub from: ReplicaRange,
    /// Their new name: as many numbers as `from` has.
    pub to: ReplicaRange,
    /// Where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
}

impl Moved {
    /// The new name of a replica; `None`: it is not concerned.
    #[must_use]
    pub fn rename(&self, replica: &ReplicaId) -> Option<ReplicaId> {
        if !self.from.contains(replica) {
            return None;
        }
        let offset = replica.index() - self.from.bounds().0;
        let index = self.to.bounds().0.checked_add(offset)?;
        Some(ReplicaId::new(self.to.service.clone(), index))
    }
}

/// A thing at a provider that is to become a replica of this deployment, together with the machine that carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// What it becomes.
    pub replica: ReplicaId,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// Which cloud has it; `None`: every registered driver is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudId>,
    /// Whose it may be. Without it only what carries no owner tag is taken: nobody loses a thing by a mistyped id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_from: Option<OwnerTag>,
    /// Where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Location>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(service: &str, numbers: Option<(u32, u32)>) -> ReplicaRange {
        let service = service.parse().unwrap();
        ReplicaRange { service, numbers }
    }

    #[test]
    fn a_move_keeps_the_order_of_numbers() {
        let moved = Moved {
            from: range("web", Some((2, 4))),
            to: range("front", Some((0, 2))),
            at: None,
        };
        let renamed = |text: &str| moved.rename(&text.parse().unwrap()).map(|id| id.to_string());
        assert_eq!(renamed("web/2").as_deref(), Some("front/0"));
        assert_eq!(renamed("web/4").as_deref(), Some("front/2"));
        assert_eq!(
            (renamed("web/1"), renamed("web/5"), renamed("front/2")),
            (None, None, None)
        );
        assert_eq!(moved.from.to_string(), "web/2-4");
        assert!(range("web", None).overlaps(&moved.from) && !moved.to.overlaps(&moved.from));
    }
}
