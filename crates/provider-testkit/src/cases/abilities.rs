//! What a driver may offer: logs, usage, exec, stop and start.

use std::time::Duration;

use skyloom_provider::{Cause, Resource, ResourceState, Usage};

use crate::bed::{Bed, EPOCH, STOP, Verdict, check, equal, failed, refused, skipped, succeeded};
use crate::harness::{ECHO, ExecCommand, LOG_LINES, Program};

pub(crate) async fn logs_are_the_last_lines(bed: &Bed) -> Verdict {
    bed.needs_ability(bed.driver().capabilities().logs, "logs")?;
    let replica = bed.running(Program::Print).await?;
    let mut waited = Duration::ZERO;
    loop {
        let lines = succeeded("logs", bed.driver().logs(&replica.id, 100).await)?;
        if lines == LOG_LINES {
            break;
        }
        if waited >= bed.world.patience() {
            return failed(format!("logs are {lines:?} after {waited:?}, expected {LOG_LINES:?}"));
        }
        waited += bed.tick().await;
    }
    let last = succeeded("logs", bed.driver().logs(&replica.id, 2).await)?;
    equal(
        "the last two lines",
        &last,
        &LOG_LINES[1..].iter().map(ToString::to_string).collect(),
    )?;
    let none = succeeded("logs", bed.driver().logs(&replica.id, 0).await)?;
    equal("the last no lines", &none, &Vec::new())
}

pub(crate) async fn usage_never_falls(bed: &Bed) -> Verdict {
    bed.needs_ability(bed.driver().capabilities().usage, "usage")?;
    let replica = bed.running(Program::Serve).await?;
    let mut before: Option<Usage> = None;
    for _ in 0..4 {
        let now = succeeded("usage", bed.driver().usage(&replica.id).await)?;
        if let Some(before) = before {
            let rises = before.at <= now.at
                && before.cpu <= now.cpu
                && before.network_in <= now.network_in
                && before.network_out <= now.network_out;
            check(rises, || format!("usage fell from {before:?} to {now:?}"))?;
        }
        before = Some(now);
        bed.tick().await;
    }
    Ok(())
}

pub(crate) async fn exec_answers(bed: &Bed) -> Verdict {
    bed.needs_ability(bed.driver().capabilities().exec, "exec")?;
    let replica = bed.running(Program::Serve).await?;
    for code in [0, 3] {
        let Some(command) = bed.world.exec(ExecCommand::Echo(code)) else {
            return skipped(format!("the harness has no command {:?}", ExecCommand::Echo(code)));
        };
        let answer = bed.driver().exec(&replica.id, &command, Duration::from_secs(10)).await;
        let answer = succeeded("exec", answer)?;
        equal("the exit code", &answer.code, &Some(i32::from(code)))?;
        equal("the output", &answer.output.trim(), &ECHO)?;
    }
    Ok(())
}

pub(crate) async fn exec_ends_at_its_timeout(bed: &Bed) -> Verdict {
    bed.needs_ability(bed.driver().capabilities().exec, "exec")?;
    let replica = bed.running(Program::Serve).await?;
    let Some(command) = bed.world.exec(ExecCommand::Sleep) else {
        return skipped(format!("the harness has no command {:?}", ExecCommand::Sleep));
    };
    let answer = bed
        .driver()
        .exec(&replica.id, &command, Duration::from_millis(300))
        .await;
    refused("exec", answer, "Timeout", |cause| {
        matches!(cause, Cause::Timeout { .. })
    })?;
    let state = bed.get(&replica.id).await?.state;
    equal("the replica's state after it", &state, &ResourceState::Running)
}

pub(crate) async fn stop_and_start_keep_the_thing(bed: &Bed) -> Verdict {
    bed.needs_ability(bed.driver().capabilities().stop_start, "stop_start")?;
    let replica = bed.running(Program::Serve).await?;
    for _ in 0..2 {
        succeeded("stop", bed.driver().stop(&replica.id, STOP, EPOCH).await)?;
        let stopped = bed.get(&replica.id).await?;
        equal("the state after stop", &stopped.state, &ResourceState::Stopped)?;
    }
    check(bed.world.still_runs(&replica).await != Some(true), || {
        format!("`{}` still runs after stop returned", replica.id)
    })?;
    check(bed.settled_ids(&replica.owner).await?.contains(&replica.id), || {
        "list does not hold a stopped replica".to_owned()
    })?;
    for _ in 0..2 {
        succeeded("start", bed.driver().start(&replica.id, EPOCH).await)?;
        let started = bed.until_running(&replica.id).await?;
        is_the_same(&started, &replica)?;
    }
    Ok(())
}

/// A start gives back the thing itself, not another like it.
fn is_the_same(now: &Resource, before: &Resource) -> Verdict {
    equal("the token after a start", &now.token, &before.token)?;
    equal(
        "the time of creation after a start",
        &now.created_at,
        &before.created_at,
    )?;
    let ports = |thing: &Resource| thing.endpoints.keys().cloned().collect::<Vec<_>>();
    equal("the ports after a start", &ports(now), &ports(before))
}
