//! A service: its needs and the rules on where it runs.

use std::num::NonZeroU32;

use super::super::de::Spanned;
use super::super::error::{Fault, ManifestErrorKind};
use super::super::limits::REPLICAS_MAX;
use super::super::raw::{
    RawAffinity, RawCondition, RawEgress, RawLatency, RawResources, RawService, RawSpread, RawToleration,
};
use super::super::scalars::{Need, TextOr};
use super::names::{Names, Once};
use super::values::{bytes, cpu, duration, gpu, memory, name, positive, some_time};
use super::{Places, data, residency, revenue, rollout, run, too_large};
use crate::{
    Affinity, Condition, DataName, DataNeed, Dependency, EgressNeed, LatencyLimit, Link, Resources, Rollout,
    ServiceName, ServiceSpec, SpreadOver, SpreadRule, StopSpec, Toleration,
};

pub(super) fn service(raw: &RawService, names: &Names, places: &Places<'_>) -> Result<ServiceSpec, Fault> {
    let own_name: ServiceName = name(&raw.name)?;
    let run = run::run(&raw.run, names)?;
    let replicas = replicas(raw)?;
    Ok(ServiceSpec {
        at: Some(places.of(raw.name.span)),
        replicas,
        resources: resources(&raw.resources)?,
        purchase: raw.purchase,
        depends_on: dependencies(raw, &own_name, names, places)?,
        synced: synced(raw, names, places)?,
        data: data_used(raw, names)?,
        latency: each(&raw.latency.0, |limit| latency(limit, names, places))?,
        egress: each(&raw.egress.0, |need| egress(&need.value, names))?,
        spread: spread(&raw.spread.0)?,
        affinity: each(&raw.affinity.0, |rule| affinity(rule, names))?,
        anti_affinity: anti_affinity(raw, names)?,
        labels: raw.labels.clone(),
        tolerations: raw.tolerations.iter().map(toleration).collect(),
        clouds: each(&raw.clouds, name)?.into_iter().collect(),
        regions: each(&raw.regions, data::region)?.into_iter().collect(),
        residency: raw.residency.as_ref().map(|rule| residency(rule, places)).transpose()?,
        revenue: raw.revenue.as_ref().map(revenue).transpose()?,
        health: raw
            .health
            .as_ref()
            .map(|health| run::health(health, &run))
            .transpose()?,
        run,
        stop: match &raw.stop {
            Some(stop) => StopSpec {
                grace: duration(&stop.grace)?,
            },
            None => StopSpec::default(),
        },
        rollout: match &raw.rollout {
            Some(rollout) => rollout::rollout(rollout, replicas)?,
            None => Rollout::default(),
        },
        drift: raw.drift.as_ref().map(rollout::drift).unwrap_or_default(),
        name: own_name,
    })
}

fn each<R, T>(raw: &[R], check: impl Fn(&R) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    raw.iter().map(check).collect()
}

fn replicas(raw: &RawService) -> Result<NonZeroU32, Fault> {
    let Some(replicas) = &raw.replicas else {
        return Ok(NonZeroU32::MIN);
    };
    let number = positive(replicas)?;
    if number.get() > REPLICAS_MAX {
        return Err(too_large("replicas", REPLICAS_MAX, replicas.span));
    }
    Ok(number)
}

fn resources(raw: &RawResources) -> Result<Resources, Fault> {
    Ok(Resources {
        cpu: cpu(&raw.cpu)?,
        memory: memory(&raw.memory)?,
        disk: raw.disk.as_ref().map(bytes).transpose()?.unwrap_or_default(),
        gpu: raw.gpu.as_ref().map(gpu).transpose()?.unwrap_or_default(),
    })
}

fn dependencies(
    raw: &RawService,
    own_name: &ServiceName,
    names: &Names,
    places: &Places<'_>,
) -> Result<Vec<Dependency>, Fault> {
    let mut seen = Once::new("dependency");
    let mut all = Vec::with_capacity(raw.depends_on.0.len());
    for need in &raw.depends_on.0 {
        let Some((used, condition)) = service_need(need)? else {
            continue;
        };
        if used.value == own_name.as_str() {
            let name = used.value.clone();
            return Err(Fault::at(used.span, ManifestErrorKind::SelfDependency { name }));
        }
        seen.check(&used.value, used.span)?;
        all.push(Dependency {
            service: names.service(used)?,
            condition,
            at: Some(places.of(used.span)),
        });
    }
    Ok(all)
}

