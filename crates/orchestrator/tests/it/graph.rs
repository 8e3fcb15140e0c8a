//! The service graph: order, layers, and the shortest loop against brute force.

use proptest::prelude::*;
use skyloom_core::{Class, Condition, Manifest, ServiceName};
use skyloom_orchestrator::{Cycle, GraphError, ServiceGraph};

use crate::fixture::{Dice, manifest, name, needs, service, shop};

/// Services `s000`, `s001`, … with these edges; edge `i` is on line `i + 1`.
fn of_edges(count: usize, edges: &[(usize, usize)]) -> Manifest {
    let mut services: Vec<_> = (0..count).map(|i| service(&label(i), 1)).collect();
    for (line, (from, to)) in edges.iter().enumerate() {
        let line = u32::try_from(line + 1).unwrap();
        services[*from] = needs(services[*from].clone(), &label(*to), Condition::Healthy, line);
    }
    manifest(services)
}

fn label(i: usize) -> String {
    format!("s{i:05}")
}

fn cycle_of(manifest: &Manifest) -> Option<Cycle> {
    match ServiceGraph::build(manifest) {
        Ok(_) => None,
        Err(GraphError::Cycle { cycle, .. }) => Some(cycle),
        Err(other) => panic!("{other}"),
    }
}

fn names_of(cycle: &Cycle) -> Vec<String> {
    cycle.steps.iter().map(|step| step.service.to_string()).collect()
}

/// Brute force: every simple path from every start over higher nodes, the best by length, then by names.
fn shortest_by_force(count: usize, edges: &[(usize, usize)]) -> Option<Vec<usize>> {
    fn extend(path: &mut Vec<usize>, edges: &[(usize, usize)], best: &mut Option<Vec<usize>>) {
        let last = path[path.len() - 1];
        for (_, to) in edges.iter().filter(|(from, _)| *from == last) {
            if *to == path[0] {
                let better = best.as_ref().is_none_or(|b| (path.len(), &*path) < (b.len(), b));
                if better {
                    *best = Some(path.clone());
                }
            } else if *to > path[0] && !path.contains(to) {
                path.push(*to);
                extend(path, edges, best);
                path.pop();
            }
        }
    }
    let mut best = None;
    (0..count).for_each(|start| extend(&mut vec![start], edges, &mut best));
    best
}

fn graph_edges() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (1usize..8).prop_flat_map(|n| (Just(n), proptest::collection::vec((0..n, 0..n), 0..14)))
}

proptest! {
    /// The reported loop is the shortest, and the first by name among the shortest.
    #[test]
    fn the_loop_is_the_one_that_brute_force_finds((count, edges) in graph_edges()) {
        let found = cycle_of(&of_edges(count, &edges));
        let expected = shortest_by_force(count, &edges).map(|path| path.into_iter().map(label).collect::<Vec<_>>());
        prop_assert_eq!(found.as_ref().map(names_of), expected);
        prop_assert!(found.is_none_or(|cycle| cycle.shortest));
    }

    /// Services in another order give the same order, the same layers, the same loop.
    #[test]
    fn the_order_of_the_manifest_does_not_matter((count, edges) in graph_edges(), seed: u64) {
        let first = of_edges(count, &edges);
        let mut second = first.clone();
        let mut dice = Dice(seed);
        for i in (1..count).rev() {
            second.services.swap(i, dice.below(i + 1));
        }
        for service in &mut second.services {
            let len = service.depends_on.len();
            (1..len).for_each(|i| service.depends_on.swap(i, dice.below(i + 1)));
        }
        match (ServiceGraph::build(&first), ServiceGraph::build(&second)) {
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(a.order().collect::<Vec<_>>(), b.order().collect::<Vec<_>>());
                prop_assert_eq!(a.layers(), b.layers());
                prop_assert_eq!(a.to_mermaid(), b.to_mermaid());
            }
            (Err(GraphError::Cycle { cycle: a, .. }), Err(GraphError::Cycle { cycle: b, .. })) => {
                prop_assert_eq!(names_of(&a), names_of(&b));
            }
            (a, b) => prop_assert!(false, "{:?} {:?}", a, b),
        }
    }

    /// Everything comes after what it depends on, in order and in layers.
    #[test]
    fn dependencies_come_first((count, edges) in graph_edges()) {
        let forward: Vec<_> = edges.into_iter().filter(|(a, b)| a > b).collect();
        let graph = ServiceGraph::build(&of_edges(count, &forward)).unwrap();
        let order: Vec<&ServiceName> = graph.order().collect();
        let layers = graph.layers();
        let position = |n: &str| order.iter().position(|o| o.as_str() == n).unwrap();
        let layer = |n: &str| layers.iter().position(|l| l.iter().any(|o| o.as_str() == n)).unwrap();
        for (from, to) in &forward {
            prop_assert!(position(&label(*from)) > position(&label(*to)));
            prop_assert!(layer(&label(*from)) > layer(&label(*to)));
        }
        prop_assert_eq!(layers.concat().len(), count);
    }
}

