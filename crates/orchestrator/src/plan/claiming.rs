//! Steps that take over or rename what is there, and that make data sets equal: nothing is started or stopped by them.

use std::collections::BTreeMap;

use skyloom_core::{
    Action, Compensation, DataSpec, Machine, MicroUsdPerHour, Precondition, RegionKey, ReplicaSpec, ResourceId, Site,
    StepId, Timestamp, Until,
};

use super::PlanError;
use super::claim::{Adopted, AdoptedMachine};
use super::steps::{Steps, Waits};

impl<'a> Steps<'a> {
    /// Takes a machine over.
    pub(super) fn adopt_machine(
        &mut self,
        machine: &'a Machine,
        resource: &ResourceId,
        adopted: &AdoptedMachine,
    ) -> Result<(), PlanError> {
        let action = Action::AdoptMachine {
            machine: machine.clone(),
            resource: resource.clone(),
            taken_from: adopted.taken_from.clone(),
            name: adopted.name.clone(),
        };
        let id = self.push(
            action,
            String::from("carries what is taken over"),
            Waits::default(),
            claimable(resource),
            Compensation::Release,
            (MicroUsdPerHour::ZERO, machine.price),
        )?;
        self.adopted_machines.insert(&machine.id, id);
        Ok(())
    }

    /// Takes a replica over, after its machine.
    pub(super) fn adopt_replica(
        &mut self,
        adopted: &Adopted,
        resource: &'a ResourceId,
        why: String,
    ) -> Result<(), PlanError> {
        let spec = &adopted.spec;
        let on = self.adopted_machines.get(&spec.machine).copied();
        let waits = on
            .into_iter()
            .fold(Waits::default(), |w, step| w.step(step, Until::Done));
        let price = self.price(&spec.machine);
        let action = Action::AdoptReplica {
            spec: spec.clone(),
            resource: resource.clone(),
            taken_from: adopted.taken_from.clone(),
            name: adopted.name.clone(),
        };
        let release = Compensation::Release;
        let id = self.push(action, why, waits, claimable(resource), release, (price, price))?;
        self.claimed.insert(resource, id);
        Ok(())
    }

    /// Gives a replica that runs its new name.
    pub(super) fn rename_replica(
        &mut self,
        spec: &ReplicaSpec,
        was: &skyloom_core::ReplicaId,
        resource: &'a ResourceId,
    ) -> Result<StepId, PlanError> {
        let price = self.price(&spec.machine);
        let action = Action::RenameReplica {
            spec: spec.clone(),
            was: was.clone(),
            resource: resource.clone(),
        };
        let why = String::from("has another name now and is the same otherwise: it runs on");
        let (precondition, release) = (claimable(resource), Compensation::Release);
        let id = self.push(action, why, Waits::default(), precondition, release, (price, price))?;
        self.claimed.insert(resource, id);
        Ok(id)
    }

    /// Makes the copies of a data set equal and verifies them; `None`: it has one copy, which is equal to itself.
    pub(super) fn sync_data(
        &mut self,
        set: &DataSpec,
        planned_at: Timestamp,
        last: Option<Timestamp>,
    ) -> Result<Option<StepId>, PlanError> {
        let Some((primary, copies)) = set.replicas.split_first().filter(|(_, copies)| !copies.is_empty()) else {
            return Ok(None);
        };
        let action = Action::SyncData {
            data: set.name.clone(),
            site: site_of(&primary.region),
            copies: copies.iter().map(|copy| copy.region.clone()).collect(),
            planned_at,
        };
        let why = match last {
            None => String::from("its copies were never verified"),
            Some(at) => format!(
                "its copies were last verified {:?} ago",
                planned_at.saturating_since(at)
            ),
        };
        let because = String::from("copies that are equal are no worse than copies that are not");
        let compensation = Compensation::Nothing { because };
        let free = (MicroUsdPerHour::ZERO, MicroUsdPerHour::ZERO);
        self.push(
            action,
            why,
            Waits::default(),
            Precondition::Anything,
            compensation,
            free,
        )
        .map(Some)
    }
}

fn claimable(resource: &ResourceId) -> Precondition {
    Precondition::Claimable {
        resource: resource.clone(),
    }
}

fn site_of(region: &RegionKey) -> Site {
    Site {
        region: region.clone(),
        zone: None,
    }
}

/// What has been claimed so far, by what the provider calls it.
pub(super) type ClaimSteps<'a> = BTreeMap<&'a ResourceId, StepId>;
