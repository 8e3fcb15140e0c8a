//! Services under new names, and things to take over: that no two claims contradict each other.
//!
//! What runs and what a provider has is not known here; whether a claim finds anything is the plan's.

use super::super::de::Spanned;
use super::super::error::{Fault, ManifestErrorKind, shortened};
use super::super::limits::{CLAIMS_MAX, REPLICAS_MAX};
use super::super::raw::{RawImport, RawManifest, RawMoved};
use super::super::text::Span;
use super::names::Once;
use super::values::name;
use super::{Places, too_large};
use crate::{Import, Moved, ReplicaId, ReplicaRange, ServiceName, ServiceSpec};

/// Replicas that have another name now.
///
/// # Errors
/// [`Fault`] at ranges of different lengths, at a name that two claims give or take, at an old name that the manifest
/// still asks for, at a chain that comes back to where it began, and at a new name that nobody asks for.
pub(super) fn moves(raw: &RawManifest, services: &[ServiceSpec], places: &Places<'_>) -> Result<Vec<Moved>, Fault> {
    if let Some(moved) = raw.moved.get(CLAIMS_MAX) {
        return Err(too_large("moves", CLAIMS_MAX, moved.from.span));
    }
    let mut all: Vec<(Moved, &RawMoved)> = Vec::with_capacity(raw.moved.len());
    for written in &raw.moved {
        let moved = one(written, places)?;
        for (earlier, at) in &all {
            if earlier.from.overlaps(&moved.from) {
                return Err(conflict(&written.from, "moves away", at.from.span));
            }
            if earlier.to.overlaps(&moved.to) {
                return Err(conflict(&written.to, "is moved to", at.to.span));
            }
        }
        all.push((moved, written));
    }
    let asked = |range: &ReplicaRange| {
        let service = services.iter().find(|service| service.name == range.service);
        service.is_some_and(|service| range.bounds().0 < service.replicas.get())
    };
    let moves: Vec<Moved> = all.iter().map(|(moved, _)| moved.clone()).collect();
    for (i, (moved, written)) in all.iter().enumerate() {
        if let Some(path) = way_back(&moves, i) {
            return Err(Fault::at(written.from.span, ManifestErrorKind::MoveLoop { path }));
        }
        if asked(&moved.from) {
            let name = shortened(&written.from.value);
            return Err(Fault::at(
                written.from.span,
                ManifestErrorKind::MovedStillThere { name },
            ));
        }
        let goes_on = moves.iter().any(|next| next.from.overlaps(&moved.to));
        if !goes_on && !asked(&moved.to) {
            let known = services.iter().map(|service| service.name.as_str());
            let nearest = crate::nearest::nearest(moved.to.service.as_str(), known).map(str::to_owned);
            let name = shortened(&written.to.value);
            return Err(Fault::at(
                written.to.span,
                ManifestErrorKind::MovedNowhere { name, nearest },
            ));
        }
    }
    Ok(moves)
}

fn one(written: &RawMoved, places: &Places<'_>) -> Result<Moved, Fault> {
    let (from, to) = (range(&written.from)?, range(&written.to)?);
    let length = |range: &ReplicaRange| range.numbers.map(|(first, last)| last - first);
    if length(&from) != length(&to) {
        let expected = format!("as many replicas as `{from}` has");
        return Err(Fault::bad_value(written.to.span, &written.to.value, expected));
    }
    let at = Some(places.of(written.from.span));
    Ok(Moved { from, to, at })
}

/// `web`, `web/3` or `web/2-4`.
fn range(raw: &Spanned<String>) -> Result<ReplicaRange, Fault> {
    let (service, numbers) = match raw.value.split_once('/') {
        None => (raw.value.as_str(), None),
        Some((service, numbers)) => (service, Some(numbers.split_once('-').unwrap_or((numbers, numbers)))),
    };
    let service: ServiceName = name(&Spanned {
        span: raw.span,
        value: service.to_owned(),
    })?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| digits && *n < REPLICAS_MAX)
    };
    let expected = "a service, or `service/FIRST` or `service/FIRST-LAST` with numbers of its replicas";
    let bad = || Fault::bad_value(raw.span, &raw.value, expected);
    let numbers = match numbers {
        None => None,
        Some((first, last)) => {
            let (first, last) = (number(first).ok_or_else(bad)?, number(last).ok_or_else(bad)?);
            Some((first, last))
                .filter(|_| first <= last)
                .map(Some)
                .ok_or_else(bad)?
        }
    };
    Ok(ReplicaRange { service, numbers })
}

fn conflict(written: &Spanned<String>, how: &'static str, first: Span) -> Fault {
    let name = shortened(&written.value);
    Fault::move_conflict(name, how, written.span, first)
}

/// The names on the way from a move back to itself, if there is one. No two moves take from one name, so a whole range
/// has at most one way on for each of its replicas; ranges that overlap in part are followed as a whole.
fn way_back(moves: &[Moved], start: usize) -> Option<Vec<String>> {
    let mut came_from = vec![None; moves.len()];
    let mut open = std::collections::VecDeque::from([start]);
    while let Some(i) = open.pop_front() {
        for (next, moved) in moves.iter().enumerate() {
            if !moves[i].to.overlaps(&moved.from) {
                continue;
            }
            if next == start {
                let mut path = vec![moves[start].from.to_string()];
                let mut step = Some(i);
                let mut back = Vec::new();
                while let Some(at) = step {
                    back.push(moves[at].to.to_string());
                    step = if at == start { None } else { came_from[at] };
                }
                path.extend(back.into_iter().rev());
                return Some(path);
            }
            if came_from[next].is_none() {
                came_from[next] = Some(i);
                open.push_back(next);
            }
        }
    }
    None
}

/// Things to take over.
///
/// # Errors
/// [`Fault`] at a replica that the manifest does not ask for, and at a replica or resource that is there twice.
pub(super) fn imports(raw: &RawManifest, services: &[ServiceSpec], places: &Places<'_>) -> Result<Vec<Import>, Fault> {
    if let Some(import) = raw.import.get(CLAIMS_MAX) {
        return Err(too_large("imports", CLAIMS_MAX, import.replica.span));
    }
    let (mut replicas, mut resources) = (Once::new("import of"), Once::new("import of resource"));
    raw.import
        .iter()
        .map(|written| {
            replicas.check(&written.replica.value, written.replica.span)?;
            resources.check(&written.resource.value, written.resource.span)?;
            import(written, services, places)
        })
        .collect()
}

fn import(written: &RawImport, services: &[ServiceSpec], places: &Places<'_>) -> Result<Import, Fault> {
    let replica: ReplicaId = name(&written.replica)?;
    let service = services.iter().find(|service| service.name == *replica.service());
    if service.is_none_or(|service| service.replicas.get() <= replica.index()) {
        let expected = "a replica that the manifest asks for";
        return Err(Fault::bad_value(written.replica.span, &written.replica.value, expected));
    }
    Ok(Import {
        replica,
        resource: name(&written.resource)?,
        cloud: written.cloud.as_ref().map(name).transpose()?,
        taken_from: written.taken_from.as_ref().map(name).transpose()?,
        at: Some(places.of(written.replica.span)),
    })
}
