//! Decisions, against an oracle that is written as one formula over all rules.

use std::collections::BTreeSet;

use proptest::prelude::*;
use skyloom_core::{RegionKey, ServiceName, Timestamp};
use skyloom_security::access::{
    AccessRequest, Action, Authorizer, Condition, DecisionReason, Effect, Principal, Role, RoleSet, RoleSetError, Rule,
    Target,
};

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn region(text: &str) -> RegionKey {
    text.parse().unwrap()
}

fn role(role: &str, inherits: &[&str], rules: Vec<Rule>) -> Role {
    Role {
        name: name(role),
        inherits: inherits.iter().map(|r| name(r)).collect(),
        rules,
    }
}

fn request(roles: &[&str], action: Action) -> AccessRequest {
    AccessRequest {
        principal: Principal::new("mira", roles.iter().map(|r| name(r))),
        action,
        target: Target {
            deployment: name("shop"),
            regions: BTreeSet::new(),
        },
        at: Timestamp::from_secs(1000),
    }
}

#[test]
fn decisions_by_table() {
    let set = RoleSet::new([
        role("viewer", &[], vec![Rule::new(Effect::Allow, [Action::Read])]),
        role(
            "operator",
            &["viewer"],
            vec![Rule::new(Effect::Allow, [Action::Apply, Action::Destroy])],
        ),
        role("frozen", &[], vec![Rule::new(Effect::Deny, [Action::Destroy])]),
        role(
            "guarded",
            &[],
            vec![Rule::new(Effect::Allow, [Action::Apply]).when(Condition::MultiFactor)],
        ),
        role(
            "german",
            &[],
            vec![Rule::new(Effect::Allow, [Action::Apply]).in_region(region("aws/eu-central-1"))],
        ),
        role(
            "barred",
            &[],
            vec![Rule::new(Effect::Deny, [Action::Apply]).in_region(region("aws/us-east-1"))],
        ),
        role(
            "other",
            &[],
            vec![Rule::new(Effect::Allow, [Action::Apply]).for_deployment(name("blog"))],
        ),
    ])
    .unwrap();
    let rows: &[(&[&str], Action, DecisionReason)] = &[
        (&[], Action::Read, DecisionReason::NoRuleAllows),
        (&["unknown"], Action::Read, DecisionReason::NoRuleAllows),
        (&["viewer"], Action::Read, DecisionReason::Allowed),
        (&["viewer"], Action::Apply, DecisionReason::NoRuleAllows),
        (&["operator"], Action::Read, DecisionReason::Allowed),
        (&["operator"], Action::Destroy, DecisionReason::Allowed),
        (&["operator", "frozen"], Action::Destroy, DecisionReason::DeniedByRule),
        (&["guarded"], Action::Apply, DecisionReason::NoRuleAllows),
        (&["german"], Action::Apply, DecisionReason::NoRuleAllows),
        (&["operator", "barred"], Action::Apply, DecisionReason::DeniedByRule),
        (&["operator", "barred"], Action::Destroy, DecisionReason::Allowed),
        (&["other"], Action::Apply, DecisionReason::NoRuleAllows),
    ];
    for (roles, action, reason) in rows {
        let decision = set.decide(&request(roles, *action));
        assert_eq!(decision.reason, *reason, "{roles:?} {action}");
        assert_eq!(decision.is_allowed(), *reason == DecisionReason::Allowed);
        assert_eq!(decision.revision, set.revision());
    }
    let mut inside = request(&["german"], Action::Apply);
    inside.target.regions = BTreeSet::from([region("aws/eu-central-1")]);
    assert!(set.decide(&inside).is_allowed());
    inside.target.regions.insert(region("aws/us-east-1"));
    assert!(
        !set.decide(&inside).is_allowed(),
        "an allowing rule must cover every region touched"
    );
    for (regions, allowed) in [
        (&["aws/eu-central-1"][..], true),
        (&["aws/eu-central-1", "aws/us-east-1"], false),
        (&["aws/us-east-1"], false),
        (&[], false),
    ] {
        let mut barred = request(&["operator", "barred"], Action::Apply);
        barred.target.regions = regions.iter().map(|r| region(r)).collect();
        assert_eq!(set.decide(&barred).is_allowed(), allowed, "{regions:?}");
    }
}

#[test]
fn bad_role_sets_are_refused() {
    let grant = || Rule::new(Effect::Allow, [Action::Grant]);
    let rows: Vec<(Vec<Role>, &str)> = vec![
        (vec![role("a", &[], vec![]), role("a", &[], vec![])], "Duplicate"),
        (vec![role("a", &["b"], vec![])], "UnknownRole"),
        (
            vec![role("a", &["b"], vec![]), role("b", &["a"], vec![])],
            "InheritanceLoop",
        ),
        (vec![role("a", &["a"], vec![])], "InheritanceLoop"),
        (vec![role("a", &[], vec![grant()])], "WildcardGrant"),
    ];
    for (roles, expected) in rows {
        let error: RoleSetError = RoleSet::new(roles).unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
    }
    assert!(RoleSet::new([role("a", &[], vec![grant().for_deployment(name("shop"))])]).is_ok());
}

