//! The control loop: observe, decide, plan, act, record. Everything that waits, spawns or stores lives here.

mod endpoints;
mod health;
mod probe;
pub mod store;

pub use endpoints::{ENDPOINTS_VERSION, Endpoint, Endpoints, EndpointsFile};
pub use health::HealthTracker;
pub use probe::{ProbeResult, probe};
