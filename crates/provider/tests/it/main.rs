//! The simulated cloud and the decorators, through the public interface only.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod behaviour;
mod billing;
mod decorators;
mod faults;
mod model;
mod money;
mod outages;
mod properties;
mod samples;
