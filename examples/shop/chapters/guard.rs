//! Who may do what: an operator, and a stranger who may only look.

use skyloom::{Action, Effect, Error, Principal, Role, RoleSet, Rule, Skyloom};

use crate::Failure;
use crate::report::Audit;

/// The roles of the shop: viewers look, operators do everything else but giving rights.
pub(crate) fn roles() -> Result<RoleSet, Failure> {
    let look = [Action::Read, Action::ReadLogs];
    let act = [
        Action::Apply,
        Action::Rebalance,
        Action::Heal,
        Action::Sync,
        Action::Destroy,
        Action::ReadAudit,
    ];
    let viewer = Role {
        name: "viewer".parse()?,
        inherits: [].into(),
        rules: vec![Rule::new(Effect::Allow, look)],
    };
    let operator = Role {
        name: "operator".parse()?,
        inherits: ["viewer".parse()?].into(),
        rules: vec![Rule::new(Effect::Allow, act)],
    };
    Ok(RoleSet::new([viewer, operator])?)
}

/// Somebody who may do everything here.
pub(crate) fn operator() -> Result<Principal, Failure> {
    Ok(Principal::new("mira", ["operator".parse()?]))
}

/// A viewer tries to take the shop down; whether that was refused.
pub(crate) async fn stranger_is_denied(sky: &Skyloom) -> Result<bool, Failure> {
    let stranger = Principal::new("eve", ["viewer".parse()?]);
    match sky.destroy(&stranger).await {
        Err(Error::Denied { .. }) => Ok(true),
        Err(other) => Err(other.into()),
        Ok(_) => Ok(false),
    }
}

/// Verifies the trail of everything that was done.
pub(crate) fn verify_trail(sky: &Skyloom) -> Result<Audit, Failure> {
    let trail = sky.verify_audit(None)?;
    Ok(Audit {
        records: trail.records,
        verified: true,
    })
}
