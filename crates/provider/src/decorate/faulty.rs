//! Faults between a caller and any driver, by script and by seeded chance.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{OwnerTag, ResourceId, StopSpec, Token};

use crate::faults::reply_lost;
use crate::{
    Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, FaultPlan, FaultRates, Inspected,
    Operation, Quota, Resource, Retag, Usage, Verdict,
};

/// Loses requests and answers of a driver, delivers mutations twice, and fails calls on command.
///
/// A lost request never reaches the driver; a lost answer is thrown away after the driver has done its work, whether
/// that went well or not; a repeated mutation reaches the driver a second time at once, and the caller gets the first
/// answer. Dropping a future leaves behind what dropping the inner one does.
///
/// ```
/// use futures::executor::block_on;
/// use skyloom_core::Timestamp;
/// use skyloom_provider::sim::{SimCloud, SimConfig};
/// use skyloom_provider::{Driver, FaultInjecting, FaultRates};
///
/// let cloud = SimCloud::new(SimConfig::new(1, Timestamp::EPOCH));
/// let driver = FaultInjecting::new(cloud, 7, FaultRates::none());
/// driver.lose_reply_at(1);
/// assert!(block_on(driver.quotas()).is_ok());
/// assert!(block_on(driver.quotas()).is_err());
/// assert!(block_on(driver.quotas()).is_ok());
/// ```
#[derive(Debug)]
pub struct FaultInjecting<D> {
    inner: D,
    plan: Mutex<FaultPlan>,
}

impl<D: Driver> FaultInjecting<D> {
    /// Puts faults before `inner`: by chance at these rates, with draws from `seed`.
    pub fn new(inner: D, seed: u64, rates: FaultRates) -> Self {
        Self {
            inner,
            plan: Mutex::new(FaultPlan::new(seed, rates)),
        }
    }

    /// The driver behind.
    pub const fn inner(&self) -> &D {
        &self.inner
    }

    /// Calls so far: the number of the next call, from 0.
    pub fn calls(&self) -> u64 {
        self.with_plan(|plan| plan.calls())
    }

    /// Replaces the rates from the next call on; the script stays.
    pub fn set_rates(&self, rates: FaultRates) {
        self.with_plan(|plan| plan.set_rates(rates));
    }

    /// Fails the next call of `operation` with `cause`, without effect. Several are used up one per call, in order.
    pub fn fail_next(&self, operation: Operation, cause: Cause) {
        self.with_plan(|plan| plan.fail_next(operation, cause));
    }

    /// Loses the request of call number `call` (from 0).
    pub fn lose_request_at(&self, call: u64) {
        self.with_plan(|plan| plan.lose_request_at(call));
    }

    /// Loses the answer of call number `call` (from 0).
    pub fn lose_reply_at(&self, call: u64) {
        self.with_plan(|plan| plan.lose_reply_at(call));
    }

    /// Delivers call number `call` (from 0) twice, if it is a mutation.
    pub fn repeat_at(&self, call: u64) {
        self.with_plan(|plan| plan.repeat_at(call));
    }

    fn with_plan<T>(&self, act: impl FnOnce(&mut FaultPlan) -> T) -> T {
        act(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn error(&self, operation: Operation, cause: Cause) -> DriverError {
        DriverError::new(&self.inner.capabilities().name, operation.name(), cause)
    }

    /// Judges a call; the verdict when it may reach the driver.
    fn before(&self, operation: Operation) -> Result<Verdict, DriverError> {
        let mut verdict = self.with_plan(|plan| plan.judge(operation));
        match verdict.refuse.take() {
            Some(cause) => Err(self.error(operation, cause)),
            None => Ok(verdict),
        }
    }

    /// What the caller gets of what the driver answered.
    fn after<T>(
        &self,
        operation: Operation,
        verdict: &Verdict,
        answer: Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        if verdict.lose_reply {
            return Err(self.error(operation, reply_lost()));
        }
        answer
    }
}

/// Judge, call, repeat if the verdict says so, and lose the answer if it says so.
macro_rules! faulty {
    ($self:ident, $operation:expr, $call:expr) => {{
        let verdict = $self.before($operation)?;
        let answer = $call.await;
        if verdict.repeat {
            // Nobody hears the second answer.
            let _ = $call.await;
        }
        $self.after($operation, &verdict, answer)
    }};
}

#[async_trait]
impl<D: Driver> Driver for FaultInjecting<D> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        faulty!(self, Operation::Create, self.inner.create(request))
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        faulty!(self, Operation::Get, self.inner.get(id))
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        faulty!(self, Operation::List, self.inner.list(owner))
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        faulty!(self, Operation::FindByToken, self.inner.find_by_token(owner, token))
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        faulty!(self, Operation::Delete, self.inner.delete(id, stop, epoch))
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        faulty!(self, Operation::Stop, self.inner.stop(id, stop, epoch))
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        faulty!(self, Operation::Start, self.inner.start(id, epoch))
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        faulty!(self, Operation::Logs, self.inner.logs(id, lines))
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        faulty!(self, Operation::Usage, self.inner.usage(id))
    }

    async fn exec(&self, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, DriverError> {
        faulty!(self, Operation::Exec, self.inner.exec(id, command, timeout))
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        faulty!(self, Operation::Quotas, self.inner.quotas())
    }

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        faulty!(self, Operation::Inspect, self.inner.inspect(id))
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        faulty!(self, Operation::Others, self.inner.others(owner))
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        faulty!(self, Operation::Retag, self.inner.retag(request))
    }
}
