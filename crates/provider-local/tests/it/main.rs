//! The driver with real processes, through its public interface only.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod adoption;
mod conformance;
mod crash;
mod damage;
mod ending;
mod full_disk;
mod measuring;
mod starting;
mod support;
