//! The decision as a whole: keep what may stay, place what is missing, hold the budget, write it down with its reasons.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{
    Assignment, CostSummary, Filter, Machine, MachineId, MicroUsd, MicroUsdPerHour, Placement, Resources, share_price,
};

use crate::bound::lower_bound;
use crate::construct::{Order, Survey, one_pass, ordered};
use crate::effort::Effort;
use crate::explain::{Report, Taken, explain, reasons};
use crate::improve::{Search, cheapest};
use crate::model::Model;
use crate::policy::{Cheapest, Policy};
use crate::problem::{Decision, PlaceConfig, PlaceError, Problem};
use crate::rules::settle;
use crate::state::State;
use crate::stay::renamed;

/// Decides where each replica runs (formula 5 of `docs/fidelity.md`).
///
/// What runs and still satisfies the rules stays; what is missing is placed on machines that are there and ready, or on
/// ones to be bought, as the policy prefers. Machines are sorted by id; assignments, explanations and `unplaced` by
/// replica. A machine that some replica already pays is free to join; its price is part of the total all the same.
/// The order of services, offers and machines in the input does not matter, and equal input gives equal bytes.
///
/// # Errors
/// - [`PlaceError::Unsatisfiable`]: the cheapest placement found exceeds the budget, or a data set has a copy outside
///   the residency.
/// - [`PlaceError::TooManyReplicas`], [`PlaceError::DuplicateService`], [`PlaceError::DuplicateMachine`],
///   [`PlaceError::UnknownTarget`], [`PlaceError::LatencyToInternet`], [`PlaceError::NegativePrice`]: the problem
///   contradicts itself.
/// - [`PlaceError::Overflow`]: a sum of money cannot be held.
pub fn place(problem: &Problem<'_>, policy: &dyn Policy, config: &PlaceConfig) -> Result<Placement, PlaceError> {
    let model = Model::build(problem, config)?;
    let mut solution = found(&model, policy, config, &mut Effort::units(config.work_max))?;
    write_down(&model, policy, &mut solution)
}

/// As [`place`], with its proof (a lower bound of the cost), the reasons per class of equal replicas, and the work that
/// it took.
///
/// # Errors
/// As [`place`].
pub fn decide(problem: &Problem<'_>, policy: &dyn Policy, config: &PlaceConfig) -> Result<Decision, PlaceError> {
    decide_within(problem, policy, config, &mut Effort::units(config.work_max))
}

/// As [`decide`], for as long as `effort` allows in place of the configuration's units of work: a caller's own measure
/// of time, or the log of an earlier decision, which is then made again to the letter.
///
/// ```
/// use skyloom_core::{Catalogue, Snapshot, Timestamp};
/// # use skyloom_core::Manifest;
/// use skyloom_scheduler::{Cheapest, Effort, PlaceConfig, Problem, decide_within};
///
/// # fn again(manifest: &Manifest, catalogue: &Catalogue) -> Result<(), skyloom_scheduler::PlaceError> {
/// let snapshot = Snapshot::empty(1, Timestamp::EPOCH);
/// let problem = Problem { manifest, snapshot: &snapshot, catalogue };
/// let started = std::time::Instant::now();
/// let spent = || started.elapsed().as_secs_f64() / 3.0;
/// let mut effort = Effort::watched(&spent);
/// let first = decide_within(&problem, &Cheapest, &PlaceConfig::new(), &mut effort)?;
/// let log = effort.log();
/// let second = decide_within(&problem, &Cheapest, &PlaceConfig::new(), &mut Effort::replayed(&log))?;
/// assert_eq!(first, second);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`place`].
pub fn decide_within(
    problem: &Problem<'_>,
    policy: &dyn Policy,
    config: &PlaceConfig,
    effort: &mut Effort<'_>,
) -> Result<Decision, PlaceError> {
    let model = Model::build(problem, config)?;
    let mut solution = found(&model, policy, config, effort)?;
    let work_exhausted = effort.exhausted();
    let lower_bound = policy
        .minimises_cost()
        .then(|| lower_bound(&model, &solution.state, &solution.pinned));
    let placement = write_down(&model, policy, &mut solution)?;
    let ids = machine_ids(&model, &solution.state);
    let explained_by: &dyn Policy = if solution.fell_back { &Cheapest } else { policy };
    let reasons = reasons(&model, &mut solution.state, explained_by, &ids, &placement);
    Ok(Decision {
        placement,
        lower_bound,
        reasons,
        work_done: effort.done(),
        work_exhausted,
    })
}

