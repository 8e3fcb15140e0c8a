//! A graph of tasks over several clouds: where each task runs, so that all of it is cheapest, or fastest within a budget,
//! or cheapest within a deadline.
//!
//! Tasks have candidates (an offer in a region, its price, how long the task runs on it), edges carry bytes, data sets stand
//! where they are. Traffic is charged as clouds do: the bytes that a region sends under one price list are added up, and the
//! tiers are applied to the sum, each to its part. [`plan`] gives the plan with a lower bound and the gap between them,
//! [`front`] cost against time. Buying machines for several tasks together, and running anything, do not belong here.
//!
//! How it is done: candidates are folded to those that a plan can need; each tariff is replaced by charges flow by
//! flow that are together below it, which leaves a min-sum problem over the graph that the crate's solver answers exactly or
//! with a bound; plans are always priced by the real tiers; charges are refined and volumes split where the two differ. Deadlines are tolls on late
//! paths. A mixed-integer programme over pairs of candidates, as peers use, has one variable for each pair on each edge.

mod blend;
mod checks;
mod compile;
mod descend;
mod direct;
mod error;
mod explain;
mod front;
mod labels;
mod names;
mod network;
mod node;
mod order;
mod paths;
mod plan;
mod prices;
mod relax;
mod report;
mod rounds;
mod search;
mod split;
mod starts;
mod tally;
mod tariff;
mod types;
mod windows;

pub use checks::{BYTES_MAX, CANDIDATES_MAX, EDGES_MAX, NODES_MAX};
pub use compile::{REGIONS_MAX, RUN_SECONDS_MAX};
pub use error::{DagError, Rule};
pub use front::{FrontConfig, front};
pub use plan::plan;
pub use report::{DagPlan, Front, Reason, Rejected, RunnerUp, Sent, TaskPlan};
pub use types::{
    AlreadySent, BYTES_PER_SECOND_DEFAULT, Candidate, DIRECT_MAX_DEFAULT, Dag, DagConfig, DataSet, Edge, NodeId,
    Objective, PairSpeed, Speeds, TABLE_ENTRIES_MAX_DEFAULT, Task,
};
