//! Creating: what is made is what was asked for, once.

use skyloom_provider::{Cause, CreateRequest, Kind, Resource, What};

use crate::bed::{Bed, Verdict, equal, failed, refused, succeeded};
use crate::harness::Program;

pub(crate) async fn a_machine_round_trips(bed: &Bed) -> Verdict {
    bed.needs(Kind::Machine)?;
    round_trips(bed, &bed.machine_request(0)).await
}

pub(crate) async fn a_replica_round_trips(bed: &Bed) -> Verdict {
    bed.needs(Kind::Replica)?;
    let machine = bed.machine(0).await?;
    round_trips(bed, &bed.replica_request(&machine, Program::Serve, 0)?).await
}

/// `create`, `get`, `list` and `find_by_token` tell of one and the same thing, and it is what was asked for.
async fn round_trips(bed: &Bed, request: &CreateRequest) -> Verdict {
    let made = bed.create(request).await?;
    is_what_was_asked_for("create", &made, request)?;
    let got = bed.get(&made.id).await?;
    equal("the id that get tells", &got.id, &made.id)?;
    is_what_was_asked_for("get", &got, request)?;
    equal("the time of creation that get tells", &got.created_at, &made.created_at)?;

    bed.world.pass(bed.driver().capabilities().consistency_window).await;
    let listed = succeeded("list", bed.driver().list(&request.owner).await)?;
    let Some(listed) = listed.iter().find(|thing| thing.id == made.id) else {
        return failed("list does not hold the thing after the consistency window");
    };
    is_what_was_asked_for("list", listed, request)?;

    let found = bed.driver().find_by_token(&request.owner, &request.token).await;
    let Some(found) = succeeded("find_by_token", found)? else {
        return failed("find_by_token does not find the thing after the consistency window");
    };
    equal("the id that find_by_token tells", &found.id, &made.id)?;
    is_what_was_asked_for("find_by_token", &found, request)
}

fn is_what_was_asked_for(call: &str, thing: &Resource, request: &CreateRequest) -> Verdict {
    let is = |what: &str| format!("{what} that {call} tells");
    equal(&is("the kind"), &thing.kind, &request.kind())?;
    equal(&is("the name"), &thing.name, &request.name())?;
    equal(&is("the owner"), &thing.owner, &request.owner)?;
    equal(&is("the operation"), &thing.operation, &request.operation)?;
    equal(&is("the token"), &thing.token, &request.token)?;
    equal(
        &is("the digest of the parameters"),
        &thing.parameters,
        &request.parameters(),
    )?;
    equal(&is("the region"), &thing.site.region, &request.site().region)
}

pub(crate) async fn the_same_token_makes_one_thing(bed: &Bed) -> Verdict {
    let first = bed.machine(0).await?;
    let second = bed.machine(0).await?;
    equal("the id of the repeated creation", &second.id, &first.id)?;
    let later = bed.settled_ids(&bed.owner()).await?;
    equal("what is there", &later, &vec![first.id.clone()])?;
    let third = bed.machine(0).await?;
    equal("the id of the creation repeated later", &third.id, &first.id)
}

pub(crate) async fn a_token_with_other_parameters_is_refused(bed: &Bed) -> Verdict {
    let first = bed.machine(0).await?;
    let mut other = bed.machine_request(1);
    other.token = bed.machine_request(0).token;
    token_is_refused(bed, &other).await?;
    equal("what is there", &bed.settled_ids(&bed.owner()).await?, &vec![first.id])
}

pub(crate) async fn a_token_of_a_deleted_thing_is_refused(bed: &Bed) -> Verdict {
    let first = bed.machine(0).await?;
    bed.delete(&first.id).await?;
    token_is_refused(bed, &bed.machine_request(0)).await?;
    equal("what is there", &bed.settled_ids(&bed.owner()).await?, &Vec::new())
}

async fn token_is_refused(bed: &Bed, request: &CreateRequest) -> Verdict {
    let answer = bed.driver().create(request).await;
    refused("create", answer, "TokenReused", |cause| *cause == Cause::TokenReused)
}

pub(crate) async fn a_replica_needs_its_machine(bed: &Bed) -> Verdict {
    bed.needs(Kind::Replica)?;
    let machine = bed.machine(0).await?;
    let mut request = bed.replica_request(&machine, Program::Serve, 0)?;
    match &mut request.what {
        What::Replica(new) => new.machine = bed.unknown_id(),
        What::Machine(_) => return failed("the suite asked for a machine instead of a replica"),
    }
    let answer = bed.driver().create(&request).await;
    let fits = |cause: &Cause| matches!(cause, Cause::NotFound | Cause::Invalid { .. });
    refused("create on an unknown machine", answer, "NotFound or Invalid", fits)?;
    equal(
        "what is there",
        &bed.settled_ids(&bed.owner()).await?,
        &vec![machine.id],
    )
}
