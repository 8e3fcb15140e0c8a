//! Everything through the public API.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed, and a model of the world says what is wrong"
)]

mod check;
mod claim;
mod crash;
mod drift;
mod dropped;
mod failover;
mod fixture;
mod graph;
mod heal;
mod plan;
mod plan_property;
mod rollback;
mod runner;
mod saga;
mod scenario;
mod synced;
mod target;
mod trial;
mod view;
mod world;
