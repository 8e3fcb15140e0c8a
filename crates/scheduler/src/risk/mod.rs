//! Decisions under chance: how many replicas an availability needs, how full a machine may be, and spot by a deadline.

pub mod availability;
pub mod overload;
pub mod spot;
