//! From what is asked to dense numbers: in order, with the candidates folded that no plan needs.
//!
//! Tasks are numbered in an order in which each comes after those it waits for, so everything later walks arrays. Folding
//! keeps, of each task and region, the cheapest candidate, or where time matters those that nothing in the region beats in
//! both. Choosing does not belong here.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Catalogue, RegionInfo, RegionKey};

use super::checks;
use super::error::{DagError, Rule};
use super::names::Names;
use super::network::Network;
use super::order::order;
use super::types::{Candidate, Dag, DagConfig, Task};
use crate::minsum::Rows;

/// Longest run time and deadline that is accepted, in seconds: about 31 years.
pub const RUN_SECONDS_MAX: f64 = 1e9;

/// Regions at most: the tables between regions have the square of it.
pub const REGIONS_MAX: usize = 1024;

/// Dearest sum of candidates that is accepted, in micro-dollars: nine billion dollars.
const MICROS_MAX: i128 = 1 << 53;

/// Longest time of one transfer; sums of times saturate.
pub(super) const MILLIS_MAX: u64 = 1 << 50;

pub(super) const MILLIS_PER_SECOND: f64 = 1000.0;

const MILLIS_PER_HOUR: i128 = 3_600_000;

/// Milliseconds.
const HALF_AN_HOUR: i64 = 1_800_000;

/// No deadline.
pub(super) const NO_DEADLINE: u64 = u64::MAX;

/// What a task can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// Position among the task's candidates.
    pub(super) candidate: usize,
    pub(super) region: usize,
    /// Micro-dollars, for all nodes.
    pub(super) cost: i64,
    pub(super) millis: u64,
}

/// A task with what is left to choose from.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) task: &'a Task,
    /// By region, then time; never empty.
    pub(super) choices: Vec<Choice>,
    /// Own deadline.
    pub(super) latest: u64,
}

/// One end of a flow: a task by number, or a data set by its region's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Task(usize),
    Data(usize),
}

/// An edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) from: End,
    pub(super) to: End,
    pub(super) bytes: u64,
}

/// The question in numbers.
#[derive(Debug)]
pub(super) struct Compiled<'a> {
    pub(super) network: Network,
    pub(super) steps: Vec<Step<'a>>,
    /// Sorted.
    pub(super) flows: Vec<Flow>,
    /// Flows of each task, by number.
    pub(super) flows_of: Rows<usize>,
    /// Milliseconds of each flow at each speed, the flow outermost.
    flow_millis: Vec<u64>,
    /// Regions as the catalogue knows them.
    pub(super) places: Vec<Option<&'a RegionInfo>>,
    /// Region of each candidate of each task, by number.
    pub(super) regions_of: Rows<u32>,
}

