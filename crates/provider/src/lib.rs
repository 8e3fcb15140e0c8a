//! The port between skyloom and anything that can run things: the driver trait, its data and its errors, decorators,
//! and a simulated cloud to test against.
//!
//! No HTTP client, no async runtime, no policy: a driver crate brings its own transport, the runtime decides and waits.

mod decorate;
mod dice;
mod driver;
mod error;
mod faults;
mod noop;
mod operation;
mod rate;
mod resource;
pub mod sim;

pub use decorate::{FaultInjecting, RecordedCall, Recording};
pub use dice::PerMille;
pub use driver::{Capabilities, Driver, find_made};
pub use error::{Cause, DriverError};
pub use faults::{FaultPlan, FaultRates, Verdict};
pub use noop::Noop;
pub use operation::Operation;
pub use rate::{Admission, RateLimit};
pub use resource::{
    CreateRequest, Epoch, ExecOutput, Inspected, InspectedWhat, Kind, NewReplica, Quota, Resource, ResourceState,
    Retag, Usage, What,
};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/provider/simulated-cloud.md")]
struct SimulatedCloudGuide;
