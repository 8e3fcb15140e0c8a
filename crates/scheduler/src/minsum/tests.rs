//! The solver against enumeration on small models of every shape, and against itself with its limits taken away.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::*;

struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0.next_u64() % sides
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll(n as u64)).unwrap()
    }

    fn cost(&mut self, forbidden_in: u64) -> i64 {
        if forbidden_in > 0 && self.roll(forbidden_in) == 0 {
            FORBIDDEN
        } else {
            i64::try_from(self.roll(40)).unwrap()
        }
    }
}

/// Whether nothing better can exist.
fn is_proven(outcome: &Outcome) -> bool {
    match &outcome.best {
        Some((cost, _)) => *cost <= outcome.bound,
        None => outcome.bound == FORBIDDEN,
    }
}

struct Case {
    unary: Vec<Vec<i64>>,
    pairs: Vec<(usize, usize)>,
    tables: Vec<Vec<i64>>,
}

impl Case {
    fn random(dice: &mut Dice, variables: usize, states_max: usize, pairs: usize) -> Self {
        let forbidden_in = dice.roll(3) * 4;
        let sizes: Vec<usize> = (0..variables).map(|_| 1 + dice.below(states_max)).collect();
        let pairs: Vec<(usize, usize)> = (0..pairs)
            .map(|_| (dice.below(variables), dice.below(variables)))
            .collect();
        let costs = |n: usize, dice: &mut Dice| (0..n).map(|_| dice.cost(forbidden_in)).collect::<Vec<i64>>();
        Self {
            unary: sizes.iter().map(|n| costs(*n, dice)).collect(),
            tables: pairs.iter().map(|(a, b)| costs(sizes[*a] * sizes[*b], dice)).collect(),
            pairs,
        }
    }

    /// By tables, and where the work does not end also by single costs: the same must come out.
    fn solve(&self, limits: &Limits, beat: i64, units: u64) -> Outcome {
        let fill = |pair: usize, table: &mut [i64]| table.copy_from_slice(&self.tables[pair]);
        let unary: Rows<i64> = self.unary.iter().cloned().collect();
        if units == u64::MAX {
            let model = Model::new(unary.clone(), self.pairs.clone(), self);
            let single = solve(&model, limits, beat, &mut Effort::units(units)).unwrap();
            let model = Model::new(unary.clone(), self.pairs.clone(), &fill);
            let tables = solve(&model, limits, beat, &mut Effort::units(units)).unwrap();
            let costs = |outcome: &Outcome| outcome.best.as_ref().map(|(cost, _)| *cost);
            assert_eq!(
                (costs(&single), single.bound, &single.marginals),
                (costs(&tables), tables.bound, &tables.marginals)
            );
            if let Some((cost, states)) = &single.best {
                assert_eq!(Some(*cost), model.cost(states), "the cost is that of the assignment");
            }
        }
        let model = Model::new(unary, self.pairs.clone(), &fill);
        let outcome = solve(&model, limits, beat, &mut Effort::units(units)).unwrap();
        if let Some((cost, states)) = &outcome.best {
            assert_eq!(Some(*cost), model.cost(states), "the cost is that of the assignment");
            assert!(*cost < beat && *cost >= outcome.bound);
        }
        outcome
    }

    /// All assignments, one after the other.
    fn least(&self) -> i64 {
        let mut states = vec![0; self.unary.len()];
        let mut least = FORBIDDEN;
        loop {
            let mut parts: Vec<i64> = self
                .unary
                .iter()
                .zip(&states)
                .map(|(c, s): (_, &usize)| c[*s])
                .collect();
            for ((a, b), table) in self.pairs.iter().zip(&self.tables) {
                parts.push(table[states[*a] * self.unary[*b].len() + states[*b]]);
            }
            if !parts.contains(&FORBIDDEN) {
                least = least.min(parts.iter().sum());
            }
            let Some(digit) = (0..states.len()).find(|d| states[*d] + 1 < self.unary[*d].len()) else {
                return least;
            };
            states[..digit].fill(0);
            states[digit] += 1;
        }
    }
}

impl Pairs for Case {
    const HAS_SINGLE: bool = true;

    fn fill(&self, pair: usize, table: &mut [i64]) {
        table.copy_from_slice(&self.tables[pair]);
    }

    fn single(&self, pair: usize) -> impl Fn(usize, usize) -> i64 {
        let width = self.unary[self.pairs[pair].1].len();
        move |first, second| self.tables[pair][first * width + second]
    }

    fn dearest(&self, pair: usize) -> i64 {
        let finite = self.tables[pair].iter().filter(|cost| **cost < FORBIDDEN);
        finite.copied().max().unwrap_or(0)
    }
}

/// Nothing may be eliminated beyond leaves and what fits three states: the bound and the branching must do it.
const NARROW: Limits = Limits {
    table_entries_max: 3,
    elimination_max: 30,
    entries_max: 1 << 20,
    marginals: true,
};

