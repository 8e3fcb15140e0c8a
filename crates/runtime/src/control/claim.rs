//! Planning with claims: things to take over are looked at where they are, and names that moved are laid over the
//! snapshot before anything is decided. And plans for some services only.

use std::collections::BTreeSet;

use skyloom_core::{Class, Import, Manifest, Placement, ReplicaState, ServiceName, Snapshot, Targets};
use skyloom_orchestrator::{Claimed, Claims, Found, FoundMachine, PlanRequest, claim, confine, plan_for};
use skyloom_provider::{Cause, Driver, DriverError, Inspected, InspectedWhat, ResourceState};
use skyloom_scheduler::{Cheapest, Policy, Problem, place, unsatisfied};

use super::plane::{ControlPlane, Inner};
use super::proposal::Proposal;
use crate::drivers::retry;
use crate::error::Error;
use crate::observe::observe;
use crate::store::State;

/// What a plan is made of besides the manifest.
pub(super) struct Ground<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) claims: Option<&'a Claims>,
    pub(super) targets: Option<&'a Targets>,
}

impl<'a> Ground<'a> {
    /// What a manifest that is in force is planned on again: what it claims was claimed when it came into force.
    pub(super) const fn in_force(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            claims: None,
            targets: None,
        }
    }
}

impl ControlPlane {
    /// As [`ControlPlane::plan`], confined to some services: they become as the manifest has them, of what they need only
    /// what is missing is brought about, and all else stays as it is. The proposal's manifest is the one in force with the
    /// targets taken from `manifest`; what is left out is in the plan, and in the status once it is applied.
    ///
    /// # Errors
    /// As [`ControlPlane::plan`]; [`Error::Target`] for a service that the manifest does not have.
    pub async fn plan_targets(&self, manifest: &Manifest, targets: &[ServiceName]) -> Result<Proposal, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        self.settle_doubts(&mut inner).await?;
        let targets: BTreeSet<ServiceName> = targets.iter().cloned().collect();
        let confined = confine(manifest, inner.state.manifest.as_ref(), &targets)?;
        self.plan_within(&inner, &confined.manifest, Some(&confined.targets), &Cheapest)
            .await
    }

    /// As [`ControlPlane::plan`], taking over more than the manifest says: what an `[[import]]` in it would.
    ///
    /// # Errors
    /// As [`ControlPlane::plan`].
    pub async fn import(&self, manifest: &Manifest, imports: Vec<Import>) -> Result<Proposal, Error> {
        let mut manifest = manifest.clone();
        manifest.imports.extend(imports);
        self.plan(&manifest).await
    }

    /// What is at the registered providers and does not carry our owner tag, sorted by driver and id: what an import may
    /// name. Providers that cannot tell are left out.
    ///
    /// # Errors
    /// A provider that cannot be asked.
    pub async fn adoptable(&self) -> Result<Vec<Inspected>, Error> {
        let mut all = Vec::new();
        for driver in self.shared.drivers.iter().filter(|driver| driver.capabilities().adopt) {
            let policy = &self.shared.config.saga.retry;
            all.extend(retry(policy, || driver.others(&self.shared.owner)).await?);
        }
        Ok(all)
    }

    /// Looks, claims, decides and plans.
    pub(super) async fn plan_within(
        &self,
        inner: &Inner,
        manifest: &Manifest,
        targets: Option<&Targets>,
        policy: &(dyn Policy + Sync),
    ) -> Result<Proposal, Error> {
        let seen = observe(&self.shared, &inner.state).await?;
        let Claimed { snapshot, claims, .. } = self.claimed(&inner.state, manifest, &seen.snapshot).await?;
        let ground = Ground {
            snapshot: &snapshot,
            claims: Some(&claims),
            targets,
        };
        let out = inner.outage.out_of_reach(&seen.silent, self.shared.now());
        let scope = (&inner.outage.history, out);
        let around = self.decide_around(&inner.state, manifest, &ground, policy, scope, &seen.unreachable)?;
        Ok(around.proposal)
    }

    /// A snapshot as the manifest names things.
    pub(super) async fn claimed(
        &self,
        state: &State,
        manifest: &Manifest,
        snapshot: &Snapshot,
    ) -> Result<Claimed, Error> {
        // What was taken over when the manifest in force came into force may have been replaced since, or be lost: its
        // replica is looked after like any other, and the import asks for nothing any more.
        let in_force = state.manifest_in_force();
        let is_done = |import: &Import| {
            let imports = in_force.iter().flat_map(|manifest| &manifest.imports);
            let same = |done: &Import| done.replica == import.replica && done.resource == import.resource;
            imports.into_iter().any(same)
        };
        let mut open = manifest.clone();
        open.imports.retain(|import| !is_done(import));
        let mut found = Vec::new();
        for import in &open.imports {
            if !state.replicas.contains_key(&import.resource) {
                found.extend(self.look_for(state, import).await?);
            }
        }
        Ok(claim(&open, snapshot, &found)?)
    }

    /// Decides and plans on a snapshot.
    pub(super) fn decide(
        &self,
        state: &State,
        manifest: &Manifest,
        ground: &Ground<'_>,
        policy: &(dyn Policy + Sync),
    ) -> Result<Proposal, Error> {
        skyloom_core::check_places(manifest, &self.shared.catalogue)?;
        skyloom_orchestrator::ServiceGraph::build(manifest)?;
        let problem = Problem {
            manifest,
            snapshot: ground.snapshot,
            catalogue: &self.shared.catalogue,
        };
        let placement = place(&problem, policy, &self.shared.config.place)?;
        let left_out = unsatisfied(&placement);
        if !left_out.is_empty() {
            return Err(Error::Unsatisfied(left_out));
        }
        self.planned(state, manifest, ground, placement)
    }

    /// The plan of a decision.
    pub(super) fn planned(
        &self,
        state: &State,
        manifest: &Manifest,
        ground: &Ground<'_>,
        placement: Placement,
    ) -> Result<Proposal, Error> {
        let request = PlanRequest::new(manifest, &placement, ground.snapshot)
            .with_previous(state.manifest.as_ref())
            .with_verified(&state.verified)
            .with_targets(ground.targets);
        let request = ground.claims.map_or(request, |claims| request.with_claims(claims));
        let plan = plan_for(&request)?;
        Ok(Proposal {
            manifest: manifest.clone(),
            placement,
            plan,
        })
    }

    /// What an import names, as it is at its provider; `None`: nobody has it.
    async fn look_for(&self, state: &State, import: &Import) -> Result<Option<Found>, Error> {
        let policy = &self.shared.config.saga.retry;
        let asked = self.shared.drivers.iter().filter(|driver| {
            let clouds = &driver.capabilities().clouds;
            let cloud = import.cloud.as_ref();
            cloud.is_none_or(|cloud| clouds.as_ref().is_none_or(|clouds| clouds.contains(cloud)))
        });
        let mut unsupported = None;
        for driver in asked {
            if !driver.capabilities().adopt {
                let name = driver.capabilities().name.clone();
                unsupported = Some(DriverError::new(name, "inspect", Cause::Unsupported).on(&import.resource));
                continue;
            }
            match retry(policy, || driver.inspect(&import.resource)).await {
                Ok(inspected) => return self.found(state, driver.as_ref(), inspected).await.map(Some),
                Err(error) if error.class() == Class::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        unsupported.map_or(Ok(None), |error| Err(error.into()))
    }

    /// A replica with the machine that carries it.
    async fn found(&self, state: &State, driver: &dyn Driver, inspected: Inspected) -> Result<Found, Error> {
        let not_one = |what: &str, id: &skyloom_core::ResourceId| {
            let detail = format!("it is not a {what}");
            DriverError::new(&driver.capabilities().name, "inspect", Cause::Invalid { detail }).on(id)
        };
        let InspectedWhat::Replica { machine, request, run } = inspected.what else {
            return Err(not_one("replica", &inspected.id).into());
        };
        let known = state.machines.values().find(|known| known.resource == machine);
        let machine = match known {
            Some(known) => FoundMachine {
                machine: known.machine.clone(),
                resource: machine,
                name: known.machine.id.to_string(),
                owner: Some(self.shared.owner.clone()),
            },
            None => {
                let policy = &self.shared.config.saga.retry;
                let on = retry(policy, || driver.inspect(&machine)).await?;
                let InspectedWhat::Machine(what) = on.what else {
                    return Err(not_one("machine", &machine).into());
                };
                FoundMachine {
                    machine: *what,
                    resource: machine,
                    name: on.name,
                    owner: on.owner,
                }
            }
        };
        Ok(Found {
            resource: inspected.id,
            name: inspected.name,
            owner: inspected.owner,
            state: state_of(&inspected.state),
            request,
            run: run.map(|run| *run),
            machine,
        })
    }
}

/// How a replica that nobody has probed yet is.
const fn state_of(state: &ResourceState) -> ReplicaState {
    match state {
        ResourceState::Pending => ReplicaState::Pending,
        ResourceState::Running => ReplicaState::Started,
        ResourceState::Exited { code: Some(0) } => ReplicaState::Completed,
        ResourceState::Stopped | ResourceState::Exited { .. } | ResourceState::Evicted => ReplicaState::Failed,
    }
}