/// Checks and numbers everything. `keep_fast`: whether time matters, so that a dearer candidate may be needed.
pub(super) fn compile<'a>(
    dag: &'a Dag,
    catalogue: &'a Catalogue,
    config: &DagConfig,
    keep_fast: bool,
) -> Result<Compiled<'a>, DagError> {
    checks::sizes(dag)?;
    checks::volumes(dag, config)?;
    checks::speeds(config)?;
    checks::objective(config.objective)?;
    let names = checks::names(dag)?;
    let mut edges = Vec::with_capacity(dag.edges.len());
    for edge in &dag.edges {
        let (from, to) = checks::ends(edge, &names)?;
        let bytes = edge.bytes.as_bytes();
        edges.push(Flow { from, to, bytes });
    }
    let number = number(dag, &names, &edges)?;
    let mut order = vec![0; number.len()];
    for (at, number) in number.iter().enumerate() {
        order[*number] = at;
    }
    let places = Places::of(dag);
    if places.regions.len() > REGIONS_MAX {
        return Err(DagError::TooMany {
            what: "regions",
            count: places.regions.len(),
            max: REGIONS_MAX,
        });
    }
    let regions: BTreeSet<&RegionKey> = places.regions.iter().copied().collect();
    let network = Network::new(&regions, catalogue, config)?;
    let infos: Vec<Option<&RegionInfo>> = network.regions.iter().map(|key| catalogue.region(key)).collect();
    let candidate_regions = places.numbered(&network);
    let mut folding = Folding {
        places: &infos,
        keep_fast,
        dearest: 0,
    };
    let step = |at: &usize| folding.step(&dag.tasks[*at], candidate_regions.row(*at));
    let steps = order.iter().map(step).collect::<Result<Vec<Step<'_>>, DagError>>()?;
    let mut regions_of = Rows::with_capacity(order.len(), dag.tasks.len());
    order
        .iter()
        .for_each(|at| regions_of.push(candidate_regions.row(*at).iter().copied()));
    let renumber = |end: End| match end {
        End::Task(at) => End::Task(number[at]),
        End::Data(at) => End::Data(network.region(&dag.data[at].region).unwrap_or(0)),
    };
    for flow in &mut edges {
        (flow.from, flow.to) = (renumber(flow.from), renumber(flow.to));
    }
    edges.sort_unstable();
    let millis = |flow: &Flow| {
        (0..network.speeds())
            .map(|speed| network.millis(speed, flow.bytes))
            .collect::<Vec<u64>>()
    };
    Ok(Compiled {
        flow_millis: edges.iter().flat_map(millis).collect(),
        flows_of: flows_of(&edges, steps.len()),
        network,
        steps,
        flows: edges,
        places: infos,
        regions_of,
    })
}

impl Compiled<'_> {
    /// Milliseconds that a flow takes from one region to another.
    pub(super) fn millis(&self, flow: usize, from: usize, to: usize) -> u64 {
        self.flow_millis[flow * self.network.speeds() + self.network.speed_of(from, to)]
    }

    /// The same at the slowest.
    pub(super) fn millis_max(&self, flow: usize) -> u64 {
        let speeds = self.network.speeds();
        self.flow_millis[flow * speeds..(flow + 1) * speeds]
            .iter()
            .copied()
            .max()
            .unwrap_or(0)
    }

    /// Whether a task has a deadline of its own.
    pub(super) fn has_deadlines(&self) -> bool {
        self.steps.iter().any(|step| step.latest != NO_DEADLINE)
    }
}

/// Number of each task by its position in the input: an order along the edges, by name where there is a choice, so that
/// the order of the input does not matter.
fn number(dag: &Dag, names: &Names<'_>, edges: &[Flow]) -> Result<Vec<usize>, DagError> {
    let by_name: Vec<usize> = names.tasks().collect();
    let mut rank = vec![0; by_name.len()];
    for (at, task) in by_name.iter().enumerate() {
        rank[*task] = at;
    }
    let between_tasks: Vec<(usize, usize)> = edges
        .iter()
        .filter_map(|edge| match (edge.from, edge.to) {
            (End::Task(from), End::Task(to)) => Some((rank[from], rank[to])),
            _ => None,
        })
        .collect();
    let sorted = order(by_name.len(), &between_tasks).map_err(|tasks| DagError::Cycle {
        tasks: tasks.iter().map(|at| dag.tasks[by_name[*at]].id.clone()).collect(),
    })?;
    let mut number = vec![0; by_name.len()];
    for (step, at) in sorted.iter().enumerate() {
        number[by_name[*at]] = step;
    }
    Ok(number)
}

fn flows_of(flows: &[Flow], tasks: usize) -> Rows<usize> {
    let mut ends = Vec::with_capacity(flows.len() * 2);
    for (at, flow) in flows.iter().enumerate() {
        for end in [flow.from, flow.to] {
            if let End::Task(task) = end {
                ends.push((task, at));
            }
        }
    }
    ends.sort_unstable();
    let mut flows_of = Rows::with_capacity(tasks, ends.len());
    let mut rest = ends.as_slice();
    for task in 0..tasks {
        let count = rest.iter().take_while(|(of, _)| *of == task).count();
        flows_of.push(rest[..count].iter().map(|(_, flow)| *flow));
        rest = &rest[count..];
    }
    flows_of
}

