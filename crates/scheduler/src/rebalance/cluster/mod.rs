//! Rebalancing of plain clusters: nodes and workloads in numbers, without a manifest, a catalogue or a cloud.
//!
//! [`plan`] takes a [`Cluster`] and [`Settings`] and gives a [`Plan`]: moves that keep every rule at every step, each with
//! its reason, its saving and its cost, or a typed refusal. [`check`] looks a plan over and shares no code with what made
//! it; [`apply`] gives the cluster after it. Placing what runs nowhere does not belong here.

mod answer;
mod apply;
mod book;
mod check;
mod describe;
mod drain;
mod drift;
mod even;
mod index;
mod marks;
mod neighbours;
mod plan;
mod replace;
mod report;
mod rooms;
mod settings;
mod spread;

pub use answer::{Bought, GivenBack, Move, NextBest, Plan, Refusal, Rule, Step, Why};
pub use apply::apply;
pub use check::{Breach, check};
pub use describe::{Cluster, Dimension, Node, Offer, Spread, Workload, WorkloadId};
pub use drift::{Drift, Target, drift};
pub use index::ClusterError;
pub use plan::{plan, plan_within};
pub use settings::{Goal, Settings, SettingsError};
