//! A driver says what it can do, does that, and refuses the rest without side effect.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use skyloom_core::{CloudId, ResourceId};
use skyloom_provider::{Cause, DriverError, Kind, ResourceState, What};

use crate::bed::{Bed, EPOCH, STOP, Verdict, check, equal, failed, refused, skipped, succeeded};
use crate::harness::Program;

pub(crate) async fn capabilities_are_constant(bed: &Bed) -> Verdict {
    let before = bed.driver().capabilities().clone();
    check(!before.name.is_empty(), || "the driver has no name".to_owned())?;
    check(!before.kinds.is_empty(), || "the driver declares no kind".to_owned())?;
    let kinds: BTreeSet<Kind> = before.kinds.iter().copied().collect();
    equal("the number of different kinds", &kinds.len(), &before.kinds.len())?;
    if before.kinds.contains(&Kind::Machine) {
        bed.machine(0).await?;
    }
    equal(
        "what the driver can do after a call",
        bed.driver().capabilities(),
        &before,
    )
}

pub(crate) async fn what_is_not_declared_is_unsupported(bed: &Bed) -> Verdict {
    let can = bed.driver().capabilities().clone();
    if can.logs && can.usage && can.exec && can.stop_start && can.adopt && can.kinds.len() == 2 {
        return skipped("the driver declares everything");
    }
    let before = bed.settled_ids(&bed.owner()).await?;
    if !can.kinds.contains(&Kind::Machine) {
        unsupported(
            "create of a machine",
            bed.driver().create(&bed.machine_request(0)).await,
        )?;
        return equal("what is there after it", &bed.settled_ids(&bed.owner()).await?, &before);
    }
    if !can.kinds.contains(&Kind::Replica) {
        let machine = bed.machine(0).await?;
        let request = bed.replica_request(&machine, Program::Serve, 0)?;
        unsupported("create of a replica", bed.driver().create(&request).await)?;
        return equal(
            "what is there after it",
            &bed.settled_ids(&bed.owner()).await?,
            &vec![machine.id],
        );
    }
    let replica = bed.running(Program::Serve).await?;
    undeclared_abilities(bed, &replica.id).await?;
    equal(
        "the state after unsupported calls",
        &bed.get(&replica.id).await?.state,
        &ResourceState::Running,
    )
}

async fn undeclared_abilities(bed: &Bed, id: &ResourceId) -> Verdict {
    let (driver, can) = (bed.driver(), bed.driver().capabilities());
    if !can.logs {
        unsupported("logs", driver.logs(id, 1).await)?;
    }
    if !can.usage {
        unsupported("usage", driver.usage(id).await)?;
    }
    if !can.exec {
        let command = ["true".to_owned()];
        unsupported("exec", driver.exec(id, &command, Duration::from_secs(1)).await)?;
    }
    if !can.stop_start {
        unsupported("stop", driver.stop(id, STOP, EPOCH).await)?;
        unsupported("start", driver.start(id, EPOCH).await)?;
    }
    if !can.adopt {
        unsupported("inspect", driver.inspect(id).await)?;
        unsupported("others", driver.others(&bed.owner()).await)?;
    }
    Ok(())
}

fn unsupported<T: Debug>(call: &str, answer: Result<T, DriverError>) -> Verdict {
    refused(call, answer, "Unsupported", |cause| *cause == Cause::Unsupported)
}

pub(crate) async fn other_clouds_are_refused(bed: &Bed) -> Verdict {
    let Some(clouds) = &bed.driver().capabilities().clouds else {
        return skipped("the driver stands in for any cloud");
    };
    bed.needs(Kind::Machine)?;
    let elsewhere = CloudId::new("no-such-cloud").expect("invariant: letters and dashes are a cloud");
    check(!clouds.contains(&elsewhere), || {
        "the driver serves `no-such-cloud`".to_owned()
    })?;
    let mut request = bed.machine_request(0);
    match &mut request.what {
        What::Machine(machine) => machine.site.region.cloud = elsewhere,
        What::Replica(_) => return failed("the suite asked for a replica instead of a machine"),
    }
    let answer = bed.driver().create(&request).await;
    refused("create in another cloud", answer, "Invalid", |cause| {
        matches!(cause, Cause::Invalid { .. })
    })?;
    equal(
        "what is there after it",
        &bed.settled_ids(&bed.owner()).await?,
        &Vec::new(),
    )
}

pub(crate) async fn quotas_are_sound(bed: &Bed) -> Verdict {
    let quotas = succeeded("quotas", bed.driver().quotas().await)?;
    let names: BTreeSet<&str> = quotas.iter().map(|quota| quota.name.as_str()).collect();
    equal("the number of different quota names", &names.len(), &quotas.len())?;
    for quota in &quotas {
        check(!quota.name.is_empty(), || "a quota has no name".to_owned())?;
    }
    Ok(())
}
