//! The contract of a driver. `skyloom-provider-testkit` checks it against any implementation.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{CloudId, OperationId, OwnerTag, ResourceId, StopSpec, Token};

use crate::{Cause, CreateRequest, DriverError, Epoch, ExecOutput, Inspected, Kind, Quota, Resource, Retag, Usage};

/// What a driver can do, known before any call. Asking for more is [`crate::Cause::Unsupported`] without side effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent ability, asked for by name"
)]
pub struct Capabilities {
    /// Short name of the driver, such as `local`.
    pub name: String,
    /// Kinds of things that it can create.
    pub kinds: Vec<Kind>,
    /// The clouds whose placements it may carry out; `None`: any cloud's (a rehearsal driver). Creating elsewhere is
    /// [`crate::Cause::Invalid`].
    pub clouds: Option<Vec<CloudId>>,
    /// How long after `create` a thing may be absent from `list` and `find_by_token`. Recovery waits this long before
    /// it creates again.
    pub consistency_window: Duration,
    /// Whether `logs` works.
    pub logs: bool,
    /// Whether `usage` works.
    pub usage: bool,
    /// Whether `exec` works.
    pub exec: bool,
    /// Whether `stop` and `start` work.
    pub stop_start: bool,
    /// Whether it stands in for the clouds (nothing is bought).
    pub rehearsal: bool,
    /// Whether `inspect`, `others` and `retag` work: whether what is there already can be taken over.
    pub adopt: bool,
}

/// Creates, watches and removes machines and replicas at one provider.
///
/// Object-safe and runtime-neutral. Dropping a future leaves the call in doubt: it may or may not have had its effect;
/// recovery finds out by token, and repeating the call is always safe. All methods may be called concurrently.
///
/// Every mutation carries an epoch. Epochs are compared per owner: a driver remembers the highest that it has seen for
/// an owner, in any mutation that reached it, and refuses lower ones with [`crate::Cause::StaleEpoch`] without side
/// effect, whatever else the call would have been answered. A call about a thing that does not exist has no owner and
/// is not fenced.
///
/// Any call may fail with a cause of class `Transient` or `Throttled`. What else it may fail with is said below, and
/// `skyloom-provider-testkit` tries it.
#[async_trait]
pub trait Driver: Send + Sync + fmt::Debug {
    /// What it can do; constant over the driver's life.
    fn capabilities(&self) -> &Capabilities;

    /// Creates a thing and returns it, possibly still [`crate::ResourceState::Pending`]. What was returned can be seen
    /// by [`Driver::get`] at once.
    ///
    /// Idempotent by token: a repeated call with the same token and the same parameters
    /// ([`CreateRequest::parameters`]) returns the thing made by the first, as it is now; with other parameters it is a
    /// [`crate::Cause::TokenReused`]. A token whose thing was deleted since is [`crate::Cause::TokenReused`] too, as at
    /// the large clouds. Calls that are under way at the same time with one token make one thing.
    ///
    /// Nothing is left behind on an error of class `Invalid`, `Exhausted`, `Denied`, `NotFound`, `Conflict`,
    /// `Unsupported`, and the token is not used up; after `Transient` the effect is in doubt.
    ///
    /// A replica may be created on a machine that is still pending; it then waits for the machine. A machine that is
    /// not there, or not this owner's, is [`crate::Cause::NotFound`] or [`crate::Cause::Invalid`].
    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError>;

    /// The thing as it is now; [`crate::Cause::NotFound`] when it is gone (deleted things may be told as gone at once).
    /// A thing that has exited or was evicted stays until it is deleted.
    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError>;

    /// All things with this owner tag that are not deleted, sorted by id. A failed or truncated listing is an error,
    /// never a short answer; only things younger than [`Capabilities::consistency_window`] may be absent.
    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError>;

    /// The thing that was made with this token for this owner, if it is there. May lag as [`Driver::list`] does.
    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError>;

    /// Stops a thing gracefully (SIGTERM, `stop.grace`, SIGKILL) and removes it. Idempotent: a thing that is gone
    /// already, or never was, is success. When it returns, nothing of the thing runs any more, and `get`, `list` and
    /// `find_by_token` no longer tell of it. A machine that still carries replicas, in whatever state, is
    /// [`crate::Cause::InUse`]. Refused with [`crate::Cause::StaleEpoch`] when a later controller has been seen.
    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError>;

    /// Stops a thing gracefully and keeps it ([`Capabilities::stop_start`]): when it returns, nothing of it runs.
    /// Stopping a stopped thing is success; what has exited by itself stays as it is.
    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError>;

    /// Starts a stopped thing again ([`Capabilities::stop_start`]), with the same id, token and port names. Starting a
    /// running thing is success.
    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError>;

    /// The last `lines` lines of what a replica printed, oldest first ([`Capabilities::logs`]); fewer where it printed
    /// fewer or the driver keeps fewer.
    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError>;

    /// What a running replica has used so far ([`Capabilities::usage`]): CPU time and network bytes never fall while
    /// it runs.
    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError>;

    /// Runs a command where the replica runs and waits for its end, at most `timeout` ([`Capabilities::exec`]);
    /// later it is killed and [`crate::Cause::Timeout`] returned, and the replica runs on. An exit code other than 0
    /// is an answer, not an error.
    async fn exec(&self, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, DriverError>;

    /// Quotas that hold here, each named once; empty where there are none.
    async fn quotas(&self) -> Result<Vec<Quota>, DriverError>;

    /// The thing as it is now, whoever it belongs to ([`Capabilities::adopt`]); [`crate::Cause::NotFound`] when it is gone.
    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        Err(DriverError::new(&self.capabilities().name, "inspect", Cause::Unsupported).on(id))
    }

    /// All things that do not carry this owner tag, sorted by id ([`Capabilities::adopt`]): nobody's and others'. As
    /// complete as [`Driver::list`].
    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        Err(DriverError::new(&self.capabilities().name, "others", Cause::Unsupported).on(owner))
    }

    /// Gives a thing another owner or another name, without touching what it does ([`Capabilities::adopt`]).
    ///
    /// Atomic: it has all of the new marks or all of the old ones. Idempotent by operation: where the thing carries
    /// `to`, `name` and `operation` already, that is success. Otherwise it must belong to `from`, else
    /// [`crate::Cause::OtherOwner`]; one that is gone is [`crate::Cause::NotFound`]. Fenced for the owner that it comes to
    /// (for its last one, where it becomes nobody's). After it the thing is found by its new owner, operation and token,
    /// and no more by the old ones. A machine is retagged alone: what it
    /// carries keeps its owner.
    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        Err(DriverError::new(&self.capabilities().name, "retag", Cause::Unsupported).on(&request.id))
    }
}

/// What a creation whose answer is not known has left: looked for by its token, then by owner tag and operation, because
/// a provider may have forgotten the token. `None`: nothing can be seen, which means nothing before
/// [`Capabilities::consistency_window`] has passed.
///
/// # Errors
/// Those of [`Driver::find_by_token`] and [`Driver::list`].
pub async fn find_made(
    driver: &dyn Driver,
    owner: &OwnerTag,
    operation: &OperationId,
    token: &Token,
) -> Result<Option<ResourceId>, DriverError> {
    if let Some(found) = driver.find_by_token(owner, token).await? {
        return Ok(Some(found.id));
    }
    let all = driver.list(owner).await?;
    let made = all.into_iter().find(|resource| resource.operation == *operation);
    Ok(made.map(|resource| resource.id))
}
