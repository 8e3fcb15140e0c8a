//! Services as real operating-system processes on this machine: the driver that needs no account and no other package.
//!
//! [`LocalProcesses`] implements [`skyloom_provider::Driver`]. It runs each replica in a process group of its own and
//! **stands in for every cloud a plan names**: a machine is a folder with its record, its capacity is bookkeeping, and
//! the replicas that would run on it run here. Nothing is bought and nothing is isolated; see `docs/local-driver.md`.
//!
//! It survives its own controller: all it knows is on disk, written before and after each act, so that a new driver on
//! the same folder takes over what runs, and a process whose number was never written down is found again.
//!
//! Linux only, as it reads `/proc`; elsewhere this crate is empty.
//!
//! ```
//! # #[cfg(target_os = "linux")] {
//! use std::path::PathBuf;
//!
//! use skyloom_provider::Driver;
//! use skyloom_provider_local::{LocalConfig, LocalProcesses};
//!
//! # let root = std::env::temp_dir().join(format!("skyloom-doc-{}", std::process::id()));
//! // The first word of a manifest's `command` is looked up here, then along `PATH`.
//! let resolver = |word: &str| (word == "shop").then(|| PathBuf::from("/usr/local/bin/shop"));
//! let driver = LocalProcesses::open(LocalConfig::new(&root).with_resolver(resolver))?;
//!
//! assert!(driver.capabilities().rehearsal);
//! assert!(driver.capabilities().clouds.is_none(), "it stands in for any cloud");
//! # std::fs::remove_dir_all(&root)?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg(target_os = "linux")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod config;
mod create;
mod driver;
mod error;
mod exec;
mod lifecycle;
mod logs;
mod netdiag;
mod network;
mod ports;
mod process;
mod reaper;
mod record;
mod spawn;
mod store;
mod usage;

pub use config::{LocalConfig, Resolver};
pub use driver::LocalProcesses;
pub use error::OpenError;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/local-driver.md")]
struct Guide;
