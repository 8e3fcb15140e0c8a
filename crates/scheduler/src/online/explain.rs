//! Why a class gets the node it gets, or none: the best two, and for every kind of node the filters that refuse.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::MachineId;

use super::filter::{Filter, first_lack};
use super::placer::{ClassId, Placer};
use super::{Fitting, OnlineError};

/// Refusals by nodes that differ in nothing but their id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refusals {
    /// The first node of the kind.
    pub like: MachineId,
    /// How many nodes there are of the kind.
    pub nodes: u32,
    /// How many of them refuse, by the first filter that does, in the order in which filters are asked.
    pub by: Vec<(Filter, u32)>,
}

/// See [`Placer::explain`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WhyHere {
    /// What the next pod of the class would get.
    pub best: Option<Fitting>,
    /// What it would get otherwise.
    pub runner_up: Option<Fitting>,
    /// Nodes on which it fits.
    pub fitting: usize,
    /// Kinds of nodes of which at least one refuses, in the order of their first node.
    pub refusals: Vec<Refusals>,
}

impl WhyHere {
    /// Nodes that refuse, by the first filter that does, over all kinds.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<Filter, u32> {
        let mut totals = BTreeMap::new();
        for (filter, count) in self.refusals.iter().flat_map(|kind| &kind.by) {
            *totals.entry(filter.clone()).or_default() += count;
        }
        totals
    }
}

impl fmt::Display for WhyHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fits {} nodes", self.fitting)?;
        for (filter, count) in self.totals() {
            write!(f, "; {filter} refuses {count}")?;
        }
        Ok(())
    }
}

impl Placer {
    /// Why the next pod of a class would be where it would be, or nowhere, as things are and without moves or evictions.
    /// Looks at every node.
    ///
    /// # Errors
    /// [`OnlineError::UnknownClass`].
    pub fn explain(&mut self, class: ClassId) -> Result<WhyHere, OnlineError> {
        let fitting = self.scan(class)?;
        let levels = self.rules.levels(&self.classes[class.0]);
        let over_quota = !self.within_quota(class.0);
        let mut counts: Vec<(u32, BTreeMap<Filter, u32>)> = vec![(0, BTreeMap::new()); self.nodes.profiles.len()];
        for node in 0..self.nodes.len() {
            let (nodes, refused) = &mut counts[self.nodes.profile(node)];
            *nodes += 1;
            let filter = if over_quota {
                Some(Filter::Quota)
            } else {
                self.first_filter(class.0, node, &levels)
            };
            if let Some(filter) = filter {
                *refused.entry(filter).or_default() += 1;
            }
        }
        let kinds = self.nodes.profiles.iter().zip(counts);
        let refusals = kinds
            .filter(|(_, (_, refused))| !refused.is_empty())
            .map(|(profile, (nodes, refused))| Refusals {
                like: self.nodes.specs[profile.first].id.clone(),
                nodes,
                by: refused.into_iter().collect(),
            });
        let allowed = if over_quota { &[][..] } else { &fitting[..] };
        Ok(WhyHere {
            best: allowed.first().copied(),
            runner_up: allowed.get(1).copied(),
            fitting: allowed.len(),
            refusals: refusals.collect(),
        })
    }

    fn first_filter(&self, class: usize, node: usize, levels: &[u32]) -> Option<Filter> {
        let class = &self.classes[class];
        let standing = class.barred[self.nodes.profile(node)].clone();
        standing
            .or_else(|| first_lack(class, self.nodes.room(node), &self.nodes.extra_names))
            .or_else(|| self.rules.first_broken(class, node, levels))
    }
}
