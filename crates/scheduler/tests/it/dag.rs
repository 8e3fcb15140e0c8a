//! The planner of a graph of tasks against going through every plan, and its bounds against the optimum.

use skyloom_core::MicroUsd;
use skyloom_scheduler::dag::{DagConfig, DagError, DagPlan, Objective};

use crate::dag_world::{Case, Shape, random};
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
        (got, expected) => panic!("{got:?} where {expected:?} is right"),
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
        (got, expected) => panic!("{got:?} where {expected:?} is right"),
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
