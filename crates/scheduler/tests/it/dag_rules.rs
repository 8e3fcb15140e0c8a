//! Worked cases of the planner of a graph: tiers at their edges, hard rules, and every kind of bad input.

use skyloom_core::catalogue::EgressScope;
use skyloom_core::{Bytes, Class, MicroUsd, MicroUsdPerHour};
use skyloom_scheduler::dag::{
    AlreadySent, BYTES_MAX, Candidate, Dag, DagConfig, DagError, DagPlan, DataSet, Edge, Objective, PairSpeed, Reason,
    Rule, Speeds, Task, plan,
};
use skyloom_scheduler::{Effort, EffortLog};

use crate::dag_world::{Case, GIB, List, catalogue};

/// Something done to a part of a graph.
type Change<'c, T> = &'c dyn Fn(&mut T);

fn candidate(region: &str, micros: i64, seconds: f64) -> Candidate {
    Candidate {
        offer: "m".to_owned(),
        region: region.parse().unwrap(),
        per_hour: MicroUsdPerHour::from_micros(micros),
        run_seconds: seconds,
        nodes: 1,
    }
}

fn task(id: &str, candidates: Vec<Candidate>) -> Task {
    Task::new(id.into(), candidates)
}

fn edge(from: &str, to: &str, bytes: u64) -> Edge {
    Edge {
        from: from.into(),
        to: to.into(),
        bytes: Bytes::from_bytes(bytes),
    }
}

/// Cloud `a` as SkyPilot encodes AWS: the first gigabyte free, then four tiers; the others free of charge.
fn lists() -> Vec<List> {
    let list = |cloud, internet, tiers| List { cloud, internet, tiers };
    let tiers = vec![
        (Some(1), 0),
        (Some(10_240), 90_000),
        (Some(51_200), 85_000),
        (Some(153_600), 70_000),
        (None, 50_000),
    ];
    vec![
        list("a", true, tiers),
        list("a", false, vec![(None, 20_000)]),
        list("b", true, vec![(None, 0)]),
        list("b", false, vec![(None, 0)]),
        list("c", true, vec![(None, 0)]),
        list("c", false, vec![(None, 0)]),
    ]
}

fn solve_with(dag: &Dag, config: &DagConfig) -> Result<DagPlan, DagError> {
    plan(dag, &catalogue(&lists()), config, &mut Effort::units(100_000))
}

fn solve(dag: &Dag) -> Result<DagPlan, DagError> {
    solve_with(dag, &DagConfig::new(Objective::Cost))
}

/// From cloud `a` to cloud `b`, by one or several edges.
fn sending(gib: &[u64]) -> Dag {
    let mut dag = Dag::default();
    for (number, gib) in gib.iter().enumerate() {
        let (from, to) = (format!("from{number}"), format!("to{number}"));
        dag.tasks.push(task(&from, vec![candidate("a/e", 0, 0.0)]));
        dag.tasks.push(task(&to, vec![candidate("b/e", 0, 0.0)]));
        dag.edges.push(edge(&from, &to, gib * GIB));
    }
    dag
}

#[test]
fn traffic_is_marginal_at_every_edge_of_a_tier() {
    // The volumes at which SkyPilot 0.14.1 answers 921.42, 0, 7167.74, 0, 716.80, 23295.91 and 7680.05 USD.
    let rows: [(u64, &str); 12] = [
        (0, "0.00 USD"),
        (1, "0.00 USD"),
        (2, "0.09 USD"),
        (10_239, "921.42 USD"),
        (10_240, "921.51 USD"),
        (10_241, "921.595 USD"),
        (51_199, "4403.025 USD"),
        (51_200, "4403.11 USD"),
        (51_201, "4403.18 USD"),
        (61_440, "5119.91 USD"),
        (153_600, "11571.11 USD"),
        (153_601, "11571.16 USD"),
    ];
    for (gib, expected) in rows {
        let plan = solve(&sending(&[gib])).unwrap();
        assert_eq!(
            (plan.egress.to_string().as_str(), plan.gap),
            (expected, 0.0),
            "{gib} GiB"
        );
        // The same volume in parts, and after a part of it: the month's sum decides.
        let parts = [gib / 3, gib / 2, gib - gib / 3 - gib / 2];
        assert_eq!(solve(&sending(&parts)).unwrap().egress, plan.egress);
        let sent = AlreadySent {
            region: "a/e".parse().unwrap(),
            scope: EgressScope::Internet,
            bytes: Bytes::from_bytes(parts[0] * GIB),
        };
        let config = DagConfig::new(Objective::Cost).with_already_this_month(vec![sent]);
        let rest = solve_with(&sending(&[gib - parts[0]]), &config).unwrap();
        let first = solve(&sending(&parts[..1])).unwrap();
        assert_eq!(rest.egress.checked_add(first.egress), Some(plan.egress));
    }
}

