//! An independent checker: says what is wrong with a placement, whoever made it.
//!
//! It reads manifest, snapshot and catalogue directly and shares no code with the planner: a filter that both used would
//! be wrong in both. It is written for clearness, and about linear where no rules between replicas are asked for.

mod alone;
mod money;
mod quota;
mod together;

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{
    Assignment, Dimension, Filter, Machine, MachineId, MicroUsd, MicroUsdPerHour, Node, Placement, ReplicaId,
    Resources, ServiceName, ServiceSpec,
};
use thiserror::Error;

use crate::problem::Problem;
use crate::quotas::Quota;

/// One thing that is wrong with a placement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// A replica of the manifest is neither placed nor unplaced.
    #[error("replica `{replica}` is neither placed nor unplaced")]
    MissingReplica {
        /// Which.
        replica: ReplicaId,
    },
    /// A replica stands in the placement more than once.
    #[error("replica `{replica}` stands there more than once")]
    DoubleReplica {
        /// Which.
        replica: ReplicaId,
    },
    /// A replica that the manifest does not ask for.
    #[error("replica `{replica}` is not asked for")]
    UnknownReplica {
        /// Which.
        replica: ReplicaId,
    },
    /// An assignment names a machine that the placement does not have.
    #[error("replica `{replica}` is on machine `{machine}`, which is not in the placement")]
    UnknownMachine {
        /// Which replica.
        replica: ReplicaId,
        /// The machine named.
        machine: MachineId,
    },
    /// A machine stands in the placement twice, or without any replica.
    #[error("machine `{machine}` is listed twice or carries nothing")]
    SpareMachine {
        /// Which.
        machine: MachineId,
    },
    /// A machine that differs from the snapshot's, or that no offer of the catalogue sells at that price.
    #[error("machine `{machine}` is neither in the snapshot nor sold like that, at `{price}`")]
    WrongMachine {
        /// Which.
        machine: MachineId,
        /// The price stated.
        price: MicroUsdPerHour,
    },
    /// A replica is given something else than its service asks for.
    #[error("replica `{replica}` is given `{given}` and its service asks for `{asked}`")]
    WrongRequest {
        /// Which.
        replica: ReplicaId,
        /// What the placement says.
        given: Resources,
        /// What the manifest says.
        asked: Resources,
    },
    /// More is placed on a machine than it has.
    #[error("machine `{machine}` has `{capacity}` of {dimension} and carries `{used}`")]
    OverCapacity {
        /// Which.
        machine: MachineId,
        /// In which dimension.
        dimension: Dimension,
        /// Bare amount placed.
        used: u128,
        /// Bare amount there.
        capacity: u64,
    },
    /// GPU shares fit by their sum, but not device by device.
    #[error("machine `{machine}` cannot give its GPU devices to the shares on it")]
    SplitDevice {
        /// Which.
        machine: MachineId,
    },
    /// A hard rule of a service is broken.
    #[error("replica `{replica}` breaks its {rule} rule on machine `{machine}`")]
    BrokenRule {
        /// Which replica.
        replica: ReplicaId,
        /// Which rule.
        rule: Filter,
        /// Where it is.
        machine: MachineId,
    },
    /// The shares of a machine do not sum to its price.
    #[error("the shares of machine `{machine}` sum to `{sum}` and its price is `{price}`")]
    WrongShares {
        /// Which.
        machine: MachineId,
        /// Sum of the shares.
        sum: MicroUsdPerHour,
        /// Its price.
        price: MicroUsdPerHour,
    },
    /// A figure of the cost summary is not what machines and traffic come to.
    #[error("the {figure} is stated as `{stated}` and comes to `{counted}`")]
    WrongCost {
        /// Which figure.
        figure: &'static str,
        /// What the placement says, in dollars.
        stated: MicroUsd,
        /// What was counted, in dollars.
        counted: MicroUsd,
    },
    /// Machines to buy exceed a quota, those that are there included.
    #[error("the machines come to `{used}` and the quota is `{quota}`")]
    OverQuota {
        /// Which.
        quota: Box<Quota>,
        /// What they come to, in the quota's unit.
        used: u128,
    },
    /// The total exceeds the budget.
    #[error("the total of `{total}` per month exceeds the budget of `{budget}`")]
    OverBudget {
        /// Machines and egress.
        total: MicroUsd,
        /// The limit.
        budget: MicroUsd,
    },
}

/// Everything that is wrong with `placement` as an answer to `problem`; empty when nothing is.
///
/// Covers: every replica once, capacity in every dimension, GPU devices, every hard rule, prices as in the catalogue or
/// snapshot, shares, cost and budget. A rule that waits for a replica without a place does not count against replicas
/// that run already: stopping them would not mend it. Cost: about replicas² for the rules between replicas.
#[must_use]
pub fn check(problem: &Problem<'_>, placement: &Placement) -> Vec<Violation> {
    check_within(problem, &[], placement)
}

/// As [`check`], and the quotas that the decision was to keep.
#[must_use]
pub fn check_within(problem: &Problem<'_>, quotas: &[Quota], placement: &Placement) -> Vec<Violation> {
    let mut violations = Vec::new();
    conservation(problem, placement, &mut violations);
    capacity(problem, placement, &mut violations);
    let nodes = nodes(problem);
    let placed = located(problem, &nodes, placement, &mut violations);
    let apart = together::Apart::new(&problem.manifest.services);
    for one in &placed {
        let mut broken = alone::broken(problem, one);
        broken.extend(together::broken(problem, quotas, &placed, &apart, one));
        violations.extend(broken.into_iter().map(|rule| Violation::BrokenRule {
            replica: one.assignment.replica.clone(),
            rule,
            machine: one.machine.id.clone(),
        }));
    }
    money::check(problem, &nodes, placement, &placed, &mut violations);
    violations.extend(
        quotas
            .iter()
            .filter_map(|quota| quota::exceeded(problem, quota, placement)),
    );
    violations
}

