//! From a placement to an immutable plan, and the state machine that carries it out.
//!
//! - [`ServiceGraph`]: the services of a manifest in order, or the shortest loop with its lines.
//! - [`plan`]: the steps from what is there to what was decided; [`destroy`]: the steps to nothing. A plan prints itself;
//!   [`render_mermaid`] draws it.
//! - [`verify`]: whether the world is still the one that a plan was made for, and what moved.
//! - [`Saga`]: carries out a plan so that a crash at any moment loses and doubles nothing.
//! - [`heal`]: which sick replicas are replaced now, which later, which no more.
//!
//! Pure: no clock, no file, no thread, no async. `now` is an argument; equal input gives equal bytes.

mod check;
mod graph;
mod heal;
mod plan;
mod render;
mod saga;

pub use check::{Change, StalePlan, diff, verify, verify_from};
pub use graph::{Cycle, CycleStep, GraphError, ServiceGraph};
pub use heal::{HEAL_VERSION, HealAction, HealDecision, HealHistory, HealPolicy, Sickness, WaitReason, heal};
pub use plan::{PlanError, destroy, plan};
pub use render::render_mermaid;
pub use saga::{
    Command, Event, Failure, MalformedPlan, OnCancel, Outcome, Progress, RECORD_VERSION, Record, ReplayError, Saga,
    SagaConfig, SagaError, SagaStatus, StopCause, Verdict, operation_id, parameters, token, undo_operation_id,
};
