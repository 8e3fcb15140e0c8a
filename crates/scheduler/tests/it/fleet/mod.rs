//! Fleet purchase: oracles, properties over random questions, bad input, and what it costs to be wrong.

mod bad_input;
mod checking;
mod manifest;
mod oracle;
mod properties;
mod questions;
mod terms;
