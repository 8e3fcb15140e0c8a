//! Stores: the suite over each of them, what it catches, and control planes that share one.

mod clocks;
mod conforming;
#[cfg(feature = "postgres")]
mod database;
mod faulty;
mod flawed;
mod handover;
mod model;
#[cfg(feature = "object-store")]
mod objects;
