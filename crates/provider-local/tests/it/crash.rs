//! A controller that is killed with SIGKILL while it creates: whatever the moment, the next one finds everything, makes
//! the rest, and there is no orphan and no duplicate.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use skyloom_core::ResourceId;
use skyloom_provider::{Cause, CreateRequest, Driver as _, Kind, Resource, ResourceState};

use crate::support::{
    EPOCH, Fixture, IDLE, PATIENCE, STOP, command, kill, machine_request, open, owner, processes, replica_request,
};

const REPLICAS: usize = 4;
const ROOT_VARIABLE: &str = "SKYLOOM_TEST_CONTROLLER_ROOT";

fn requests(machine: &Resource) -> Vec<CreateRequest> {
    let request = |i| replica_request(machine, &format!("t{i}"), command(&["sleep", "1000"]));
    (0..REPLICAS).map(request).collect()
}

/// Not a test by itself: the controller that the other tests start and kill.
#[tokio::test]
async fn the_controller() {
    let Ok(root) = std::env::var(ROOT_VARIABLE) else {
        return;
    };
    let driver = open(Path::new(&root));
    let machine = driver.create(&machine_request()).await.unwrap();
    for request in requests(&machine) {
        println!("creating");
        driver.create(&request).await.unwrap();
    }
    println!("done");
    std::future::pending::<()>().await;
}

/// When the controller is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// As soon as it says for the n-th time that it creates, and this much later.
    Said(usize, Duration),
    /// As soon as the n-th replica has a folder.
    Folder(usize),
    /// As soon as the n-th process is there under its mark.
    Process(usize),
}

