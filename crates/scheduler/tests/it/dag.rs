//! The planner of a graph of tasks against going through every plan, and its bounds against the optimum.

use skyloom_core::MicroUsd;
use skyloom_scheduler::Effort;
use skyloom_scheduler::dag::{DagConfig, DagError, DagPlan, FrontConfig, Objective, front};

use crate::dag_world::{Case, Shape, catalogue, random};
use crate::random_world::Dice;

/// Without going through assignments one by one, without tables over several tasks: bounds and splits must do it.
fn by_splitting(config: &DagConfig) -> DagConfig {
    config.clone().with_direct_max(0).with_table_entries_max(6)
}

fn cheapest(all: &[(i64, u64)], deadline: u64) -> Option<i64> {
    all.iter()
        .filter(|(_, time)| *time <= deadline)
        .map(|(cost, _)| *cost)
        .min()
}

fn fastest(all: &[(i64, u64)], budget: i64) -> Option<(u64, i64)> {
    all.iter()
        .filter(|(cost, _)| *cost <= budget)
        .map(|(cost, time)| (*time, *cost))
        .min()
}

/// What every plan must be, whatever was asked for.
fn check_plan(case: &Case, all: &[(i64, u64)], plan: &DagPlan) {
    let found = (plan.cost.as_micros(), plan.makespan_ms);
    assert!(all.contains(&found), "{found:?} is no plan's cost and time: {case:#?}");
    assert!(plan.cost_lower_bound <= plan.cost && plan.makespan_lower_bound_ms <= plan.makespan_ms);
    let tasks: i64 = plan.tasks.iter().map(|task| task.cost.as_micros()).sum();
    assert_eq!(plan.cost.as_micros(), tasks + plan.egress.as_micros());
}

fn check_all_objectives(case: &Case, config: &DagConfig, dice: &mut Dice) {
    let all = case.all();
    let ask = |objective| case.plan_with(objective, config, u64::MAX);
    let plan = ask(Objective::Cost).unwrap();
    check_plan(case, &all, &plan);
    let least = cheapest(&all, u64::MAX).unwrap();
    assert_eq!((plan.cost.as_micros(), plan.gap), (least, 0.0), "{case:#?}");

    let plan = ask(Objective::Time).unwrap();
    check_plan(case, &all, &plan);
    let (time, cost) = fastest(&all, i64::MAX).unwrap();
    assert_eq!(
        (plan.makespan_ms, plan.cost.as_micros(), plan.gap),
        (time, cost, 0.0),
        "{case:#?}"
    );

    let (_, deadline) = *dice.pick(&all);
    let deadline = if dice.one_in(4) {
        deadline.saturating_sub(1)
    } else {
        deadline
    };
    let asked = Objective::CostByDeadline {
        seconds: std::time::Duration::from_millis(deadline).as_secs_f64(),
    };
    match (ask(asked), cheapest(&all, deadline)) {
        (Ok(plan), Some(least)) => {
            check_plan(case, &all, &plan);
            assert!(plan.makespan_ms <= deadline);
            assert_eq!((plan.cost.as_micros(), plan.gap), (least, 0.0), "{case:#?}");
        }
        (Err(DagError::TooSlow { least_ms, .. }), None) => {
            assert!(least_ms > deadline && all.iter().all(|(_, time)| *time >= least_ms));
        }
        (got, expected) => unreachable!("{got:?} where {expected:?} is right"),
    }

    let (budget, _) = *dice.pick(&all);
    let budget = if dice.one_in(4) { budget - 1 } else { budget };
    match (
        ask(Objective::TimeByBudget {
            budget: MicroUsd::from_micros(budget),
        }),
        fastest(&all, budget),
    ) {
        (Ok(plan), Some((time, cost))) => {
            check_plan(case, &all, &plan);
            assert_eq!(
                (plan.makespan_ms, plan.cost.as_micros(), plan.gap),
                (time, cost, 0.0),
                "{case:#?}"
            );
        }
        (Err(DagError::OverBudget { least, .. }), None) => {
            assert!(least.as_micros() > budget && all.iter().all(|(cost, _)| *cost >= least.as_micros()));
        }
        (got, expected) => unreachable!("{got:?} where {expected:?} is right"),
    }
}

