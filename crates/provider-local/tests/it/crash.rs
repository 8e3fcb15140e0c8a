//! A controller that is killed with SIGKILL while it creates: whatever the moment, the next one finds everything, makes
//! the rest, and there is no orphan and no duplicate.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use skyloom_provider::{Driver as _, Kind, ResourceState};

use crate::support::{Fixture, PATIENCE, command, machine_request, open, owner, processes, replica_request};

const REPLICAS: usize = 4;
const ROOT_VARIABLE: &str = "SKYLOOM_TEST_CONTROLLER_ROOT";

fn requests(machine: &skyloom_provider::Resource) -> Vec<skyloom_provider::CreateRequest> {
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