/// Regions of all candidates and data sets, numbered as they come.
#[derive(Debug)]
struct Places<'a> {
    regions: Vec<&'a RegionKey>,
    /// Of each candidate of each task, by position in the input.
    of_candidates: Rows<u32>,
}

impl<'a> Places<'a> {
    /// Tasks tend to list the same regions in the same order, so a region that stands where it stood in the task before is
    /// known after one look.
    fn of(dag: &'a Dag) -> Self {
        let mut known: BTreeMap<&RegionKey, u32> = BTreeMap::new();
        let mut regions: Vec<&RegionKey> = Vec::new();
        let mut number = |key: &'a RegionKey, regions: &mut Vec<&'a RegionKey>| {
            let next = u32::try_from(regions.len()).unwrap_or(u32::MAX);
            let number = *known.entry(key).or_insert(next);
            if number == next {
                regions.push(key);
            }
            number
        };
        for data in &dag.data {
            number(&data.region, &mut regions);
        }
        let candidates = dag.tasks.iter().map(|task| task.candidates.len()).sum();
        let mut of_candidates = Rows::with_capacity(dag.tasks.len(), candidates);
        let mut before: Vec<u32> = Vec::new();
        for task in &dag.tasks {
            for (at, candidate) in task.candidates.iter().enumerate() {
                let guess = before.get(at).copied();
                if guess.is_some_and(|guess| *regions[guess as usize] == candidate.region) {
                    continue;
                }
                let found = number(&candidate.region, &mut regions);
                match before.get_mut(at) {
                    Some(guess) => *guess = found,
                    None => before.push(found),
                }
            }
            of_candidates.push(before.iter().copied().take(task.candidates.len()));
        }
        Self { regions, of_candidates }
    }

    /// The candidates' regions by the network's numbers.
    fn numbered(&self, network: &Network) -> Rows<u32> {
        // Every region is among the network's, which are at most a thousand.
        let number = |key: &&RegionKey| network.region(key).and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
        let numbers: Vec<u32> = self.regions.iter().map(number).collect();
        self.of_candidates.map(|region| numbers[*region as usize])
    }
}

/// Filtering and folding of candidates, task by task.
#[derive(Debug)]
struct Folding<'a> {
    places: &'a [Option<&'a RegionInfo>],
    keep_fast: bool,
    dearest: i128,
}

impl Folding<'_> {
    fn step<'t>(&mut self, task: &'t Task, regions: &[u32]) -> Result<Step<'t>, DagError> {
        if task.candidates.is_empty() {
            return Err(DagError::NoCandidate { task: task.id.clone() });
        }
        let of_task = || format!("task `{}`", task.id);
        let latest = match task.finish_within_seconds {
            Some(seconds) => checks::millis(seconds, "deadline", of_task)?,
            None => NO_DEADLINE,
        };
        let mut choices = Vec::with_capacity(task.candidates.len());
        let mut last_rule = None;
        for (at, (candidate, region)) in task.candidates.iter().zip(regions).enumerate() {
            let choice = choice(task, at, candidate, *region as usize)?;
            match refusal(task, latest, &choice, candidate, self.places) {
                Some(rule) => last_rule = last_rule.max(Some(rule)),
                None => choices.push(choice),
            }
        }
        if let Some(rule) = last_rule.filter(|_| choices.is_empty()) {
            return Err(DagError::Unsatisfiable {
                task: task.id.clone(),
                rule,
                candidates: task.candidates.len(),
            });
        }
        let choices = fold(choices, &task.candidates, self.keep_fast);
        let dearest = choices.iter().map(|choice| choice.cost).max().unwrap_or(0);
        self.dearest += i128::from(dearest);
        if self.dearest > MICROS_MAX {
            return Err(DagError::TooDear { of: of_task() });
        }
        Ok(Step { task, choices, latest })
    }
}

