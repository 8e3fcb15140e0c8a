//! The services of a manifest as a graph, and the shortest loop where it is none.

mod build;
mod cycle;

pub(crate) use build::condition_text;
pub use build::{GraphError, ServiceGraph};
pub use cycle::{Cycle, CycleStep};
