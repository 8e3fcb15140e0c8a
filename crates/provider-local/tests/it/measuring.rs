//! Logs, usage, exec: what is said about a replica is what it really did.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use skyloom_provider::{Cause, Driver as _, ResourceState};

use crate::support::{EPOCH, Fixture, IDLE, STOP, command, port, replica_request, shell, until, with_env};

/// What the sample server answers to each connection, after it has read this much.
const ANSWER_BYTES: usize = 30_000;
const QUESTION_BYTES: usize = 1_000;

/// Not a test by itself: a replica of `traffic_is_counted_per_replica` runs it as its program.
#[test]
fn the_sample_server() {
    let (Ok(number), Ok(_)) = (std::env::var("SKYLOOM_PORT_HTTP"), std::env::var("SAMPLE_SERVER")) else {
        return;
    };
    let listener = TcpListener::bind(format!("127.0.0.1:{number}")).unwrap();
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        connection.read_exact(&mut [0; QUESTION_BYTES]).unwrap();
        connection.write_all(&[b'x'; ANSWER_BYTES]).unwrap();
    }
}

fn ask(address: std::net::SocketAddr) -> Option<()> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection.write_all(&[b'?'; QUESTION_BYTES]).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len(), ANSWER_BYTES);
    Some(())
}

#[tokio::test]
async fn traffic_is_counted_per_replica() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let mut run = command(&["this-test", "--exact", "measuring::the_sample_server"]);
    run.ports = vec![port("http", 0)];
    let server = |token: &str| {
        with_env(
            replica_request(&machine, token, run.clone()),
            &[("SAMPLE_SERVER", "yes")],
        )
    };
    let busy = fixture.driver.create(&server("busy")).await.unwrap();
    let idle = fixture.driver.create(&server("idle")).await.unwrap();
    until("a first answer", async || ask(busy.endpoints["http"])).await;
    for _ in 1..10 {
        ask(busy.endpoints["http"]).unwrap();
    }
    // Ten connections, all closed: each end of a connection may count as a byte of its own.
    let (received, sent) = (10 * QUESTION_BYTES as u64, 10 * ANSWER_BYTES as u64);
    let counted = async || {
        let usage = fixture.driver.usage(&busy.id).await.unwrap();
        let (r, s) = (
            usage.network_in.unwrap().as_bytes(),
            usage.network_out.unwrap().as_bytes(),
        );
        assert!(r <= received + 10 && s <= sent + 10, "no byte twice: {r} {s}");
        (r >= received && s >= sent).then_some(())
    };
    until("all traffic", counted).await;
    let usage = fixture.driver.usage(&idle.id).await.unwrap();
    assert_eq!(
        (usage.network_in, usage.network_out),
        (Some(0.into_bytes()), Some(0.into_bytes()))
    );
    fixture.close().await;
}

trait IntoBytes {
    fn into_bytes(self) -> skyloom_core::Bytes;
}

impl IntoBytes for u64 {
    fn into_bytes(self) -> skyloom_core::Bytes {
        skyloom_core::Bytes::from_bytes(self)
    }
}

#[tokio::test]
async fn processor_time_and_memory_are_those_of_all_descendants() {
    let fixture = Fixture::new();
    // The child burns time and is waited for; then another burns on while the first's time must not be lost.
    let busy = "(i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done); echo ready; while :; do :; done";
    let replica = fixture.replica("busy", busy).await;
    let idle = fixture.replica("idle", IDLE).await;
    fixture.until_printed(&replica.id, "ready").await;
    let mut last = Duration::ZERO;
    let enough = async || {
        let usage = fixture.driver.usage(&replica.id).await.unwrap();
        (usage.cpu >= Duration::from_millis(300)).then_some(usage)
    };
    let usage = until("300 ms of processor time", enough).await;
    for _ in 0..5 {
        let now = fixture.driver.usage(&replica.id).await.unwrap().cpu;
        assert!(now >= last, "never falls");
        last = now;
    }
    assert!(usage.memory.as_bytes() > 100_000, "{:?}", usage.memory);
    let rest = fixture.driver.usage(&idle.id).await.unwrap();
    assert!(rest.cpu < Duration::from_millis(200), "{:?}", rest.cpu);
    fixture.close().await;
}

