//! Fleet purchase: the cheapest machines, over several clouds, that hold given workloads, with a proven lower bound.
//!
//! Data flow: `problem` (the question) -> `fold` (classes, shapes) -> `greedy` (first answers) -> `solve` (column
//! generation, rounding, bound) -> `unfold` (machines and residents) -> `answer`; `check` shares no code with them.

mod answer;
mod folded;
mod problem;
pub mod solve;

pub use answer::{BoughtMachine, FleetAnswer, LeftOut, LeftOutReason, Resident};
pub use problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX, Devices, FleetProblem, Limit, MachineOffer, Workload};