fn small(dice: &mut Dice) -> Case {
    let shape = *dice.pick(&[Shape::Chain, Shape::Tree, Shape::General, Shape::General]);
    let tasks = 1 + dice.roll(4);
    random(dice, shape, tasks, 4)
}

#[test]
fn ten_thousand_small_graphs_are_planned_as_by_going_through_every_plan() {
    let mut dice = Dice::new(1);
    for _ in 0..10_000 {
        let case = small(&mut dice);
        check_all_objectives(&case, &case.config, &mut dice);
    }
}

#[test]
fn splitting_alone_finds_the_same() {
    let mut dice = Dice::new(2);
    for _ in 0..1500 {
        let case = small(&mut dice);
        check_all_objectives(&case, &by_splitting(&case.config), &mut dice);
    }
}

#[test]
fn a_bound_holds_wherever_the_work_ends() {
    let mut dice = Dice::new(3);
    let mut open = 0;
    for _ in 0..400 {
        let case = random(&mut dice, Shape::General, 4, 4);
        let all = case.all();
        let least = cheapest(&all, u64::MAX).unwrap();
        for units in [0, 1, 2, 5] {
            let plan = case
                .plan_with(Objective::Cost, &by_splitting(&case.config), units)
                .unwrap();
            check_plan(&case, &all, &plan);
            assert!(plan.cost_lower_bound.as_micros() <= least);
            open += u32::from(plan.gap > 0.0);
        }
        let plan = case.plan_with(Objective::Time, &by_splitting(&case.config), 3).unwrap();
        let (time, _) = fastest(&all, i64::MAX).unwrap();
        assert!(plan.makespan_lower_bound_ms <= time && time <= plan.makespan_ms);
    }
    assert!(open > 0, "work ends before the proof somewhere");
}

#[test]
fn a_bound_within_a_deadline_holds_wherever_the_work_ends() {
    let mut dice = Dice::new(11);
    let mut open = 0;
    for _ in 0..60 {
        // A chain with edges past every second task: a path may be late of which every pair of tasks is in time.
        let mut case = random(&mut dice, Shape::Chain, 8, 3);
        for (from, to) in [("t0", "t2"), ("t2", "t4"), ("t4", "t6")] {
            let bytes = skyloom_core::Bytes::from_gib(1);
            let (from, to) = (from.into(), to.into());
            case.dag.edges.push(skyloom_scheduler::dag::Edge { from, to, bytes });
        }
        for candidate in case.dag.tasks.iter_mut().flat_map(|task| &mut task.candidates) {
            candidate.run_seconds = f64::from(u32::try_from(1 + dice.roll(9000)).unwrap());
        }
        let mut all = case.all();
        all.sort_unstable();
        // A little faster than the cheapest.
        let (_, deadline) = all[all.len() / 50];
        let least = cheapest(&all, deadline).unwrap();
        let objective = Objective::CostByDeadline {
            seconds: std::time::Duration::from_millis(deadline).as_secs_f64(),
        };
        for units in [0, 30, 100, 300] {
            match case.plan_with(objective, &by_splitting(&case.config), units) {
                Ok(plan) => {
                    check_plan(&case, &all, &plan);
                    assert!(plan.cost_lower_bound.as_micros() <= least, "{units}: {case:#?}");
                    open += u32::from(plan.gap > 0.0);
                }
                Err(error) => assert!(matches!(error, DagError::OutOfWork { .. }), "{error}"),
            }
        }
    }
    assert!(open > 0, "work ends before the proof somewhere");
}

