//! Deleting: gone when it says so, harmless when repeated, refused when something would be pulled from under another.

use std::time::Duration;

use skyloom_core::StopSpec;
use skyloom_provider::{Cause, Resource};

use crate::bed::{Bed, EPOCH, STOP, Verdict, check, equal, refused, succeeded};
use crate::harness::Program;

pub(crate) async fn delete_is_idempotent(bed: &Bed) -> Verdict {
    let machine = bed.machine(0).await?;
    bed.delete(&machine.id).await?;
    bed.delete(&machine.id).await?;
    equal("what is there", &bed.settled_ids(&bed.owner()).await?, &Vec::new())
}

pub(crate) async fn delete_of_the_unknown_is_success(bed: &Bed) -> Verdict {
    bed.delete(&bed.unknown_id()).await
}

pub(crate) async fn delete_waits_until_gone(bed: &Bed) -> Verdict {
    let replica = bed.running(Program::Serve).await?;
    bed.delete(&replica.id).await?;
    is_gone(bed, &replica).await
}

pub(crate) async fn delete_ends_the_stubborn(bed: &Bed) -> Verdict {
    let replica = bed.running(Program::Stubborn).await?;
    let stop = StopSpec {
        grace: Duration::from_millis(300),
    };
    succeeded("delete", bed.driver().delete(&replica.id, stop, EPOCH).await)?;
    is_gone(bed, &replica).await
}

/// At once after the call: nothing runs, and nobody tells of it.
async fn is_gone(bed: &Bed, thing: &Resource) -> Verdict {
    check(bed.world.still_runs(thing).await != Some(true), || {
        format!("`{}` still runs after delete returned", thing.id)
    })?;
    let not_found = |cause: &Cause| *cause == Cause::NotFound;
    refused(
        "get after delete",
        bed.driver().get(&thing.id).await,
        "NotFound",
        not_found,
    )?;
    let listed = succeeded("list", bed.driver().list(&thing.owner).await)?;
    check(listed.iter().all(|other| other.id != thing.id), || {
        "list holds what was deleted".to_owned()
    })?;
    let found = succeeded(
        "find_by_token",
        bed.driver().find_by_token(&thing.owner, &thing.token).await,
    )?;
    check(found.is_none(), || "find_by_token finds what was deleted".to_owned())
}

pub(crate) async fn a_machine_in_use_is_kept(bed: &Bed) -> Verdict {
    let replica = bed.running(Program::Serve).await?;
    // The token was used by `running`, so this is the machine that the replica is on.
    let machine = bed.machine(0).await?;
    let answer = bed.driver().delete(&machine.id, STOP, EPOCH).await;
    refused("delete of a machine in use", answer, "InUse", |cause| {
        matches!(cause, Cause::InUse { .. })
    })?;
    bed.get(&machine.id).await?;
    bed.until_running(&replica.id).await?;
    bed.delete(&replica.id).await?;
    bed.delete(&machine.id).await?;
    equal("what is there", &bed.settled_ids(&bed.owner()).await?, &Vec::new())
}
