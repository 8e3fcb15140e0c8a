//! Random manifests that can be placed on [`crate::catalogue`] and planned.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use skyloom_core::{
    Bytes, Condition, Dependency, HealthCheck, HealthProbe, Manifest, Millicores, PortSpec, Protocol,
    PurchasePreference, Residency, Resources, Rollout, RolloutStrategy, RunSpec, ServiceName, ServiceSpec, SpreadOver,
    SpreadRule, StopSpec,
};

/// Most services of a random manifest.
pub const SERVICES_MAX: usize = 6;
/// Most replicas of one of its services.
pub const REPLICAS_MAX: u32 = 4;

/// Valid manifests of 1 to [`SERVICES_MAX`] services with 1 to [`REPLICAS_MAX`] replicas each.
///
/// Services depend on others without a loop, under every condition, and stand in the manifest in any order. Each replica
/// fits the smallest machine of [`crate::catalogue`]. Some services check their health, some keep their replicas apart
/// (no two on a machine, or evenly over zones), some manifests stay in the European Union. All of them have a place for
/// every replica. Shrinks to fewer services with fewer dependencies.
///
/// # Panics
/// Never: the names are constant.
pub fn manifests() -> impl Strategy<Value = Manifest> {
    let services = vec(sketch(), 1..=SERVICES_MAX);
    (services, any::<bool>(), any::<proptest::sample::Index>()).prop_map(|(sketches, eu, turn)| {
        let mut services: Vec<ServiceSpec> = sketches
            .iter()
            .enumerate()
            .map(|(i, sketch)| service(i, sketch))
            .collect();
        let turn = turn.index(services.len());
        services.rotate_left(turn);
        let mut residency = Residency::default();
        if eu {
            residency.allow.insert("EU".parse().expect("invariant: a jurisdiction"));
        }
        Manifest {
            name: "random".parse().expect("invariant: a name"),
            source: "random.toml".to_owned(),
            residency,
            budget: None,
            revenue: None,
            services,
            data: Vec::new(),
            moved: Vec::new(),
            imports: Vec::new(),
        }
    })
}

/// How replicas of a service keep apart.
#[derive(Debug, Clone, Copy)]
enum Apart {
    No,
    OnMachines,
    OverZones,
}

/// A service as it is drawn, before it knows its name.
#[derive(Debug, Clone)]
struct Sketch {
    replicas: u32,
    millicores: u64,
    mebibytes: u64,
    /// For each earlier service whether it is needed, and how.
    needs: Vec<Option<Condition>>,
    is_checked: bool,
    apart: Apart,
    rollout: Rollout,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let conditions = select(vec![Condition::Started, Condition::Healthy, Condition::Completed]);
    let strategies = select(vec![
        RolloutStrategy::Rolling,
        RolloutStrategy::Canary,
        RolloutStrategy::BlueGreen,
    ]);
    (
        (1..=REPLICAS_MAX, 1..=10_u64, 1..=16_u64),
        vec(proptest::option::weighted(0.4, conditions), SERVICES_MAX),
        any::<bool>(),
        select(vec![Apart::No, Apart::No, Apart::OnMachines, Apart::OverZones]),
        (strategies, 0..3_u32, 0..3_u32),
    )
        .prop_map(|((replicas, cpu, memory), needs, is_checked, apart, rollout)| Sketch {
            replicas,
            millicores: cpu * 50,
            mebibytes: memory * 64,
            needs,
            is_checked,
            apart,
            rollout: Rollout {
                strategy: rollout.0,
                max_unavailable: rollout.1,
                max_surge: rollout.2,
                ..Rollout::default()
            },
        })
}

/// Every service may need those before it: no loop.
fn service(index: usize, sketch: &Sketch) -> ServiceSpec {
    let name = name(index);
    let depends_on = sketch.needs[..index]
        .iter()
        .enumerate()
        .filter_map(|(earlier, needed)| {
            Some(Dependency {
                service: self::name(earlier),
                condition: (*needed)?,
                at: None,
            })
        });
    let spread = match sketch.apart {
        Apart::OverZones => vec![SpreadRule {
            over: SpreadOver::Zone,
            max_skew: NonZeroU32::MIN,
        }],
        Apart::No | Apart::OnMachines => Vec::new(),
    };
    ServiceSpec {
        at: None,
        replicas: NonZeroU32::new(sketch.replicas).unwrap_or(NonZeroU32::MIN),
        resources: Resources::new(
            Millicores::from_millicores(sketch.millicores),
            Bytes::from_bytes(sketch.mebibytes << 20),
        ),
        purchase: PurchasePreference::Any,
        depends_on: depends_on.collect(),
        synced: Vec::new(),
        data: Vec::new(),
        latency: Vec::new(),
        egress: Vec::new(),
        spread,
        affinity: Vec::new(),
        anti_affinity: if matches!(sketch.apart, Apart::OnMachines) {
            vec![name.clone()]
        } else {
            Vec::new()
        },
        labels: BTreeMap::new(),
        tolerations: Vec::new(),
        clouds: BTreeSet::new(),
        regions: BTreeSet::new(),
        residency: None,
        revenue: None,
        run: run(),
        health: sketch.is_checked.then(health),
        stop: StopSpec::default(),
        rollout: sketch.rollout.clone(),
        drift: BTreeMap::new(),
        name,
    }
}

fn name(index: usize) -> ServiceName {
    format!("s{index}").parse().expect("invariant: a name")
}

fn run() -> RunSpec {
    RunSpec {
        command: vec!["serve".to_owned()],
        ports: vec![PortSpec {
            name: "http".parse().expect("invariant: a port's name"),
            protocol: Protocol::Tcp,
            port: None,
        }],
        ..RunSpec::default()
    }
}

fn health() -> HealthCheck {
    HealthCheck {
        probe: HealthProbe::Tcp {
            port: "http".parse().expect("invariant: a port's name"),
        },
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        healthy_after: NonZeroU32::MIN,
        unhealthy_after: NonZeroU32::MIN,
        start_within: Duration::from_secs(20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #[test]
        fn every_manifest_is_within_its_bounds_and_needs_only_services_before_it(manifest in manifests()) {
            prop_assert!((1..=SERVICES_MAX).contains(&manifest.services.len()));
            for (index, service) in (0..manifest.services.len()).map(|i| (i, manifest.service(&name(i)))) {
                let service = service.expect("names are s0, s1, ... without a gap");
                prop_assert!((1..=REPLICAS_MAX).contains(&service.replicas.get()));
                let earlier: Vec<ServiceName> = (0..index).map(name).collect();
                prop_assert!(service.depends_on.iter().all(|d| earlier.contains(&d.service)));
            }
        }
    }
}
