//! Looking: by id, by token, by owner.

use skyloom_core::ResourceId;
use skyloom_provider::{Cause, Kind};

use crate::bed::{Bed, Verdict, check, equal, refused, succeeded};

pub(crate) async fn an_unknown_id_is_not_found(bed: &Bed) -> Verdict {
    let not_found = |cause: &Cause| *cause == Cause::NotFound;
    refused(
        "get of an unknown id",
        bed.driver().get(&bed.unknown_id()).await,
        "NotFound",
        not_found,
    )
}

pub(crate) async fn an_unknown_token_finds_nothing(bed: &Bed) -> Verdict {
    bed.machine(0).await?;
    let found = bed.driver().find_by_token(&bed.owner(), &bed.token("never-used")).await;
    let found = succeeded("find_by_token", found)?;
    check(found.is_none(), || {
        format!("find_by_token of an unknown token found {found:?}")
    })
}

pub(crate) async fn a_token_finds_only_the_owners_thing(bed: &Bed) -> Verdict {
    bed.machine(0).await?;
    bed.world.pass(bed.driver().capabilities().consistency_window).await;
    let token = bed.machine_request(0).token;
    let found = succeeded(
        "find_by_token",
        bed.driver().find_by_token(&bed.other_owner(), &token).await,
    )?;
    check(found.is_none(), || {
        format!("find_by_token found a thing of another owner: {found:?}")
    })
}

pub(crate) async fn a_list_holds_only_the_owners_things(bed: &Bed) -> Verdict {
    let ours = bed.machine(0).await?;
    let mut request = bed.machine_request(1);
    request.owner = bed.other_owner();
    let theirs = bed.create(&request).await?;
    equal("our list", &bed.settled_ids(&bed.owner()).await?, &vec![ours.id])?;
    equal(
        "their list",
        &bed.settled_ids(&bed.other_owner()).await?,
        &vec![theirs.id],
    )
}

pub(crate) async fn a_list_is_sorted_by_id(bed: &Bed) -> Verdict {
    bed.needs(Kind::Machine)?;
    let mut made: Vec<ResourceId> = Vec::new();
    for index in [2, 0, 1] {
        made.push(bed.machine(index).await?.id);
    }
    made.sort();
    equal("the list", &bed.settled_ids(&bed.owner()).await?, &made)
}
