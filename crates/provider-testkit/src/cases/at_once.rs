//! Many calls at once, and calls given up half-way.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use futures::future::join_all;
use skyloom_core::ResourceId;
use skyloom_provider::{CreateRequest, Kind};

use crate::bed::{Bed, EPOCH, STOP, Verdict, check, equal, failed, succeeded};
use crate::harness::Program;

/// More calls at once than any control plane makes with one token, and than drivers have worker threads.
const AT_ONCE: usize = 64;

pub(crate) async fn one_token_at_once_makes_one_machine(bed: &Bed) -> Verdict {
    bed.needs(Kind::Machine)?;
    one_token_makes_one(bed, &bed.machine_request(0), &[]).await
}

pub(crate) async fn one_token_at_once_makes_one_replica(bed: &Bed) -> Verdict {
    bed.needs(Kind::Replica)?;
    let machine = bed.machine(0).await?;
    let request = bed.replica_request(&machine, Program::Serve, 0)?;
    one_token_makes_one(bed, &request, &[machine.id]).await
}

/// All answers name one thing, and one thing more is there. An answer may also be a failure that may be repeated.
async fn one_token_makes_one(bed: &Bed, request: &CreateRequest, before: &[ResourceId]) -> Verdict {
    let answers = join_all((0..AT_ONCE).map(|_| bed.driver().create(request))).await;
    let mut made = BTreeSet::new();
    for answer in answers {
        match answer {
            Ok(thing) => {
                made.insert(thing.id);
            }
            Err(error) if error.class().is_retryable() => {}
            Err(error) => return failed(format!("one of {AT_ONCE} creations with one token failed to {error}")),
        }
    }
    check(made.len() == 1, || {
        format!("{AT_ONCE} creations with one token answered {made:?}")
    })?;
    made.extend(before.iter().cloned());
    let there: BTreeSet<_> = bed.settled_ids(&bed.owner()).await?.into_iter().collect();
    equal("what is there", &there, &made)
}

pub(crate) async fn many_tokens_at_once_make_many_things(bed: &Bed) -> Verdict {
    bed.needs(Kind::Replica)?;
    let machine = bed.machine(0).await?;
    let mut requests = Vec::new();
    for index in 0..4 {
        requests.push(bed.replica_request(&machine, Program::Serve, index)?);
    }
    let answers = join_all(requests.iter().map(|request| bed.driver().create(request))).await;
    let mut made = BTreeSet::from([machine.id]);
    for answer in answers {
        made.insert(succeeded("create", answer)?.id);
    }
    equal("the number of things made", &made.len(), &(requests.len() + 1))?;
    let there: BTreeSet<_> = bed.settled_ids(&bed.owner()).await?.into_iter().collect();
    equal("what is there", &there, &made)
}

pub(crate) async fn many_deletes_at_once_succeed(bed: &Bed) -> Verdict {
    let replica = bed.running(Program::Serve).await?;
    let answers = join_all((0..8).map(|_| bed.driver().delete(&replica.id, STOP, EPOCH))).await;
    for answer in answers {
        succeeded("delete", answer)?;
    }
    let there = bed.settled_ids(&bed.owner()).await?;
    check(!there.contains(&replica.id), || {
        "list holds what was deleted".to_owned()
    })
}

pub(crate) async fn a_dropped_create_can_be_repeated(bed: &Bed) -> Verdict {
    bed.needs(Kind::Machine)?;
    let request = bed.machine_request(0);
    // Polled once and dropped: in doubt, as after a crash of the caller.
    let _ = bed.driver().create(&request).now_or_never();
    let made = bed.create(&request).await?;
    equal("what is there", &bed.settled_ids(&bed.owner()).await?, &vec![made.id])
}