/// A candidate in numbers.
fn choice(task: &Task, at: usize, candidate: &Candidate, region: usize) -> Result<Choice, DagError> {
    let offer = || (task.id.clone(), candidate.offer.clone());
    let millis = checks::millis(candidate.run_seconds, "run time", || {
        format!("task `{}` on `{}`", task.id, candidate.offer)
    })?;
    if candidate.per_hour.as_micros() < 0 {
        let (task, offer) = offer();
        return Err(DagError::NegativePrice { task, offer });
    }
    if candidate.nodes == 0 {
        let (task, offer) = offer();
        return Err(DagError::ZeroNodes { task, offer });
    }
    let cost = price(candidate, millis).ok_or_else(|| DagError::TooDear {
        of: format!("task `{}` on `{}`", task.id, candidate.offer),
    })?;
    Ok(Choice {
        candidate: at,
        region,
        cost,
        millis,
    })
}

/// What a candidate costs for that long, all nodes together, in micro-dollars, rounded half up once; `None`: too much.
pub(super) fn price(candidate: &Candidate, millis: u64) -> Option<i64> {
    let (micros, time) = (candidate.per_hour.as_micros(), i64::try_from(millis).ok()?);
    let small = micros
        .checked_mul(time)
        .and_then(|product| product.checked_mul(i64::from(candidate.nodes)));
    if let Some(product) = small.filter(|product| *product < i64::MAX / 2) {
        let cost = (product + HALF_AN_HOUR) / (2 * HALF_AN_HOUR);
        return Some(cost).filter(|cost| i128::from(*cost) <= MICROS_MAX);
    }
    // Below 2^63 x 2^40: far inside 128 bits.
    let product = i128::from(candidate.per_hour.as_micros()) * i128::from(millis);
    let cost = (product.checked_mul(i128::from(candidate.nodes))? + MILLIS_PER_HOUR / 2) / MILLIS_PER_HOUR;
    i64::try_from(cost).ok().filter(|cost| i128::from(*cost) <= MICROS_MAX)
}

/// The first rule of a task that a candidate breaks.
pub(super) fn refusal(
    task: &Task,
    latest: u64,
    choice: &Choice,
    candidate: &Candidate,
    places: &[Option<&RegionInfo>],
) -> Option<Rule> {
    let key = &candidate.region;
    if !task.clouds.is_empty() && !task.clouds.contains(&key.cloud) {
        return Some(Rule::Clouds);
    }
    if !task.regions.is_empty() && !task.regions.contains(key) {
        return Some(Rule::Regions);
    }
    if !(task.residency.allow.is_empty() && task.residency.deny.is_empty()) {
        let permitted = places[choice.region].is_some_and(|place| task.residency.permits(&place.jurisdictions));
        if !permitted {
            return Some(Rule::Residency);
        }
    }
    (choice.millis > latest).then_some(Rule::Deadline)
}

/// The candidates that are needed, by region and then time.
fn fold(mut choices: Vec<Choice>, candidates: &[Candidate], keep_fast: bool) -> Vec<Choice> {
    // Equal in all that matters: the name, then what is left that tells them apart.
    let name = |choice: &Choice| {
        let candidate = &candidates[choice.candidate];
        (&candidate.offer, candidate.nodes, candidate.per_hour)
    };
    let rising = |pair: &[Choice]| pair[0].region < pair[1].region;
    if choices.windows(2).all(rising) {
        return choices;
    }
    choices.sort_by(|a, b| {
        let first = if keep_fast {
            (a.millis, a.cost).cmp(&(b.millis, b.cost))
        } else {
            (a.cost, a.millis).cmp(&(b.cost, b.millis))
        };
        a.region.cmp(&b.region).then(first).then_with(|| name(a).cmp(&name(b)))
    });
    choices.dedup_by(|choice, last| last.region == choice.region && (!keep_fast || last.cost <= choice.cost));
    choices
}
