//! The suite on drivers that keep the contract, and on drivers that break one part of it each.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod conforming;
mod mutant;
mod mutants;
mod world;
