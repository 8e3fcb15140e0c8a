//! A store of plain files in a folder, with compare-and-set, metadata and durability.
//!
//! The visible tree is what people and programs put there; all records of the store are in `.skyloom` at its top.

mod beneath;
mod commit;
mod hidden;
mod index;
mod local;
mod sidecar;
mod walk;

pub use local::{Durability, LocalDisk};
