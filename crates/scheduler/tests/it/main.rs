//! The public API of the scheduler against worked cases, oracles and properties.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod bad_input;
mod checker;
mod clusters;
mod clusters_oracle;
mod formulas;
mod oracle;
mod placing;
mod properties;
mod random_cluster;
mod random_world;
mod rebalancing;
mod rules;
mod shop;
mod world;
