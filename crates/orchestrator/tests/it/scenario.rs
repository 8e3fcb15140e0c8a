//! Random worlds: a deployment that ran, something that happened to it, and a new wish.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::{
    Analysis, CanaryStep, Condition, Limit, Manifest, Millionths, Placement, Plan, ReplicaId, ReplicaState, Rollout,
    RolloutStrategy, ServiceSpec, Share, Snapshot,
};
use skyloom_orchestrator::{SagaConfig, SagaStatus, plan};

use crate::fixture::{Dice, checked, empty, manifest, needs, place, service, touch};
use crate::runner::Runner;
use crate::world::{Thing, World};

const NAMES: [&str; 5] = ["e", "b", "d", "a", "c"];
const MACHINES: usize = 4;

pub(crate) struct Scenario {
    pub(crate) world: World,
    pub(crate) snapshot: Snapshot,
    pub(crate) manifest: Manifest,
    pub(crate) placement: Placement,
    pub(crate) plan: Plan,
}

/// A world after one deployment and some damage, with the plan for the next.
pub(crate) fn scenario(seed: u64) -> Scenario {
    let mut dice = Dice(seed);
    let first = random_manifest(&mut dice);
    let second = changed(&first, &mut dice);
    let (there, then) = (random_places(&first, &mut dice), random_places(&second, &mut dice));
    let cores = capacities(&[&there, &then], &mut dice);
    let mut world = World {
        check_capacity: true,
        ..World::default()
    };
    let before = empty();
    let placement = place(&first, &before, |id| cores[id], |replica| there[replica].clone());
    let deploy = plan(&first, &placement, &before).unwrap();
    let status = Runner::new(&deploy, SagaConfig::new(), &mut world, seed).finish();
    assert_eq!(status, SagaStatus::Succeeded);
    damage(&mut world, &mut dice);
    world.new_plan();
    let snapshot = world.snapshot(2);
    let placement = place(&second, &snapshot, |id| cores[id], |replica| then[replica].clone());
    let plan = plan(&second, &placement, &snapshot).unwrap();
    Scenario {
        world,
        snapshot,
        manifest: second,
        placement,
        plan,
    }
}

pub(crate) fn random_manifest(dice: &mut Dice) -> Manifest {
    let count = 1 + dice.below(NAMES.len());
    let services = (0..count).map(|i| random_service(i, dice)).collect();
    manifest(services)
}

/// Services depend on earlier ones only, so that there is no loop.
fn random_service(index: usize, dice: &mut Dice) -> ServiceSpec {
    let mut spec = service(NAMES[index], 1 + u32::try_from(dice.below(3)).unwrap());
    if dice.one_in(2) {
        spec = checked(spec);
    }
    if dice.one_in(4) {
        spec.run.ports[0].port = std::num::NonZeroU16::new(8080);
    }
    spec.rollout = random_rollout(dice);
    for earlier in &NAMES[..index] {
        if dice.one_in(3) {
            let condition = [Condition::Started, Condition::Healthy, Condition::Completed][dice.below(3)];
            spec = needs(spec, earlier, condition, 0);
        }
    }
    spec
}

fn random_rollout(dice: &mut Dice) -> Rollout {
    let strategy = [
        RolloutStrategy::Rolling,
        RolloutStrategy::Canary,
        RolloutStrategy::BlueGreen,
    ][dice.below(3)];
    let seconds = |dice: &mut Dice, most| Duration::from_secs(dice.below(most) as u64);
    let mut rollout = Rollout {
        strategy,
        max_unavailable: u32::try_from(dice.below(3)).unwrap(),
        max_surge: u32::try_from(dice.below(3)).unwrap(),
        ready_for: seconds(dice, 3),
        ..Rollout::default()
    };
    if strategy == RolloutStrategy::BlueGreen {
        rollout.keep = seconds(dice, 4);
    }
    if strategy != RolloutStrategy::Rolling && dice.one_in(2) {
        rollout.analysis.push(Analysis {
            metric: String::from("errors"),
            limit: Limit::Below(Millionths::from_millionths(10_000)),
            over: Duration::from_secs(6),
            interval: Duration::from_secs(3),
            failures: 0,
        });
    }
    if strategy == RolloutStrategy::Canary {
        let step = |percent, dice: &mut Dice| CanaryStep {
            replicas: Share::Percent(percent),
            pause: Duration::from_secs(dice.below(4) as u64),
        };
        rollout.steps = (0..dice.below(3)).map(|i| step([34, 67][i], dice)).collect();
    }
    rollout
}

pub(crate) fn changed(first: &Manifest, dice: &mut Dice) -> Manifest {
    let mut second = first.clone();
    for (i, service) in second.services.iter_mut().enumerate() {
        match dice.below(4) {
            0 => touch(service, dice.next()),
            1 => *service = random_service(i, dice),
            _ => {}
        }
    }
    if second.services.len() > 1 && dice.one_in(3) {
        let gone = second.services.remove(dice.below(second.services.len()));
        for service in &mut second.services {
            service.depends_on.retain(|d| d.service != gone.name);
        }
    }
    second
}

pub(crate) fn random_places(manifest: &Manifest, dice: &mut Dice) -> BTreeMap<ReplicaId, String> {
    let mut places = BTreeMap::new();
    for service in &manifest.services {
        for index in 0..service.replicas.get() {
            let machine = format!("m{}", dice.below(MACHINES));
            places.insert(ReplicaId::new(service.name.clone(), index), machine);
        }
    }
    places
}

/// Machines that hold either deployment, some of them exactly.
fn capacities(placements: &[&BTreeMap<ReplicaId, String>], dice: &mut Dice) -> BTreeMap<String, u32> {
    let machines = (0..MACHINES).map(|i| format!("m{i}"));
    let fullest = |id: &String| {
        placements
            .iter()
            .map(|p| p.values().filter(|m| *m == id).count())
            .max()
            .unwrap_or(0)
    };
    machines
        .map(|id| (id.clone(), (fullest(&id) + dice.below(3)).max(1).try_into().unwrap()))
        .collect()
}

pub(crate) fn damage(world: &mut World, dice: &mut Dice) {
    let states = [
        ReplicaState::Failed,
        ReplicaState::Lost,
        ReplicaState::Unhealthy,
        ReplicaState::Pending,
        ReplicaState::Started,
    ];
    for thing in world.things.values_mut() {
        if let Thing::Replica(_, state) = thing
            && dice.one_in(5)
        {
            *state = states[dice.below(states.len())];
        }
    }
}