fn start_controller(root: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::the_controller", "--nocapture"]);
    command
        .env(ROOT_VARIABLE, root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn wait_for(moment: Moment, root: &Path, controller: &mut Child) {
    let began = Instant::now();
    let spin = |ready: &dyn Fn() -> bool| {
        while !ready() {
            assert!(began.elapsed() < PATIENCE, "{moment:?} never came");
            std::thread::yield_now();
        }
    };
    match moment {
        Moment::Said(times, later) => {
            let lines = BufReader::new(controller.stdout.take().unwrap()).lines();
            let said = lines
                .map_while(Result::ok)
                .filter(|line| line.ends_with("creating"))
                .take(times)
                .count();
            assert_eq!(said, times);
            let heard = Instant::now();
            spin(&|| heard.elapsed() >= later);
        }
        Moment::Folder(count) => {
            // One more is the machine's.
            let folders = || std::fs::read_dir(root.join("things")).map_or(0, Iterator::count);
            spin(&|| folders() > count);
        }
        Moment::Process(count) => spin(&|| processes(root, None).len() >= count),
    }
}

async fn check_crash_at(moment: Moment) {
    let mut fixture = Fixture::new();
    let mut controller = start_controller(fixture.root());
    wait_for(moment, fixture.root(), &mut controller);
    controller.kill().unwrap();
    controller.wait().unwrap();

    fixture.reopen();
    let machine = fixture.machine().await;
    // First what there is: each process that runs is told, each thing told as running runs.
    let found = fixture.list().await;
    let running = found.iter().filter(|t| t.kind == Kind::Replica).count();
    assert_eq!(
        fixture.processes(None).len(),
        running,
        "{moment:?}: an orphan or a ghost among {found:?}"
    );
    for request in requests(&machine) {
        let known = fixture.driver.find_by_token(&owner(), &request.token).await.unwrap();
        let made = fixture.driver.create(&request).await.unwrap();
        assert_eq!(made.state, ResourceState::Running, "{moment:?}");
        assert!(
            known.is_none_or(|known| known == made),
            "{moment:?}: found and made differ"
        );
        assert_eq!(
            fixture.processes(Some(&made.id)).len(),
            1,
            "{moment:?}: {} is doubled",
            made.id
        );
    }
    assert_eq!(fixture.list().await.len(), REPLICAS + 1, "{moment:?}");
    assert_eq!(fixture.processes(None).len(), REPLICAS, "{moment:?}");
    fixture.close().await;
}

#[tokio::test]
async fn killed_while_it_writes() {
    for count in 1..=REPLICAS {
        check_crash_at(Moment::Folder(count)).await;
    }
}

#[tokio::test]
async fn killed_while_a_process_starts() {
    for count in 1..=REPLICAS {
        check_crash_at(Moment::Process(count)).await;
    }
}

#[tokio::test]
async fn killed_at_any_time() {
    for step in 0..12_u32 {
        let times = usize::try_from(step).unwrap() % REPLICAS + 1;
        check_crash_at(Moment::Said(times, Duration::from_micros(u64::from(step) * 700))).await;
    }
}

#[tokio::test]
async fn killed_when_all_was_done() {
    let fixture = Fixture::new();
    let mut controller = start_controller(fixture.root());
    let lines = BufReader::new(controller.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.ends_with("done")));
    controller.kill().unwrap();
    controller.wait().unwrap();
    let listed = fixture.list().await;
    assert_eq!(listed.len(), REPLICAS + 1);
    assert!(listed.iter().all(|thing| thing.state == ResourceState::Running));
    fixture.close().await;
}

/// Puts a thing's record back to what it was between the start of its process and the note about it.
fn forget_process(root: &Path, id: &ResourceId) {
    let path = root.join("things").join(id.as_str()).join("record.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let body = text
        .split_once("\"body\":")
        .unwrap()
        .1
        .trim_end()
        .strip_suffix('}')
        .unwrap();
    let (before, rest) = body.split_once("\"phase\":").unwrap();
    let (_, after) = rest.split_once(",\"thing\":").unwrap();
    let body = format!("{before}\"phase\":\"starting\",\"thing\":{after}");
    let digest = skyloom_core::Digest::of_bytes(body.as_bytes());
    std::fs::write(
        &path,
        format!("{{\"version\":1,\"sha256\":\"{digest}\",\"body\":{body}}}\n"),
    )
    .unwrap();
}

#[tokio::test]
async fn a_process_that_nobody_noted_is_found_by_its_mark() {
    let mut fixture = Fixture::new();
    let made = fixture.replica("t", IDLE).await;
    let process = fixture.processes(None);
    for _ in 0..2 {
        forget_process(fixture.root(), &made.id);
        fixture.reopen();
        assert_eq!(fixture.try_replica("t", IDLE).await.unwrap(), made);
        assert_eq!(fixture.processes(None), process, "taken over, not started again");
    }
    fixture.driver.delete(&made.id, STOP, EPOCH).await.unwrap();
    assert!(fixture.processes(None).is_empty());
    fixture.close().await;
}

#[tokio::test]
async fn a_start_without_any_trace_never_was() {
    let mut fixture = Fixture::new();
    let made = fixture.replica("t", IDLE).await;
    kill_all(&fixture, &made.id).await;
    forget_process(fixture.root(), &made.id);
    fixture.reopen();
    assert_eq!(fixture.driver.get(&made.id).await.unwrap_err().cause, Cause::NotFound);
    assert_eq!(fixture.list().await.len(), 1, "the machine");
    let again = fixture.replica("t", IDLE).await;
    assert_eq!(
        (again.id, again.state),
        (made.id, ResourceState::Running),
        "the same token works"
    );
    fixture.close().await;
}

#[tokio::test]
async fn a_start_that_left_a_trace_has_been() {
    let mut fixture = Fixture::new();
    let printed = fixture.replica("a", "echo here; exec sleep 1000").await;
    fixture.until_printed(&printed.id, "here").await;
    kill_all(&fixture, &printed.id).await;
    let child = fixture.replica("b", "sleep 1000 & exit 0").await;
    fixture.until(&child.id, ResourceState::Exited { code: Some(0) }).await;
    for made in [&printed, &child] {
        std::fs::remove_file(fixture.root().join("things").join(made.id.as_str()).join("exit.json")).unwrap();
        forget_process(fixture.root(), &made.id);
    }
    fixture.reopen();
    for made in [&printed, &child] {
        assert_eq!(
            fixture.driver.get(&made.id).await.unwrap().state,
            ResourceState::Exited { code: None }
        );
    }
    assert_eq!(fixture.processes(None).len(), 1, "the child that was left");
    fixture.close().await;
}

#[tokio::test]
async fn an_interrupted_second_start_is_a_stop() {
    let mut fixture = Fixture::new();
    let made = fixture.replica("t", IDLE).await;
    fixture.driver.stop(&made.id, STOP, EPOCH).await.unwrap();
    fixture.driver.start(&made.id, EPOCH).await.unwrap();
    kill_all(&fixture, &made.id).await;
    forget_process(fixture.root(), &made.id);
    fixture.reopen();
    assert_eq!(
        fixture.driver.get(&made.id).await.unwrap().state,
        ResourceState::Stopped
    );
    fixture.close().await;
}

async fn kill_all(fixture: &Fixture, id: &ResourceId) {
    fixture
        .processes(Some(id))
        .into_iter()
        .for_each(|pid| kill(pid, Signal::KILL));
    fixture.until(id, ResourceState::Exited { code: None }).await;
}
