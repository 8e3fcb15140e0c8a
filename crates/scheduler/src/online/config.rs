//! How an online placer is set up: seed, expected demand, quotas, and what it may do to pods that are placed already.

use serde::{Deserialize, Serialize};

use super::{Expected, OnlineError, Quota};

/// Classes that a placer remembers by default: each costs about 5 bytes per node.
pub const CLASSES_MAX_DEFAULT: usize = 4096;

/// How far a placer may move pods that are placed, to make room for one that fits nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moves {
    /// Pods moved for one placement at most; 0: none are.
    pub per_placement_max: usize,
    /// Moves in all, as a share of the placements so far, at most.
    pub share_max: f64,
}

impl Moves {
    /// Nothing is moved.
    pub const NONE: Self = Self {
        per_placement_max: 0,
        share_max: 0.0,
    };
}

/// Set-up of a placer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OnlineConfig {
    /// For policies that draw; equal seeds give equal decisions.
    pub seed: u64,
    /// The kinds of pods that are expected. Empty: the placer learns them from the pods it is asked to place. The order
    /// of arrival is never known.
    pub expected: Vec<Expected>,
    /// Quotas; hard, counted on what is asked for.
    pub quotas: Vec<Quota>,
    /// Whether pods of lower priority may be pushed out.
    pub preempt: bool,
    /// How far pods may be moved; `None`: as the policy has it.
    pub moves: Option<Moves>,
    /// Points of score per gram of CO2 per kWh: 0 ignores carbon. A node whose carbon is unknown counts as the worst.
    pub carbon_weight: f64,
    /// Most classes.
    pub classes_max: usize,
}

impl OnlineConfig {
    /// Nothing expected, no quotas, no preemption, moves as the policy has them, carbon ignored.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            expected: Vec::new(),
            quotas: Vec::new(),
            preempt: false,
            moves: None,
            carbon_weight: 0.0,
            classes_max: CLASSES_MAX_DEFAULT,
        }
    }

    /// The same, expecting pods of these kinds.
    #[must_use]
    pub fn with_expected(mut self, expected: Vec<Expected>) -> Self {
        self.expected = expected;
        self
    }

    /// The same with quotas.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Vec<Quota>) -> Self {
        self.quotas = quotas;
        self
    }

    /// The same with or without preemption.
    #[must_use]
    pub const fn with_preempt(mut self, preempt: bool) -> Self {
        self.preempt = preempt;
        self
    }

    /// The same with other bounds on moves than the policy's.
    #[must_use]
    pub const fn with_moves(mut self, moves: Moves) -> Self {
        self.moves = Some(moves);
        self
    }

    /// The same with a weight on carbon.
    #[must_use]
    pub const fn with_carbon_weight(mut self, weight: f64) -> Self {
        self.carbon_weight = weight;
        self
    }

    /// The same with another limit on classes.
    #[must_use]
    pub const fn with_classes_max(mut self, classes: usize) -> Self {
        self.classes_max = classes;
        self
    }

    pub(super) fn check(&self) -> Result<(), OnlineError> {
        let shares = self.moves.map_or(0.0, |moves| moves.share_max);
        for (what, weight) in [("carbon", self.carbon_weight), ("the share of moves", shares)] {
            if !(weight.is_finite() && weight >= 0.0) {
                let weight = weight.to_string();
                return Err(OnlineError::Weight { what, weight });
            }
        }
        let mut tenants: Vec<&String> = self.quotas.iter().map(|q| &q.tenant).collect();
        tenants.sort_unstable();
        match tenants.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(OnlineError::DuplicateQuota {
                tenant: pair[0].clone(),
            }),
            None => Ok(()),
        }
    }
}
