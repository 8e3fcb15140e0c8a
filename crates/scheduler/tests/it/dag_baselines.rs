//! The planner of a graph against those who misread the price list: its plan is never dearer than theirs, at the real price.
//!
//! On chains and trees theirs is found here, by dynamic programming over the edges as each of them prices one; on other
//! shapes by the planner itself with the price list that they see.

use skyloom_core::RegionKey;
use skyloom_scheduler::dag::{DagPlan, Objective};

use crate::dag_world::{Case, List, Shape, millis, random, up_to};
use crate::random_world::Dice;

/// How one edge is priced by somebody who looks at it alone, by the tiers of its sender.
type Reading = fn(&[(Option<u64>, i64)], u64) -> i128;

const READINGS: [(&str, Reading); 4] = [
    ("traffic is free", |_, _| 0),
    ("every byte is in the first tier", |tiers, bytes| {
        i128::from(bytes) * i128::from(tiers[0].1)
    }),
    ("there is no free allowance", |tiers, bytes| {
        i128::from(bytes) * i128::from(first_paid(tiers))
    }),
    ("each edge is alone", up_to),
];

fn first_paid(tiers: &[(Option<u64>, i64)]) -> i64 {
    tiers.iter().map(|(_, rate)| *rate).find(|rate| *rate > 0).unwrap_or(0)
}

/// The price lists as somebody sees them who takes each reading but the last.
fn as_read(lists: &[List], reading: usize) -> Vec<List> {
    let read = |list: &List| {
        let rate = [0, list.tiers[0].1, first_paid(&list.tiers)][reading];
        List {
            tiers: vec![(None, rate)],
            ..list.clone()
        }
    };
    lists.iter().map(read).collect()
}

/// The candidates' positions that a plan has chosen.
fn picks(case: &Case, plan: &DagPlan) -> Vec<usize> {
    let pick = |task: &skyloom_scheduler::dag::Task| {
        let chosen = plan.tasks.iter().find(|chosen| chosen.id == task.id).unwrap();
        let is_chosen =
            |c: &skyloom_scheduler::dag::Candidate| (&c.offer, &c.region) == (&chosen.offer, &chosen.region);
        task.candidates.iter().position(is_chosen).unwrap()
    };
    case.dag.tasks.iter().map(pick).collect()
}

/// The best plan of a forest for somebody who prices edges one by one, tasks from the last to the first being leaves: the
/// generator joins each task to one before it.
fn best_by(case: &Case, reading: Reading) -> Vec<usize> {
    let tasks = &case.dag.tasks;
    let position = |id| tasks.iter().position(|task| task.id == id);
    let charge = |from: &RegionKey, to: &RegionKey, bytes: u64| {
        if from == to {
            return 0;
        }
        let is_list = |list: &&List| list.cloud == from.cloud.as_str() && list.internet == (from.cloud != to.cloud);
        reading(&case.lists.iter().find(is_list).unwrap().tiers, bytes)
    };
    let own = |task: usize, candidate: usize| {
        let c = &tasks[task].candidates[candidate];
        let run = i128::from(c.per_hour.as_micros()) * i128::from(c.nodes) * i128::from(millis(c.run_seconds));
        let mut cost = (2 * run + 3_600_000).div_euclid(7_200_000) << 30;
        for edge in &case.dag.edges {
            let data = |id| case.dag.data.iter().find(|data| data.id == id).map(|data| &data.region);
            if let (Some(from), true) = (data(edge.from.clone()), edge.to == tasks[task].id) {
                cost += charge(from, &c.region, edge.bytes.as_bytes());
            }
            if let (true, Some(to)) = (edge.from == tasks[task].id, data(edge.to.clone())) {
                cost += charge(&c.region, to, edge.bytes.as_bytes());
            }
        }
        cost
    };
    let mut costs: Vec<Vec<i128>> = (0..tasks.len())
        .map(|task| {
            (0..tasks[task].candidates.len())
                .map(|candidate| own(task, candidate))
                .collect()
        })
        .collect();
    // Of each task but the roots: the task before it, and its best candidate by that one's.
    let mut follows: Vec<Option<(usize, Vec<usize>)>> = vec![None; tasks.len()];
    for task in (0..tasks.len()).rev() {
        let mut joined = case.dag.edges.iter().filter_map(|edge| {
            let (from, to) = (position(edge.from.clone())?, position(edge.to.clone())?);
            ((from == task && to < task) || (to == task && from < task)).then_some((from.min(to), from == task, edge))
        });
        let Some((parent, is_sender, edge)) = joined.next_back() else {
            continue;
        };
        let mut best = Vec::new();
        for (at, cost) in costs[parent].clone().into_iter().enumerate() {
            let there = &tasks[parent].candidates[at].region;
            let with = |here: usize| {
                let region = &tasks[task].candidates[here].region;
                let (from, to) = if is_sender { (region, there) } else { (there, region) };
                (costs[task][here] + charge(from, to, edge.bytes.as_bytes()), here)
            };
            let (least, here) = (0..tasks[task].candidates.len()).map(with).min().unwrap();
            best.push(here);
            costs[parent][at] = cost + least;
        }
        follows[task] = Some((parent, best));
    }
    let mut picks = vec![0; tasks.len()];
    for task in 0..tasks.len() {
        picks[task] = match &follows[task] {
            Some((parent, best)) => best[picks[*parent]],
            None => (0..costs[task].len()).min_by_key(|at| costs[task][*at]).unwrap(),
        };
    }
    picks
}

