//! Fencing: a controller that has been superseded can do nothing any more.

use std::fmt::Debug;

use skyloom_provider::{Cause, DriverError, Epoch, ResourceState};

use crate::bed::{Bed, EPOCH, STOP, Verdict, equal, refused, succeeded};
use crate::harness::Program;

const STALE: Epoch = Epoch(EPOCH.0 - 1);
const LATER: Epoch = Epoch(EPOCH.0 + 1);

fn stale<T: Debug>(call: &str, answer: Result<T, DriverError>) -> Verdict {
    let expected = format!("StaleEpoch (seen {}, ours {})", EPOCH.0, STALE.0);
    let (seen, ours) = (EPOCH.0, STALE.0);
    refused(call, answer, &expected, |cause| {
        *cause == Cause::StaleEpoch { seen, ours }
    })
}

pub(crate) async fn a_stale_create_is_refused(bed: &Bed) -> Verdict {
    let machine = bed.machine(0).await?;
    let mut new = bed.machine_request(1);
    new.epoch = STALE;
    stale("create of a new thing", bed.driver().create(&new).await)?;
    let mut repeated = bed.machine_request(0);
    repeated.epoch = STALE;
    stale("create with a known token", bed.driver().create(&repeated).await)?;
    equal(
        "what is there",
        &bed.settled_ids(&bed.owner()).await?,
        &vec![machine.id],
    )
}

pub(crate) async fn a_stale_delete_is_refused(bed: &Bed) -> Verdict {
    let machine = bed.machine(0).await?;
    stale("delete", bed.driver().delete(&machine.id, STOP, STALE).await)?;
    bed.get(&machine.id).await.map(drop)
}

pub(crate) async fn a_stale_stop_or_start_is_refused(bed: &Bed) -> Verdict {
    bed.needs_ability(bed.driver().capabilities().stop_start, "stop_start")?;
    let replica = bed.running(Program::Serve).await?;
    stale("stop", bed.driver().stop(&replica.id, STOP, STALE).await)?;
    equal(
        "the state after it",
        &bed.get(&replica.id).await?.state,
        &ResourceState::Running,
    )?;
    succeeded("stop", bed.driver().stop(&replica.id, STOP, EPOCH).await)?;
    stale("start", bed.driver().start(&replica.id, STALE).await)?;
    equal(
        "the state after it",
        &bed.get(&replica.id).await?.state,
        &ResourceState::Stopped,
    )
}

pub(crate) async fn a_later_controller_goes_on(bed: &Bed) -> Verdict {
    let machine = bed.machine(0).await?;
    let mut repeated = bed.machine_request(0);
    repeated.epoch = LATER;
    let adopted = bed.create(&repeated).await?;
    equal("the id that the later controller gets", &adopted.id, &machine.id)?;
    // The earlier one is out from now on, although the repeated creation made nothing new.
    let answer = bed.driver().delete(&machine.id, STOP, EPOCH).await;
    let out = |cause: &Cause| matches!(cause, Cause::StaleEpoch { .. });
    refused("delete by the earlier controller", answer, "StaleEpoch", out)?;
    succeeded(
        "delete by the later controller",
        bed.driver().delete(&machine.id, STOP, LATER).await,
    )
}

pub(crate) async fn epochs_are_per_owner(bed: &Bed) -> Verdict {
    bed.machine(0).await?;
    let mut request = bed.machine_request(1);
    request.owner = bed.other_owner();
    request.epoch = Epoch(1);
    let answer = bed.driver().create(&request).await;
    succeeded("create for another owner with an epoch of its own", answer).map(drop)
}
