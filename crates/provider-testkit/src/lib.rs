//! The conformance suite for drivers: what [`skyloom_provider::Driver`] promises, tried on any implementation.
//!
//! Runtime-neutral: a [`Harness`] brings the driver, its samples and a way to let time pass.

mod harness;
mod report;

pub use harness::{ECHO, ExecCommand, Harness, LOG_LINES, PORT, Program, World};
pub use report::{CaseResult, NotConforming, Outcome, Report};
