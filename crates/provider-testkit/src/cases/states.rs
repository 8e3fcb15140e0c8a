//! States: things come to run, ports can be reached, and ends are seen as what they are.

use std::collections::BTreeSet;

use skyloom_provider::{Kind, Resource};

use crate::bed::{Bed, Verdict, check, equal, failed, skipped};
use crate::harness::Program;

pub(crate) async fn a_machine_comes_to_run(bed: &Bed) -> Verdict {
    let machine = bed.machine(0).await?;
    bed.until_running(&machine.id).await.map(drop)
}

pub(crate) async fn a_replica_comes_to_run(bed: &Bed) -> Verdict {
    bed.running(Program::Serve).await.map(drop)
}

pub(crate) async fn endpoints_are_present_and_distinct(bed: &Bed) -> Verdict {
    bed.needs(Kind::Replica)?;
    let machine = bed.machine(0).await?;
    let mut seen = BTreeSet::new();
    for index in 0..2 {
        let replica = bed
            .create(&bed.replica_request(&machine, Program::Serve, index)?)
            .await?;
        let running = bed.until_running(&replica.id).await?;
        let Some(endpoint) = running.endpoints.get(&bed.port()) else {
            return failed(format!(
                "the port `{}` of a running replica has no endpoint",
                bed.port()
            ));
        };
        check(endpoint.port() != 0, || format!("the endpoint {endpoint} has no port"))?;
        check(seen.insert(*endpoint), || {
            format!("two replicas have the endpoint {endpoint}")
        })?;
    }
    Ok(())
}

pub(crate) async fn an_exit_code_is_seen(bed: &Bed) -> Verdict {
    let replica = bed.started(Program::Exit(7)).await?;
    equal("the exit code", &bed.until_exited(&replica.id).await?, &Some(7))
}

pub(crate) async fn a_success_is_seen(bed: &Bed) -> Verdict {
    let replica = bed.started(Program::Exit(0)).await?;
    equal("the exit code", &bed.until_exited(&replica.id).await?, &Some(0))
}

pub(crate) async fn a_kill_is_seen(bed: &Bed) -> Verdict {
    let replica = bed.running(Program::Serve).await?;
    if !bed.world.kill(&replica).await {
        return skipped("the harness cannot kill a replica from outside");
    }
    let code = bed.until_exited(&replica.id).await?;
    check(code != Some(0), || {
        "a killed replica is told as one that succeeded".to_owned()
    })
}

pub(crate) async fn what_has_exited_stays_until_deleted(bed: &Bed) -> Verdict {
    let replica = bed.started(Program::Exit(7)).await?;
    bed.until_exited(&replica.id).await?;
    let there = |ids: &[_], thing: &Resource| ids.contains(&thing.id);
    let ids = bed.settled_ids(&replica.owner).await?;
    check(there(&ids, &replica), || {
        "list does not hold a replica that has exited".to_owned()
    })?;
    bed.delete(&replica.id).await?;
    let ids = bed.settled_ids(&replica.owner).await?;
    check(!there(&ids, &replica), || {
        "list holds a replica that was deleted".to_owned()
    })
}
