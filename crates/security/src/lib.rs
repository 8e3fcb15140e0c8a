//! Who may do what, and a record of it that cannot be changed unseen.
//!
//! - [`access`]: roles, rules and decisions. Deny by default, deny wins, order does not matter.
//! - [`audit`]: an append-only Merkle log (RFC 6962) with signed checkpoints that other tools can verify.
//!
//! Pure: no clock, no file, no process-wide key. The runtime writes the log and passes `now`, keys and requests in.

pub mod access;
pub mod audit;
