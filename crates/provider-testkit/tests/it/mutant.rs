//! A driver that breaks its contract in one chosen way, and keeps the rest of it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{OwnerTag, ResourceId, StopSpec, Token};
use skyloom_provider::sim::{SimCloud, SimThing};
use skyloom_provider::{
    Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Inspected, Kind, Quota, Resource,
    ResourceState, Retag, Usage, What,
};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    HasNoName,
    HidesAnAbility,
    TakesAnyCloud,
    RepeatsAQuota,
    ForgetsTheOperation,
    IgnoresTokens,
    IgnoresParameters,
    RevivesDeletedTokens,
    TakesAnyMachine,
    AnswersForTheUnknown,
    FindsAnything,
    ListsEverybody,
    ListsBackwards,
    TruncatesLists,
    UnderstatesItsWindow,
    DeletesOnlyOnce,
    ReturnsBeforeGone,
    DeletesMachinesInUse,
    NeverRuns,
    ForgetsEndpoints,
    SharesEndpoints,
    HidesExitCodes,
    TellsEveryEndAsSuccess,
    ForgetsTheExited,
    LogsTheFirstLines,
    LosesUsage,
    SwallowsExecCodes,
    ExecIgnoresTimeouts,
    StopDeletes,
    TakesStaleEpochs,
    FencesOnlyNewThings,
    FencesOwnersTogether,
    ReturnsAnothersThing,
    ChecksThenActs,
    RemembersTooLate,
    DeletesRace,
    KeepsTheOldOwner,
    TakesAnybodys,
    HidesTheReleased,
}

#[derive(Debug)]
pub(crate) struct Mutant {
    inner: SimCloud,
    breaks: Break,
    capabilities: Capabilities,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    known: BTreeMap<Token, Resource>,
    count: u64,
    epoch: Epoch,
    doomed: Vec<ResourceId>,
}

impl Mutant {
    pub(crate) fn new(inner: SimCloud, breaks: Break) -> Self {
        let mut capabilities = inner.capabilities().clone();
        match breaks {
            Break::HasNoName => capabilities.name.clear(),
            Break::HidesAnAbility => capabilities.logs = false,
            Break::TakesAnyCloud => capabilities.clouds = Some(vec!["aws".parse().unwrap()]),
            Break::UnderstatesItsWindow => capabilities.consistency_window = Duration::ZERO,
            _ => {}
        }
        Self {
            inner,
            breaks,
            capabilities,
            notes: Mutex::default(),
        }
    }

    fn is(&self, breaks: Break) -> bool {
        self.breaks == breaks
    }

    fn fresh_token(&self) -> Token {
        let mut notes = self.notes.lock().unwrap();
        notes.count += 1;
        format!("fresh-{}", notes.count).parse().unwrap()
    }

    /// Makes a thing under a token that the cloud has not seen.
    async fn create_anew(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        let mut anew = request.clone();
        anew.token = self.fresh_token();
        let mut made = self.inner.create(&anew).await?;
        made.token = request.token.clone();
        Ok(made)
    }

    /// What this mutant tells of a thing.
    fn tells(&self, mut thing: Resource) -> Resource {
        match (self.breaks, &thing.state) {
            (Break::ForgetsTheOperation, _) => thing.operation = "forgotten".parse().unwrap(),
            (Break::NeverRuns, ResourceState::Running) => thing.state = ResourceState::Pending,
            (Break::ForgetsEndpoints, _) => thing.endpoints.clear(),
            (Break::SharesEndpoints, _) => {
                let shared = "127.0.0.1:80".parse().unwrap();
                thing.endpoints.values_mut().for_each(|endpoint| *endpoint = shared);
            }
            (Break::HidesExitCodes, ResourceState::Exited { .. }) => {
                thing.state = ResourceState::Exited { code: None };
            }
            (Break::TellsEveryEndAsSuccess, ResourceState::Exited { .. }) => {
                thing.state = ResourceState::Exited { code: Some(0) };
            }
            _ => {}
        }
        thing
    }

