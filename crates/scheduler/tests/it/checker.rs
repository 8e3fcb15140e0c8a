//! The checker sees what is wrong: each row spoils a good placement in one way.

use skyloom_core::*;
use skyloom_scheduler::{Cheapest, PlaceConfig, Problem, Violation, check, place};

use crate::world::*;

/// A world with most rules, and its placement.
fn good() -> (World, Placement) {
    let mut db = service("db", 1, "2", "4GiB");
    db.purchase = PurchasePreference::OnDemand;
    let mut api = service("api", 2, "1", "1GiB");
    api.latency = vec![latency("db", 20)];
    api.spread = vec![spread(SpreadOver::Zone, 1)];
    api.egress = vec![egress("db", "50GiB")];
    let mut web = service("web", 2, "500m", "512MiB");
    web.anti_affinity = vec!["web".parse().unwrap()];
    let mut world = World::new().with(vec![db, api, web]);
    world.manifest.residency = residency(&["EU"]);
    world.manifest.budget = Some(Budget {
        per_month: "500".parse().unwrap(),
        at: None,
    });
    let placement = world.place(&Cheapest);
    assert_eq!(placement.unplaced, []);
    (world, placement)
}

/// The kinds of violation after spoiling, in words that the error texts share.
fn violations(spoil: impl Fn(&mut World, &mut Placement)) -> String {
    let (mut world, mut placement) = good();
    spoil(&mut world, &mut placement);
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    check(&problem, &placement)
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

#[track_caller]
fn sees(expected: &str, spoil: impl Fn(&mut World, &mut Placement)) {
    let seen = violations(spoil);
    assert!(seen.contains(expected), "expected `{expected}` in `{seen}`");
}

fn service_of<'w>(world: &'w mut World, name: &str) -> &'w mut ServiceSpec {
    world
        .manifest
        .services
        .iter_mut()
        .find(|s| s.name.as_str() == name)
        .unwrap()
}

#[test]
fn a_good_placement_has_no_violations() {
    assert_eq!(violations(|_, _| {}), "");
}

#[test]
fn replicas_lost_doubled_or_unknown_are_seen() {
    sees("replica `api/0` is neither placed nor unplaced", |_, p| {
        drop(p.assignments.remove(0))
    });
    sees("replica `api/0` stands there more than once", |_, p| {
        p.assignments.push(p.assignments[0].clone())
    });
    sees("replica `api/1` is not asked for", |w, _| {
        service_of(w, "api").replicas = 1.try_into().unwrap()
    });
    sees("which is not in the placement", |_, p| p.machines.clear());
    sees("listed twice or carries nothing", |_, p| {
        p.machines.push(p.machines[0].clone())
    });
    sees("its service asks for", |_, p| {
        p.assignments[0].request = Resources::ZERO
    });
}

#[test]
fn broken_rules_are_seen() {
    let rule = |rule: &str| format!("breaks its {rule} rule");
    sees(&rule("residency"), |w, _| w.manifest.residency = residency(&["US"]));
    sees(&rule("residency"), |w, _| {
        service_of(w, "db").residency = Some(residency(&["US"]))
    });
    sees(&rule("place"), |w, _| {
        service_of(w, "db").clouds = ["gamma".parse().unwrap()].into()
    });
    sees(&rule("purchase"), |w, _| {
        service_of(w, "web").purchase = PurchasePreference::Spot
    });
    sees(&rule("labels"), |w, _| {
        drop(service_of(w, "db").labels.insert("arch".into(), "arm64".into()))
    });
    sees(&rule("latency"), |w, _| {
        service_of(w, "api").latency = vec![LatencyLimit {
            to: Link::Service("db".parse().unwrap()),
            max: std::time::Duration::ZERO,
            at: None,
        }]
    });
    sees(&rule("affinity"), |w, _| {
        service_of(w, "web").affinity = vec![Affinity {
            service: "db".parse().unwrap(),
            within: SpreadOver::Machine,
        }]
    });
    let onto_one = |p: &mut Placement, service: &str| {
        let to = p
            .assignments
            .iter()
            .find(|a| a.replica.service().as_str() == service)
            .unwrap()
            .machine
            .clone();
        let all = p
            .assignments
            .iter_mut()
            .filter(|a| a.replica.service().as_str() == service);
        all.for_each(|a| a.machine = to.clone());
    };
    sees(&rule("anti-affinity"), |_, p| onto_one(p, "web"));
    sees(&rule("spread"), |_, p| onto_one(p, "api"));
    sees(&rule("taints"), |w, p| {
        let mut node = node_of(p.machines[0].clone());
        node.taints = vec![Taint {
            key: "only".into(),
            value: "others".into(),
        }];
        w.snapshot.nodes.push(node);
    });
    sees(&rule("not ready"), |w, p| {
        let mut node = node_of(p.machines[0].clone());
        node.ready = false;
        w.snapshot.nodes.push(node);
    });
}

#[test]
fn over_full_machines_and_split_devices_are_seen() {
    sees("and carries `", |_, p| {
        let to = p.machines[0].id.clone();
        p.assignments.iter_mut().for_each(|a| a.machine = to.clone());
    });
    let mut own = node("n-1", "eu-1a");
    own.machine.capacity.gpu = Milligpus::from_milligpus(2000);
    let mut job = service("job", 3, "100m", "64MiB");
    job.resources.gpu = "600m".parse().unwrap();
    let mut world = World::new().with(vec![job]).with_nodes(vec![own]).without_offers();
    let mut placement = world.place(&Cheapest);
    // Three shares of 600 fit two devices by their sum when devices count for more than they are.
    let unplaced = placement.unplaced.remove(0);
    let like = placement.assignments[0].clone();
    placement.assignments.push(Assignment {
        replica: unplaced.replica,
        share: MicroUsdPerHour::ZERO,
        ..like
    });
    let catalogue = world.catalogue();
    world.snapshot.nodes[0].machine.capacity.gpu = Milligpus::from_milligpus(2000);
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    let seen = check(&problem, &placement);
    assert!(
        seen.iter().any(|v| matches!(v, Violation::SplitDevice { .. })),
        "{seen:?}"
    );
}

#[test]
fn wrong_prices_shares_sums_and_budgets_are_seen() {
    sees("nor sold like that", |_, p| {
        p.machines[0].price = MicroUsdPerHour::from_micros(1)
    });
    sees("nor sold like that", |_, p| {
        p.machines[0].capacity.cpu = Millicores::MAX
    });
    sees("the shares of machine", |_, p| {
        p.assignments[0].share = MicroUsdPerHour::ZERO
    });
    sees("the total per month is stated as", |_, p| {
        p.cost.total_per_month = MicroUsd::ZERO
    });
    sees("the price of the egress per month is stated as", |_, p| {
        p.cost.egress_per_month = MicroUsd::from_micros(p.cost.egress_per_month.as_micros() + 1);
    });
    sees("exceeds the budget of `1.00 USD`", |w, _| {
        w.manifest.budget = Some(Budget {
            per_month: "1".parse().unwrap(),
            at: None,
        });
    });
}

#[test]
fn the_checker_is_as_strict_with_what_the_planner_never_does() {
    let (world, mut placement) = good();
    placement.assignments.clear();
    placement.machines.clear();
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    let missing = check(&problem, &placement);
    assert_eq!(
        missing
            .iter()
            .filter(|v| matches!(v, Violation::MissingReplica { .. }))
            .count(),
        5
    );
    assert!(place(&problem, &Cheapest, &PlaceConfig::new()).is_ok());
}
