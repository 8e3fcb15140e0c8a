//! From a placement to an immutable plan, and the state machine that carries it out.
//!
//! - [`ServiceGraph`]: the services of a manifest in order, or the shortest loop with its lines.
//! - [`Saga`]: carries out a plan so that a crash at any moment loses and doubles nothing.
//!
//! Pure: no clock, no file, no thread, no async. `now` is an argument; equal input gives equal bytes.

mod graph;
mod plan;
mod saga;

pub use graph::{Cycle, CycleStep, GraphError, ServiceGraph};
pub use plan::{PlanError, destroy, plan};
pub use saga::{
    Command, Event, Failure, MalformedPlan, OnCancel, Outcome, Progress, RECORD_VERSION, Record, ReplayError, Saga,
    SagaConfig, SagaError, SagaStatus, StopCause, Verdict, operation_id, parameters, token, undo_operation_id,
};
