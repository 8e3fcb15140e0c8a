//! A cluster read: everything in the order of its names, and nothing in it that contradicts itself.

use std::collections::BTreeSet;

use skyloom_core::{Class, MachineId, MicroUsd, MicroUsdPerHour};
use thiserror::Error;

use super::describe::{Cluster, Node, Offer, Workload, WorkloadId};
use super::settings::{Goal, Settings, SettingsError};

/// Dimensions that a cluster may have: each is walked for every move that is weighed.
const DIMENSIONS_MAX: usize = 8;

/// Why a cluster or the settings cannot be worked with.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A number of the settings is out of range.
    #[error("read the settings")]
    Settings(#[from] SettingsError),
    /// There are no dimensions, or too many.
    #[error("count `{count}` dimensions: 1 to {DIMENSIONS_MAX} are accepted")]
    Dimensions {
        /// How many there are.
        count: usize,
    },
    /// Two dimensions have one name.
    #[error("tell two dimensions named `{name}` apart")]
    DuplicateDimension {
        /// The name.
        name: String,
    },
    /// A list of amounts does not have one number per dimension.
    #[error("read `{found}` amounts of {owner}: there are `{expected}` dimensions")]
    Amounts {
        /// Whose amounts.
        owner: String,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// Two nodes have one id.
    #[error("tell two nodes `{node}` apart")]
    DuplicateNode {
        /// The id.
        node: MachineId,
    },
    /// Two workloads have one id, or one has an empty id.
    #[error("tell two workloads `{workload}` apart")]
    DuplicateWorkload {
        /// The id.
        workload: WorkloadId,
    },
    /// A workload without a name.
    #[error("name a workload on `{node}`: its id is empty")]
    Nameless {
        /// Where it runs.
        node: MachineId,
    },
    /// Two offers have one id.
    #[error("tell two offers `{offer}` apart")]
    DuplicateOffer {
        /// The id.
        offer: String,
    },
    /// A workload names a node that is not there.
    #[error("find node `{node}`, which workload `{workload}` names as {role}")]
    UnknownNode {
        /// Whose.
        workload: WorkloadId,
        /// What it names.
        node: MachineId,
        /// As what.
        role: &'static str,
    },
    /// A spread is over a level that no node has.
    #[error("spread group `{group}` over `{level}`: no node says where it is at that level")]
    UnknownLevel {
        /// Whose spread.
        group: String,
        /// The level.
        level: String,
    },
    /// A node or an offer has nothing at all.
    #[error("use {owner}: its capacity is zero in every dimension")]
    ZeroCapacity {
        /// Which.
        owner: String,
    },
    /// Something is used of what a node has nothing of: a share of zero has no value (formula 1).
    #[error("use `{dimension}` on node `{node}`, which has none")]
    NotThere {
        /// Which node.
        node: MachineId,
        /// Of what.
        dimension: String,
    },
    /// Rules that nothing can keep.
    #[error("keep the rules of {owner}: {reason}")]
    Contradiction {
        /// Whose rules.
        owner: String,
        /// Why they cannot be kept.
        reason: &'static str,
    },
    /// A slow-down is not a number from 0 to 1.
    #[error("accept `{value}` as the slow-down of workload `{workload}`: it must be 0 to 1")]
    Slowed {
        /// Whose.
        workload: WorkloadId,
        /// What was given.
        value: f64,
    },
    /// A price or cost is below zero.
    #[error("accept a negative {what} of {owner}")]
    Negative {
        /// Whose.
        owner: String,
        /// What.
        what: &'static str,
    },
    /// A sum cannot be held.
    #[error("hold the sum of all {what}: it is beyond 64 bits")]
    Overflow {
        /// Of what.
        what: String,
    },
}

impl ClusterError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::DuplicateNode { .. } | Self::DuplicateWorkload { .. } | Self::DuplicateOffer { .. } => {
                Class::Conflict
            }
            Self::UnknownNode { .. } | Self::UnknownLevel { .. } => Class::NotFound,
            _ => Class::Invalid,
        }
    }
}

/// A cluster in the order of its names.
#[derive(Debug)]
pub(crate) struct Index<'a> {
    pub(crate) cluster: &'a Cluster,
    /// By id.
    pub(crate) nodes: Vec<&'a Node>,
    /// By id.
    pub(crate) workloads: Vec<&'a Workload>,
    /// Node of each workload.
    pub(crate) at: Vec<usize>,
}

