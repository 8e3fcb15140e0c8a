//! Trying a rule on a recorded load: what it would have cost, and how much would have been served late.
//!
//! The model is a single queue: replicas take the same load per second each, become ready after a start-up time and stop
//! at once; what cannot be served waits. Load that waits longer than the limit violates the objective. It is coarse on
//! purpose: rules are compared with each other, not with a measurement.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use crate::num;

/// Steps of a replay at most: a month of ten-second steps.
const STEPS_MAX: usize = 300_000;

/// The service that is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplayConfig {
    /// Length of one value of the load.
    pub step: Duration,
    /// From asking for a replica until it serves.
    pub start_up: Duration,
    /// Load per step that one replica serves at most.
    pub capacity: f64,
    /// What may wait no longer than this.
    pub wait_max: Duration,
    /// Replicas at the beginning, ready.
    pub replicas: u32,
}

/// What a rule sees before it decides.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// End of the step.
    pub now: Timestamp,
    /// Load that arrived in the step.
    pub arrived: f64,
    /// Share of the ready capacity in use, counting what waits: above 1 when not all can be served.
    pub utilisation: f64,
    /// Replicas that serve.
    pub ready: u32,
    /// Replicas asked for: those that serve and those that start.
    pub replicas: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReplayOutcome {
    /// Share of the load that waited too long, 0..=1.
    pub violated: f64,
    /// Steps in which some did.
    pub steps_violated: usize,
    /// Replicas paid for, times hours; those that start are paid for.
    pub replica_hours: f64,
    /// How often the number of replicas changed.
    pub changes: usize,
}

/// Why a load cannot be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The step is zero.
    #[error("replay steps of `0`: they must be longer")]
    Step,
    /// The capacity is not a positive finite number.
    #[error("serve `{capacity}` per replica and step: it must be finite and above zero")]
    Capacity {
        /// What was given.
        capacity: f64,
    },
    /// A load is negative or not finite.
    #[error("replay the load `{load}` of step `{step}`: it must be finite and not negative")]
    Load {
        /// Where.
        step: usize,
        /// What was given.
        load: f64,
    },
    /// The load is too long.
    #[error("replay `{steps}` steps: `{STEPS_MAX}` are the most")]
    TooLong {
        /// How many.
        steps: usize,
    },
}

impl ReplayError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl ReplayConfig {
    /// A service of one replica that serves `capacity` per `step` and starts in `start_up`; what waits longer than a step
    /// violates the objective.
    ///
    /// # Errors
    /// [`ReplayError::Step`] and [`ReplayError::Capacity`].
    pub fn new(step: Duration, start_up: Duration, capacity: f64) -> Result<Self, ReplayError> {
        let config = Self {
            step,
            start_up,
            capacity,
            wait_max: step,
            replicas: 1,
        };
        config.check(&[])?;
        Ok(config)
    }

    fn check(&self, load: &[f64]) -> Result<(), ReplayError> {
        if self.step.is_zero() {
            return Err(ReplayError::Step);
        }
        if !(self.capacity.is_finite() && self.capacity > 0.0) {
            return Err(ReplayError::Capacity {
                capacity: self.capacity,
            });
        }
        if load.len() > STEPS_MAX {
            return Err(ReplayError::TooLong { steps: load.len() });
        }
        let bad = load.iter().position(|load| !(load.is_finite() && *load >= 0.0));
        bad.map_or(Ok(()), |step| Err(ReplayError::Load { step, load: load[step] }))
    }

    fn steps(&self, time: Duration) -> usize {
        let steps = time.as_nanos().div_ceil(self.step.as_nanos().max(1));
        usize::try_from(steps).unwrap_or(usize::MAX).min(STEPS_MAX)
    }
}

/// Replays a load (per step, from time zero on) under a rule, which is asked after every step.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(
    config: &ReplayConfig,
    load: &[f64],
    mut rule: impl FnMut(Observation) -> u32,
) -> Result<ReplayOutcome, ReplayError> {
    config.check(load)?;
    let mut world = World::new(config);
    for (step, arrived) in load.iter().copied().enumerate() {
        let observation = world.advance(step, arrived);
        world.ask(step, rule(observation));
    }
    world.give_up(load.len());
    Ok(world.outcome())
}

struct World<'a> {
    config: &'a ReplayConfig,
    ready: u32,
    /// When the replicas that start will be ready.
    starting: VecDeque<(usize, u32)>,
    /// What waits, by the step it arrived in.
    waiting: VecDeque<(usize, f64)>,
    arrived: f64,
    late: f64,
    steps_violated: usize,
    replica_steps: f64,
    changes: usize,
}

