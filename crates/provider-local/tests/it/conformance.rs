//! The suite that every driver has to pass, with shells and sleeps as samples.

use std::time::Duration;

use async_trait::async_trait;
use rustix::process::Signal;
use skyloom_core::{Bytes, Machine, MachineId, Millicores, Resources, RunSpec};
use skyloom_provider::{Driver, Resource, What};
use skyloom_provider_testkit::{ECHO, ExecCommand, Harness, LOG_LINES, PORT, Program, World, conformance};

use crate::support::{Fixture, IDLE, kill, machine_request, port, shell};

struct Shells;

#[async_trait]
impl Harness for Shells {
    async fn world(&self) -> Box<dyn World> {
        Box::new(ShellWorld(Fixture::new()))
    }
}

struct ShellWorld(Fixture);

#[async_trait]
impl World for ShellWorld {
    fn driver(&self) -> &dyn Driver {
        &self.0.driver
    }

    fn machine(&self, index: u32) -> Machine {
        let What::Machine(mut machine) = machine_request().what else {
            unreachable!("made by `machine_request`")
        };
        machine.id = MachineId::new(format!("m-{index}")).unwrap();
        machine
    }

    fn request(&self) -> Resources {
        Resources::new(Millicores::from_cores(1), Bytes::from_gib(1))
    }

    fn run(&self, program: Program) -> Option<RunSpec> {
        let mut run = shell(&match program {
            Program::Serve => IDLE.to_owned(),
            Program::Print => format!("printf '%s\\n' {}; {IDLE}", LOG_LINES.join(" ")),
            Program::Exit(code) => format!("sleep 0.1; exit {code}"),
            Program::Stubborn => "trap '' TERM; while :; do sleep 0.1; done".to_owned(),
        });
        if program == Program::Serve {
            run.ports = vec![port(PORT, 0)];
        }
        Some(run)
    }

    fn exec(&self, command: ExecCommand) -> Option<Vec<String>> {
        let script = match command {
            ExecCommand::Echo(code) => format!("echo {ECHO}; exit {code}"),
            ExecCommand::Sleep => "sleep 1000".to_owned(),
        };
        Some(["sh", "-c", &script].map(str::to_owned).to_vec())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn kill(&self, replica: &Resource) -> bool {
        let processes = self.0.processes(Some(&replica.id));
        processes.iter().for_each(|pid| kill(*pid, Signal::KILL));
        !processes.is_empty()
    }

    async fn still_runs(&self, thing: &Resource) -> Option<bool> {
        Some(!self.0.processes(Some(&thing.id)).is_empty())
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

conformance!(the_local_driver_keeps_the_contract, block_on, Shells);
