//! What an option lacks, in words: what was asked and what there was.

use skyloom_core::{Dimension, Filter};

use super::judge::Place;
use crate::model::{Model, Opt, label, residency_text};
use crate::state::State;

/// What was asked and what was there.
pub(super) fn detail(model: &Model<'_>, state: &State, service: usize, place: Place, filter: Filter) -> String {
    let spec = model.services[service].spec;
    let option = &model.options[place.option];
    let amount = |d: Dimension| {
        let (asked, whole) = (spec.resources.get(d), option.capacity.get(d));
        let free = whole.saturating_sub(place.slot.map_or(0, |s| state.slots[s].used.get(d)));
        match d {
            Dimension::Cpu => format!("asks for `{asked}m` cores, there is `{free}m`"),
            Dimension::Gpu => {
                format!("asks for `{asked}m` GPU devices, there is `{free}m` (shares stay on one device)")
            }
            Dimension::Memory | Dimension::Disk => {
                let bytes = skyloom_core::Bytes::from_bytes;
                format!("asks for `{}` {d}, there is `{}`", bytes(asked), bytes(free))
            }
        }
    };
    match filter {
        Filter::NotReady => "takes no new replicas".to_owned(),
        Filter::Place => {
            let clouds = spec.clouds.iter().map(ToString::to_string);
            let names: Vec<String> = clouds.chain(spec.regions.iter().map(ToString::to_string)).collect();
            format!("only `{}` asked for", names.join(", "))
        }
        Filter::Residency => residency(model, service, option),
        Filter::Purchase => format!("is `{}`", option.purchase),
        Filter::Labels => labels(model, service, option),
        Filter::Taints => {
            let taints = option.node.map_or(&[][..], |n| &n.taints);
            let taint = taints.iter().find(|t| !spec.tolerations.iter().any(|o| o.covers(t)));
            taint.map_or_else(String::new, |t| {
                format!("taint `{}={}` is not tolerated", t.key, t.value)
            })
        }
        Filter::Cpu => amount(Dimension::Cpu),
        Filter::Memory => amount(Dimension::Memory),
        Filter::Disk => amount(Dimension::Disk),
        Filter::Gpu => amount(Dimension::Gpu),
        Filter::Latency => {
            let limits: Vec<String> = spec
                .latency
                .iter()
                .map(|l| format!("{} within {:?}", l.to, l.max))
                .collect();
            if limits.is_empty() {
                "too far from services that must reach it".to_owned()
            } else {
                format!("asks for {}", limits.join(", "))
            }
        }
        Filter::Affinity => "no replica that it must be near is there".to_owned(),
        Filter::AntiAffinity => "a replica that it must be away from is there".to_owned(),
        Filter::Spread => "its domain holds as many more than the least used one as the rule allows".to_owned(),
        Filter::Quota => quota(model, state, option),
        Filter::Budget => "the budget would be exceeded".to_owned(),
    }
}

/// Which quota does not allow one more machine, and what is left of it.
fn quota(model: &Model<'_>, state: &State, option: &Opt<'_>) -> String {
    let Some(number) = model.beyond_quota(option, &state.quota_used) else {
        return "the quota is used up".to_owned();
    };
    let left = model.quota_left[number].saturating_sub(state.quota_used[number]);
    let asked = option
        .quotas
        .iter()
        .find(|(quota, _)| *quota == number)
        .map_or(0, |(_, amount)| *amount);
    let quota = &model.quotas[number];
    format!(
        "takes `{asked}` {}, `{left}` are left of the quota of `{quota}`",
        quota.unit
    )
}

/// The laws of a place, and what is allowed.
fn residency(model: &Model<'_>, service: usize, option: &Opt<'_>) -> String {
    let info = model.regions[option.region].info.iter();
    let laws: Vec<String> = info.flat_map(|i| &i.jurisdictions).map(ToString::to_string).collect();
    let own = &model.services[service].spec.residency;
    let rules = std::iter::once(&model.problem.manifest.residency).chain(own);
    let allowed: Vec<String> = rules.map(residency_text).collect();
    let laws = if laws.is_empty() {
        "unknown".to_owned()
    } else {
        laws.join(", ")
    };
    format!("jurisdiction `{laws}`, allowed `{}`", allowed.join("` and `"))
}

/// The first label that is wrong.
fn labels(model: &Model<'_>, service: usize, option: &Opt<'_>) -> String {
    let asked = model.services[service].spec.labels.iter();
    let found = |key: &String| label(model, option, key);
    let wrong = asked
        .into_iter()
        .find(|(key, value)| found(key).as_ref() != Some(value));
    let Some((key, asked)) = wrong else {
        return String::new();
    };
    let found = found(key).unwrap_or_default();
    format!("label `{key}` is `{found}`, asked for `{asked}`")
}
