//! A multi-cloud control plane that a Rust program embeds.
//!
//! Hand it a service manifest and some clouds: it decides where things run and what that costs, brings them up in
//! dependency order, keeps them healthy and balanced, keeps their data in sync, watches and forecasts them, and lets in
//! only who may. No server, no daemon, no cluster is needed to begin.
//!
//! ```
//! use skyloom::{LocalConfig, LocalProcesses, Manifest, Principal, Skyloom};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! // Real processes on this machine stand in for every cloud that the plan names.
//! let local = LocalProcesses::open(LocalConfig::new(folder.join("processes")))?;
//! let sky = Skyloom::builder().state_dir(folder.join("state")).provider(local).build()?;
//!
//! let manifest = Manifest::parse(
//!     r#"
//!     version = 1
//!     name = "hello"
//!     [residency]
//!     allow = ["EU"]
//!     [[service]]
//!     name = "sleeper"
//!     replicas = 2
//!     resources = { cpu = "500m", memory = "256MiB" }
//!     [service.run]
//!     command = ["sleep", "600"]
//!     "#,
//!     "hello.toml",
//! )?;
//! let plan = sky.plan(&manifest).await?; // priced, explained, nothing touched yet
//! println!("{plan}");
//!
//! let me = Principal::new("mira", []);
//! sky.apply(plan, &me).await?; // journalled, resumable
//! let status = sky.status().await?;
//! println!("{status}");
//! assert_eq!(status.healthy(), 2);
//!
//! sky.destroy(&me).await?;
//! assert!(sky.status().await?.replicas.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! Each engine is useful alone: [`scheduler`], [`orchestrator`], [`analytics`], [`security`] and [`sync`] are crates of
//! their own that need no runtime. [`provider`] is the port for further clouds, with a simulated one to test against.

pub use skyloom_analytics as analytics;
pub use skyloom_core as core;
pub use skyloom_orchestrator as orchestrator;
pub use skyloom_provider as provider;
pub use skyloom_runtime as runtime;
pub use skyloom_scheduler as scheduler;
pub use skyloom_security as security;
pub use skyloom_sync as sync;

pub use skyloom_core::{Catalogue, Manifest};
#[cfg(all(feature = "local", target_os = "linux"))]
pub use skyloom_provider_local::{LocalConfig, LocalProcesses};
pub use skyloom_runtime::{ControlPlane as Skyloom, Error, Event, Metric, Proposal, RuntimeConfig, Status};
pub use skyloom_security::access::{Action, Effect, Principal, Role, RoleSet, Rule};
