//! The conformance suite for drivers: what [`skyloom_provider::Driver`] promises, tried on any implementation.
//!
//! Runtime-neutral: a [`Harness`] brings the driver, its samples and a way to let time pass; [`run`] tries every case
//! of [`CASES`] that the declared capabilities allow and returns a [`Report`]. A case that cannot be tried is in the
//! report with its reason.

mod bed;
mod cases;
mod harness;
mod report;
mod suite;

pub use harness::{ECHO, ExecCommand, Harness, LOG_LINES, PORT, Program, World};
pub use report::{CaseResult, NotConforming, Outcome, Report};
pub use suite::{CASES, Case, run};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/adding-a-provider.md")]
struct AddingAProviderGuide;
