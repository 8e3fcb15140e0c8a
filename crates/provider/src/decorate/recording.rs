//! Who called what, and how it ended: for tests that assert on the calls themselves.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use skyloom_core::{Class, OwnerTag, ResourceId, StopSpec, Token};

use crate::{
    Capabilities, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Inspected, Operation, Quota, Resource, Retag,
    Usage,
};

/// One call that has ended. Holds no environment and no command, which may carry secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedCall {
    /// Which method.
    pub operation: Operation,
    /// What it was about: resource id, token, owner, or the name of the thing to create; empty for `quotas`.
    pub subject: String,
    /// Token of a creation.
    pub token: Option<Token>,
    /// Epoch of a mutation.
    pub epoch: Option<Epoch>,
    /// The class of its failure; `None`: it succeeded.
    pub failed: Option<Class>,
}

/// Keeps a list of the calls that went to a driver, in the order in which they ended.
///
/// A call whose future was dropped is not in it: it has not ended.
///
/// ```
/// use futures::executor::block_on;
/// use skyloom_core::Timestamp;
/// use skyloom_provider::sim::{SimCloud, SimConfig};
/// use skyloom_provider::{Driver, Operation, Recording};
///
/// let driver = Recording::new(SimCloud::new(SimConfig::new(1, Timestamp::EPOCH)));
/// block_on(driver.list(&"shop".parse()?))?;
/// let calls = driver.calls();
/// assert_eq!((calls[0].operation, calls[0].subject.as_str()), (Operation::List, "shop"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recording<D> {
    inner: D,
    calls: Mutex<VecDeque<RecordedCall>>,
}

/// Calls kept; the oldest go first. More than any test looks at, some tens of MiB.
const CALLS_MAX: usize = 100_000;

impl<D: Driver> Recording<D> {
    /// Records the calls to `inner`.
    pub const fn new(inner: D) -> Self {
        Self {
            inner,
            calls: Mutex::new(VecDeque::new()),
        }
    }

    /// The driver behind.
    pub const fn inner(&self) -> &D {
        &self.inner
    }

    /// The calls that have ended, oldest first: the latest 100,000.
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Forgets the calls so far.
    pub fn clear(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn keep<T>(
        &self,
        operation: Operation,
        subject: impl ToString,
        marks: Marks<'_>,
        answer: Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let call = RecordedCall {
            operation,
            subject: subject.to_string(),
            token: marks.token.cloned(),
            epoch: marks.epoch,
            failed: answer.as_ref().err().map(DriverError::class),
        };
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() == CALLS_MAX {
            calls.pop_front();
        }
        calls.push_back(call);
        answer
    }
}

/// What a mutation carries.
#[derive(Default)]
struct Marks<'a> {
    token: Option<&'a Token>,
    epoch: Option<Epoch>,
}

impl Marks<'_> {
    const fn epoch(epoch: Epoch) -> Self {
        Self {
            token: None,
            epoch: Some(epoch),
        }
    }
}

#[async_trait]
impl<D: Driver> Driver for Recording<D> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        let answer = self.inner.create(request).await;
        let marks = Marks {
            token: Some(&request.token),
            epoch: Some(request.epoch),
        };
        self.keep(Operation::Create, request.name(), marks, answer)
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        let answer = self.inner.get(id).await;
        self.keep(Operation::Get, id, Marks::default(), answer)
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        let answer = self.inner.list(owner).await;
        self.keep(Operation::List, owner, Marks::default(), answer)
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        let answer = self.inner.find_by_token(owner, token).await;
        self.keep(Operation::FindByToken, token, Marks::default(), answer)
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        let answer = self.inner.delete(id, stop, epoch).await;
        self.keep(Operation::Delete, id, Marks::epoch(epoch), answer)
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        let answer = self.inner.stop(id, stop, epoch).await;
        self.keep(Operation::Stop, id, Marks::epoch(epoch), answer)
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        let answer = self.inner.start(id, epoch).await;
        self.keep(Operation::Start, id, Marks::epoch(epoch), answer)
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        let answer = self.inner.logs(id, lines).await;
        self.keep(Operation::Logs, id, Marks::default(), answer)
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        let answer = self.inner.usage(id).await;
        self.keep(Operation::Usage, id, Marks::default(), answer)
    }

    async fn exec(&self, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, DriverError> {
        let answer = self.inner.exec(id, command, timeout).await;
        self.keep(Operation::Exec, id, Marks::default(), answer)
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        let answer = self.inner.quotas().await;
        self.keep(Operation::Quotas, "", Marks::default(), answer)
    }

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        let answer = self.inner.inspect(id).await;
        self.keep(Operation::Inspect, id, Marks::default(), answer)
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        let answer = self.inner.others(owner).await;
        self.keep(Operation::Others, owner, Marks::default(), answer)
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        let answer = self.inner.retag(request).await;
        let marks = Marks {
            token: Some(&request.token),
            epoch: Some(request.epoch),
        };
        self.keep(Operation::Retag, &request.id, marks, answer)
    }
}
