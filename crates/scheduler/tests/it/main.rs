//! The public API of the scheduler against worked cases, oracles and properties.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod availability;
mod bad_input;
mod bounds;
mod checker;
mod clusters;
mod clusters_oracle;
mod dag;
mod dag_baselines;
mod dag_rules;
mod dag_world;
mod fleet;
mod formulas;
mod online;
mod oracle;
mod overload;
mod placing;
mod properties;
mod random_cluster;
mod random_world;
mod reasons;
mod rebalancing;
mod recording;
mod rules;
mod shop;
mod spot;
mod what_if;
mod world;
