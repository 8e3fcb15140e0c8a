//! The port between skyloom and anything that can run things: the driver trait, its data and its errors, decorators,
//! and a simulated cloud to test against.
//!
//! No HTTP client, no async runtime, no policy: a driver crate brings its own transport, the runtime decides and waits.

mod driver;
mod error;
mod resource;

pub use driver::{Capabilities, Driver};
pub use error::{Cause, DriverError};
pub use resource::{CreateRequest, Epoch, ExecOutput, Kind, NewReplica, Quota, Resource, ResourceState, Usage, What};
