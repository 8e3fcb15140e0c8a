//! The vocabulary of access: principals, actions, targets, rules and roles.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{RegionKey, ServiceName, Timestamp};

/// Name of a role, such as `operator`.
pub type RoleName = ServiceName;

/// Somebody, or some program, that calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Name as it stands in the audit log.
    pub name: String,
    /// Roles that it holds.
    pub roles: BTreeSet<RoleName>,
    /// Whether a second factor was shown for this call.
    #[serde(default)]
    pub multi_factor: bool,
}

impl Principal {
    /// A principal with these roles and no second factor.
    #[must_use]
    pub fn new(name: impl Into<String>, roles: impl IntoIterator<Item = RoleName>) -> Self {
        Self {
            name: name.into(),
            roles: roles.into_iter().collect(),
            multi_factor: false,
        }
    }
}

/// What can be asked for. Reading and changing are apart; so is giving rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// See placements, plans, status and metrics.
    Read,
    /// See what services print.
    ReadLogs,
    /// See the audit log.
    ReadAudit,
    /// Carry out a plan.
    Apply,
    /// Move running replicas.
    Rebalance,
    /// Replace failed replicas.
    Heal,
    /// Move data between stores.
    Sync,
    /// Take everything down.
    Destroy,
    /// Change roles.
    Grant,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::ReadLogs,
        Self::ReadAudit,
        Self::Apply,
        Self::Rebalance,
        Self::Heal,
        Self::Sync,
        Self::Destroy,
        Self::Grant,
    ];

    /// Whether it changes anything outside.
    #[must_use]
    pub const fn is_mutation(self) -> bool {
        !matches!(self, Self::Read | Self::ReadLogs | Self::ReadAudit)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::ReadLogs => "read-logs",
            Self::ReadAudit => "read-audit",
            Self::Apply => "apply",
            Self::Rebalance => "rebalance",
            Self::Heal => "heal",
            Self::Sync => "sync",
            Self::Destroy => "destroy",
            Self::Grant => "grant",
        })
    }
}

/// What an action is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The deployment.
    pub deployment: ServiceName,
    /// Regions that are touched; empty where that is not known, which is taken as any of them.
    pub regions: BTreeSet<RegionKey>,
}

/// A question to an authorizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Who asks.
    pub principal: Principal,
    /// For what.
    pub action: Action,
    /// On what.
    pub target: Target,
    /// When.
    pub at: Timestamp,
}

/// Whether a rule allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// May, unless another rule denies.
    Allow,
    /// May not, whatever else allows.
    Deny,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// What must hold for a rule to match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// A second factor was shown.
    MultiFactor,
    /// The call comes at or after `from` and before `until`: a change window, or break-glass with its expiry.
    Between {
        /// First moment.
        from: Timestamp,
        /// End, not included.
        until: Timestamp,
    },
}

/// Allows or denies actions in a scope under conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Whether it allows or denies.
    pub effect: Effect,
    /// Actions that it is about.
    pub actions: BTreeSet<Action>,
    /// Deployments that it is about; empty is all. Never empty where [`Action::Grant`] is allowed:
    /// who may give rights is always said by name.
    pub deployments: BTreeSet<ServiceName>,
    /// Regions that it is about; empty is all. An allowing rule must cover every region touched; a denying one any.
    /// Where a request names no region, such an allowing rule does not match and such a denying one does.
    pub regions: BTreeSet<RegionKey>,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

impl Rule {
    /// A rule on these actions, everywhere, unconditionally.
    #[must_use]
    pub fn new(effect: Effect, actions: impl IntoIterator<Item = Action>) -> Self {
        Self {
            effect,
            actions: actions.into_iter().collect(),
            deployments: BTreeSet::new(),
            regions: BTreeSet::new(),
            conditions: Vec::new(),
        }
    }

    /// The same, for this deployment (too).
    #[must_use]
    pub fn for_deployment(mut self, deployment: ServiceName) -> Self {
        self.deployments.insert(deployment);
        self
    }

    /// The same, in this region (too).
    #[must_use]
    pub fn in_region(mut self, region: RegionKey) -> Self {
        self.regions.insert(region);
        self
    }

    /// The same, under this condition (too).
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

/// Names rules for those who hold it and for those who inherit it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// Roles whose rules it has as well.
    pub inherits: BTreeSet<RoleName>,
    /// Its own rules.
    pub rules: Vec<Rule>,
}

/// Names a rule: its role and its position there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId {
    /// Role that the rule stands in.
    pub role: RoleName,
    /// Position among the role's own rules, from 0.
    pub index: u32,
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.role, self.index)
    }
}
