//! From what is written to what is meant: document types to the checked types of core.
//!
//! Every error is at the value that causes it. What needs the whole graph (cycles), a catalogue (places) or prices
//! (budget) is not checked here.

mod data;
mod names;
mod rollout;
mod run;
mod service;
mod succession;
mod values;

use names::Names;
use values::{money, name, text_of};

use super::de::Spanned;
use super::error::{Fault, ManifestErrorKind};
use super::limits::{DATA_SETS_MAX, REPLICAS_TOTAL_MAX, SERVICES_MAX};
use super::raw::{RawManifest, RawResidency, RawRevenue};
use super::scalars::VersionText;
use super::text::{Span, Text};
use crate::{Budget, Jurisdiction, Location, Manifest, Residency, Revenue};

/// The version of the manifest's form that this program reads.
const MANIFEST_VERSION: &str = "1";

/// The manifest that a document means.
///
/// # Errors
/// [`Fault`] at the first value that cannot be accepted.
pub(super) fn manifest(raw: RawManifest, text: &Text<'_>) -> Result<Manifest, Fault> {
    check_version(&raw.version)?;
    check_sizes(&raw)?;
    let places = Places { text };
    let names = Names::of(&raw)?;
    let residency = raw
        .residency
        .as_ref()
        .map(|rule| residency(rule, &places))
        .transpose()?;
    let mut replicas_left = REPLICAS_TOTAL_MAX;
    let mut services = Vec::with_capacity(raw.service.len());
    for service in &raw.service {
        let spec = service::service(service, &names, &places)?;
        replicas_left = replicas_left
            .checked_sub(u64::from(spec.replicas.get()))
            .ok_or_else(|| too_large("replicas", REPLICAS_TOTAL_MAX, service.name.span))?;
        services.push(spec);
    }
    let moved = succession::moves(&raw, &services, &places)?;
    let imports = succession::imports(&raw, &services, &places)?;
    Ok(Manifest {
        name: name(&raw.name)?,
        source: text.name.to_owned(),
        residency: residency.unwrap_or_default(),
        budget: raw
            .budget
            .as_ref()
            .map(|budget| {
                Ok(Budget {
                    per_month: money(&budget.value.usd_per_month)?,
                    at: Some(places.of(budget.span)),
                })
            })
            .transpose()?,
        revenue: raw.revenue.as_ref().map(revenue).transpose()?,
        services,
        data: raw
            .data
            .iter()
            .map(|set| data::data_set(set, &places))
            .collect::<Result<_, _>>()?,
        moved,
        imports,
    })
}

/// Where spans are, for the locations that the checked types keep.
struct Places<'t> {
    text: &'t Text<'t>,
}

impl Places<'_> {
    fn of(&self, span: Span) -> Location {
        self.text.location(span.start)
    }
}

fn check_version(version: &Spanned<VersionText>) -> Result<(), Fault> {
    if version.value.0 == MANIFEST_VERSION {
        return Ok(());
    }
    let found = text_of(&version.value.0);
    Err(Fault::at(version.span, ManifestErrorKind::UnsupportedVersion { found }))
}

fn too_large(what: &'static str, limit: impl TryInto<u64>, span: Span) -> Fault {
    let limit = limit.try_into().unwrap_or(u64::MAX);
    Fault::at(span, ManifestErrorKind::TooLarge { what, limit })
}

fn check_sizes(raw: &RawManifest) -> Result<(), Fault> {
    if let Some(service) = raw.service.get(SERVICES_MAX) {
        return Err(too_large("services", SERVICES_MAX, service.name.span));
    }
    if let Some(data) = raw.data.get(DATA_SETS_MAX) {
        return Err(too_large("data sets", DATA_SETS_MAX, data.name.span));
    }
    if raw.service.is_empty() && raw.data.is_empty() {
        // An empty deployment would mean "remove everything": more likely the text was cut.
        return Err(Fault::somewhere(ManifestErrorKind::MissingKey { key: "service" }));
    }
    Ok(())
}

/// A residency rule. A list that is there may not be empty: it would read as "nowhere" and mean "anywhere".
fn residency(rule: &Spanned<RawResidency>, places: &Places<'_>) -> Result<Residency, Fault> {
    let codes = |list: &Option<Spanned<Vec<Spanned<String>>>>| match list {
        None => Ok(Default::default()),
        Some(list) if list.value.is_empty() => {
            let expected = "at least one jurisdiction";
            Err(Fault::bad_value(list.span, "[]", expected))
        }
        Some(list) => list.value.iter().map(name::<Jurisdiction>).collect::<Result<_, _>>(),
    };
    let (allow, deny) = (codes(&rule.value.allow)?, codes(&rule.value.deny)?);
    if rule.value.allow.is_none() && rule.value.deny.is_none() {
        let expected = "at least one of `allow`, `deny`";
        return Err(Fault::at(rule.span, ManifestErrorKind::KeyChoice { expected }));
    }
    let at = Some(places.of(rule.span));
    Ok(Residency { allow, deny, at })
}

fn revenue(raw: &RawRevenue) -> Result<Revenue, Fault> {
    let per_hour = money(&raw.usd_per_hour)?;
    Ok(Revenue { per_hour })
}
