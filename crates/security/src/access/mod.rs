//! Access decisions: principals with roles ask for actions on targets.
//!
//! The semantics are Cedar's (deny by default, forbid overrides permit, order-independent), over a fixed vocabulary
//! instead of a language: every rule set can be read and compared as data.

mod decide;
mod model;
mod roles;

pub use decide::{AllowAll, Authorizer, Decision, DecisionReason};
pub use model::{AccessRequest, Action, Condition, Effect, Principal, Role, RoleName, Rule, RuleId, Target};
pub use roles::{RoleSet, RoleSetError};
