//! A harness for the simulated cloud, with whatever is wrapped around it.

use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{Bytes, Machine, Millicores, PortSpec, Protocol, Purchase, Resources, RunSpec, Timestamp};
use skyloom_provider::sim::{SimCloud, SimConfig, SimProgram};
use skyloom_provider::{Driver, Resource, ResourceState};
use skyloom_provider_testkit::{ECHO, ExecCommand, Harness, LOG_LINES, PORT, Program, World};

/// Makes worlds around a simulated cloud.
pub(crate) struct SimHarness<F> {
    pub(crate) config: SimConfig,
    pub(crate) wrap: F,
}

struct SimWorld<D> {
    cloud: SimCloud,
    driver: D,
}

/// A cloud in which the sample programs are known.
pub(crate) fn config(seed: u64) -> SimConfig {
    let soon = Duration::from_secs(3);
    let echo = |code| SimProgram::job(Duration::ZERO, code).printing([ECHO]);
    SimConfig::new(seed, Timestamp::from_secs(1_800_000_000))
        .with_program("print", SimProgram::service().printing(LOG_LINES))
        .with_program("exit-0", SimProgram::job(soon, 0))
        .with_program("exit-7", SimProgram::job(soon, 7))
        .with_program("stubborn", SimProgram::service().stopping_in(Duration::from_secs(3600)))
        .with_program("echo-0", echo(0))
        .with_program("echo-3", echo(3))
        .with_program("sleep", SimProgram::service())
}

#[async_trait]
impl<D: Driver + 'static, F: Fn(SimCloud) -> D + Send + Sync> Harness for SimHarness<F> {
    async fn world(&self) -> Box<dyn World> {
        let cloud = SimCloud::new(self.config.clone());
        let driver = (self.wrap)(cloud.clone());
        Box::new(SimWorld { cloud, driver })
    }
}

#[async_trait]
impl<D: Driver> World for SimWorld<D> {
    fn driver(&self) -> &dyn Driver {
        &self.driver
    }

    fn machine(&self, index: u32) -> Machine {
        Machine {
            id: format!("m{index}").parse().unwrap(),
            site: skyloom_core::Site {
                region: "aws/eu-central-1".parse().unwrap(),
                zone: None,
            },
            instance: "m5.large".parse().unwrap(),
            purchase: Purchase::OnDemand,
            price: "0.115".parse().unwrap(),
            price_as_of: "2026-11-01".parse().unwrap(),
            capacity: Resources::new(Millicores::from_cores(2), Bytes::from_gib(8)),
            arch: "x86_64".to_owned(),
        }
    }

    fn request(&self) -> Resources {
        Resources::new(Millicores::from_millicores(500), Bytes::from_gib(1))
    }

    fn run(&self, program: Program) -> Option<RunSpec> {
        let (name, ports) = match program {
            Program::Serve => ("serve".to_owned(), vec![PORT]),
            Program::Print => ("print".to_owned(), vec![]),
            Program::Exit(code) => (format!("exit-{code}"), vec![]),
            Program::Stubborn => ("stubborn".to_owned(), vec![]),
        };
        let port = |name: &str| PortSpec {
            name: name.parse().unwrap(),
            protocol: Protocol::Tcp,
            port: None,
        };
        Some(RunSpec {
            command: vec![name],
            ports: ports.into_iter().map(port).collect(),
            ..RunSpec::default()
        })
    }

    fn exec(&self, command: ExecCommand) -> Option<Vec<String>> {
        Some(vec![match command {
            ExecCommand::Echo(code) => format!("echo-{code}"),
            ExecCommand::Sleep => "sleep".to_owned(),
        }])
    }

    async fn pass(&self, time: Duration) {
        self.cloud.advance(time);
    }

    fn tick(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }

    async fn kill(&self, replica: &Resource) -> bool {
        self.cloud.crash(&replica.id).is_ok()
    }

    async fn still_runs(&self, thing: &Resource) -> Option<bool> {
        let runs = |other: &skyloom_provider::sim::SimThing| {
            other.resource.id == thing.id && other.resource.state == ResourceState::Running
        };
        Some(self.cloud.oracle().iter().any(runs))
    }
}
