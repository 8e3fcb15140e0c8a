//! The control loop: observe, decide, plan, act, record. Everything that waits, spawns or stores lives here.

pub mod store;
