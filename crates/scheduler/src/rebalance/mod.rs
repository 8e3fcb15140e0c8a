//! Adjusting a running assignment: few moves, each worth what it costs. Placing what is missing is `place`'s.

pub mod cluster;
mod engine;
mod plan;
mod shift;
mod types;

pub use plan::rebalance;
pub use shift::{Shift, ShiftError, suggest_shift};
pub use types::{Move, Rebalance, RebalanceConfig, RebalanceError, RebalanceInput, Refusal};