#[test]
fn a_loop_is_shown_with_its_lines() {
    let a = needs(service("a", 1), "b", Condition::Healthy, 12);
    let b = needs(service("b", 1), "a", Condition::Started, 20);
    let error = ServiceGraph::build(&manifest(vec![b, a])).unwrap_err();
    assert_eq!(error.class(), Class::Invalid);
    insta::assert_snapshot!(error, @"order the services of `shop.toml`: `a` (shop.toml:12:1) needs `b` (shop.toml:20:1) needs `a`");
}

#[test]
fn a_service_that_needs_itself_is_the_shortest_loop() {
    let cycle = cycle_of(&of_edges(4, &[(0, 1), (1, 0), (3, 3), (2, 2)])).unwrap();
    assert_eq!(cycle.to_string(), "`s00002` (4:1) needs `s00002`");
}

#[test]
fn unknown_and_doubled_services_are_named() {
    let unknown = manifest(vec![needs(service("a", 1), "gone", Condition::Healthy, 7)]);
    let error = ServiceGraph::build(&unknown).unwrap_err();
    insta::assert_snapshot!(error, @"order the services of `shop.toml`: `a` (shop.toml:7:1) needs `gone`, which is not there");
    let doubled = manifest(vec![service("a", 1), service("a", 2)]);
    let error = ServiceGraph::build(&doubled).unwrap_err();
    insta::assert_snapshot!(error, @"order the services of `shop.toml`: `a` is there twice");
}

#[test]
fn the_shop_has_an_order() {
    let graph = ServiceGraph::build(&shop()).unwrap();
    let order: Vec<_> = graph.order().map(ToString::to_string).collect();
    assert_eq!(order, ["database", "backend", "frontend"]);
    assert_eq!(
        graph.dependents(&name("backend")),
        [(&name("frontend"), Condition::Healthy)]
    );
    assert_eq!(
        graph.dependencies(&name("backend")),
        [(&name("database"), Condition::Healthy)]
    );
    assert!(graph.dependencies(&name("nobody")).is_empty() && !graph.contains(&name("nobody")));
    let replicas: Vec<_> = graph.replicas(&name("frontend")).map(|r| r.to_string()).collect();
    assert_eq!(replicas, ["frontend/0", "frontend/1", "frontend/2", "frontend/3"]);
    insta::assert_snapshot!(graph.to_mermaid(), @r#"
    graph LR
      s0["backend x2"]
      s1["database x1"]
      s2["frontend x4"]
      s0 -->|healthy| s1
      s2 -->|healthy| s0
    "#);
}

#[test]
fn a_dependency_named_twice_counts_once_with_the_stronger_condition() {
    let a = needs(
        needs(service("a", 1), "b", Condition::Completed, 1),
        "b",
        Condition::Started,
        2,
    );
    let graph = ServiceGraph::build(&manifest(vec![a, service("b", 1)])).unwrap();
    assert_eq!(graph.dependencies(&name("a")), [(&name("b"), Condition::Completed)]);
}

#[test]
fn long_chains_and_rings_fit_the_stack_and_the_time() {
    const LENGTH: usize = 10_000;
    let mut edges: Vec<_> = (1..LENGTH).map(|i| (i, i - 1)).collect();
    let graph = ServiceGraph::build(&of_edges(LENGTH, &edges)).unwrap();
    assert_eq!((graph.len(), graph.layers().len()), (LENGTH, LENGTH));
    edges.push((0, LENGTH - 1));
    let cycle = cycle_of(&of_edges(LENGTH, &edges)).unwrap();
    assert_eq!((cycle.steps.len(), cycle.shortest), (LENGTH, true));
    let text = cycle.to_string();
    assert!(text.contains("(9976 more)") && text.len() < 1000, "{text}");
    // A chord makes a loop of three, however long the ring is.
    edges.push((4_998, 5_000));
    assert_eq!(
        names_of(&cycle_of(&of_edges(LENGTH, &edges)).unwrap()),
        ["s04998", "s05000", "s04999"]
    );
}
