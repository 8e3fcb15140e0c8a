//! A simulated cloud, for tests and rehearsals: everything that makes real clouds hard, on a clock of its own.
//!
//! In it are pending states, listings that lag, idempotency tokens, quotas, capacity, throttling, lost requests, lost
//! and repeated answers, spot eviction with notice, region outages, clock skew, and a bill to the micro-dollar. No
//! emulator of a real cloud's protocol is here, and no real machine: nothing runs, listens or is paid.
//!
//! The same [`SimConfig`] (with its seed) and the same calls give the same answers and the same [`SimEvent`]s.
//! `docs/provider/simulated-cloud.md` is the guide.
//!
//! ```
//! use std::time::Duration;
//! use futures::executor::block_on;
//! use skyloom_core::Timestamp;
//! use skyloom_provider::{Driver, sim::{SimCloud, SimConfig}};
//!
//! let cloud = SimCloud::new(SimConfig::new(1, Timestamp::EPOCH));
//! cloud.advance(Duration::from_secs(60));
//! assert!(block_on(cloud.list(&"shop".parse()?))?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bill;
mod cloud;
mod config;
mod control;
mod create;
mod edit;
mod event;
mod mix_up;
mod mutate;
mod outage;
mod program;
mod retag;
mod state;
mod thing;
mod timed;

pub use bill::{Bill, Charge, Destination, EgressItem, LineItem};
pub use cloud::SimCloud;
pub use config::{Delay, SimConfig, SimFaults};
pub use control::SimThing;
pub use edit::Origin;
pub use event::{SimEvent, SimEventKind};
pub use mix_up::MixUp;
pub use outage::Fate;
pub use program::SimProgram;
pub use timed::TimedCloud;