#[test]
fn small_models_are_solved_as_by_enumeration() {
    let mut dice = Dice::new(1);
    for _ in 0..3000 {
        let (variables, pairs) = (1 + dice.below(6), dice.below(10));
        let case = Case::random(&mut dice, variables, 4, pairs);
        let least = case.least();
        for limits in [Limits::default(), NARROW] {
            let outcome = case.solve(&limits, FORBIDDEN, u64::MAX);
            assert_eq!(outcome.best.as_ref().map_or(FORBIDDEN, |b| b.0), least);
            assert!(is_proven(&outcome));
            let beaten = case.solve(&limits, least, u64::MAX);
            assert_eq!((beaten.best, beaten.bound), (None, FORBIDDEN));
            let stopped = case.solve(&limits, FORBIDDEN, 0);
            assert!(stopped.bound <= least);
        }
    }
}

#[test]
fn marginals_are_below_the_cost_with_each_state_and_exact_for_forests() {
    let mut dice = Dice::new(5);
    for round in 0..1500 {
        let mut case = Case::random(&mut dice, 5, 3, 6);
        let is_forest = round % 2 == 0;
        if is_forest {
            case.pairs = (1..5).map(|v| (v, dice.below(v))).collect();
            let size = |v: usize| case.unary[v].len();
            case.tables = case
                .pairs
                .iter()
                .map(|(a, b)| (0..size(*a) * size(*b)).map(|_| dice.cost(6)).collect())
                .collect();
        }
        let limits = Limits {
            marginals: true,
            ..Limits::default()
        };
        let outcome = case.solve(&limits, FORBIDDEN, u64::MAX);
        for variable in 0..5 {
            for state in 0..case.unary[variable].len() {
                let mut fixed = case.unary.clone();
                for other in (0..fixed[variable].len()).filter(|s| *s != state) {
                    fixed[variable][other] = FORBIDDEN;
                }
                let least = Case {
                    unary: fixed,
                    pairs: case.pairs.clone(),
                    tables: case.tables.clone(),
                }
                .least();
                let marginal = outcome.marginals.row(variable)[state];
                assert!(marginal <= least);
                if is_forest {
                    assert_eq!(marginal >= IMPOSSIBLE, least == FORBIDDEN);
                    assert!(marginal == least || least == FORBIDDEN);
                }
            }
        }
    }
}

#[test]
fn elimination_and_branching_agree_on_wider_models() {
    let mut dice = Dice::new(2);
    for _ in 0..60 {
        let case = Case::random(&mut dice, 12, 5, 22);
        let exact = case.solve(&Limits::default(), FORBIDDEN, u64::MAX);
        let branched = case.solve(&NARROW, FORBIDDEN, u64::MAX);
        assert!(is_proven(&exact) && is_proven(&branched));
        assert_eq!(exact.best.map(|b| b.0), branched.best.map(|b| b.0));
    }
}

#[test]
fn a_bound_holds_wherever_the_work_ends() {
    let mut dice = Dice::new(3);
    for _ in 0..40 {
        let case = Case::random(&mut dice, 14, 6, 40);
        let exact = case.solve(&Limits::default(), FORBIDDEN, u64::MAX);
        let least = exact.best.map_or(FORBIDDEN, |b| b.0);
        for units in [0, 1, 3, 10, 50] {
            let outcome = case.solve(&NARROW, FORBIDDEN, units);
            assert!(outcome.bound <= least);
            assert_eq!(outcome, case.solve(&NARROW, FORBIDDEN, units));
        }
    }
}

#[test]
fn tables_that_may_not_be_held_leave_a_bound() {
    let mut dice = Dice::new(4);
    let limits = Limits {
        entries_max: 1,
        ..Limits::default()
    };
    let mut unproven = 0;
    for _ in 0..50 {
        let case = Case::random(&mut dice, 6, 4, 12);
        let outcome = case.solve(&limits, FORBIDDEN, u64::MAX);
        assert!(outcome.bound <= case.least());
        unproven += u32::from(!is_proven(&outcome));
    }
    assert!(unproven > 0);
}

#[test]
fn bad_costs_are_refused() {
    let unary = vec![vec![0, 1], vec![2]];
    let refuse = |unary: &Vec<Vec<i64>>, pair: (usize, usize), cost: i64| {
        let fill = move |_: usize, table: &mut [i64]| table.fill(cost);
        let model = Model::new(unary.iter().cloned().collect(), vec![pair], &fill);
        solve(&model, &Limits::default(), FORBIDDEN, &mut Effort::units(1))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refuse(&unary, (0, 1), -1),
        "accept the cost `-1` of pair 0: it is negative"
    );
    assert!(refuse(&unary, (0, 1), COST_MAX + 1).contains("pair 0"));
    assert!(refuse(&unary, (0, 1), COST_MAX).contains("the sum of all"));
    assert_eq!(refuse(&unary, (0, 2), 0), "find both variables of pair 0");
}