#[tokio::test]
async fn only_a_running_replica_is_measured() {
    let fixture = Fixture::new();
    let machine = fixture.machine().await;
    let ended = fixture.replica("t", "exit 0").await;
    fixture.until(&ended.id, ResourceState::Exited { code: Some(0) }).await;
    let usage = fixture.driver.usage(&ended.id).await.unwrap_err();
    assert!(matches!(usage.cause, Cause::Invalid { .. }), "{usage}");
    let words = ["true".to_owned()];
    let exec = fixture.driver.exec(&ended.id, &words, STOP.grace).await.unwrap_err();
    assert!(matches!(exec.cause, Cause::Invalid { .. }), "{exec}");
    let machine_logs = fixture.driver.logs(&machine.id, 5).await.unwrap_err();
    assert_eq!(machine_logs.cause, Cause::Unsupported);
    fixture.close().await;
}

#[tokio::test]
async fn exec_runs_beside_the_replica_within_its_bounds() {
    let mut fixture = Fixture::new();
    let machine = fixture.machine().await;
    let request = with_env(replica_request(&machine, "t", shell(IDLE)), &[("TOPIC", "seen")]);
    let replica = fixture.driver.create(&request).await.unwrap();
    for _ in 0..2 {
        let rows = [
            ("echo $TOPIC; echo more >&2; exit 3", Some(3), "seen\nmore\n"),
            ("basename $(pwd); kill -9 $$", None, "work\n"),
            ("sleep 1000 & echo done", Some(0), "done\n"),
        ];
        for (script, code, output) in rows {
            let words = ["sh", "-c", script].map(str::to_owned);
            let answer = fixture.driver.exec(&replica.id, &words, STOP.grace).await.unwrap();
            assert_eq!((answer.code, answer.output.len()), (code, output.len()), "{script}");
            assert!(
                output.lines().all(|line| answer.output.contains(line)),
                "{}",
                answer.output
            );
        }
        fixture.reopen(); // from here on the environment is read back from the process
    }
    let words = ["sh", "-c", "yes | head -c 1000000; echo end"].map(str::to_owned);
    let long = fixture.driver.exec(&replica.id, &words, STOP.grace).await.unwrap();
    assert_eq!(long.output.len(), 64 << 10);
    assert!(long.output.ends_with("y\nend\n"));

    let hangs = ["sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000"].map(str::to_owned);
    let before = fixture.processes(None).len();
    let patience = Duration::from_millis(200);
    let error = fixture.driver.exec(&replica.id, &hangs, patience).await.unwrap_err();
    assert_eq!(error.cause, Cause::Timeout { after: patience });
    until("its group ended", async || {
        (fixture.processes(None).len() == before).then_some(())
    })
    .await;
    assert_eq!(
        fixture.driver.get(&replica.id).await.unwrap().state,
        ResourceState::Running
    );
    let unknown = fixture
        .driver
        .exec(&replica.id, &["no-such-program".to_owned()], patience)
        .await
        .unwrap_err();
    assert!(matches!(unknown.cause, Cause::CommandNotFound { .. }), "{unknown}");
    fixture.driver.delete(&replica.id, STOP, EPOCH).await.unwrap();
    fixture.close().await;
}

#[tokio::test]
async fn quotas_are_those_of_the_system() {
    let fixture = Fixture::new();
    for quota in fixture.driver.quotas().await.unwrap() {
        assert!(quota.used >= 1 && quota.used <= quota.allowed, "{quota:?}");
    }
    fixture.close().await;
}
