//! What cases share: requests built from the world's samples, waiting with a limit, and words for what went wrong.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use skyloom_core::{
    Machine, OperationId, OwnerTag, PortName, ReplicaId, ReplicaSpec, ResourceId, ServiceName, StopSpec, Token,
};
use skyloom_provider::{
    Cause, CreateRequest, Driver, DriverError, Epoch, Kind, NewReplica, Resource, ResourceState, What,
};

use crate::harness::{PORT, Program, World};

/// How a case ends.
pub(crate) type Verdict = Result<(), Halt>;

/// Why a case ends before its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The driver breaks its contract.
    Failed(String),
    /// It cannot be tried here.
    Skipped(String),
}

/// The epoch of requests that do not care.
pub(crate) const EPOCH: Epoch = Epoch(5);

/// A grace that programs which end on SIGTERM do not use up.
pub(crate) const STOP: StopSpec = StopSpec {
    grace: Duration::from_secs(5),
};

/// A case's world.
pub(crate) struct Bed {
    pub(crate) world: Box<dyn World>,
}

pub(crate) fn failed<T>(why: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Failed(why.into()))
}

pub(crate) fn skipped<T>(why: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Skipped(why.into()))
}

/// Fails with `why` unless `holds`.
pub(crate) fn check(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { failed(why()) }
}

/// Fails unless both are equal.
pub(crate) fn equal<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Verdict {
    check(found == expected, || {
        format!("{what} is {found:?}, expected {expected:?}")
    })
}

/// Fails unless the call failed with a cause that `fits`; `expected` says which, for people.
pub(crate) fn refused<T: Debug>(
    call: &str,
    answer: Result<T, DriverError>,
    expected: &str,
    fits: impl FnOnce(&Cause) -> bool,
) -> Verdict {
    match answer {
        Ok(value) => failed(format!("{call} answered {value:?}, expected {expected}")),
        Err(error) if fits(&error.cause) => Ok(()),
        Err(error) => failed(format!(
            "{call} was refused with {:?}, expected {expected}",
            error.cause
        )),
    }
}

/// Fails unless the call succeeded.
pub(crate) fn succeeded<T>(call: &str, answer: Result<T, DriverError>) -> Result<T, Halt> {
    answer.map_err(|error| Halt::Failed(format!("{call}: failed to {error}")))
}

impl Bed {
    pub(crate) fn driver(&self) -> &dyn Driver {
        self.world.driver()
    }

    // --- names -------------------------------------------------------------------------------------------------

    pub(crate) fn owner(&self) -> OwnerTag {
        self.owner_named("a")
    }

    pub(crate) fn other_owner(&self) -> OwnerTag {
        self.owner_named("b")
    }

    fn owner_named(&self, name: &str) -> OwnerTag {
        let tag = OwnerTag::new(format!("{}-owner-{name}", self.world.prefix()));
        tag.expect("invariant: the prefix is letters, digits and dashes, as World::prefix demands")
    }

    pub(crate) fn token(&self, name: &str) -> Token {
        let token = Token::new(format!("{}-token-{name}", self.world.prefix()));
        token.expect("invariant: the prefix is letters, digits and dashes, as World::prefix demands")
    }

    pub(crate) fn operation(&self, name: &str) -> OperationId {
        let id = OperationId::new(format!("{}-operation-{name}", self.world.prefix()));
        id.expect("invariant: the prefix is letters, digits and dashes, as World::prefix demands")
    }

    pub(crate) fn port(&self) -> PortName {
        PortName::new(PORT).expect("invariant: the port's name is a name")
    }

    pub(crate) fn unknown_id(&self) -> ResourceId {
        ResourceId::new("no-such-thing").expect("invariant: letters and dashes are a resource id")
    }

    // --- requests ----------------------------------------------------------------------------------------------

    /// Skips unless the driver can create this kind.
    pub(crate) fn needs(&self, kind: Kind) -> Verdict {
        if self.driver().capabilities().kinds.contains(&kind) {
            return Ok(());
        }
        skipped(format!("the driver does not declare the kind {kind:?}"))
    }

    /// Skips unless the driver declares an ability.
    pub(crate) fn needs_ability(&self, declared: bool, name: &str) -> Verdict {
        if declared {
            Ok(())
        } else {
            skipped(format!("the driver does not declare `{name}`"))
        }
    }

    /// A request for sample machine `index`, whose token is `machine-{index}`.
    pub(crate) fn machine_request(&self, index: u32) -> CreateRequest {
        self.request(&format!("machine-{index}"), What::Machine(self.world.machine(index)))
    }

