//! Taking over: a thing gets another owner and name and runs on; nothing is taken that is not offered.

use skyloom_core::OwnerTag;
use skyloom_provider::{Cause, Epoch, Inspected, InspectedWhat, Resource, ResourceState, Retag};

use crate::bed::{Bed, EPOCH, Verdict, check, equal, refused, succeeded};
use crate::harness::Program;

fn retag(bed: &Bed, thing: &Resource, from: Option<OwnerTag>, to: Option<OwnerTag>) -> Retag {
    Retag {
        id: thing.id.clone(),
        from,
        to,
        name: "taken/0".to_owned(),
        operation: bed.operation("retag"),
        token: bed.token("retag"),
        epoch: EPOCH,
    }
}

fn needs_adopt(bed: &Bed) -> Verdict {
    bed.needs_ability(bed.driver().capabilities().adopt, "adopt")
}

async fn inspected(bed: &Bed, thing: &Resource) -> Result<Inspected, crate::bed::Halt> {
    succeeded("inspect", bed.driver().inspect(&thing.id).await)
}

pub(crate) async fn what_is_taken_over_runs_on(bed: &Bed) -> Verdict {
    needs_adopt(bed)?;
    let before = bed.running(Program::Serve).await?;
    let (ours, theirs) = (bed.owner(), bed.other_owner());
    let request = retag(bed, &before, Some(ours.clone()), Some(theirs.clone()));
    let first = succeeded("retag", bed.driver().retag(&request).await)?;
    let again = succeeded("retag, repeated", bed.driver().retag(&request).await)?;
    equal("what a repeated retag returns", &again, &first)?;
    let marks = (&first.owner, first.name.as_str(), &first.operation, &first.token);
    let expected = (&theirs, "taken/0", &request.operation, &request.token);
    equal("the marks after it", &marks, &expected)?;
    let after = bed.get(&before.id).await?;
    equal("its state after it", &after.state, &ResourceState::Running)?;
    equal("its ports after it", &after.endpoints, &before.endpoints)?;
    equal("when it was made", &after.created_at, &before.created_at)?;
    let has = |ids: &[skyloom_core::ResourceId]| ids.contains(&before.id);
    check(has(&bed.settled_ids(&theirs).await?), || {
        "it is not in its new owner's list".to_owned()
    })?;
    check(!has(&bed.settled_ids(&ours).await?), || {
        "it is in its old owner's list".to_owned()
    })?;
    let found = succeeded(
        "find_by_token",
        bed.driver().find_by_token(&theirs, &request.token).await,
    )?;
    equal(
        "what its new token finds",
        &found.map(|thing| thing.id),
        &Some(before.id),
    )
}

pub(crate) async fn anothers_thing_is_not_taken(bed: &Bed) -> Verdict {
    needs_adopt(bed)?;
    let thing = bed.running(Program::Serve).await?;
    let before = inspected(bed, &thing).await?;
    equal("its owner", &before.owner, &Some(bed.owner()))?;
    check(matches!(before.what, InspectedWhat::Replica { .. }), || {
        format!("a replica is told as {:?}", before.what)
    })?;
    for from in [None, Some(bed.other_owner())] {
        let owner = Some(bed.owner());
        let request = retag(bed, &thing, from, Some(bed.other_owner()));
        let other = |cause: &Cause| *cause == Cause::OtherOwner { owner };
        refused("retag", bed.driver().retag(&request).await, "OtherOwner", other)?;
    }
    let mut gone = retag(bed, &thing, None, Some(bed.owner()));
    gone.id = bed.unknown_id();
    let not_found = |cause: &Cause| *cause == Cause::NotFound;
    refused(
        "retag of the unknown",
        bed.driver().retag(&gone).await,
        "NotFound",
        not_found,
    )?;
    equal("it after all this", &inspected(bed, &thing).await?, &before)
}

pub(crate) async fn a_stale_retag_is_refused(bed: &Bed) -> Verdict {
    needs_adopt(bed)?;
    let thing = bed.machine(0).await?;
    let mut request = retag(bed, &thing, Some(bed.owner()), None);
    request.epoch = Epoch(EPOCH.0 - 1);
    let stale = |cause: &Cause| matches!(cause, Cause::StaleEpoch { .. });
    refused("retag", bed.driver().retag(&request).await, "StaleEpoch", stale)?;
    equal("its owner", &bed.get(&thing.id).await?.owner, &bed.owner())
}

pub(crate) async fn what_is_released_is_nobodys(bed: &Bed) -> Verdict {
    needs_adopt(bed)?;
    let thing = bed.machine(0).await?;
    let request = retag(bed, &thing, Some(bed.owner()), None);
    succeeded("retag", bed.driver().retag(&request).await)?;
    equal(
        "what its old owner has",
        &bed.settled_ids(&bed.owner()).await?,
        &Vec::new(),
    )?;
    let others = succeeded("others", bed.driver().others(&bed.owner()).await)?;
    let told = others.iter().find(|other| other.id == thing.id);
    equal(
        "whose it is told to be",
        &told.map(|other| other.owner.clone()),
        &Some(None),
    )?;
    let mut back = retag(bed, &thing, None, Some(bed.owner()));
    back.operation = bed.operation("retag-back");
    back.token = bed.token("retag-back");
    succeeded("retag of what is nobody's", bed.driver().retag(&back).await)?;
    equal(
        "what its owner has",
        &bed.settled_ids(&bed.owner()).await?,
        &vec![thing.id],
    )
}