/// A placed replica with all that is known of where it is.
struct Placed<'a> {
    assignment: &'a Assignment,
    service: &'a ServiceSpec,
    machine: &'a Machine,
    /// The machine as observed; `None`: it is to be bought.
    node: Option<&'a Node>,
    /// Whether the replica is there already.
    stays: bool,
}

/// Machines as observed, by id.
type Nodes<'a> = BTreeMap<&'a MachineId, &'a Node>;

// Where a name is there twice, the first counts in all of these: hence backwards.

fn nodes<'a>(problem: &Problem<'a>) -> Nodes<'a> {
    let nodes = problem.snapshot.nodes.iter().rev();
    nodes.map(|node| (&node.machine.id, node)).collect()
}

fn services<'a>(problem: &Problem<'a>) -> BTreeMap<&'a ServiceName, &'a ServiceSpec> {
    let services = problem.manifest.services.iter().rev();
    services.map(|service| (&service.name, service)).collect()
}

fn located<'a>(
    problem: &Problem<'a>,
    nodes: &Nodes<'a>,
    placement: &'a Placement,
    violations: &mut Vec<Violation>,
) -> Vec<Placed<'a>> {
    let services = services(problem);
    let machines: BTreeMap<_, _> = placement.machines.iter().rev().map(|m| (&m.id, m)).collect();
    let there: BTreeSet<_> = problem
        .snapshot
        .replicas
        .iter()
        .map(|o| (&o.replica, &o.machine))
        .collect();
    let mut placed = Vec::new();
    for assignment in &placement.assignments {
        let Some(&service) = services.get(assignment.replica.service()) else {
            continue;
        };
        let Some(&machine) = machines.get(&assignment.machine) else {
            violations.push(Violation::UnknownMachine {
                replica: assignment.replica.clone(),
                machine: assignment.machine.clone(),
            });
            continue;
        };
        if assignment.request != service.resources {
            violations.push(Violation::WrongRequest {
                replica: assignment.replica.clone(),
                given: assignment.request,
                asked: service.resources,
            });
        }
        placed.push(Placed {
            assignment,
            service,
            machine,
            node: nodes.get(&machine.id).copied(),
            stays: there.contains(&(&assignment.replica, &machine.id)),
        });
    }
    placed
}

fn conservation(problem: &Problem<'_>, placement: &Placement, violations: &mut Vec<Violation>) {
    let mut times: BTreeMap<ReplicaId, u32> = BTreeMap::new();
    let assigned = placement.assignments.iter().map(|a| &a.replica);
    for replica in assigned.chain(placement.unplaced.iter().map(|u| &u.replica)) {
        *times.entry(replica.clone()).or_insert(0) += 1;
    }
    for service in &problem.manifest.services {
        for index in 0..service.replicas.get() {
            let replica = ReplicaId::new(service.name.clone(), index);
            match times.remove(&replica) {
                None => violations.push(Violation::MissingReplica { replica }),
                Some(1) => {}
                Some(_) => violations.push(Violation::DoubleReplica { replica }),
            }
        }
    }
    violations.extend(times.into_keys().map(|replica| Violation::UnknownReplica { replica }));
    let carrying: BTreeSet<_> = placement.assignments.iter().map(|a| &a.machine).collect();
    let mut listed = BTreeSet::new();
    for machine in &placement.machines {
        if !listed.insert(&machine.id) || !carrying.contains(&machine.id) {
            violations.push(Violation::SpareMachine {
                machine: machine.id.clone(),
            });
        }
    }
}

/// Requests by machine: of the placement, and of replicas that run there without being asked for any more.
fn requests<'a>(problem: &Problem<'a>, placement: &'a Placement) -> BTreeMap<&'a MachineId, Vec<Resources>> {
    let services = services(problem);
    let mut requests: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for assignment in &placement.assignments {
        requests
            .entry(&assignment.machine)
            .or_default()
            .push(assignment.request);
    }
    for observed in &problem.snapshot.replicas {
        let service = services.get(observed.replica.service());
        let wanted = service.is_some_and(|s| observed.replica.index() < s.replicas.get());
        if observed.state.is_live() && !wanted {
            requests.entry(&observed.machine).or_default().push(observed.request);
        }
    }
    requests
}

fn capacity(problem: &Problem<'_>, placement: &Placement, violations: &mut Vec<Violation>) {
    let requests = requests(problem, placement);
    for machine in &placement.machines {
        let requests = requests.get(&machine.id).map_or(&[][..], Vec::as_slice);
        for dimension in Dimension::ALL {
            let used: u128 = requests.iter().map(|r| u128::from(r.get(dimension))).sum();
            let capacity = machine.capacity.get(dimension);
            if used > u128::from(capacity) {
                violations.push(Violation::OverCapacity {
                    machine: machine.id.clone(),
                    dimension,
                    used,
                    capacity,
                });
            }
        }
        let gpus: Vec<u64> = requests
            .iter()
            .map(|r| r.gpu.as_milligpus())
            .filter(|g| *g > 0)
            .collect();
        if !alone::devices_suffice(machine.capacity.gpu.as_milligpus(), &gpus) {
            violations.push(Violation::SplitDevice {
                machine: machine.id.clone(),
            });
        }
    }
}
