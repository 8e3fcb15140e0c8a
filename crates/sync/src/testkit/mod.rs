//! For tests: the conformance suite of stores, a store that fails when told to, and stores that are wrong on purpose.

mod conformance;
mod faulty;
mod mutant;

pub use conformance::{CASES, Case, Finding, check_store};
pub use faulty::{Fault, FaultPlan, FaultyBase, FaultyStore};
pub use mutant::{Mutant, Mutation};
