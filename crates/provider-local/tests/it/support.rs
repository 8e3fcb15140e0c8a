//! A folder, a driver on it, samples to create, and eyes of its own: the process table is read here without the
//! crate's code, so that a mistake there is not repeated here.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use skyloom_core::{
    Bytes, Machine, MachineId, MicroUsdPerHour, Millicores, OperationId, OwnerTag, PortSpec, Purchase, ReplicaSpec,
    ResourceId, Resources, RunSpec, Secret, Site, StopSpec, Token,
};
use skyloom_provider::{CreateRequest, Driver as _, DriverError, Epoch, NewReplica, Resource, ResourceState, What};
use skyloom_provider_local::{LocalConfig, LocalProcesses};

/// No wait in these tests is longer, even on a machine that is busy with builds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const EPOCH: Epoch = Epoch(3);
pub(crate) const STOP: StopSpec = StopSpec {
    grace: Duration::from_secs(10),
};
/// A replica that does nothing for longer than any test.
pub(crate) const IDLE: &str = "exec sleep 1000";

/// A driver on a folder of its own.
pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) driver: LocalProcesses,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let driver = open(folder.path());
        Self { folder, driver }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The same folder with a new driver, as after a restart of the controller.
    pub(crate) fn reopen(&mut self) {
        self.driver = open(self.root());
    }

    pub(crate) async fn machine(&self) -> Resource {
        self.driver.create(&machine_request()).await.unwrap()
    }

    /// A replica that runs this shell script, on the one machine.
    pub(crate) async fn replica(&self, token: &str, script: &str) -> Resource {
        self.try_replica(token, script).await.unwrap()
    }

    pub(crate) async fn try_replica(&self, token: &str, script: &str) -> Result<Resource, DriverError> {
        let machine = self.machine().await;
        let request = replica_request(&machine, token, shell(script));
        self.driver.create(&request).await
    }

    pub(crate) async fn list(&self) -> Vec<Resource> {
        self.driver.list(&owner()).await.unwrap()
    }

    pub(crate) async fn until(&self, id: &ResourceId, wanted: ResourceState) {
        let what = format!("{wanted:?}");
        until(&what, async || {
            (self.driver.get(id).await.unwrap().state == wanted).then_some(())
        })
        .await;
    }

    pub(crate) async fn until_printed(&self, id: &ResourceId, line: &str) {
        let printed = async || {
            self.driver
                .logs(id, 100)
                .await
                .unwrap()
                .contains(&line.to_owned())
                .then_some(())
        };
        until(line, printed).await;
    }

    /// Numbers of the live processes of this folder, of one thing or of all.
    pub(crate) fn processes(&self, thing: Option<&ResourceId>) -> BTreeSet<i32> {
        processes(self.root(), thing)
    }

    /// Deletes everything and sees to it that nothing is left: no process, no folder.
    pub(crate) async fn close(self) {
        let (mut replicas, mut machines) = (Vec::new(), Vec::new());
        for thing in self.list().await {
            let is_machine = matches!(thing.kind, skyloom_provider::Kind::Machine);
            (if is_machine { &mut machines } else { &mut replicas }).push(thing.id);
        }
        for id in replicas.iter().chain(&machines) {
            self.driver.delete(id, STOP, Epoch(u64::MAX)).await.unwrap();
        }
        assert!(self.processes(None).is_empty(), "processes are left");
        for room in ["things", "staging", "trash"] {
            let left: Vec<_> = fs::read_dir(self.root().join(room)).unwrap().collect();
            assert!(left.is_empty(), "{room}: {left:?}");
        }
    }
}

impl Drop for Fixture {
    /// After a failed test nothing may run on either.
    fn drop(&mut self) {
        for pid in self.processes(None) {
            kill(pid, rustix::process::Signal::KILL);
        }
    }
}

pub(crate) fn open(root: &Path) -> LocalProcesses {
    let resolver = |word: &str| (word == "this-test").then(|| std::env::current_exe().unwrap());
    LocalProcesses::open(LocalConfig::new(root).with_resolver(resolver)).unwrap()
}

