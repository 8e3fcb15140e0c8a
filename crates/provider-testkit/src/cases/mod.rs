//! The cases, by the part of the contract that they try. Each is one function named after its promise, takes a fresh
//! world, and is listed in [`crate::CASES`].

pub(crate) mod abilities;
pub(crate) mod at_once;
pub(crate) mod capabilities;
pub(crate) mod create;
pub(crate) mod fences;
pub(crate) mod lookup;
pub(crate) mod remove;
pub(crate) mod states;
pub(crate) mod takeover;