const ROLES: [&str; 4] = ["r0", "r1", "r2", "r3"];

fn any_rule() -> impl Strategy<Value = Rule> {
    let actions = prop::collection::btree_set(prop::sample::select(&Action::ALL[..8]), 0..4);
    let regions = prop::collection::btree_set(prop::sample::select(vec![region("aws/a"), region("gcp/b")]), 0..3);
    (any::<bool>(), actions, any::<bool>(), regions, any::<bool>()).prop_map(|(deny, actions, mine, regions, mfa)| {
        Rule {
            effect: if deny { Effect::Deny } else { Effect::Allow },
            actions,
            deployments: if mine {
                BTreeSet::from([name("shop")])
            } else {
                BTreeSet::new()
            },
            regions,
            conditions: if mfa { vec![Condition::MultiFactor] } else { vec![] },
        }
    })
}

/// Roles may inherit later ones only: no loops by construction.
fn any_roles() -> impl Strategy<Value = Vec<Role>> {
    prop::collection::vec((prop::collection::vec(any_rule(), 0..3), any::<u8>()), ROLES.len()).prop_map(|parts| {
        let mut roles = Vec::new();
        for (i, (rules, mask)) in parts.into_iter().enumerate() {
            let heirs: Vec<&str> = (i + 1..ROLES.len())
                .filter(|j| mask >> j & 1 == 1)
                .map(|j| ROLES[j])
                .collect();
            roles.push(role(ROLES[i], &heirs, rules));
        }
        roles
    })
}

fn any_request() -> impl Strategy<Value = AccessRequest> {
    let roles = prop::collection::btree_set(prop::sample::select(&ROLES[..]), 0..3);
    let regions = prop::collection::btree_set(prop::sample::select(vec![region("aws/a"), region("gcp/b")]), 0..3);
    (roles, prop::sample::select(&Action::ALL[..8]), regions, any::<bool>()).prop_map(
        |(roles, action, regions, mfa)| {
            let mut request = request(&roles.into_iter().collect::<Vec<_>>(), action);
            request.target.regions = regions;
            request.principal.multi_factor = mfa;
            request
        },
    )
}

/// The meaning in one formula: reachable roles by fixed point, then "some allow and no deny".
fn oracle(roles: &[Role], request: &AccessRequest) -> bool {
    let mut held: BTreeSet<ServiceName> = request.principal.roles.clone();
    for _ in 0..roles.len() {
        for role in roles
            .iter()
            .filter(|role| held.contains(&role.name))
            .collect::<Vec<_>>()
        {
            held.extend(role.inherits.iter().cloned());
        }
    }
    let rules = roles
        .iter()
        .filter(|role| held.contains(&role.name))
        .flat_map(|role| &role.rules);
    let hits: Vec<Effect> = rules
        .filter(|rule| {
            let touched = &request.target.regions;
            let in_regions = if rule.regions.is_empty() {
                true
            } else if rule.effect == Effect::Allow {
                !touched.is_empty() && touched.iter().all(|r| rule.regions.contains(r))
            } else {
                touched.is_empty() || touched.iter().any(|r| rule.regions.contains(r))
            };
            rule.actions.contains(&request.action)
                && in_regions
                && (rule.conditions.is_empty() || request.principal.multi_factor)
        })
        .map(|rule| rule.effect)
        .collect();
    hits.contains(&Effect::Allow) && !hits.contains(&Effect::Deny)
}

proptest! {
    #[test]
    fn decisions_equal_the_formula(roles in any_roles(), request in any_request()) {
        let set = RoleSet::new(roles.clone()).unwrap();
        prop_assert_eq!(set.decide(&request).is_allowed(), oracle(&roles, &request));
    }

    #[test]
    fn order_of_roles_changes_nothing(roles in any_roles(), request in any_request()) {
        let forward = RoleSet::new(roles.clone()).unwrap();
        let backward = RoleSet::new(roles.into_iter().rev()).unwrap();
        prop_assert_eq!(forward.decide(&request), backward.decide(&request));
    }

    #[test]
    fn a_further_denial_never_widens(roles in any_roles(), request in any_request(), mut rule in any_rule(), at in 0usize..4) {
        let before = RoleSet::new(roles.clone()).unwrap().decide(&request).is_allowed();
        let mut narrowed = roles;
        rule.effect = Effect::Deny;
        narrowed[at].rules.push(rule);
        let after = RoleSet::new(narrowed).unwrap().decide(&request).is_allowed();
        prop_assert!(before || !after);
    }

    #[test]
    fn a_set_survives_serde(roles in any_roles()) {
        let set = RoleSet::new(roles).unwrap();
        let json = serde_json::to_string(&set).unwrap();
        prop_assert_eq!(serde_json::from_str::<RoleSet>(&json).unwrap(), set);
    }
}
