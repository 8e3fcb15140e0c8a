//! Drift: how much dearer the fleet is than it need be, and the moves towards the cheaper one that are worth it.

use serde::{Deserialize, Serialize};
use skyloom_core::MicroUsdPerHour;

use super::answer::Plan;
use super::describe::{Cluster, Offer};
use super::index::ClusterError;
use super::plan::plan;
use super::settings::{Goal, Settings};

/// What a fleet bought anew for the same workloads would cost, as a purchase of a fleet answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What the best fleet that is known costs.
    pub price: MicroUsdPerHour,
    /// What no fleet costs less than.
    pub lower_bound: MicroUsdPerHour,
    /// Machines it is made of, or that may be bought otherwise.
    pub offers: Vec<Offer>,
}

/// How far a cluster is from a target, before and after a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Drift {
    /// What the cluster costs.
    pub price: MicroUsdPerHour,
    /// What the target costs.
    pub target: MicroUsdPerHour,
    /// What is lost against the target as things are; negative when the cluster is cheaper.
    pub lost: MicroUsdPerHour,
    /// The most that can be lost: against the lower bound.
    pub lost_at_most: MicroUsdPerHour,
    /// What is lost against the target after the plan.
    pub lost_after: MicroUsdPerHour,
    /// Moves towards it, as far as they are worth it.
    pub plan: Plan,
}

/// Compares a cluster with a cheaper fleet and plans towards it: nodes are drained, and machines bought, as far as that
/// is worth it by `settings`, whose goal is not looked at.
///
/// # Errors
/// As [`plan`].
pub fn drift(cluster: &Cluster, target: &Target, settings: &Settings) -> Result<Drift, ClusterError> {
    let mut settings = settings.clone();
    settings.goal = Goal::Consolidate {
        offers: target.offers.clone(),
    };
    let plan = plan(cluster, &settings)?;
    let less = |a: MicroUsdPerHour, b: MicroUsdPerHour| {
        MicroUsdPerHour::from_micros(a.as_micros().saturating_sub(b.as_micros()))
    };
    Ok(Drift {
        price: plan.price_before,
        target: target.price,
        lost: less(plan.price_before, target.price),
        lost_at_most: less(plan.price_before, target.lower_bound),
        lost_after: less(plan.price_after, target.price),
        plan,
    })
}
