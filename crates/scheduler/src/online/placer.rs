//! The placer: takes pods one at a time, in batches and in gangs, gives each the best node, and lets pods go.
//!
//! This file is its face. Choosing is `choose`'s, making room is `migrate`'s and `preempt`'s, all-or-nothing is `gang`'s.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use skyloom_core::{MachineId, Resources};

use super::class::Class;
use super::index::{Changes, Tournament};
use super::learn::Learning;
use super::ledger::Entry;
use super::nodes::Nodes;
use super::pods::Pods;
use super::policy::Policy;
use super::room::Devices;
use super::rules::Rules;
use super::{Moves, NodeSpec, OnlineConfig, OnlineError, PodId, PodSpec, Quota};

/// A class of pods with one placer; see [`Placer::class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClassId(pub(super) usize);

/// A place that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Placed {
    /// The pod, for its release.
    pub pod: PodId,
    /// Number of the node, in the order of ids; see [`Placer::node`].
    pub node: usize,
    /// GPU devices of the node.
    pub devices: Devices,
    /// Pods that were moved to make room, in order.
    pub moved: Vec<Moved>,
    /// Pods of lower priority that were pushed out, in order of their ids.
    pub evicted: Vec<PodId>,
}

/// A pod that was moved; its id stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The pod.
    pub pod: PodId,
    /// Node that it was on.
    pub from: usize,
    /// Node that it is on; the same when only its devices changed.
    pub to: usize,
    /// Its devices there.
    pub devices: Devices,
}

/// What became of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It has a place.
    Placed(Placed),
    /// It has none; [`Placer::explain`] says why, as long as nothing changes.
    Refused,
}

impl Outcome {
    /// The place, if there is one.
    #[must_use]
    pub const fn placed(&self) -> Option<&Placed> {
        match self {
            Self::Placed(placed) => Some(placed),
            Self::Refused => None,
        }
    }
}

/// Where a pod is, for audits and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Standing {
    /// The pod.
    pub pod: PodId,
    /// Its class.
    pub class: ClassId,
    /// Its node.
    pub node: MachineId,
    /// Its devices.
    pub devices: Devices,
}

/// A quota and what counts against it.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) quota: Quota,
    pub(super) used: Resources,
}

/// The index of one class.
#[derive(Debug, Clone, Default)]
pub(super) struct Cached {
    pub(super) tree: Tournament,
    /// Change up to which the tree is true; `None`: it is to be built.
    pub(super) seen: Option<u64>,
    /// Change at which making room was last tried in vain.
    pub(super) stuck: Option<u64>,
}

/// Places pods online; see the [module](super) for an example.
#[derive(Debug)]
pub struct Placer {
    pub(super) nodes: Nodes,
    pub(super) policy: Box<dyn Policy>,
    pub(super) classes: Vec<Class>,
    pub(super) cached: Vec<Cached>,
    pub(super) pods: Pods,
    pub(super) rules: Rules,
    pub(super) accounts: Vec<Account>,
    pub(super) changes: Changes,
    pub(super) learning: Learning,
    pub(super) drawn: ChaCha8Rng,
    pub(super) moves: Moves,
    pub(super) carbon_weight: f64,
    pub(super) preempts: bool,
    pub(super) classes_max: usize,
    pub(super) journal: Option<Vec<Entry>>,
    pub(super) gangs: u64,
    pub(super) placements: u64,
    pub(super) moved: u64,
    /// Node at which the next search for room begins.
    pub(super) search_from: usize,
}

impl Placer {
    /// A placer over empty nodes, in any order.
    ///
    /// # Errors
    /// [`OnlineError`]: duplicate nodes or quotas, too many nodes or devices, a weight that is none, an expected pod that
    /// asks for a part of several devices.
    pub fn new(nodes: Vec<NodeSpec>, policy: Box<dyn Policy>, config: &OnlineConfig) -> Result<Self, OnlineError> {
        config.check()?;
        let nodes = Nodes::new(nodes)?;
        let mut accounts: Vec<Account> = config.quotas.iter().cloned().map(Account::new).collect();
        accounts.sort_by(|a, b| a.quota.tenant.cmp(&b.quota.tenant));
        let mut placer = Self {
            rules: Rules::new(&nodes.specs),
            changes: Changes::new(nodes.len()),
            classes: Vec::new(),
            cached: Vec::new(),
            pods: Pods::default(),
            learning: Learning::new(&config.expected, &nodes)?,
            drawn: ChaCha8Rng::seed_from_u64(config.seed),
            moves: config.moves.unwrap_or_else(|| policy.moves()),
            carbon_weight: config.carbon_weight,
            preempts: config.preempt,
            classes_max: config.classes_max,
            journal: None,
            gangs: 0,
            placements: 0,
            moved: 0,
            search_from: 0,
            accounts,
            nodes,
            policy,
        };
        placer.learn();
        Ok(placer)
    }

