//! The state machine that carries out a plan so that a crash at any moment loses and doubles nothing.
//!
//! Sans-IO: events and `now` go in, commands and one deadline come out. It never waits, stores or calls; the runtime
//! does, and tells what happened. What must survive a crash goes out as [`Command::Record`], and nothing that rests on
//! a record goes out before [`Event::Recorded`] has said that the record is durable.

mod answer;
mod config;
mod durable;
mod gate;
mod machine;
mod message;
mod names;
mod network;
mod react;
mod record;
mod replay;
mod status;
mod step;
mod tally;
mod undo;

pub use config::{OnCancel, SagaConfig};
pub use machine::Saga;
pub use message::{Command, Event, SagaError};
pub use names::{operation_id, parameters, token, undo_operation_id};
pub use network::MalformedPlan;
pub use record::{Outcome, RECORD_VERSION, Record, Verdict};
pub use replay::ReplayError;
pub use status::{Failure, Progress, SagaStatus, StopCause};