    fn epoch(&self, epoch: Epoch) -> Epoch {
        if self.is(Break::TakesStaleEpochs) {
            Epoch(u64::MAX)
        } else {
            epoch
        }
    }

    /// Refuses epochs over all owners.
    fn fence(&self, epoch: Epoch) -> Result<(), DriverError> {
        let mut notes = self.notes.lock().unwrap();
        if epoch < notes.epoch {
            let (seen, ours) = (notes.epoch.0, epoch.0);
            return Err(DriverError::new("mutant", "create", Cause::StaleEpoch { seen, ours }));
        }
        notes.epoch = epoch;
        Ok(())
    }

    /// Ends what `ReturnsBeforeGone` said was gone.
    async fn carry_out(&self) {
        let doomed = std::mem::take(&mut self.notes.lock().unwrap().doomed);
        for id in doomed {
            let _ = self.inner.delete(&id, StopSpec::default(), Epoch(u64::MAX)).await;
        }
    }
}

/// Lets others go first, once.
async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl Driver for Mutant {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        let mut request = request.clone();
        request.epoch = self.epoch(request.epoch);
        let known = || self.notes.lock().unwrap().known.get(&request.token).cloned();
        match self.breaks {
            Break::IgnoresTokens => return self.create_anew(&request).await,
            Break::FencesOwnersTogether => self.fence(request.epoch)?,
            Break::FencesOnlyNewThings => {
                let made_with = |thing: &SimThing| thing.resource.token == request.token;
                if let Some(thing) = self.inner.oracle().into_iter().find(made_with) {
                    return Ok(thing.resource);
                }
            }
            Break::ChecksThenActs => {
                if let Some(thing) = known() {
                    return Ok(thing);
                }
                give_way().await;
                let made = self.create_anew(&request).await?;
                self.notes
                    .lock()
                    .unwrap()
                    .known
                    .insert(request.token.clone(), made.clone());
                return Ok(made);
            }
            Break::RemembersTooLate => {
                if let Some(thing) = known() {
                    return Ok(thing);
                }
                let made = self.create_anew(&request).await?;
                give_way().await;
                self.notes
                    .lock()
                    .unwrap()
                    .known
                    .insert(request.token.clone(), made.clone());
                return Ok(made);
            }
            Break::TakesAnyMachine => {
                if let (What::Replica(new), Some(any)) = (&mut request.what, self.inner.oracle().first()) {
                    new.machine = any.resource.id.clone();
                }
            }
            _ => {}
        }
        let answer = self.inner.create(&request).await;
        let reused = matches!(&answer, Err(error) if error.cause == Cause::TokenReused);
        let there = self
            .inner
            .oracle()
            .into_iter()
            .find(|thing| thing.resource.token == request.token);
        match (self.breaks, there) {
            (Break::IgnoresParameters, Some(thing)) if reused => Ok(thing.resource),
            (Break::RevivesDeletedTokens, None) if reused => self.create_anew(&request).await,
            _ => answer.map(|thing| self.tells(thing)),
        }
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        let answer = match (self.breaks, self.inner.oracle().first()) {
            (Break::ReturnsAnothersThing, Some(other)) => Ok(other.resource.clone()),
            _ => self.inner.get(id).await,
        };
        if self.is(Break::AnswersForTheUnknown) {
            let detail = "who knows".to_owned();
            return answer.map_err(|_| DriverError::new("mutant", "get", Cause::Unexpected { detail }));
        }
        if self.is(Break::ForgetsTheExited) && answer.as_ref().is_ok_and(has_exited) {
            return Err(DriverError::new("mutant", "get", Cause::NotFound));
        }
        answer.map(|thing| self.tells(thing))
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        let listed = self.inner.list(owner).await?;
        let mut told: Vec<_> = listed.into_iter().map(|thing| self.tells(thing)).collect();
        match self.breaks {
            Break::ListsEverybody => told = self.inner.oracle().into_iter().map(|thing| thing.resource).collect(),
            Break::ListsBackwards => told.reverse(),
            Break::TruncatesLists => told.truncate(2),
            Break::ForgetsTheExited => told.retain(|thing| !has_exited(thing)),
            _ => {}
        }
        Ok(told)
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        if self.is(Break::FindsAnything) {
            let any = self.inner.oracle().into_iter().next();
            let nothing_there = || self.inner.find_by_token(owner, token);
            return match any {
                Some(any) => Ok(Some(any.resource)),
                None => nothing_there().await,
            };
        }
        Ok(self
            .inner
            .find_by_token(owner, token)
            .await?
            .map(|thing| self.tells(thing)))
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        let epoch = self.epoch(epoch);
        match self.breaks {
            Break::DeletesOnlyOnce => drop(self.inner.get(id).await?),
            Break::DeletesRace => {
                if self.inner.get(id).await.is_err() {
                    return Ok(());
                }
                give_way().await;
                drop(self.inner.get(id).await?);
            }
            Break::ReturnsBeforeGone if self.inner.get(id).await.is_ok_and(|thing| thing.kind == Kind::Replica) => {
                self.notes.lock().unwrap().doomed.push(id.clone());
                return Ok(());
            }
            Break::ReturnsBeforeGone => self.carry_out().await,
            Break::DeletesMachinesInUse => {
                for thing in self.inner.oracle() {
                    if thing.machine.as_ref() == Some(id) {
                        self.inner.delete(&thing.resource.id, stop, epoch).await?;
                    }
                }
            }
            _ => {}
        }
        self.inner.delete(id, stop, epoch).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        if self.is(Break::StopDeletes) {
            return self.inner.delete(id, stop, epoch).await;
        }
        self.inner.stop(id, stop, self.epoch(epoch)).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.inner.start(id, self.epoch(epoch)).await
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        if self.is(Break::LogsTheFirstLines) {
            let all = self.inner.logs(id, usize::MAX).await?;
            return Ok(all.into_iter().take(lines).collect());
        }
        self.inner.logs(id, lines).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        let mut usage = self.inner.usage(id).await?;
        if self.is(Break::LosesUsage) {
            let mut notes = self.notes.lock().unwrap();
            notes.count += 1;
            usage.cpu = Duration::from_secs(100_u64.saturating_sub(notes.count));
        }
        Ok(usage)
    }

    async fn exec(&self, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, DriverError> {
        let timeout = if self.is(Break::ExecIgnoresTimeouts) {
            Duration::MAX
        } else {
            timeout
        };
        match self.inner.exec(id, command, timeout).await {
            Ok(output) if self.is(Break::SwallowsExecCodes) => Ok(ExecOutput {
                code: Some(0),
                ..output
            }),
            Err(_) if self.is(Break::ExecIgnoresTimeouts) => Ok(ExecOutput {
                code: Some(0),
                output: String::new(),
            }),
            answer => answer,
        }
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        if self.is(Break::RepeatsAQuota) {
            let quota = Quota {
                name: "machines".to_owned(),
                used: 0,
                allowed: 1,
            };
            return Ok(vec![quota.clone(), quota]);
        }
        self.inner.quotas().await
    }

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        self.inner.inspect(id).await
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        let mut others = self.inner.others(owner).await?;
        if self.is(Break::HidesTheReleased) {
            others.retain(|other| other.owner.is_some());
        }
        Ok(others)
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        let mut request = request.clone();
        request.epoch = self.epoch(request.epoch);
        if self.is(Break::KeepsTheOldOwner) {
            let mut told = self.inner.get(&request.id).await?;
            told.owner = request.to.unwrap_or(told.owner);
            told.name = request.name;
            told.operation = request.operation;
            told.token = request.token;
            return Ok(told);
        }
        if self.is(Break::TakesAnybodys)
            && let Ok(there) = self.inner.inspect(&request.id).await
        {
            request.from = there.owner;
        }
        self.inner.retag(&request).await
    }
}

fn has_exited(thing: &Resource) -> bool {
    matches!(thing.state, ResourceState::Exited { .. })
}