impl<'a> Index<'a> {
    /// Reads and checks a cluster.
    pub(crate) fn new(cluster: &'a Cluster) -> Result<Self, ClusterError> {
        dimensions(cluster)?;
        let mut nodes: Vec<&Node> = cluster.nodes.iter().collect();
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(pair) = nodes.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(ClusterError::DuplicateNode {
                node: pair[0].id.clone(),
            });
        }
        let mut workloads: Vec<&Workload> = cluster.workloads.iter().collect();
        workloads.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(pair) = workloads.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(ClusterError::DuplicateWorkload {
                workload: pair[0].id.clone(),
            });
        }
        nodes.iter().try_for_each(|node| check_node(cluster, node))?;
        let mut at = Vec::with_capacity(workloads.len());
        for workload in &workloads {
            at.push(check_workload(cluster, &nodes, workload)?);
        }
        let index = Self {
            cluster,
            nodes,
            workloads,
            at,
        };
        index.check_sums()?;
        index.check_spread()?;
        Ok(index)
    }

    pub(crate) fn dims(&self) -> usize {
        self.cluster.dimensions.len()
    }

    /// Number of the node of that id.
    pub(crate) fn node(&self, id: &MachineId) -> Option<usize> {
        find(&self.nodes, id)
    }

    /// No sum over all workloads, nor over all prices, can overflow later.
    fn check_sums(&self) -> Result<(), ClusterError> {
        for (d, dimension) in self.cluster.dimensions.iter().enumerate() {
            let requested = total(self.workloads.iter().map(|w| w.request[d]));
            let other = self.nodes.iter().map(|n| n.other_use.get(d).copied().unwrap_or(0));
            let in_use = total(self.workloads.iter().map(|w| used(w)[d]).chain(other));
            if requested.is_none() || in_use.is_none() {
                return Err(ClusterError::Overflow {
                    what: dimension.name.clone(),
                });
            }
            let dry = self.nodes.iter().zip(0..).filter(|(n, _)| n.capacity[d] == 0);
            let dry: BTreeSet<usize> = dry.map(|(_, i)| i).collect();
            let misplaced = self
                .workloads
                .iter()
                .zip(&self.at)
                .find(|(w, n)| used(w)[d] > 0 && dry.contains(n));
            if let Some((_, node)) = misplaced {
                return Err(ClusterError::NotThere {
                    node: self.nodes[*node].id.clone(),
                    dimension: dimension.name.clone(),
                });
            }
        }
        let prices = MicroUsdPerHour::checked_sum(self.nodes.iter().map(|n| n.price));
        prices.map(|_| ()).ok_or_else(|| ClusterError::Overflow {
            what: "prices".to_owned(),
        })
    }

    fn check_spread(&self) -> Result<(), ClusterError> {
        for rule in &self.cluster.spread {
            if rule.max_skew == 0 {
                return Err(ClusterError::Contradiction {
                    owner: format!("the spread of group `{}`", rule.group),
                    reason: "a skew of 0 forbids every move; 1 is the least",
                });
            }
            let known = rule.over == NODE_LEVEL || self.nodes.iter().any(|n| n.domains.contains_key(&rule.over));
            if !known {
                return Err(ClusterError::UnknownLevel {
                    group: rule.group.clone(),
                    level: rule.over.clone(),
                });
            }
        }
        Ok(())
    }
}

/// The level at which every node is a domain of its own.
pub(crate) const NODE_LEVEL: &str = "node";

/// What a workload uses: measured, else what it requests.
pub(crate) fn used(workload: &Workload) -> &[u64] {
    workload.used.as_deref().unwrap_or(&workload.request)
}

/// Checks settings together with the cluster they are for.
pub(crate) fn check_settings(cluster: &Cluster, settings: &Settings) -> Result<(), ClusterError> {
    settings.check()?;
    if let Goal::Consolidate { offers } = &settings.goal {
        let mut ids = BTreeSet::new();
        for offer in offers {
            check_offer(cluster, offer)?;
            if !ids.insert(&offer.id) {
                return Err(ClusterError::DuplicateOffer {
                    offer: offer.id.clone(),
                });
            }
        }
    }
    Ok(())
}