    /// The class of pods like this one; equal specs give equal classes.
    ///
    /// # Errors
    /// [`OnlineError::GpuNotWhole`], [`OnlineError::TooManyClasses`].
    pub fn class(&mut self, pod: &PodSpec) -> Result<ClassId, OnlineError> {
        if let Some(known) = self.classes.iter().position(|class| class.spec == *pod) {
            return Ok(ClassId(known));
        }
        if self.classes.len() >= self.classes_max {
            return Err(OnlineError::TooManyClasses {
                allowed: self.classes_max,
            });
        }
        let mut class = Class::new(pod, &self.nodes)?;
        let tenant = |account: &Account| pod.tenant.as_ref().map(|tenant| account.quota.tenant.cmp(tenant));
        class.quota = self
            .accounts
            .iter()
            .position(|account| tenant(account).is_some_and(std::cmp::Ordering::is_eq));
        self.classes.push(class);
        self.cached.push(Cached::default());
        let placed: Vec<(usize, usize)> = self.pods.iter().map(|(_, pod)| (pod.class, pod.node)).collect();
        let profiles: Vec<u32> = self.nodes.entries.iter().map(|entry| entry.profile).collect();
        self.rules.register(&mut self.classes, &profiles, &placed);
        Ok(ClassId(self.classes.len() - 1))
    }

    /// Gives one pod of the class a place, if there is one by any means that the configuration allows.
    ///
    /// # Errors
    /// [`OnlineError::UnknownClass`].
    pub fn place(&mut self, class: ClassId) -> Result<Outcome, OnlineError> {
        self.known(class)?;
        self.arrived(class.0);
        Ok(self.decide(class.0, 0))
    }

    /// Places pods that are there at the same time, those that are hardest to place first (most GPU, then CPU, then
    /// memory, then rank). Outcomes are in the order of `classes`.
    ///
    /// # Errors
    /// [`OnlineError::UnknownClass`]; nothing is placed then.
    pub fn place_batch(&mut self, classes: &[ClassId]) -> Result<Vec<Outcome>, OnlineError> {
        classes.iter().try_for_each(|class| self.known(*class))?;
        let mut order: Vec<usize> = (0..classes.len()).collect();
        let hardness = |rank: &usize| {
            let class = &self.classes[classes[*rank].0];
            std::cmp::Reverse((class.gpu_milli(), class.cpu, class.memory))
        };
        order.sort_by_key(hardness);
        let mut outcomes = vec![Outcome::Refused; classes.len()];
        for rank in order {
            outcomes[rank] = self.place(classes[rank])?;
        }
        Ok(outcomes)
    }

    /// Lets a pod go.
    ///
    /// # Errors
    /// [`OnlineError::UnknownPod`] when it is not placed (any more).
    pub fn release(&mut self, pod: PodId) -> Result<(), OnlineError> {
        let slot = self.pods.slot(pod).ok_or(OnlineError::UnknownPod { pod })?;
        self.lift(slot);
        self.pods.close(slot);
        Ok(())
    }

    /// Where a pod is: number of the node, and devices.
    #[must_use]
    pub fn whereabouts(&self, pod: PodId) -> Option<(usize, Devices)> {
        let pod = self.pods.get(self.pods.slot(pod)?)?;
        Some((pod.node, pod.devices))
    }

    /// Node by its number in the order of ids.
    #[must_use]
    pub fn node(&self, number: usize) -> Option<&NodeSpec> {
        self.nodes.specs.get(number)
    }

    /// What pods of a class ask for.
    #[must_use]
    pub fn spec(&self, class: ClassId) -> Option<&PodSpec> {
        self.classes.get(class.0).map(|class| &class.spec)
    }

    /// Every pod that is placed, in order of their ids.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        let stand = |(slot, pod): (u32, &super::pods::Pod)| Standing {
            pod: self.pods.id(slot),
            class: ClassId(pod.class),
            node: self.nodes.specs[pod.node].id.clone(),
            devices: pod.devices,
        };
        self.pods.iter().map(stand).collect()
    }

    /// What is free on a node: CPU in millicores, memory and disk in bytes, thousandths of each device.
    #[must_use]
    pub fn free(&self, node: usize) -> Option<(u64, u64, u64, Vec<u16>)> {
        (node < self.nodes.len()).then(|| {
            let room = self.nodes.room(node);
            (room.room.cpu, room.room.memory, room.room.disk, room.devices.to_vec())
        })
    }

    /// Places given so far, moves not counted.
    #[must_use]
    pub const fn placements(&self) -> u64 {
        self.placements
    }

    /// Moves made so far.
    #[must_use]
    pub const fn moves_made(&self) -> u64 {
        self.moved
    }

    pub(super) fn known(&self, class: ClassId) -> Result<(), OnlineError> {
        if class.0 < self.classes.len() {
            Ok(())
        } else {
            Err(OnlineError::UnknownClass { class: class.0 })
        }
    }

    /// One pod of the class, by the first means that serves: a free place, moves, evictions.
    pub(super) fn decide(&mut self, class: usize, gang: u64) -> Outcome {
        if !self.within_quota(class) {
            return Outcome::Refused;
        }
        let (mut moved, mut evicted) = (Vec::new(), Vec::new());
        let mut choice = self.choose(class);
        if choice.is_none() {
            choice = self.make_room(class, &mut moved);
        }
        if choice.is_none() {
            choice = self.push_out(class, &mut evicted);
        }
        let Some((node, devices)) = choice else {
            return Outcome::Refused;
        };
        let slot = self.pods.open();
        self.put(slot, class, node, devices, gang);
        self.placements += 1;
        Outcome::Placed(Placed {
            pod: self.pods.id(slot),
            node,
            devices,
            moved,
            evicted,
        })
    }
}

impl Account {
    const fn new(quota: Quota) -> Self {
        Self {
            quota,
            used: Resources::ZERO,
        }
    }
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
