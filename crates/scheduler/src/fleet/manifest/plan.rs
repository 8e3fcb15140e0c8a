//! The fleet of a manifest as a whole: several ways to an answer, the best kept, judged from below, written down.

use skyloom_core::{MicroUsd, Placement};

use super::assign::Assigner;
use super::bound::{lower_bound, worths};
use super::error::ManifestFleetError;
use super::report::{ManifestFleet, choices};
use super::settled::{REPLICAS_MAX, refined, settled};
use super::traffic::Rates;
use crate::effort::Effort;
use crate::improve::{Search, cheapest};
use crate::model::Model;
use crate::place::written;
use crate::problem::{PlaceConfig, PlaceError, Problem};
use crate::rules::settle;
use crate::state::State;

/// Replicas that one fleet takes at most by default.
const REPLICAS_MAX_DEFAULT: u32 = 100_000;

/// Pairs of a machine in use and an option up to which every replica is explained by default.
const EXPLAINED_PAIRS_MAX_DEFAULT: usize = 400_000;

/// Units of work of the search over replicas that small fleets are also given.
const WORK_MAX: u64 = 3_000_000;

/// Bounds of a fleet for a manifest. Not the money: that is the manifest's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetOptions {
    /// Most replicas accepted.
    pub replicas_max: u32,
    /// Machines in use x options up to which each replica's place is explained one by one; services always are.
    pub explained_pairs_max: usize,
}

impl FleetOptions {
    /// The default bounds.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            replicas_max: REPLICAS_MAX_DEFAULT,
            explained_pairs_max: EXPLAINED_PAIRS_MAX_DEFAULT,
        }
    }

    /// The same with another limit on replicas.
    #[must_use]
    pub const fn with_replicas_max(mut self, replicas: u32) -> Self {
        self.replicas_max = replicas;
        self
    }

    /// The same with another limit on explanations.
    #[must_use]
    pub const fn with_explained_pairs_max(mut self, pairs: usize) -> Self {
        self.explained_pairs_max = pairs;
        self
    }
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Buys machines for a manifest: the least of machines and traffic per month under all its hard rules, with a proven
/// lower bound.
///
/// Machines of the snapshot may be used, each once, and count with their price; what runs is not kept where it is (that
/// is [`crate::place`]'s). Replicas that no machine may carry are unplaced, with the rule that stopped them.
///
/// # Errors
/// - [`ManifestFleetError::OverBudget`]: the cheapest fleet found exceeds the budget; says whether that is proven.
/// - [`ManifestFleetError::Place`]: the problem contradicts itself, or a data set is outside the residency.
/// - [`ManifestFleetError::Fleet`]: more copies than one question takes.
pub fn buy_for(
    problem: &Problem<'_>,
    options: &FleetOptions,
    effort: &mut Effort<'_>,
) -> Result<ManifestFleet, ManifestFleetError> {
    let config = PlaceConfig::new().with_replicas_max(options.replicas_max);
    let model = Model::build(problem, &config)?;
    let state = best_state(&model, effort)?;
    let placed: Vec<u64> = (0..model.services.len())
        .map(|service| state.placed_of(&model, service).count() as u64)
        .collect();
    let rates = Rates::new(&model);
    let bound = effort.between(0.7, 1.0, |effort| lower_bound(&model, &placed, &rates, effort))?;
    let total = state.total_per_month(&model);
    debug_assert!(bound <= total, "a bound of {bound} above a cost of {total}");
    let lower_bound = money(bound.min(total))?;
    if let Some(budget) = problem
        .manifest
        .budget
        .filter(|budget| total > i128::from(budget.per_month.as_micros()))
    {
        return Err(ManifestFleetError::OverBudget {
            least: money(total)?,
            lower_bound,
            budget: budget.per_month,
        });
    }
    Ok(ManifestFleet {
        choices: choices(&model, &state),
        placement: placement(&model, state, options)?,
        lower_bound_per_month: lower_bound,
        effort: effort.log(),
    })
}

fn money(micros: i128) -> Result<MicroUsd, PlaceError> {
    let held = i64::try_from(micros).map_err(|_| PlaceError::Overflow {
        what: "total per month",
    });
    held.map(MicroUsd::from_micros)
}

/// The better of a fleet bought site by site and, for small ones, the search over single replicas.
fn best_state(model: &Model<'_>, effort: &mut Effort<'_>) -> Result<State, ManifestFleetError> {
    let cost = |state: &State| (state.unplaced(), state.total_per_month(model));
    let counts: Vec<u64> = model.services.iter().map(|service| service.count as u64).collect();
    let worths = worths(model, &counts)?;
    let rates = Rates::new(model);
    let mut assigner = Assigner::new(model, &rates, &worths);
    let sites = effort.between(0.0, 0.35, |effort| assigner.best(effort))?;
    let mut best: Option<State> = None;
    if let Some(sites) = sites {
        let state = effort.between(0.35, 0.7, |effort| settled(&assigner, &sites, effort))?;
        best = Some(refined(model, state));
    }
    if best.is_none() || model.replicas.len() <= REPLICAS_MAX || best.as_ref().is_some_and(|b| b.unplaced() > 0) {
        let searched = searched(model);
        if best.as_ref().is_none_or(|best| cost(&searched) < cost(best)) {
            best = Some(searched);
        }
    }
    Ok(best.unwrap_or_else(|| State::new(model)))
}

fn searched(model: &Model<'_>) -> State {
    let pinned = vec![false; model.replicas.len()];
    let mut work = Effort::units(WORK_MAX);
    let mut search = Search {
        model,
        pinned: &pinned,
        work: &mut work,
    };
    let mut state = cheapest(&mut search, &State::new(model), None);
    settle(model, &mut state, &pinned);
    state
}

fn placement(model: &Model<'_>, state: State, options: &FleetOptions) -> Result<Placement, ManifestFleetError> {
    let in_use = state.slots.iter().filter(|slot| !slot.residents.is_empty()).count();
    let explained = in_use.saturating_mul(model.options.len()) <= options.explained_pairs_max;
    Ok(written(model, state, explained)?)
}
