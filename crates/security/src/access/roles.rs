//! A checked set of roles: known, without loops, with inheritance resolved.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Digest};
use thiserror::Error;

use super::{Action, Effect, Role, RoleName, Rule, RuleId};

/// Roles by name. Equal sets have equal revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Role>", into = "Vec<Role>")]
pub struct RoleSet {
    roles: BTreeMap<RoleName, Role>,
    /// Each role with all it inherits from, itself included.
    closure: BTreeMap<RoleName, BTreeSet<RoleName>>,
    revision: Digest,
}

/// Why roles are not a set that can be decided by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RoleSetError {
    /// Two roles of one name.
    #[error("accept role `{role}` twice")]
    Duplicate {
        /// The name.
        role: RoleName,
    },
    /// A role inherits one that is not there.
    #[error("find role `{missing}` that `{role}` inherits")]
    UnknownRole {
        /// The heir.
        role: RoleName,
        /// What it names.
        missing: RoleName,
    },
    /// A role inherits itself by a detour.
    #[error("resolve role `{role}`: it inherits itself")]
    InheritanceLoop {
        /// A role of the loop.
        role: RoleName,
    },
    /// A rule allows giving rights without naming the deployments.
    #[error("accept rule `{rule}`: `grant` must name its deployments")]
    WildcardGrant {
        /// The rule.
        rule: RuleId,
    },
}

impl RoleSetError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl RoleSet {
    /// A checked set.
    ///
    /// # Errors
    /// [`RoleSetError`]: duplicate or unknown names, a loop of inheritance, a wildcard grant.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Result<Self, RoleSetError> {
        let mut by_name = BTreeMap::new();
        for role in roles {
            let name = role.name.clone();
            if by_name.insert(name.clone(), role).is_some() {
                return Err(RoleSetError::Duplicate { role: name });
            }
        }
        for role in by_name.values() {
            check_role(role, &by_name)?;
        }
        let mut closure = BTreeMap::new();
        for name in by_name.keys() {
            closure.insert(name.clone(), inherited(name, &by_name)?);
        }
        let revision = Digest::of(&by_name.values().collect::<Vec<_>>());
        Ok(Self {
            roles: by_name,
            closure,
            revision,
        })
    }

    /// Digest of all rules; an answer names the revision it was given under.
    #[must_use]
    pub const fn revision(&self) -> Digest {
        self.revision
    }

    /// The rules that a holder of `roles` is under, sorted by id. Unknown roles give none.
    pub(super) fn rules_of(&self, roles: &BTreeSet<RoleName>) -> Vec<(RuleId, &Rule)> {
        let names: BTreeSet<&RoleName> = roles.iter().filter_map(|r| self.closure.get(r)).flatten().collect();
        let roles = names.into_iter().filter_map(|name| self.roles.get(name));
        roles
            .flat_map(|role| (0u32..).zip(&role.rules).map(|(i, rule)| (rule_id(role, i), rule)))
            .collect()
    }
}

fn rule_id(role: &Role, index: u32) -> RuleId {
    RuleId {
        role: role.name.clone(),
        index,
    }
}

fn check_role(role: &Role, all: &BTreeMap<RoleName, Role>) -> Result<(), RoleSetError> {
    if let Some(missing) = role.inherits.iter().find(|name| !all.contains_key(*name)) {
        return Err(RoleSetError::UnknownRole {
            role: role.name.clone(),
            missing: missing.clone(),
        });
    }
    let wildcard = |rule: &Rule| {
        rule.effect == Effect::Allow && rule.actions.contains(&Action::Grant) && rule.deployments.is_empty()
    };
    match (0u32..).zip(&role.rules).find(|(_, rule)| wildcard(rule)) {
        Some((index, _)) => Err(RoleSetError::WildcardGrant {
            rule: rule_id(role, index),
        }),
        None => Ok(()),
    }
}

/// All roles that `start` inherits from, itself included; an error when it comes back to itself.
fn inherited(start: &RoleName, all: &BTreeMap<RoleName, Role>) -> Result<BTreeSet<RoleName>, RoleSetError> {
    let mut seen = BTreeSet::from([start.clone()]);
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        for parent in all.get(name).into_iter().flat_map(|role| &role.inherits) {
            if parent == start {
                return Err(RoleSetError::InheritanceLoop { role: start.clone() });
            }
            if seen.insert(parent.clone()) {
                open.push(parent);
            }
        }
    }
    Ok(seen)
}

impl TryFrom<Vec<Role>> for RoleSet {
    type Error = RoleSetError;
    fn try_from(roles: Vec<Role>) -> Result<Self, RoleSetError> {
        Self::new(roles)
    }
}

impl From<RoleSet> for Vec<Role> {
    fn from(set: RoleSet) -> Self {
        set.roles.into_values().collect()
    }
}