#[test]
fn deadlines_of_single_tasks_hold() {
    let mut dice = Dice::new(4);
    let (mut met, mut refused) = (0, 0);
    for _ in 0..1500 {
        let mut case = small(&mut dice);
        for task in &mut case.dag.tasks {
            let seconds = [0.0, 600.0, 3600.0, 4000.0, 9000.0, 20_000.0];
            task.finish_within_seconds = dice.one_in(2).then(|| *dice.pick(&seconds));
        }
        let all = case.all();
        for config in [case.config.clone(), by_splitting(&case.config)] {
            match (
                case.plan_with(Objective::Cost, &config, u64::MAX),
                cheapest(&all, u64::MAX),
            ) {
                (Ok(plan), Some(least)) => {
                    check_plan(&case, &all, &plan);
                    assert_eq!((plan.cost.as_micros(), plan.gap), (least, 0.0));
                    met += 1;
                }
                (Err(error), None) => {
                    use DagError::{DeadlinesContradict, TooSlow, Unsatisfiable};
                    assert!(
                        matches!(error, DeadlinesContradict | TooSlow { .. } | Unsatisfiable { .. }),
                        "{error}"
                    );
                    refused += 1;
                }
                (got, expected) => unreachable!("{got:?} where {expected:?} is right: {case:#?}"),
            }
        }
    }
    assert!(met > 100 && refused > 100);
}

#[test]
fn the_front_has_every_plan_that_nothing_beats() {
    let mut dice = Dice::new(5);
    for round in 0..600 {
        let case = small(&mut dice);
        let mut all = case.all();
        all.sort_unstable();
        let mut expected: Vec<(i64, u64)> = Vec::new();
        for (cost, time) in all {
            if expected.last().is_none_or(|(_, last)| time < *last) {
                expected.push((cost, time));
            }
        }
        let config = if round % 2 == 0 {
            case.config.clone()
        } else {
            by_splitting(&case.config)
        };
        let points = |step: f64| {
            let fineness = FrontConfig::new().with_time_step(step);
            let front = front(
                &case.dag,
                &catalogue(&case.lists),
                &config,
                &fineness,
                &mut Effort::units(u64::MAX),
            )
            .unwrap();
            assert_eq!((front.time_gap, front.cost_gap), (step, 0.0));
            front
                .plans
                .iter()
                .map(|plan| (plan.cost.as_micros(), plan.makespan_ms))
                .collect::<Vec<_>>()
        };
        assert_eq!(points(0.0), expected, "{case:#?}");
        let coarse = points(0.3);
        for (cost, time) in expected {
            let matched = |(c, t): &(i64, u64)| *c <= cost && u128::from(*t) * 10 <= u128::from(time) * 13;
            assert!(coarse.iter().any(matched), "{coarse:?} has nothing for {cost} {time}");
        }
    }
}

#[test]
fn the_order_of_the_input_changes_nothing() {
    let mut dice = Dice::new(6);
    for _ in 0..200 {
        let case = random(&mut dice, Shape::General, 5, 5);
        let mut other = case.clone();
        other.dag.tasks.reverse();
        other.dag.edges.rotate_left(case.dag.edges.len() / 2);
        other.dag.data.reverse();
        for task in &mut other.dag.tasks {
            task.candidates.reverse();
        }
        for objective in [Objective::Cost, Objective::Time] {
            let ask = |case: &Case| case.plan_with(objective, &by_splitting(&case.config), 40);
            assert_eq!(ask(&case), ask(&other));
            assert_eq!(ask(&case), ask(&case));
        }
    }
}

#[test]
fn a_candidate_more_never_makes_the_plan_dearer_and_a_twin_changes_nothing() {
    let mut dice = Dice::new(7);
    for _ in 0..300 {
        let case = small(&mut dice);
        let cost = |case: &Case| case.plan_with(Objective::Cost, &case.config, u64::MAX).unwrap().cost;
        let mut more = case.clone();
        let at = usize::try_from(dice.roll(more.dag.tasks.len() as u64)).unwrap();
        let twin = more.dag.tasks[at].candidates[0].clone();
        more.dag.tasks[at].candidates.push(twin.clone());
        assert_eq!(cost(&case), cost(&more));
        let mut cheap = twin;
        cheap.per_hour = skyloom_core::MicroUsdPerHour::from_micros(cheap.per_hour.as_micros() / 2);
        more.dag.tasks[at].candidates.push(cheap);
        assert!(cost(&more) <= cost(&case));
    }
}