pub(crate) fn kill(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

pub(crate) fn owner() -> OwnerTag {
    OwnerTag::new("tests").unwrap()
}

pub(crate) fn site() -> Site {
    Site {
        region: "aws/eu-central-1".parse().unwrap(),
        zone: None,
    }
}

/// Room for eight sample replicas.
pub(crate) fn machine_request() -> CreateRequest {
    let machine = Machine {
        id: MachineId::new("m-0").unwrap(),
        site: site(),
        instance: "m5.large".parse().unwrap(),
        purchase: Purchase::OnDemand,
        price: MicroUsdPerHour::from_micros(115_000),
        price_as_of: "2026-01-01".parse().unwrap(),
        capacity: Resources::new(Millicores::from_cores(8), Bytes::from_gib(8)),
        arch: String::new(),
    };
    request("machine", What::Machine(machine))
}

pub(crate) fn request(token: &str, what: What) -> CreateRequest {
    CreateRequest {
        owner: owner(),
        operation: OperationId::new(format!("operation-{token}")).unwrap(),
        token: Token::new(token).unwrap(),
        epoch: EPOCH,
        what,
    }
}

pub(crate) fn shell(script: &str) -> RunSpec {
    command(&["sh", "-c", script])
}

pub(crate) fn command(words: &[&str]) -> RunSpec {
    RunSpec {
        command: words.iter().map(|w| (*w).to_owned()).collect(),
        ..RunSpec::default()
    }
}

pub(crate) fn port(name: &str, number: u16) -> PortSpec {
    PortSpec {
        name: name.parse().unwrap(),
        protocol: skyloom_core::Protocol::Tcp,
        port: std::num::NonZeroU16::new(number),
    }
}

/// One core, one GiB.
pub(crate) fn replica_request(machine: &Resource, token: &str, run: RunSpec) -> CreateRequest {
    let spec = ReplicaSpec {
        replica: "sample/0".parse().unwrap(),
        machine: MachineId::new(machine.name.clone()).unwrap(),
        site: site(),
        request: Resources::new(Millicores::from_cores(1), Bytes::from_gib(1)),
        run,
        health: None,
        stop: STOP,
    };
    let new = NewReplica {
        spec,
        machine: machine.id.clone(),
        env: BTreeMap::new(),
    };
    request(token, What::Replica(Box::new(new)))
}

pub(crate) fn new_replica(request: &mut CreateRequest) -> &mut NewReplica {
    match &mut request.what {
        What::Replica(new) => new,
        What::Machine(_) => unreachable!("made by `replica_request`"),
    }
}

pub(crate) fn with_env(mut request: CreateRequest, pairs: &[(&str, &str)]) -> CreateRequest {
    let secret = |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::new((*value).to_owned()));
    new_replica(&mut request).env = pairs.iter().map(secret).collect();
    request
}

/// Asks until there is an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "not seen: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The mark of a folder's processes; `None` before the folder is made.
fn mark(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join("root.json")).ok()?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(json["body"]["mark"].as_str()?.to_owned())
}

/// Live processes whose environment names this folder (and this thing).
pub(crate) fn processes(root: &Path, thing: Option<&ResourceId>) -> BTreeSet<i32> {
    let Some(mark) = mark(root) else {
        return BTreeSet::new();
    };
    let wanted = match thing {
        Some(thing) => format!("SKYLOOM_LOCAL={mark}/{thing}/"),
        None => format!("SKYLOOM_LOCAL={mark}/"),
    };
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_mark = |pid: &i32| {
        let environment = loaded_environment(*pid);
        environment
            .split(|b| *b == 0)
            .any(|variable| variable.starts_with(wanted.as_bytes()))
    };
    numbers.filter(has_mark).collect()
}

/// The environment of a process. One that is loading its program has memory (field 23) and no environment (field 51)
/// for a moment; it is looked at again.
fn loaded_environment(pid: i32) -> Vec<u8> {
    let began = Instant::now();
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
            return Vec::new(); // gone, or somebody else's
        };
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
        let is_loading = field(3) != "Z" && field(23) != "0" && field(51) == "0";
        if !environment.is_empty() || !is_loading || began.elapsed() > Duration::from_secs(1) {
            return environment;
        }
    }
}

/// The state letter of a process, and its parent; `None` when it is gone, zombies included in what is there.
pub(crate) fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The environment that a live process was started with.
pub(crate) fn environment(pid: i32) -> BTreeMap<String, String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let text = OsString::from_vec(bytes).into_string().unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// All files under a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}