#[test]
fn a_plan_of_a_tree_is_never_dearer_than_that_of_a_reader_of_one_line() {
    let mut dice = Dice::new(21);
    let mut misled = [0; READINGS.len()];
    for round in 0..150 {
        let shape = *dice.pick(&[Shape::Chain, Shape::Tree]);
        let tasks = 2 + dice.roll(59);
        let case = random(&mut dice, shape, tasks, 6);
        // Without any work left over, and with some.
        let units = if round % 2 == 0 { 0 } else { 2000 };
        let plan = case.plan_with(Objective::Cost, &case.config, units).unwrap();
        assert_eq!(plan.cost.as_micros(), case.cost(&picks(&case, &plan)));
        let other = case.plan_with(Objective::Cost, &case.config, 200).unwrap();
        assert!(plan.cost_lower_bound <= other.cost && other.cost_lower_bound <= plan.cost);
        for ((name, reading), misled) in READINGS.iter().zip(&mut misled) {
            let theirs = case.cost(&best_by(&case, *reading));
            assert!(
                plan.cost.as_micros() <= theirs,
                "{name}: {} > {theirs}: {case:#?}",
                plan.cost
            );
            assert!(plan.cost_lower_bound.as_micros() <= theirs);
            *misled += u32::from(plan.cost.as_micros() < theirs);
        }
    }
    assert!(
        misled.iter().all(|times| *times > 20),
        "each reading is wrong at times: {misled:?}"
    );
}

#[test]
fn a_plan_of_any_graph_is_never_dearer_than_that_for_one_price() {
    let mut dice = Dice::new(22);
    let mut misled = [0; READINGS.len() - 1];
    for _ in 0..60 {
        let tasks = 2 + dice.roll(39);
        let mut case = random(&mut dice, Shape::General, tasks, 5);
        // As many edges as tasks and a half.
        let kept = case.dag.tasks.len() * 3 / 2;
        while case.dag.edges.len() > kept {
            let at = usize::try_from(dice.roll(case.dag.edges.len() as u64)).unwrap();
            case.dag.edges.swap_remove(at);
        }
        let plan = case.plan_with(Objective::Cost, &case.config, 5000).unwrap();
        assert_eq!(plan.cost.as_micros(), case.cost(&picks(&case, &plan)));
        for (reading, misled) in misled.iter_mut().enumerate() {
            let seen = Case {
                lists: as_read(&case.lists, reading),
                ..case.clone()
            };
            let theirs = seen.plan_with(Objective::Cost, &case.config, 5000).unwrap();
            let theirs = case.cost(&picks(&case, &theirs));
            assert!(plan.cost.as_micros() <= theirs, "{}: {case:#?}", READINGS[reading].0);
            *misled += u32::from(plan.cost.as_micros() < theirs);
        }
    }
    assert!(
        misled.iter().all(|times| *times > 5),
        "each reading is wrong at times: {misled:?}"
    );
}