#[test]
fn the_runner_up_is_the_best_change_of_one_task() {
    let mut dice = Dice::new(8);
    for _ in 0..300 {
        let case = small(&mut dice);
        let plan = case.plan_with(Objective::Cost, &case.config, u64::MAX).unwrap();
        for (number, task) in case.dag.tasks.iter().enumerate() {
            let shown = plan.tasks.iter().find(|t| t.id == task.id).unwrap();
            assert_eq!(shown.rejected.len() + 1, task.candidates.len());
            let mut only = case.clone();
            for (other, fixed) in only.dag.tasks.iter_mut().enumerate() {
                let chosen = plan.tasks.iter().find(|t| t.id == fixed.id).unwrap();
                let is_chosen =
                    |c: &skyloom_scheduler::dag::Candidate| c.offer == chosen.offer && c.region == chosen.region;
                if other != number {
                    fixed.candidates.retain(is_chosen);
                } else {
                    fixed.candidates.retain(|c| !is_chosen(c));
                }
            }
            let names: std::collections::BTreeSet<_> = task.candidates.iter().map(|c| (&c.region, &c.offer)).collect();
            if names.len() < task.candidates.len() || only.dag.tasks[number].candidates.is_empty() {
                continue;
            }
            let least = cheapest(&only.all(), u64::MAX).unwrap();
            // Rounded apart: one micro-dollar either way.
            let dearer = shown.runner_up.as_ref().unwrap().dearer_by.as_micros();
            assert!((least - plan.cost.as_micros() - dearer).abs() <= 1);
        }
    }
}

/// Forty tasks are far beyond going through; on a chain whose places are all one region the deadline alone matters, and
/// an exact answer comes from adding up costs by time, which this does in whole seconds.
#[test]
fn a_long_chain_with_a_deadline_is_proven() {
    let mut dice = Dice::new(10);
    for _ in 0..20 {
        let mut case = random(&mut dice, Shape::Chain, 40, 3);
        case.dag.data.clear();
        case.dag
            .edges
            .retain(|edge| edge.from.as_str() != "in" && edge.to.as_str() != "out");
        for task in &mut case.dag.tasks {
            for candidate in &mut task.candidates {
                candidate.region = "a/e".parse().unwrap();
                candidate.run_seconds = [1.0, 2.0, 5.0, 9.0][usize::try_from(dice.roll(4)).unwrap()];
                candidate.per_hour =
                    skyloom_core::MicroUsdPerHour::from_micros(3600 * i64::try_from(dice.roll(900)).unwrap());
            }
        }
        let seconds = 100 + usize::try_from(dice.roll(80)).unwrap();
        let mut least = vec![Some(0i64); seconds + 1];
        for task in &case.dag.tasks {
            let with = |left: usize| {
                let by_candidate = task.candidates.iter().filter_map(|candidate| {
                    let run = usize::try_from(crate::dag_world::millis(candidate.run_seconds) / 1000).unwrap();
                    let cost = candidate.per_hour.as_micros() / 3600
                        * i64::from(candidate.nodes)
                        * i64::try_from(run).unwrap();
                    Some(least[left.checked_sub(run)?]? + cost)
                });
                by_candidate.min()
            };
            least = (0..=seconds).map(with).collect();
        }
        #[expect(clippy::cast_precision_loss, reason = "a hundred or two")]
        let objective = Objective::CostByDeadline {
            seconds: seconds as f64,
        };
        match (case.plan_with(objective, &case.config, 100_000), least[seconds]) {
            (Ok(plan), Some(least)) => assert_eq!((plan.cost.as_micros(), plan.gap), (least, 0.0)),
            (Err(DagError::TooSlow { .. }), None) => {}
            (got, expected) => unreachable!("{got:?} where {expected:?} is right"),
        }
    }
}
