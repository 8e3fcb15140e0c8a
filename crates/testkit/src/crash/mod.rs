//! The crash matrix: random worlds on the simulated cloud, a crash at every step, a lost answer at every call.
//!
//! - `script`: what a world is, drawn from a seed. `disk`: files that lose what was not synced. `port`: calls at the
//!   simulated cloud. `controller`: what the runtime does around a saga, cut into the smallest moves between which a
//!   process can die; virtual time, no threads, no async runtime, so that a world costs milliseconds.
//! - `oracle`: judges by the cloud's event log and the durable bytes alone, and shares no code with what it judges.
//! - `mutant`: ways to break the protocol at the seams. A matrix that does not catch them proves nothing.
//! - `explore`: the matrix of one world; `matrix`: many worlds, and the report.
//!
//! The controller here stands for the runtime's apply engine, which is async and therefore slow to explore. What decides
//! is shared: plan, saga, state, journal form, look-up, redaction. What is rewritten is the carrying out.

mod calm;
mod controller;
mod dice;
mod disk;
mod explore;
mod matrix;
mod mutant;
mod oracle;
mod port;
mod script;
mod sim;

pub use matrix::{MatrixReport, mutants, story, worlds};
pub use mutant::Mutant;
pub use oracle::Invariant;
