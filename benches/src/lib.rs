//! Workloads that the benches share.