/// The best state that the work allows, within the budget.
fn found(
    model: &Model<'_>,
    policy: &dyn Policy,
    config: &PlaceConfig,
    work: &mut Effort<'_>,
) -> Result<Solution, PlaceError> {
    let (kept, pinned) = keep(model);
    let mut solution = if config.may_move {
        anew(model, policy, &kept, work)
    } else {
        let ways = Ways {
            start: &kept,
            also: None,
        };
        solve(model, policy, &ways, pinned, work)
    };
    let over = |solution: &Solution| budget(model).is_some_and(|budget| solution.state.total_per_month(model) > budget);
    if (solution.state.unplaced() > 0 || over(&solution)) && solution.pinned.contains(&true) {
        // What runs may stand in the way of what is missing; a hard rule weighs more than staying.
        let nothing = vec![false; model.replicas.len()];
        let ways = Ways {
            start: &State::new(model),
            also: None,
        };
        let afresh = solve(model, policy, &ways, nothing, work);
        let rank = |s: &Solution| (over(s), s.state.unplaced());
        if rank(&afresh) < rank(&solution) {
            solution = afresh;
        }
    }
    if over(&solution) {
        return Err(over_budget(model, &solution.state));
    }
    Ok(solution)
}

/// A state with what is known of how it came about.
struct Solution {
    state: State,
    pinned: Vec<bool>,
    /// What a one-pass policy saw when it chose; empty for a search.
    taken: BTreeMap<usize, Taken>,
    /// Replicas taken back because a rule between replicas could not be met, with the rule.
    settled: BTreeMap<usize, Filter>,
    /// Whether the policy's own choice broke the budget and the cheapest was taken instead.
    fell_back: bool,
}

fn budget(model: &Model<'_>) -> Option<i128> {
    model
        .problem
        .manifest
        .budget
        .map(|b| i128::from(b.per_month.as_micros()))
}

fn over_budget(model: &Model<'_>, state: &State) -> PlaceError {
    let total = i64::try_from(state.total_per_month(model)).unwrap_or(i64::MAX);
    let budget = model.problem.manifest.budget;
    PlaceError::Unsatisfiable {
        source_name: model.problem.manifest.source.clone(),
        rule: Filter::Budget,
        at: budget.and_then(|b| b.at),
        asked: format!("{} per month", MicroUsd::from_micros(total)),
        allowed: budget.map_or_else(String::new, |b| format!("{} per month", b.per_month)),
    }
}

/// Replicas that run on a ready machine and still satisfy every rule, in their places.
pub(crate) fn keep(model: &Model<'_>) -> (State, Vec<bool>) {
    let mut state = State::new(model);
    let mut pinned = vec![false; model.replicas.len()];
    for kept in &model.kept {
        let service = model.service_of[kept.replica];
        let allowed = model.services[service].statics[kept.node].is_none();
        if allowed && state.lacks(model, kept.node, model.request(service)).is_none() {
            state.add(model, kept.replica, kept.node);
            pinned[kept.replica] = true;
        }
    }
    for replica in settle(model, &mut state, &pinned).into_keys() {
        pinned[replica] = false;
    }
    (state, pinned)
}

/// Where a solution begins.
struct Ways<'s> {
    /// What is placed already and stays.
    start: &'s State,
    /// Another beginning for a search, of which everything may move.
    also: Option<&'s State>,
}

/// Everything may move; what need not keeps its name and machine.
fn anew(model: &Model<'_>, policy: &dyn Policy, kept: &State, work: &mut Effort<'_>) -> Solution {
    let ways = Ways {
        start: &State::new(model),
        also: Some(kept),
    };
    let mut solution = solve(model, policy, &ways, vec![false; model.replicas.len()], work);
    solution.state = renamed(model, kept, &solution.state);
    // Reasons of the choices went by the old names.
    solution.taken.clear();
    let mut filters: BTreeMap<usize, Vec<Filter>> = BTreeMap::new();
    for (replica, filter) in std::mem::take(&mut solution.settled) {
        filters.entry(model.service_of[replica]).or_default().push(filter);
    }
    for replica in (0..model.replicas.len()).filter(|r| solution.state.at[*r].is_none()) {
        let of_service = filters.get_mut(&model.service_of[replica]);
        if let Some(filter) = of_service.and_then(Vec::pop) {
            solution.settled.insert(replica, filter);
        }
    }
    solution
}

