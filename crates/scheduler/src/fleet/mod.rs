//! Fleet purchase: the cheapest machines, over several clouds, that hold given workloads, with a proven lower bound.
//!
//! Data flow: `problem` (the question) -> `fold` (classes, shapes) -> `greedy` (first answers) -> `solve` (column
//! generation, rounding, bound) -> `unfold` (machines and residents) -> `answer`; `check` shares no code with them.

mod answer;
mod buy;
mod check;
mod error;
mod fold;
mod folded;
mod greedy;
mod layout;
mod manifest;
mod problem;
mod reasons;
mod solve;
pub mod terms;
mod undominated;
mod unfold;
mod validate;
mod values;

pub use answer::{BoughtMachine, FleetAnswer, LeftOut, LeftOutReason, Resident};
pub use buy::buy;
pub use check::{FleetViolation, check};
pub use error::{FleetError, Part};
pub use manifest::{FleetOptions, ManifestFleet, ManifestFleetError, RejectedOffer, ServiceChoice, buy_for};
pub use problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX, Devices, FleetProblem, Limit, MachineOffer, Workload};