    /// A request for a replica on sample machine 0, whose token is `replica-{index}`; skips where `program` cannot
    /// be had.
    pub(crate) fn replica_request(&self, on: &Resource, program: Program, index: u32) -> Result<CreateRequest, Halt> {
        let Some(run) = self.world.run(program) else {
            return skipped(format!("the harness has no program {program:?}"));
        };
        let Machine { id, site, .. } = self.world.machine(0);
        let service = ServiceName::new("sample").expect("invariant: letters are a service name");
        let spec = ReplicaSpec {
            replica: ReplicaId::new(service, index),
            machine: id,
            site,
            request: self.world.request(),
            run,
            health: None,
            stop: STOP,
        };
        let new = NewReplica {
            spec,
            machine: on.id.clone(),
            env: BTreeMap::new(),
        };
        Ok(self.request(&format!("replica-{index}"), What::Replica(Box::new(new))))
    }

    fn request(&self, name: &str, what: What) -> CreateRequest {
        CreateRequest {
            owner: self.owner(),
            operation: self.operation(name),
            token: self.token(name),
            epoch: EPOCH,
            what,
        }
    }

    // --- things ------------------------------------------------------------------------------------------------

    pub(crate) async fn create(&self, request: &CreateRequest) -> Result<Resource, Halt> {
        succeeded("create", self.driver().create(request).await)
    }

    /// Sample machine `index`, created.
    pub(crate) async fn machine(&self, index: u32) -> Result<Resource, Halt> {
        self.needs(Kind::Machine)?;
        self.create(&self.machine_request(index)).await
    }

    /// A replica of `program` on a machine of its own, running.
    pub(crate) async fn running(&self, program: Program) -> Result<Resource, Halt> {
        let replica = self.started(program).await?;
        self.until_running(&replica.id).await
    }

    /// A replica of `program` on a machine of its own, just created.
    pub(crate) async fn started(&self, program: Program) -> Result<Resource, Halt> {
        self.needs(Kind::Replica)?;
        let machine = self.machine(0).await?;
        self.create(&self.replica_request(&machine, program, 0)?).await
    }

    pub(crate) async fn get(&self, id: &ResourceId) -> Result<Resource, Halt> {
        succeeded("get", self.driver().get(id).await)
    }

    pub(crate) async fn delete(&self, id: &ResourceId) -> Verdict {
        succeeded("delete", self.driver().delete(id, STOP, EPOCH).await)
    }

    /// The ids that this owner has, once the consistency window has passed.
    pub(crate) async fn settled_ids(&self, owner: &OwnerTag) -> Result<Vec<ResourceId>, Halt> {
        self.world.pass(self.driver().capabilities().consistency_window).await;
        let listed = succeeded("list", self.driver().list(owner).await)?;
        Ok(listed.into_iter().map(|thing| thing.id).collect())
    }

    // --- waiting -----------------------------------------------------------------------------------------------

    /// Looks again and again until `reached`, and returns the thing then; fails when it takes too long.
    pub(crate) async fn until(
        &self,
        id: &ResourceId,
        what: &str,
        reached: impl Fn(&Resource) -> bool + Send + Sync,
    ) -> Result<Resource, Halt> {
        let mut waited = Duration::ZERO;
        loop {
            let thing = self.get(id).await?;
            if reached(&thing) {
                return Ok(thing);
            }
            if waited >= self.world.patience() {
                let state = thing.state;
                return failed(format!("`{id}` is not {what} after {waited:?}: it is {state:?}"));
            }
            waited += self.tick().await;
        }
    }

    pub(crate) async fn until_running(&self, id: &ResourceId) -> Result<Resource, Halt> {
        self.until(id, "running", |thing| thing.state == ResourceState::Running)
            .await
    }

    /// Waits until a program has ended by itself, and returns its exit code.
    pub(crate) async fn until_exited(&self, id: &ResourceId) -> Result<Option<i32>, Halt> {
        let ended = |thing: &Resource| matches!(thing.state, ResourceState::Exited { .. });
        match self.until(id, "exited", ended).await?.state {
            ResourceState::Exited { code } => Ok(code),
            state => failed(format!("`{id}` is {state:?}, expected it to have exited")),
        }
    }

    /// Lets one tick pass and says how long it is (never nothing, so that waiting ends).
    pub(crate) async fn tick(&self) -> Duration {
        let tick = self.world.tick().max(Duration::from_millis(1));
        self.world.pass(tick).await;
        tick
    }
}