impl<'a> World<'a> {
    const fn new(config: &'a ReplayConfig) -> Self {
        Self {
            config,
            ready: config.replicas,
            starting: VecDeque::new(),
            waiting: VecDeque::new(),
            arrived: 0.0,
            late: 0.0,
            steps_violated: 0,
            replica_steps: 0.0,
            changes: 0,
        }
    }

    fn replicas(&self) -> u32 {
        self.starting
            .iter()
            .fold(self.ready, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn advance(&mut self, step: usize, arrived: f64) -> Observation {
        while let Some((at, count)) = self.starting.front().copied()
            && at <= step
        {
            self.ready = self.ready.saturating_add(count);
            self.starting.pop_front();
        }
        self.replica_steps += f64::from(self.replicas());
        self.arrived += arrived;
        self.waiting.push_back((step, arrived));
        let capacity = f64::from(self.ready) * self.config.capacity;
        let wanted: f64 = self.waiting.iter().map(|(_, load)| load).sum();
        self.serve(step, capacity);
        let utilisation = if wanted <= 0.0 {
            0.0
        } else {
            num::saturate(wanted / capacity)
        };
        let steps = u32::try_from(step + 1).unwrap_or(u32::MAX);
        Observation {
            now: Timestamp::EPOCH.saturating_add(self.config.step.saturating_mul(steps)),
            arrived,
            utilisation,
            ready: self.ready,
            replicas: self.replicas(),
        }
    }

    /// First come, first served.
    fn serve(&mut self, step: usize, mut capacity: f64) {
        let patience = self.config.steps(self.config.wait_max);
        let mut late = 0.0;
        while let Some((since, load)) = self.waiting.front_mut() {
            let served = load.min(capacity);
            if step - *since > patience {
                late += served;
            }
            capacity -= served;
            *load -= served;
            if *load > 0.0 {
                break;
            }
            self.waiting.pop_front();
        }
        self.late += late;
        self.steps_violated += usize::from(late > 0.0);
    }

    fn ask(&mut self, step: usize, wanted: u32) {
        let now = self.replicas();
        if wanted == now {
            return;
        }
        self.changes += 1;
        if wanted > now {
            let at = step + 1 + self.config.steps(self.config.start_up);
            self.starting.push_back((at, wanted - now));
            return;
        }
        // Those that start are given up first, the youngest first.
        let mut surplus = now - wanted;
        while let Some((at, count)) = self.starting.pop_back() {
            if count > surplus {
                self.starting.push_back((at, count - surplus));
                return;
            }
            surplus -= count;
        }
        self.ready -= surplus.min(self.ready);
    }

    /// What still waits at the end and has waited too long is late.
    fn give_up(&mut self, end: usize) {
        let patience = self.config.steps(self.config.wait_max);
        let late: f64 = self
            .waiting
            .iter()
            .filter(|(since, _)| end - since > patience)
            .map(|(_, load)| load)
            .sum();
        self.late += late;
    }

    fn outcome(&self) -> ReplayOutcome {
        ReplayOutcome {
            violated: if self.arrived > 0.0 {
                (self.late / self.arrived).clamp(0.0, 1.0)
            } else {
                0.0
            },
            steps_violated: self.steps_violated,
            replica_hours: self.replica_steps * self.config.step.as_secs_f64() / 3600.0,
            changes: self.changes,
        }
    }
}

/// What a rule would decide that knew the load to come: always just enough ready, at `target` of the capacity, within the
/// bounds. The answer for step `i` is what to ask for after it. Nothing starts in a row of steps too short to be worth it:
/// a replica that is needed again before a new one could be ready is kept.
///
/// # Errors
/// [`ReplayError`].
pub fn clairvoyant(
    config: &ReplayConfig,
    load: &[f64],
    target: f64,
    min: u32,
    max: u32,
) -> Result<Vec<u32>, ReplayError> {
    config.check(load)?;
    let per_replica = config.capacity * target;
    if !(per_replica.is_finite() && per_replica > 0.0) {
        return Err(ReplayError::Capacity { capacity: per_replica });
    }
    let needed =
        |load: &f64| u32::try_from(num::index((load / per_replica).ceil(), u32::MAX as usize)).unwrap_or(u32::MAX);
    let needed: Vec<u32> = load.iter().map(|load| needed(load).clamp(min, max.max(min))).collect();
    // Asked for after step i, ready from step i + 1 + lead on: enough for every step until then.
    let lead = config.steps(config.start_up);
    let ahead = |i: usize| {
        let until = (i + 2 + lead).min(needed.len());
        let steps = needed.get(i + 1..until).unwrap_or_default();
        steps.iter().copied().max().unwrap_or(min)
    };
    Ok((0..load.len()).map(ahead).collect())
}