fn find(nodes: &[&Node], id: &MachineId) -> Option<usize> {
    nodes.binary_search_by(|n| n.id.cmp(id)).ok()
}

fn total(mut amounts: impl Iterator<Item = u64>) -> Option<u64> {
    amounts.try_fold(0u64, u64::checked_add)
}

fn dimensions(cluster: &Cluster) -> Result<(), ClusterError> {
    let count = cluster.dimensions.len();
    if !(1..=DIMENSIONS_MAX).contains(&count) {
        return Err(ClusterError::Dimensions { count });
    }
    let mut names = BTreeSet::new();
    let twice = cluster.dimensions.iter().find(|d| !names.insert(&d.name));
    twice.map_or(Ok(()), |d| {
        Err(ClusterError::DuplicateDimension { name: d.name.clone() })
    })
}

fn amounts(cluster: &Cluster, list: &[u64], owner: impl Fn() -> String) -> Result<(), ClusterError> {
    let expected = cluster.dimensions.len();
    if list.len() == expected {
        return Ok(());
    }
    Err(ClusterError::Amounts {
        owner: owner(),
        found: list.len(),
        expected,
    })
}

fn not_negative(amount: i64, what: &'static str, owner: impl Fn() -> String) -> Result<(), ClusterError> {
    if amount >= 0 {
        return Ok(());
    }
    Err(ClusterError::Negative { owner: owner(), what })
}

fn check_node(cluster: &Cluster, node: &Node) -> Result<(), ClusterError> {
    let owner = || format!("node `{}`", node.id);
    amounts(cluster, &node.capacity, owner)?;
    if !node.other_use.is_empty() {
        amounts(cluster, &node.other_use, owner)?;
    }
    if node.capacity.iter().all(|c| *c == 0) {
        return Err(ClusterError::ZeroCapacity { owner: owner() });
    }
    let dry = node
        .capacity
        .iter()
        .zip(&node.other_use)
        .position(|(has, uses)| *has == 0 && *uses > 0);
    if let Some(d) = dry {
        return Err(ClusterError::NotThere {
            node: node.id.clone(),
            dimension: cluster.dimensions[d].name.clone(),
        });
    }
    not_negative(node.price.as_micros(), "price", owner)?;
    not_negative(node.drain_cost.as_micros(), "cost of draining", owner)
}

fn check_offer(cluster: &Cluster, offer: &Offer) -> Result<(), ClusterError> {
    let owner = || format!("offer `{}`", offer.id);
    amounts(cluster, &offer.capacity, owner)?;
    if offer.capacity.iter().all(|c| *c == 0) {
        return Err(ClusterError::ZeroCapacity { owner: owner() });
    }
    not_negative(offer.price.as_micros(), "price", owner)
}

/// Checks a workload and gives the number of its node.
fn check_workload(cluster: &Cluster, nodes: &[&Node], workload: &Workload) -> Result<usize, ClusterError> {
    let owner = || format!("workload `{}`", workload.id);
    if workload.id.as_str().is_empty() {
        return Err(ClusterError::Nameless {
            node: workload.node.clone(),
        });
    }
    amounts(cluster, &workload.request, owner)?;
    amounts(cluster, used(workload), owner)?;
    let unknown = |node: &MachineId, role| ClusterError::UnknownNode {
        workload: workload.id.clone(),
        node: node.clone(),
        role,
    };
    let at = find(nodes, &workload.node).ok_or_else(|| unknown(&workload.node, "where it runs"))?;
    if let Some(allowed) = &workload.nodes {
        if allowed.is_empty() {
            return Err(ClusterError::Contradiction {
                owner: owner(),
                reason: "the list of nodes it may be on is empty",
            });
        }
        if let Some(node) = allowed.iter().find(|id| find(nodes, id).is_none()) {
            return Err(unknown(node, "one it may be on"));
        }
    }
    if let Some(value) = workload.slowed.filter(|value| !(0.0..=1.0).contains(value)) {
        return Err(ClusterError::Slowed {
            workload: workload.id.clone(),
            value,
        });
    }
    not_negative(
        workload.move_cost.unwrap_or(MicroUsd::ZERO).as_micros(),
        "cost of moving",
        owner,
    )?;
    Ok(at)
}
