//! The decision: which rules match, and what follows from them.

use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::Digest;

use super::{AccessRequest, Condition, Effect, RoleSet, Rule, RuleId};

/// Answers access requests. Implemented by [`RoleSet`]; an embedder may bring another engine.
///
/// Implementors are functions of the request and of their own rules: the same request under the same revision has the
/// same answer.
pub trait Authorizer: Send + Sync + fmt::Debug {
    /// The answer. It cannot fail: what is not clearly allowed is denied.
    fn decide(&self, request: &AccessRequest) -> Decision;
}

/// An answer with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// May, or may not.
    pub effect: Effect,
    /// Why.
    pub reason: DecisionReason,
    /// The rules that decided, sorted.
    pub matched: Vec<RuleId>,
    /// Revision of the rules that it was decided under.
    pub revision: Digest,
}

/// Why an answer is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionReason {
    /// A rule allows it and none denies it.
    Allowed,
    /// A rule denies it.
    DeniedByRule,
    /// No rule allows it.
    NoRuleAllows,
}

impl Decision {
    /// Whether the answer is yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            DecisionReason::Allowed => "allowed by",
            DecisionReason::DeniedByRule => "denied by",
            DecisionReason::NoRuleAllows => return f.write_str("denied: no rule allows it"),
        };
        let rules: Vec<String> = self.matched.iter().map(|rule| format!("`{rule}`")).collect();
        write!(f, "{reason} {}", rules.join(", "))
    }
}

impl Authorizer for RoleSet {
    fn decide(&self, request: &AccessRequest) -> Decision {
        let rules = self.rules_of(&request.principal.roles);
        let with = |effect| -> Vec<RuleId> {
            let matching = rules
                .iter()
                .filter(|(_, rule)| rule.effect == effect && matches(rule, request));
            matching.map(|(id, _)| id.clone()).collect()
        };
        let (denying, allowing) = (with(Effect::Deny), with(Effect::Allow));
        let (effect, reason, matched) = match (denying.is_empty(), allowing.is_empty()) {
            (false, _) => (Effect::Deny, DecisionReason::DeniedByRule, denying),
            (true, false) => (Effect::Allow, DecisionReason::Allowed, allowing),
            (true, true) => (Effect::Deny, DecisionReason::NoRuleAllows, Vec::new()),
        };
        Decision {
            effect,
            reason,
            matched,
            revision: self.revision(),
        }
    }
}

fn matches(rule: &Rule, request: &AccessRequest) -> bool {
    rule.actions.contains(&request.action)
        && (rule.deployments.is_empty() || rule.deployments.contains(&request.target.deployment))
        && covers_regions(rule, request)
        && rule.conditions.iter().all(|condition| holds(condition, request))
}

/// An allowing rule must cover every region that is touched, a denying one any of them: widening a request never helps.
/// A request that names no region may touch any: it satisfies no allowance for some regions, and every denial.
fn covers_regions(rule: &Rule, request: &AccessRequest) -> bool {
    let touched = &request.target.regions;
    rule.regions.is_empty()
        || match rule.effect {
            Effect::Allow => !touched.is_empty() && touched.is_subset(&rule.regions),
            Effect::Deny => touched.is_empty() || !touched.is_disjoint(&rule.regions),
        }
}

fn holds(condition: &Condition, request: &AccessRequest) -> bool {
    match condition {
        Condition::MultiFactor => request.principal.multi_factor,
        Condition::Between { from, until } => (*from..*until).contains(&request.at),
    }
}

/// Allows everything to everybody: for a program that is its own only user. The audit log still records each call.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl Authorizer for AllowAll {
    fn decide(&self, _request: &AccessRequest) -> Decision {
        Decision {
            effect: Effect::Allow,
            reason: DecisionReason::Allowed,
            matched: Vec::new(),
            revision: Digest::of_bytes(b"allow-all"),
        }
    }
}
