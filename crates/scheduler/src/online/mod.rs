//! Online placement: pods come one at a time, in batches or in gangs, get a node at once, and leave again.
//!
//! The whole decision about a fleet is [`crate::place`]'s; here nothing is known of the pods to come but their kinds. A
//! [`Placer`] keeps an index of nodes per class of pods that only looks again at nodes that changed, so a placement
//! costs about one score per class however many nodes there are. The same is decided by a scan of all nodes
//! ([`Placer::scan`]), which the tests hold it to.
//!
//! ```
//! use skyloom_core::{Bytes, MachineId, Millicores, Milligpus, Resources};
//! use skyloom_scheduler::online::{NodeSpec, OnlineConfig, Placer, PodSpec, policy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let machine = Resources::new(Millicores::from_cores(32), Bytes::from_gib(128));
//! let with_gpus = machine.with_gpu(Milligpus::from_milligpus(2000));
//! let nodes = vec![
//!     NodeSpec::new(MachineId::new("plain-0")?, machine),
//!     NodeSpec::new(MachineId::new("gpu-0")?, with_gpus).with_gpu_model("T4"),
//! ];
//! let policy = policy::by_name("best").ok_or("no such policy")?;
//! let mut placer = Placer::new(nodes, policy, &OnlineConfig::new(1))?;
//!
//! let share = Resources::new(Millicores::from_cores(4), Bytes::from_gib(8)).with_gpu(Milligpus::from_milligpus(600));
//! let class = placer.class(&PodSpec::new(share))?;
//! let first = placer.place(class)?;
//! let second = placer.place(class)?;
//! // Two shares of 600 thousandths need two devices; a third has none left.
//! assert!(first.placed().is_some() && second.placed().is_some());
//! assert!(placer.place(class)?.placed().is_none());
//! assert_eq!(placer.explain(class)?.to_string(), "fits 0 nodes; size refuses 1; gpu refuses 1");
//! placer.release(first.placed().ok_or("placed above")?.pod)?;
//! assert!(placer.place(class)?.placed().is_some());
//! # Ok(())
//! # }
//! ```

mod candidates;
mod check;
mod choose;
mod class;
mod config;
mod error;
mod explain;
mod filter;
mod gang;
mod index;
mod learn;
mod ledger;
mod migrate;
mod nodes;
mod placer;
mod pods;
pub mod policy;
mod preempt;
mod room;
mod rules;
mod score;
mod spec;
mod swap;

pub use check::{Claim, Fault, audit};
pub use choose::Fitting;
pub use config::{CLASSES_MAX_DEFAULT, Moves, OnlineConfig};
pub use error::OnlineError;
pub use explain::{Refusals, WhyHere};
pub use filter::Filter;
pub use gang::GangOutcome;
pub use placer::{ClassId, Moved, Outcome, Placed, Placer, Standing};
pub use pods::PodId;
pub use room::Devices;
pub use spec::{Expected, NodeSpec, PodSpec, Quota};
