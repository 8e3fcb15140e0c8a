//! How replicas end: by themselves, from outside, by stop and delete. Nothing is left: no process, no zombie.

use std::time::Duration;

use rustix::process::Signal;
use skyloom_core::StopSpec;
use skyloom_provider::{Cause, Driver as _, ResourceState};

use crate::support::{EPOCH, Fixture, IDLE, STOP, kill, port, replica_request, shell, state_and_parent, until};

/// Short enough for a test, long enough to see that it was used.
const GRACE: StopSpec = StopSpec {
    grace: Duration::from_millis(300),
};

#[tokio::test]
async fn a_kill_from_outside_is_seen_and_no_zombie_stays() {
    let fixture = Fixture::new();
    let replica = fixture.replica("t", IDLE).await;
    let pid = fixture.processes(Some(&replica.id)).pop_first().unwrap();
    kill(pid, Signal::KILL);
    fixture.until(&replica.id, ResourceState::Exited { code: None }).await;
    assert_eq!(state_and_parent(pid), None, "waited for");
    let ended = fixture.driver.get(&replica.id).await.unwrap();
    assert!(ended.endpoints.is_empty());
    fixture.close().await;
}

#[tokio::test]
async fn exit_codes_are_kept_beyond_the_driver() {
    let mut fixture = Fixture::new();
    for (token, script, code) in [("a", "exit 0", 0), ("b", "exit 7", 7), ("c", "exit 255", 255)] {
        let replica = fixture.replica(token, script).await;
        fixture
            .until(&replica.id, ResourceState::Exited { code: Some(code) })
            .await;
    }
    fixture.reopen();
    let mut codes: Vec<_> = fixture.list().await.into_iter().map(|thing| thing.state).collect();
    codes.retain(|state| matches!(state, ResourceState::Exited { .. }));
    assert_eq!(codes.len(), 3);
    for code in [0, 7, 255] {
        assert!(codes.contains(&ResourceState::Exited { code: Some(code) }), "{codes:?}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn descendants_end_with_their_replica() {
    let rows = [
        ("in the group", "sleep 1000 & sleep 1000 & echo ready; wait", 3),
        (
            "in a session of their own",
            "setsid sleep 1000 & echo ready; exec sleep 1000",
            2,
        ),
        (
            "left by a leader that ended",
            "(setsid sleep 1000 &) ; sleep 1000 & echo ready; exit 3",
            2,
        ),
    ];
    let fixture = Fixture::new();
    for (token, (what, script, count)) in ["a", "b", "c"].into_iter().zip(rows) {
        let replica = fixture.replica(token, script).await;
        fixture.until_printed(&replica.id, "ready").await;
        let all = async || (fixture.processes(Some(&replica.id)).len() == count).then_some(());
        until(what, all).await;
        fixture.driver.delete(&replica.id, STOP, EPOCH).await.unwrap();
        assert!(fixture.processes(Some(&replica.id)).is_empty(), "{what}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn sigterm_comes_first_and_sigkill_after_the_grace() {
    let fixture = Fixture::new();
    let polite = fixture
        .replica(
            "a",
            "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02; done",
        )
        .await;
    fixture.until_printed(&polite.id, "ready").await;
    fixture.driver.stop(&polite.id, STOP, EPOCH).await.unwrap();
    fixture.until_printed(&polite.id, "bye").await;

    let stubborn = fixture
        .replica("b", "trap '' TERM; echo ready; while :; do sleep 0.02; done")
        .await;
    fixture.until_printed(&stubborn.id, "ready").await;
    let began = std::time::Instant::now();
    fixture.driver.delete(&stubborn.id, GRACE, EPOCH).await.unwrap();
    assert!(began.elapsed() >= GRACE.grace, "the grace was given");
    assert!(fixture.processes(Some(&stubborn.id)).is_empty());

    let frozen = fixture.replica("c", IDLE).await;
    let pid = fixture.processes(Some(&frozen.id)).pop_first().unwrap();
    kill(pid, Signal::STOP);
    fixture.driver.delete(&frozen.id, GRACE, EPOCH).await.unwrap();
    assert_eq!(state_and_parent(pid), None);
    fixture.close().await;
}

#[tokio::test]
async fn stop_keeps_folder_and_ports_and_start_brings_the_same_back() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let mut run = shell("echo run >> count; wc -l < count; echo $TOPIC; exec sleep 1000");
    run.ports = vec![port("http", 0)];
    let request = crate::support::with_env(replica_request(&machine, "t", run), &[("TOPIC", "kept")]);
    let before = fixture.driver.create(&request).await.unwrap();
    fixture.until_printed(&before.id, "kept").await;

    for _ in 0..2 {
        fixture.driver.stop(&before.id, STOP, EPOCH).await.unwrap();
        let stopped = fixture.driver.get(&before.id).await.unwrap();
        assert_eq!((stopped.state, stopped.endpoints.len()), (ResourceState::Stopped, 0));
        assert!(fixture.processes(None).is_empty());
    }
    for _ in 0..2 {
        fixture.driver.start(&before.id, EPOCH).await.unwrap();
    }
    assert_eq!(fixture.driver.get(&before.id).await.unwrap(), before, "ports and all");
    let twice = ["1", "kept", "2", "kept"]; // with the same environment, and not three times
    let printed = async || (fixture.driver.logs(&before.id, 100).await.unwrap() == twice).then_some(());
    until("both runs", printed).await;
    fixture.close().await;
}

#[tokio::test]
async fn a_start_on_a_taken_port_leaves_the_replica_stopped() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let mut run = shell(IDLE);
    run.ports = vec![port("http", 0)];
    let replica = fixture
        .driver
        .create(&replica_request(&machine, "t", run))
        .await
        .unwrap();
    fixture.driver.stop(&replica.id, STOP, EPOCH).await.unwrap();
    let taken = std::net::TcpListener::bind(replica.endpoints["http"]).unwrap();
    let error = fixture.driver.start(&replica.id, EPOCH).await.unwrap_err();
    let number = replica.endpoints["http"].port();
    assert_eq!(error.cause, Cause::PortInUse { port: number });
    assert_eq!(
        fixture.driver.get(&replica.id).await.unwrap().state,
        ResourceState::Stopped
    );
    drop(taken);
    fixture.driver.start(&replica.id, EPOCH).await.unwrap();
    fixture.until(&replica.id, ResourceState::Running).await;
    fixture.close().await;
}

#[tokio::test]
async fn an_ended_replica_can_be_started_again() {
    let fixture = Fixture::new();
    let replica = fixture
        .replica(
            "t",
            "sleep 1000 & test -e again && exec sleep 1000; touch again; exit 4",
        )
        .await;
    fixture
        .until(&replica.id, ResourceState::Exited { code: Some(4) })
        .await;
    fixture.driver.start(&replica.id, EPOCH).await.unwrap();
    let two = async || (fixture.processes(None).len() == 2).then_some(());
    until("the second run with its child, and not the first one's", two).await;
    fixture.until(&replica.id, ResourceState::Running).await;
    fixture.close().await;
}

#[tokio::test]
async fn an_abandoned_delete_can_be_repeated() {
    let fixture = Fixture::new();
    let replica = fixture
        .replica("t", "trap '' TERM; echo ready; while :; do sleep 0.02; done")
        .await;
    fixture.until_printed(&replica.id, "ready").await;
    let given_up = fixture.driver.delete(&replica.id, STOP, EPOCH);
    assert!(tokio::time::timeout(Duration::from_millis(50), given_up).await.is_err());
    assert_eq!(fixture.list().await.len(), 2, "still told");
    fixture.driver.delete(&replica.id, GRACE, EPOCH).await.unwrap();
    assert!(fixture.processes(None).is_empty());
    let reused = fixture.try_replica("t", IDLE).await.unwrap_err();
    assert_eq!(reused.cause, Cause::TokenReused);
    fixture.close().await;
}
