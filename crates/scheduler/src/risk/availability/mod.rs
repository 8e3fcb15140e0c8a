//! How many replicas, of which kind and where, so that enough of them are up often enough, at least cost.

mod bisect;
mod bound;
mod chance;
mod exact;
mod judge;
mod plan;
mod problem;
mod search;
mod seed;
mod tail;

pub use problem::{
    AvailabilityError, AvailabilityProblem, DOMAINS_MAX, Domain, Mix, NEED_MAX, Priced, REPLICAS_MAX, Region, Supply,
};
pub use search::{Availability, cheapest_mix};
pub use seed::replicas_if_independent;
