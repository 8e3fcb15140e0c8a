//! Where things run and what that costs: formulas, feasibility, policies, explanations, an independent checker.
//!
//! Everything is a function of its arguments: a [`Problem`] (manifest, snapshot, catalogue) and a [`Policy`] go in, a
//! priced and explained [`skyloom_core::Placement`] comes out, and equal input gives equal bytes. Nothing here reads a
//! clock, draws unseeded numbers, or knows a provider.
//!
//! ```
//! use skyloom_core::{Catalogue, Snapshot, Timestamp};
//! # use skyloom_core::Manifest;
//! use skyloom_scheduler::{Cheapest, PlaceConfig, Problem, check, place, unsatisfied};
//!
//! # fn decide(manifest: &Manifest, catalogue: &Catalogue) -> Result<(), skyloom_scheduler::PlaceError> {
//! let snapshot = Snapshot::empty(1, Timestamp::EPOCH);
//! let problem = Problem { manifest, snapshot: &snapshot, catalogue };
//! let placement = place(&problem, &Cheapest, &PlaceConfig::new())?;
//! assert!(check(&problem, &placement).is_empty());
//! for left_out in unsatisfied(&placement) {
//!     println!("{}: {}", left_out.service, left_out.reason);
//! }
//! # Ok(())
//! # }
//! ```

mod bound;
mod check;
mod construct;
pub mod dag;
mod effort;
mod explain;
pub mod fleet;
pub mod formulas;
mod improve;
mod minsum;
mod model;
pub mod online;
mod pack;
mod place;
pub mod policy;
mod portfolio;
mod problem;
mod quotas;
mod rebalance;
pub mod record;
mod report;
pub mod risk;
mod rules;
mod state;
mod stay;
pub mod what_if;

pub use bound::LowerBound;
pub use check::{Violation, check, check_within};
pub use effort::{Effort, EffortLog};
pub use explain::{Answer, Part, Question, Reasons, Rejected, Scored, Verdict, Wanted, WantedError, WhyError, why};
pub use place::{decide, decide_within, place};
pub use policy::{BestFit, Cheapest, LeastUtilised, Policy, Random, Spread};
pub use problem::{
    Decision, PlaceConfig, PlaceError, Problem, REPLICAS_MAX_DEFAULT, Unsatisfied, WORK_MAX_DEFAULT, unsatisfied,
};
pub use quotas::{Quota, QuotaUnit};
pub use rebalance::cluster;
pub use rebalance::{
    Move, Rebalance, RebalanceConfig, RebalanceError, RebalanceInput, Refusal, Shift, ShiftError, rebalance,
    suggest_shift,
};
pub use report::{LoadReport, MachineLoad, ServiceBenefit, load_report};

/// The guides' code, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/adding-a-policy.md")]
struct AddingAPolicy;
#[cfg(doctest)]
#[doc = include_str!("../../../docs/scheduler/what-if.md")]
struct WhatIf;
