//! A plan for some services only: what they are, what they need, and the manifest that is in force afterwards.
//!
//! A partial plan is a whole plan for another manifest: the one in force with the targets taken from the new one. So what
//! is in force after it is a manifest like any other, and healing, status and the next plan need no exceptions. The
//! obvious design, filtering the steps of the whole plan, leaves machines half filled and waits for steps that are gone.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Class, DataName, MachineId, Manifest, ServiceName, ServiceSpec, Targets};
use thiserror::Error;

/// Why there is no plan for some services only.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Nothing was named.
    #[error("plan for some services only: none was named")]
    None,
    /// A service that the manifest does not have.
    #[error("plan for `{service}` only: the manifest has no such service")]
    Unknown {
        /// The name.
        service: ServiceName,
    },
    /// Its place is only free when something else makes room, which the plan must not touch.
    #[error("plan for some services only: there is room on `{machine}` only when others make it")]
    NoRoom {
        /// Where the room is missing.
        machine: MachineId,
    },
}

impl TargetError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::None | Self::Unknown { .. } => Class::Invalid,
            Self::NoRoom { .. } => Class::Exhausted,
        }
    }
}

/// What a partial plan is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Targeted {
    /// The manifest that the plan brings about: place and plan this one.
    pub manifest: Manifest,
    /// What the plan is confined to.
    pub targets: Targets,
}

/// How much of a service a plan may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// What is missing is brought about; what runs stays, up to date or not.
    Missing,
    /// Nothing.
    Nothing,
}

impl Extent {
    pub(super) fn of(targets: Option<&Targets>, service: &ServiceName) -> Self {
        match targets {
            None => Self::Whole,
            Some(targets) if targets.services.contains(service) => Self::Whole,
            Some(targets) if targets.needs.contains(service) => Self::Missing,
            Some(_) => Self::Nothing,
        }
    }
}

/// The manifest in force with `targets` as `wanted` has them, and with what they need and is not there yet.
///
/// A service that a target needs, directly or not, stays as it is in force; only what is missing of it is brought about.
/// Rules over the whole (residency, budget) are `wanted`'s.
///
/// # Errors
/// [`TargetError`] for no target and for one that `wanted` does not have.
pub fn confine(
    wanted: &Manifest,
    in_force: Option<&Manifest>,
    targets: &BTreeSet<ServiceName>,
) -> Result<Targeted, TargetError> {
    if targets.is_empty() {
        return Err(TargetError::None);
    }
    let new: BTreeMap<&ServiceName, &ServiceSpec> = wanted.services.iter().map(|s| (&s.name, s)).collect();
    let old: BTreeMap<&ServiceName, &ServiceSpec> = in_force
        .iter()
        .flat_map(|manifest| &manifest.services)
        .map(|service| (&service.name, service))
        .collect();
    if let Some(unknown) = targets.iter().find(|target| !new.contains_key(target)) {
        let service = unknown.clone();
        return Err(TargetError::Unknown { service });
    }
    let chosen = |name: &ServiceName| {
        if targets.contains(name) {
            new.get(name).copied()
        } else {
            old.get(name).or_else(|| new.get(name)).copied()
        }
    };
    let mut needs = BTreeSet::new();
    let mut open: Vec<&ServiceName> = targets.iter().collect();
    while let Some(name) = open.pop() {
        for dependency in chosen(name).iter().flat_map(|service| &service.depends_on) {
            if !targets.contains(&dependency.service) && needs.insert(dependency.service.clone()) {
                open.push(&dependency.service);
            }
        }
    }
    let moved = confined(&wanted.moved, |moved| targets.contains(&moved.to.service));
    let moved_away = |name: &ServiceName| {
        let whole = |moved: &&skyloom_core::Moved| moved.from.numbers.is_none() && moved.from.service == *name;
        !targets.contains(name) && moved.iter().any(|one| whole(&one))
    };
    let is_kept = |name: &ServiceName| {
        !moved_away(name) && (old.contains_key(name) || targets.contains(name) || needs.contains(name))
    };
    // In the order of the new manifest, then what only the old one has.
    let names = wanted.services.iter().map(|s| &s.name);
    let names = names.chain(old.keys().copied().filter(|name| !new.contains_key(name)));
    let services: Vec<ServiceSpec> = names.filter(|name| is_kept(name)).filter_map(chosen).cloned().collect();
    let bare = |service: &&ServiceSpec| without_locations(service);
    let differs = |name: &ServiceName| old.get(name).map(bare) != new.get(name).map(bare);
    let left_out = new.keys().chain(old.keys()).copied();
    let left_out = left_out.filter(|name| !targets.contains(*name) && differs(name));
    let left_out = left_out.filter(|name| !(moved_away(name) || needs.contains(*name) && !old.contains_key(*name)));
    Ok(Targeted {
        targets: Targets {
            services: targets.clone(),
            left_out: left_out.cloned().collect(),
            needs,
        },
        manifest: Manifest {
            services,
            data: data_of(wanted, in_force),
            moved: moved.clone(),
            imports: confined(&wanted.imports, |import| targets.contains(import.replica.service())),
            ..wanted.clone()
        },
    })
}

fn confined<T: Clone>(all: &[T], is_concerned: impl Fn(&T) -> bool) -> Vec<T> {
    all.iter().filter(|one| is_concerned(one)).cloned().collect()
}

/// The new manifest's data sets, and those that only the old one has: what runs may use them.
fn data_of(wanted: &Manifest, in_force: Option<&Manifest>) -> Vec<skyloom_core::DataSpec> {
    let named: BTreeSet<&DataName> = wanted.data.iter().map(|set| &set.name).collect();
    let old = in_force.iter().flat_map(|manifest| &manifest.data);
    let old = old.filter(|set| !named.contains(&set.name));
    wanted.data.iter().chain(old).cloned().collect()
}

/// A service without any memory of where it was written.
fn without_locations(service: &ServiceSpec) -> ServiceSpec {
    let mut service = service.clone();
    service.at = None;
    service.depends_on.iter_mut().for_each(|one| one.at = None);
    service.synced.iter_mut().for_each(|one| one.at = None);
    service.latency.iter_mut().for_each(|one| one.at = None);
    if let Some(residency) = &mut service.residency {
        residency.at = None;
    }
    service
}
