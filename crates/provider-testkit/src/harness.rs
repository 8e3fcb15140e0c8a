//! What the suite needs from whoever brings a driver: a fresh world per case, samples to create, and time that passes.
//!
//! The cases do not belong here. A single trait that hands out a driver would not do: the clock, the samples and the
//! outside hand that kills a process belong to one driver instance, so they come together as a [`World`].

use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{Machine, Resources, RunSpec};
use skyloom_provider::{Driver, Resource};

/// Makes worlds. The suite asks for one per case, so that no case sees what another left behind.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A world in which nothing has been created yet and no epoch was seen.
    async fn world(&self) -> Box<dyn World>;
}

/// One driver and what surrounds it.
#[async_trait]
pub trait World: Send + Sync {
    /// The driver under test; the same one on every call.
    fn driver(&self) -> &dyn Driver;

    /// Goes into every owner tag, token and operation id of this world. A provider that remembers tokens from one run
    /// to the next needs a new one each time; letters, digits and dashes, at most 40.
    fn prefix(&self) -> String {
        "conformance".to_owned()
    }

    /// Sample machine number `index`, which can be created here. Two indices give two ids; everything else may be
    /// equal. Cases use 0, 1 and 2, and have at most three machines at a time.
    fn machine(&self, index: u32) -> Machine;

    /// What each sample replica asks for. At least four fit on a sample machine.
    fn request(&self) -> Resources;

    /// How a replica that behaves like `program` is started here; `None` where that cannot be had, which skips the
    /// cases that need it. [`Program::Serve`] is asked for by most cases.
    fn run(&self, program: Program) -> Option<RunSpec>;

    /// A command for `exec` that behaves like `command`; `None` where that cannot be had.
    fn exec(&self, _command: ExecCommand) -> Option<Vec<String>> {
        None
    }

    /// Lets this much of the driver's time pass: sleeps on a real one, moves the clock of a simulated one.
    async fn pass(&self, time: Duration);

    /// How long the suite lets pass between two looks at a thing that is about to change.
    fn tick(&self) -> Duration {
        Duration::from_millis(20)
    }

    /// How long a thing may take to run, to end or to be seen before the case fails.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    /// Ends the program of a running replica from outside, as a crash would, without the driver's doing. Returns
    /// whether that can be done here; `false` skips the cases that need it.
    async fn kill(&self, _replica: &Resource) -> bool {
        false
    }

    /// Whether anything of a thing still runs, found out without asking the driver; `None` where nobody can tell.
    async fn still_runs(&self, _thing: &Resource) -> Option<bool> {
        None
    }

    /// Called after each case, passed or failed: removes whatever is left.
    async fn close(&self) {}
}

/// How a sample replica behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Declares one TCP port named [`PORT`] with no fixed number, runs until it is stopped, and ends within a second
    /// of SIGTERM.
    Serve,
    /// Prints [`LOG_LINES`] in this order, each as a line of its own, soon after its start, then runs until stopped.
    Print,
    /// Runs a short while and ends by itself with this exit code.
    Exit(u8),
    /// Runs until it is stopped and does not end on SIGTERM, so that only the end of the grace ends it.
    Stubborn,
}

/// How a sample command for `exec` behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecCommand {
    /// Prints [`ECHO`] and ends with this exit code.
    Echo(u8),
    /// Runs for more than a minute.
    Sleep,
}

/// Name of the port of [`Program::Serve`].
pub const PORT: &str = "http";

/// What [`Program::Print`] prints.
pub const LOG_LINES: [&str; 3] = ["one", "two", "three"];

/// What [`ExecCommand::Echo`] prints.
pub const ECHO: &str = "hello";
