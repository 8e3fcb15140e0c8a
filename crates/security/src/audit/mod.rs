//! The audit log: records as leaves of a Merkle tree, checkpoints signed so that others can verify them.
//!
//! Nothing here writes: the runtime appends the bytes of a record durably and keeps the checkpoint beside them.

mod checkpoint;
mod log;
mod merkle;
mod record;

pub use checkpoint::{Checkpoint, CheckpointError, LogKey, LogNameError, VerifyingLogKey};
pub use log::{AuditLog, AuditVerifyError, Verified, verify};
pub use merkle::{
    Hash, MerkleFrontier, consistency_proof, inclusion_proof, leaf_hash, root_of, verify_consistency, verify_inclusion,
};
pub use record::{AUDIT_RECORD_VERSION, AuditRecord, Outcome};