fn solve(
    model: &Model<'_>,
    policy: &dyn Policy,
    ways: &Ways<'_>,
    pinned: Vec<bool>,
    work: &mut Effort<'_>,
) -> Solution {
    let start = ways.start;
    if policy.minimises_cost() {
        return search(model, ways, pinned, work, false);
    }
    let todo: Vec<usize> = (0..pinned.len()).filter(|r| start.at[*r].is_none()).collect();
    let mut best: Option<Solution> = None;
    for order in [Order::Targets, Order::Dependents, Order::Largest] {
        let mut taken = BTreeMap::new();
        let mut state = start.clone();
        let mut note = |_: &State, replica: usize, survey: &Survey| {
            taken.insert(replica, Taken::of(model, survey));
        };
        one_pass(
            model,
            &mut state,
            &ordered(model, order, &todo),
            policy,
            work,
            &mut note,
        );
        let settled = settle(model, &mut state, &pinned);
        if best.as_ref().is_none_or(|b| state.unplaced() < b.state.unplaced()) {
            best = Some(Solution {
                state,
                pinned: pinned.clone(),
                taken,
                settled,
                fell_back: false,
            });
        }
        if best.as_ref().is_some_and(|b| b.state.unplaced() == 0) {
            break;
        }
    }
    let solution = best.unwrap_or_else(|| search(model, ways, pinned.clone(), work, true));
    let budget = budget(model);
    let short = solution.state.unplaced() > 0;
    if budget.is_some_and(|b| short || solution.state.total_per_month(model) > b) {
        // Greedy choices may have spent what others needed: the budget is hard, the preference is not.
        let cheap = search(model, ways, pinned, work, true);
        let fits = budget.is_some_and(|b| cheap.state.total_per_month(model) <= b);
        if !fits || cheap.state.unplaced() < solution.state.unplaced() {
            return cheap;
        }
    }
    solution
}

fn search(model: &Model<'_>, ways: &Ways<'_>, pinned: Vec<bool>, work: &mut Effort<'_>, fell_back: bool) -> Solution {
    let mut state = cheapest(
        &mut Search {
            model,
            pinned: &pinned,
            work,
        },
        ways.start,
        ways.also,
    );
    let settled = settle(model, &mut state, &pinned);
    Solution {
        state,
        pinned,
        taken: BTreeMap::new(),
        settled,
        fell_back,
    }
}

/// A state that another search found and that breaks no rule, with ids, shares and prices. Each replica's place is
/// explained if that is wanted: it looks at every option for every machine.
pub(crate) fn written(model: &Model<'_>, state: State, explained: bool) -> Result<Placement, PlaceError> {
    let mut solution = Solution {
        pinned: vec![false; model.replicas.len()],
        state,
        taken: BTreeMap::new(),
        settled: BTreeMap::new(),
        fell_back: false,
    };
    let complete = solution.state.unplaced() == 0;
    if explained || !complete {
        return write_down(model, &Cheapest, &mut solution);
    }
    let ids = machine_ids(model, &solution.state);
    Ok(Placement {
        snapshot: model.problem.snapshot.reference(),
        policy: Cheapest.name().to_owned(),
        machines: machines(model, &solution.state, &ids),
        assignments: assignments(model, &solution.state, &ids),
        unplaced: Vec::new(),
        explanations: Vec::new(),
        rejections: BTreeMap::new(),
        cost: cost(model, &solution.state)?,
    })
}

/// The placement with ids, shares, prices and reasons.
fn write_down(model: &Model<'_>, policy: &dyn Policy, solution: &mut Solution) -> Result<Placement, PlaceError> {
    let ids = machine_ids(model, &solution.state);
    let machines = machines(model, &solution.state, &ids);
    let cost = cost(model, &solution.state)?;
    let assignments = assignments(model, &solution.state, &ids);
    let explained_by: &dyn Policy = if solution.fell_back { &Cheapest } else { policy };
    let report = Report {
        policy: explained_by,
        ids: &ids,
        pinned: &solution.pinned,
        taken: &solution.taken,
        settled: &solution.settled,
        fell_back: solution.fell_back,
    };
    let (explanations, unplaced, rejections) = explain(model, &mut solution.state, &report);
    Ok(Placement {
        snapshot: model.problem.snapshot.reference(),
        policy: policy.name().to_owned(),
        machines,
        assignments,
        unplaced,
        explanations,
        rejections,
        cost,
    })
}