#[test]
fn sending_more_is_never_cheaper_and_a_byte_more_is_no_jump() {
    let cost = |bytes: u64| {
        let mut dag = sending(&[0]);
        dag.edges[0].bytes = Bytes::from_bytes(bytes);
        solve(&dag).unwrap().egress.as_micros()
    };
    for edge in [1, 10_240, 51_200, 153_600].map(|gib: u64| gib * GIB) {
        let around = [edge - GIB, edge - 1, edge, edge + 1, edge + GIB].map(cost);
        assert!(around.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(around[3] - around[1] <= 1);
    }
}

#[test]
fn the_tiers_beyond_are_worth_going_for_together() {
    // Alone, moving 5 TiB costs 460.71 USD and saves 400 USD. All forty together send 200 TiB: 11,571.11 USD for the first
    // 150 TiB and 0.05 a GiB beyond, less than what they save (16,000 USD), so all go.
    let mut dag = Dag::default();
    dag.data.push(DataSet {
        id: "in".into(),
        region: "a/e".parse().unwrap(),
    });
    for number in 0..40 {
        let id = format!("t{number}");
        dag.tasks.push(task(
            &id,
            vec![candidate("a/e", 400_000_000, 3600.0), candidate("b/e", 0, 3600.0)],
        ));
        dag.edges.push(edge("in", &id, 5120 * GIB));
    }
    let plan = solve(&dag).unwrap();
    assert!(plan.tasks.iter().all(|task| task.region.to_string() == "b/e"));
    assert_eq!((plan.cost.to_string().as_str(), plan.gap), ("14131.11 USD", 0.0));
}

#[test]
fn hard_rules_leave_out_candidates_and_name_themselves() {
    let choices = || {
        vec![
            candidate("a/e", 100, 3600.0),
            candidate("a/w", 50, 3600.0),
            candidate("b/e", 10, 7200.0),
        ]
    };
    let with = |change: &dyn Fn(&mut Task)| {
        let mut task = task("t", choices());
        change(&mut task);
        solve(&Dag {
            tasks: vec![task],
            ..Dag::default()
        })
    };
    let place = |plan: Result<DagPlan, DagError>| plan.unwrap().tasks[0].region.to_string();
    assert_eq!(place(with(&|_| {})), "b/e");
    assert_eq!(place(with(&|t| t.clouds = vec!["a".parse().unwrap()])), "a/w");
    assert_eq!(place(with(&|t| t.regions = vec!["a/e".parse().unwrap()])), "a/e");
    assert_eq!(place(with(&|t| t.residency.deny = ["EU".parse_law()].into())), "a/w");
    assert_eq!(place(with(&|t| t.finish_within_seconds = Some(3600.0))), "a/w");
    let explained = with(&|t| t.clouds = vec!["a".parse().unwrap()]).unwrap();
    let reasons: Vec<Reason> = explained.tasks[0].rejected.iter().map(|r| r.reason).collect();
    assert_eq!(
        reasons,
        [
            Reason::Dearer(MicroUsd::from_micros(50)),
            Reason::Forbidden(Rule::Clouds)
        ]
    );
    let refused: [(Change<Task>, Rule); 4] = [
        (&|t| t.clouds = vec!["c".parse().unwrap()], Rule::Clouds),
        (&|t| t.regions = vec!["c/x".parse().unwrap()], Rule::Regions),
        (&|t| t.residency.allow = ["CH".parse_law()].into(), Rule::Residency),
        (&|t| t.finish_within_seconds = Some(1.0), Rule::Deadline),
    ];
    for (change, rule) in refused {
        let error = with(change).unwrap_err();
        let expected = DagError::Unsatisfiable {
            task: "t".into(),
            rule,
            candidates: 3,
        };
        assert_eq!((error.class(), error), (Class::Exhausted, expected));
    }
}

trait ParseLaw {
    fn parse_law(&self) -> skyloom_core::Jurisdiction;
}

impl ParseLaw for str {
    fn parse_law(&self) -> skyloom_core::Jurisdiction {
        skyloom_core::Jurisdiction::new(self).unwrap()
    }
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let good = || Dag {
        tasks: vec![
            task("a", vec![candidate("a/e", 1, 1.0)]),
            task("b", vec![candidate("a/e", 1, 1.0)]),
        ],
        data: vec![DataSet {
            id: "d".into(),
            region: "a/e".parse().unwrap(),
        }],
        edges: vec![edge("a", "b", 1)],
    };
    assert!(solve(&good()).is_ok());
    let rows: [(Change<Dag>, &str); 18] = [
        (&|d| d.tasks[1].id = "a".into(), "tell two nodes named `a` apart"),
        (&|d| d.data[0].id = "b".into(), "tell two nodes named `b` apart"),
        (
            &|d| d.tasks[0].id = "".into(),
            "accept a task or data set with an empty name",
        ),
        (&|d| d.tasks[0].candidates.clear(), "run task `a`: it has no candidate"),
        (
            &|d| d.edges[0].to = "x".into(),
            "find `x`, which the edge from `a` to `x` names",
        ),
        (
            &|d| d.edges.push(edge("d", "d", 1)),
            "send from data set `d` to data set `d`: one end of an edge must be a task",
        ),
        (
            &|d| d.edges.push(edge("b", "a", 0)),
            "order the tasks: `a` before `b` before `a`",
        ),
        (&|d| d.edges.push(edge("b", "b", 0)), "order the tasks: `b` before `b`"),
        (
            &|d| d.tasks[0].candidates[0].run_seconds = f64::NAN,
            "accept `NaN` seconds as the run time of task `a` on `m`: it must be in 0..=1000000000",
        ),
        (
            &|d| d.tasks[0].candidates[0].run_seconds = -1.0,
            "accept `-1` seconds as the run time of task `a` on `m`: it must be in 0..=1000000000",
        ),
        (
            &|d| d.tasks[0].candidates[0].run_seconds = f64::INFINITY,
            "accept `inf` seconds as the run time of task `a` on `m`: it must be in 0..=1000000000",
        ),
        (
            &|d| d.tasks[0].finish_within_seconds = Some(-2.0),
            "accept `-2` seconds as the deadline of task `a`: it must be in 0..=1000000000",
        ),
        (
            &|d| d.tasks[0].candidates[0].per_hour = MicroUsdPerHour::from_micros(-1),
            "accept the price of `m` of task `a`: it is negative",
        ),
        (
            &|d| d.tasks[0].candidates[0].nodes = 0,
            "run task `a` on zero nodes of `m`",
        ),
        (
            &|d| d.edges[0].bytes = Bytes::from_bytes(1 << 63),
            "accept `9223372036854775808` bytes from `a` to `b`: at most `1152921504606846976` are accepted in all",
        ),
        (
            &|d| d.edges.extend([edge("d", "b", BYTES_MAX - 1), edge("d", "b", 1)]),
            "accept `1` bytes from `d` to `b`: at most `1152921504606846976` are accepted in all",
        ),
        (
            &|d| d.tasks[0].candidates[0] = candidate("a/e", i64::MAX, 3600.0),
            "hold the cost of task `a` on `m`: it is beyond what a plan may cost",
        ),
        (
            &|d| {
                d.tasks[0].candidates[0].run_seconds = 1e9;
                d.tasks[0].candidates[0].nodes = u32::MAX;
                d.tasks[0].candidates[0].per_hour = MicroUsdPerHour::MAX;
            },
            "hold the cost of task `a` on `m`: it is beyond what a plan may cost",
        ),
    ];
    for (spoil, expected) in rows {
        let mut dag = good();
        spoil(&mut dag);
        assert_eq!(solve(&dag).unwrap_err().to_string(), expected);
    }
}

#[test]
fn bad_configurations_are_refused() {
    let dag = sending(&[1]);
    let mut speeds = Speeds::default();
    speeds.pairs.push(PairSpeed {
        from: "a/e".parse().unwrap(),
        to: "b/e".parse().unwrap(),
        bytes_per_second: Some(0),
    });
    let config = DagConfig::new(Objective::Cost).with_speeds(speeds);
    let error = solve_with(&dag, &config).unwrap_err();
    assert_eq!(error.to_string(), "send at zero bytes per second from `a/e` to `b/e`");
    let sent = AlreadySent {
        region: "a/e".parse().unwrap(),
        scope: EgressScope::Internet,
        bytes: Bytes::MAX,
    };
    let config = DagConfig::new(Objective::Cost).with_already_this_month(vec![sent]);
    assert!(matches!(solve_with(&dag, &config), Err(DagError::TooManyBytes { .. })));
    for seconds in [f64::NAN, -1.0, 1e12] {
        let config = DagConfig::new(Objective::CostByDeadline { seconds });
        assert!(matches!(solve_with(&dag, &config), Err(DagError::BadSeconds { .. })));
    }
    let budget = MicroUsd::from_micros(-1);
    let refused = solve_with(&dag, &DagConfig::new(Objective::TimeByBudget { budget }));
    assert!(matches!(refused, Err(DagError::OverBudget { .. })));
}

#[test]
fn nothing_to_do_costs_nothing() {
    for objective in [
        Objective::Cost,
        Objective::Time,
        Objective::CostByDeadline { seconds: 0.0 },
    ] {
        let plan = solve_with(&Dag::default(), &DagConfig::new(objective)).unwrap();
        assert_eq!((plan.cost, plan.makespan_ms, plan.gap), (MicroUsd::ZERO, 0, 0.0));
    }
}

#[test]
fn an_unknown_price_is_assumed_and_said_so() {
    let dag = sending(&[10]);
    let mut known = lists();
    known.retain(|list| list.cloud != "a");
    let free = plan(
        &dag,
        &catalogue(&known),
        &DagConfig::new(Objective::Cost),
        &mut Effort::units(10),
    )
    .unwrap_err();
    assert_eq!(free.class(), Class::NotFound);
    known.extend(lists().into_iter().filter(|list| list.cloud == "a" && !list.internet));
    known.push(List {
        cloud: "b",
        internet: true,
        tiers: vec![(Some(5), 0), (None, 30_000)],
    });
    known.retain(|list| list.cloud != "b" || list.tiers.len() == 2);
    let assumed = plan(
        &dag,
        &catalogue(&known),
        &DagConfig::new(Objective::Cost),
        &mut Effort::units(10),
    )
    .unwrap();
    assert!(assumed.has_assumed_prices);
    assert_eq!(assumed.egress.to_string(), "0.30 USD");
}

#[test]
fn a_replay_gives_the_same_plan() {
    let mut dice = crate::random_world::Dice::new(9);
    let case: Case = crate::dag_world::random(&mut dice, crate::dag_world::Shape::General, 7, 5);
    let config = case.config.clone().with_direct_max(0).with_table_entries_max(4);
    let catalogue = catalogue(&case.lists);
    let asked = std::cell::Cell::new(0.0);
    let spent = || {
        asked.set(asked.get() + 0.05);
        asked.get()
    };
    let mut watched = Effort::watched(&spent);
    let first = plan(&case.dag, &catalogue, &config, &mut watched).unwrap();
    let log: EffortLog = watched.log();
    assert_eq!(
        plan(&case.dag, &catalogue, &config, &mut Effort::replayed(&log)),
        Ok(first)
    );
}
