//! From a placement to an immutable plan, and the state machine that carries it out.
//!
//! - [`ServiceGraph`]: the services of a manifest in order, or the shortest loop with its lines.
//! - [`plan`]: the steps from what is there to what was decided; [`destroy`]: the steps to nothing. A plan prints itself;
//!   [`render_mermaid`] and [`render_svg`] draw it. [`plan_for`] knows more: what to [`claim`] of what is there already,
//!   what to [`confine`] a plan to, what was in force before.
//! - [`verify`]: whether the world is still the one that a plan was made for, and what moved.
//! - [`Saga`]: carries out a plan so that a crash at any moment loses and doubles nothing.
//! - [`way_back`]: what is planned when a plan has failed after something old was gone.
//! - [`fail_over`]: when a region or zone counts as lost and when it is back; [`shield`]: what a plan may count on
//!   meanwhile; [`drill`]: what a rehearsed loss has come to.
//! - [`drift()`]: what was changed from outside, and what follows from it.
//! - [`heal`]: which sick replicas are replaced now, which later, which no more.
//!
//! Pure: no clock, no file, no thread, no async. `now` is an argument; equal input gives equal bytes.
//!
//! A placement comes from `skyloom-scheduler` or from the caller; here, the plan that takes everything away:
//!
//! ```
//! use skyloom_core::{Snapshot, Timestamp};
//! use skyloom_orchestrator::{Command, Event, Saga, SagaConfig, SagaStatus, destroy, verify};
//!
//! let snapshot = Snapshot::empty(1, Timestamp::EPOCH);
//! let plan = destroy(&"shop".parse()?, &snapshot, None)?;
//! assert!(verify(&plan, &snapshot).is_ok());
//!
//! let mut journal = Vec::new();
//! let mut saga = Saga::new(plan, SagaConfig::new(), 1)?;
//! while let Some(command) = saga.poll_command() {
//!     let now = Timestamp::EPOCH; // the caller's clock
//!     match command {
//!         Command::Record { seq, record } => {
//!             journal.push(record); // and make it durable
//!             saga.handle(Event::Recorded { seq }, now)?;
//!         }
//!         _ => unreachable!("there is nothing to call in an empty world"),
//!     }
//! }
//! assert_eq!(saga.status(), SagaStatus::Succeeded);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod drift;
pub mod drill;
mod failover;
mod graph;
mod heal;
mod plan;
mod revert;
mod saga;
mod view;

pub use check::{Change, StalePlan, diff, verify, verify_from};
pub use drift::{Drift, SeenCondition, SeenThing, Started, TAG_NAME, drift, for_planning, policy_of};
pub use failover::{
    Contact, Double, FAILOVER_VERSION, Failback, FailoverAction, FailoverDecision, FailoverHistory, FailoverPolicy,
    HoldReason, OutOfReach, Place, PlaceNameError, Standing, Symptom, doubles, fail_over, shield, without_leaving,
};
pub use graph::{Cycle, CycleStep, GraphError, ServiceGraph};
pub use heal::{HEAL_VERSION, HealAction, HealDecision, HealHistory, HealPolicy, Sickness, WaitReason, heal};
pub use plan::{
    ClaimError, Claimed, Claims, Found, FoundMachine, PlanError, PlanRequest, TargetError, Targeted, claim, confine,
    destroy, jobs, plan, plan_for,
};
pub use revert::{displaced, jobs_are_done, way_back};
pub use saga::{
    Command, Event, Failure, MalformedPlan, OnCancel, Outcome, Progress, RECORD_VERSION, Record, ReplayError, Saga,
    SagaConfig, SagaError, SagaStatus, StopCause, Verdict, operation_id, parameters, token, undo_operation_id,
};
pub use view::{SvgConfig, render_mermaid, render_svg};