/// Ids of the slots in use. A new machine is `m-<generation>-<number>`: the generation counts every recorded change, so
/// an id of a machine that is gone never comes back.
fn machine_ids(model: &Model<'_>, state: &State) -> BTreeMap<usize, MachineId> {
    let known: BTreeSet<&str> = model
        .problem
        .snapshot
        .nodes
        .iter()
        .map(|n| n.machine.id.as_str())
        .collect();
    let generation = model.problem.snapshot.generation;
    let mut number = 0u64;
    let mut fresh = || loop {
        number += 1;
        let id = format!("m-{generation}-{number}");
        if !known.contains(id.as_str()) {
            return MachineId::new(id).expect("invariant: letters, digits and dashes, far below the longest name");
        }
    };
    let mut used: Vec<usize> = (0..state.slots.len())
        .filter(|s| !state.slots[*s].residents.is_empty())
        .collect();
    used.sort_by_key(|slot| state.slots[*slot].residents.first().copied());
    let id = |slot: usize| match model.options[state.slots[slot].option].node {
        Some(node) => node.machine.id.clone(),
        None => fresh(),
    };
    let mut id = id;
    used.into_iter().map(|slot| (slot, id(slot))).collect()
}

fn machines(model: &Model<'_>, state: &State, ids: &BTreeMap<usize, MachineId>) -> Vec<Machine> {
    let machine = |(slot, id): (&usize, &MachineId)| {
        let option = &model.options[state.slots[*slot].option];
        if let Some(node) = option.node {
            return Some(node.machine.clone());
        }
        let offer = option.offer?;
        let price = offer.price(option.purchase)?;
        Some(Machine {
            id: id.clone(),
            site: skyloom_core::Site {
                region: offer.key.region.clone(),
                zone: model.sites[option.site].zone.cloned(),
            },
            instance: offer.key.instance.clone(),
            purchase: option.purchase,
            price: price.per_hour,
            price_as_of: price.as_of,
            capacity: offer.capacity,
            arch: offer.arch.clone(),
        })
    };
    let mut machines: Vec<Machine> = ids.iter().filter_map(machine).collect();
    machines.sort_by(|a, b| a.id.cmp(&b.id));
    machines
}

fn assignments(model: &Model<'_>, state: &State, ids: &BTreeMap<usize, MachineId>) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (slot, id) in ids {
        let slot = &state.slots[*slot];
        let option = &model.options[slot.option];
        let requests: Vec<Resources> = slot
            .residents
            .iter()
            .map(|r| *model.request(model.service_of[*r]))
            .collect();
        let shares = share_price(option.price, &option.capacity, &requests);
        for ((replica, request), share) in slot.residents.iter().zip(requests).zip(shares) {
            assignments.push(Assignment {
                replica: model.replicas[*replica].clone(),
                machine: id.clone(),
                request,
                share,
            });
        }
    }
    assignments.sort_by(|a, b| a.replica.cmp(&b.replica));
    assignments
}

fn cost(model: &Model<'_>, state: &State) -> Result<CostSummary, PlaceError> {
    let hold = |amount: i128, what| i64::try_from(amount).map_err(|_| PlaceError::Overflow { what });
    let per_hour = state.machines_per_hour(model);
    let (egress, egress_assumed) = model.egress.per_month(&state.counts, &model.sites, &model.regions);
    let machines_per_hour = hold(per_hour, "price of all machines per hour")?;
    Ok(CostSummary {
        machines_per_hour: MicroUsdPerHour::from_micros(machines_per_hour),
        machines_per_month: MicroUsd::from_micros(hold(
            per_hour * crate::state::HOURS,
            "price of all machines per month",
        )?),
        egress_per_month: MicroUsd::from_micros(hold(egress, "price of all egress per month")?),
        total_per_month: MicroUsd::from_micros(hold(state.total_per_month(model), "total per month")?),
        egress_assumed,
    })
}
