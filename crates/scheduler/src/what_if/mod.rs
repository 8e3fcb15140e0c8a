//! What would follow from a supposed change: the new plan, its cost, what moves, and what no longer has a place.
//!
//! The question is asked of the scheduler as it is: the same engine decides on a changed copy of the world, in which
//! what is decided today is carried out already. Nothing of the caller's is touched.

mod apply;
mod change;
mod report;

use skyloom_core::catalogue::CatalogueError;
use skyloom_core::{Class, IdError, ServiceName};
use thiserror::Error;

pub use change::{Change, GrowthOf, Outage, PriceChange, Rule, Selector, SelectorError};
pub use report::{Consequences, LostCopy, MovedReplica, Outcome, PlanAfter};

use crate::place::decide;
use crate::policy::Policy;
use crate::problem::{PlaceConfig, PlaceError, Problem};
use apply::World;
use report::outcome;

/// Why a supposition has no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WhatIfError {
    /// The problem contradicts itself, before or after the change.
    #[error(transparent)]
    Problem(#[from] PlaceError),
    /// A change concerns nothing: no such offer, machine, region or service.
    #[error("find what the change `{change}` is about")]
    Unknown {
        /// The change.
        change: String,
    },
    /// A factor is not a number above zero and at most a million.
    #[error("take `{factor}` as the factor of the change `{change}`")]
    Factor {
        /// The factor.
        factor: f64,
        /// The change.
        change: String,
    },
    /// An amount is beyond what can be held.
    #[error("hold what comes of the change `{change}`")]
    Beyond {
        /// The change.
        change: String,
    },
    /// A rule leaves a service no region at all.
    #[error("obey the change `{change}`: service `{service}` may be nowhere else")]
    Contradicts {
        /// The change.
        change: String,
        /// Which service.
        service: ServiceName,
    },
    /// The changed price list is none: a price outside of what is possible, an offer of an unknown region.
    #[error("suppose the change `{change}`")]
    Catalogue {
        /// The change.
        change: String,
        /// What is wrong with the list.
        #[source]
        source: Box<CatalogueError>,
    },
    /// A replica's or machine's name is too long for what a provider would call it.
    #[error("name what would be there")]
    Name(#[from] IdError),
}

impl WhatIfError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Problem(error) => error.class(),
            Self::Unknown { .. } => Class::NotFound,
            Self::Factor { .. }
            | Self::Beyond { .. }
            | Self::Contradicts { .. }
            | Self::Catalogue { .. }
            | Self::Name(_) => Class::Invalid,
        }
    }
}

/// What follows from `changes`, supposed one after the other.
///
/// Today's decision is made first and taken as carried out. Then two plans are made for the changed world: one in which
/// everything may move, and one in which only what must moves (what runs and still satisfies every rule stays); their
/// difference is what moving would earn. A rule that cannot be met is an [`Outcome::Unsatisfiable`], no error.
/// A service or place that a change names and nobody knows is an error.
///
/// ```
/// # use skyloom_core::Catalogue;
/// use skyloom_scheduler::what_if::{Change, WhatIfError, what_if};
/// use skyloom_scheduler::{Cheapest, PlaceConfig, Problem};
///
/// # fn ask(problem: &Problem<'_>) -> Result<(), Box<dyn std::error::Error>> {
/// let change = Change::Outage("aws/eu-west-1".parse()?);
/// let consequences = what_if(problem, &Cheapest, &PlaceConfig::new(), &[change])?;
/// println!("{consequences}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// - [`WhatIfError::Unknown`]: a change concerns nothing that is there.
/// - [`WhatIfError::Factor`], [`WhatIfError::Beyond`], [`WhatIfError::Catalogue`], [`WhatIfError::Name`]: a change is
///   impossible.
/// - [`WhatIfError::Contradicts`]: a change leaves a service nowhere to be.
/// - [`WhatIfError::Problem`]: the problem contradicts itself.
pub fn what_if(
    problem: &Problem<'_>,
    policy: &dyn Policy,
    config: &PlaceConfig,
    changes: &[Change],
) -> Result<Consequences, WhatIfError> {
    let today = World::of(problem, config);
    let before = outcome(decide(problem, policy, config), &today, None)?;
    let mut world = today;
    if let Outcome::Plan(plan) = &before {
        world.carry_out(&plan.decision.placement)?;
    }
    for change in changes {
        world.suppose(change)?;
    }
    let running = match &before {
        Outcome::Plan(plan) => Some(&plan.decision.placement),
        Outcome::Unsatisfiable { .. } => None,
    };
    let least_moves = outcome(decide(&world.problem(), policy, &world.config), &world, running)?;
    let free = world.config.clone().with_moves(true);
    let free = outcome(decide(&world.problem(), policy, &free), &world, running)?;
    let least_cost = free.better_of(&least_moves);
    let lost_copies = world.lost_copies.into_iter().map(|(data, region)| LostCopy {
        left: world.manifest.data_set(&data).map_or(0, |d| d.replicas.len()),
        data,
        region,
    });
    Ok(Consequences {
        changes: changes.to_vec(),
        cost_delta: before
            .total()
            .zip(least_cost.total())
            .and_then(|(was, is)| is.checked_sub(was)),
        lost_copies: lost_copies.collect(),
        before,
        least_cost,
        least_moves,
    })
}