/// The service of a dependency and what it is to have reached; `None`: it is about a data set.
fn service_need(need: &Need) -> Result<Option<(&Spanned<String>, Condition)>, Fault> {
    let table = match need {
        Need::Service(used, condition) => return Ok(Some((used, *condition))),
        Need::Table(table) => table,
    };
    let Some(used) = &table.value.service else {
        return match table.value.data {
            Some(_) => Ok(None),
            None => {
                let expected = "exactly one of `service`, `data`";
                Err(Fault::at(table.span, ManifestErrorKind::KeyChoice { expected }))
            }
        };
    };
    let expected = if table.value.data.is_some() {
        "exactly one of `service`, `data`"
    } else if table.value.max_age.is_some() {
        "`max_age` beside `data` only"
    } else {
        let condition = match table.value.condition {
            None | Some(RawCondition::Healthy) => Some(Condition::Healthy),
            Some(RawCondition::Started) => Some(Condition::Started),
            Some(RawCondition::Completed) => Some(Condition::Completed),
            Some(RawCondition::Synced) => None,
        };
        match condition {
            Some(condition) => return Ok(Some((used, condition))),
            None => "`synced` beside `data` only",
        }
    };
    Err(Fault::at(table.span, ManifestErrorKind::KeyChoice { expected }))
}

/// Data sets that must have been verified before the service starts.
fn synced(raw: &RawService, names: &Names, places: &Places<'_>) -> Result<Vec<DataNeed>, Fault> {
    let mut seen = Once::new("dependency on data set");
    let mut all = Vec::new();
    for need in &raw.depends_on.0 {
        let Need::Table(table) = need else { continue };
        let Some(used) = &table.value.data else { continue };
        if !matches!(table.value.condition, None | Some(RawCondition::Synced)) {
            let expected = "`synced` for a data set";
            return Err(Fault::at(table.span, ManifestErrorKind::KeyChoice { expected }));
        }
        seen.check(&used.value, used.span)?;
        all.push(DataNeed {
            data: names.data(used)?,
            max_age: table.value.max_age.as_ref().map(some_time).transpose()?,
            at: Some(places.of(used.span)),
        });
    }
    Ok(all)
}

fn data_used(raw: &RawService, names: &Names) -> Result<Vec<DataName>, Fault> {
    let mut seen = Once::new("data set");
    each(&raw.data, |used| names.data(used))?;
    for used in &raw.data {
        seen.check(&used.value, used.span)?;
    }
    each(&raw.data, name)
}

fn latency(raw: &Spanned<RawLatency>, names: &Names, places: &Places<'_>) -> Result<LatencyLimit, Fault> {
    let to = names.link(&raw.value.to)?;
    if to == Link::Internet {
        let expected = "a service or data set: nobody can bound the way to everywhere";
        return Err(Fault::bad_value(raw.value.to.span, &raw.value.to.value, expected));
    }
    Ok(LatencyLimit {
        to,
        max: some_time(&raw.value.max)?,
        at: Some(places.of(raw.span)),
    })
}

fn egress(raw: &RawEgress, names: &Names) -> Result<EgressNeed, Fault> {
    Ok(EgressNeed {
        to: names.link(&raw.to)?,
        per_month: bytes(&raw.per_month)?,
    })
}

fn spread(raw: &[Spanned<RawSpread>]) -> Result<Vec<SpreadRule>, Fault> {
    let mut seen = Once::new("rule of spreading over");
    let mut all = Vec::with_capacity(raw.len());
    for rule in raw {
        let over = match rule.value.over {
            SpreadOver::Machine => "machine",
            SpreadOver::Zone => "zone",
            SpreadOver::Region => "region",
            SpreadOver::Cloud => "cloud",
        };
        seen.check(over, rule.span)?;
        all.push(SpreadRule {
            over: rule.value.over,
            max_skew: rule
                .value
                .max_skew
                .as_ref()
                .map(positive)
                .transpose()?
                .unwrap_or(NonZeroU32::MIN),
        });
    }
    Ok(all)
}

fn affinity(raw: &Spanned<TextOr<RawAffinity>>, names: &Names) -> Result<Affinity, Fault> {
    let (service, within) = match &raw.value {
        TextOr::Text(service) => (names.service_named(service, raw.span)?, None),
        TextOr::Table(RawAffinity { service, within }) => (names.service(service)?, *within),
    };
    let within = within.unwrap_or(SpreadOver::Machine);
    Ok(Affinity { service, within })
}

fn anti_affinity(raw: &RawService, names: &Names) -> Result<Vec<ServiceName>, Fault> {
    let mut seen = Once::new("anti-affinity to");
    let mut all = Vec::with_capacity(raw.anti_affinity.len());
    for used in &raw.anti_affinity {
        seen.check(&used.value, used.span)?;
        all.push(names.service(used)?);
    }
    Ok(all)
}

fn toleration(raw: &RawToleration) -> Toleration {
    Toleration {
        key: raw.key.clone(),
        value: raw.value.clone(),
    }
}
