//! What the cases have in common: asking, expecting, and entries that can be told apart.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::to_raw_value;

use super::Subject;
use crate::store::{Ask, ControlStore, Entry, Session, StoreError};

/// Why a case has not passed.
#[derive(Debug)]
pub(super) enum Found {
    /// The promise is broken.
    Broken(String),
    /// There was no way to try.
    Untried(String),
}

pub(super) type Tried<T = ()> = Result<T, Found>;

/// How long the leases of the suite last.
pub(super) const TTL: Duration = Duration::from_secs(20);
/// How many race.
pub(super) const RACERS: usize = 64;

pub(super) fn ask(holder: &str) -> Ask {
    let holder = holder.to_owned();
    Ask { holder, ttl: TTL }
}

/// What must succeed.
pub(super) fn done<T>(what: &str, result: Result<T, StoreError>) -> Tried<T> {
    result.map_err(|error| Found::Broken(format!("{what} failed: {}", crate::call::chain(&error))))
}

pub(super) fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Tried {
    if found == expected {
        return Ok(());
    }
    let short = |value: &T| format!("{value:?}").chars().take(300).collect::<String>();
    let (found, expected) = (short(found), short(expected));
    Err(Found::Broken(format!("{what}: expected {expected}, found {found}")))
}

pub(super) fn holds(what: &str, is_so: bool) -> Tried {
    if is_so {
        Ok(())
    } else {
        Err(Found::Broken(what.to_owned()))
    }
}

/// What must be refused because somebody else has the lease.
pub(super) fn fenced<T>(what: &str, result: Result<T, StoreError>) -> Tried {
    match result {
        Err(StoreError::Fenced { .. }) => Ok(()),
        Err(error) => Err(Found::Broken(format!("{what}: expected to be fenced, found: {error}"))),
        Ok(_) => Err(Found::Broken(format!("{what}: was not refused"))),
    }
}

pub(super) async fn take(store: &Arc<dyn ControlStore>, holder: &str) -> Tried<Arc<dyn Session>> {
    done("taking a free lease", store.take(&ask(holder)).await)
}

/// Takes a lease that another session holds and that lapses meanwhile.
pub(super) async fn take_over(subject: &dyn Subject, holder: &str) -> Tried<Arc<dyn Session>> {
    let store = subject.open();
    // The first look may be what its time is counted from.
    refused_as_held(store.take(&ask(holder)).await)?;
    subject.lapse().await;
    done("taking a lapsed lease", store.take(&ask(holder)).await)
}

pub(super) fn refused_as_held(taken: Result<Arc<dyn Session>, StoreError>) -> Tried {
    match taken {
        Err(StoreError::Held { .. }) => Ok(()),
        Err(error) => Err(Found::Broken(format!(
            "expected that the lease is held, found: {error}"
        ))),
        Ok(session) => Err(Found::Broken(format!(
            "a held lease was given away, with epoch {}",
            session.epoch()
        ))),
    }
}

/// An entry with this number and some text that is awkward to keep.
pub(super) fn entry(number: usize) -> Entry {
    let text = format!(
        "line\nend, \"quote\", back\\slash, nul \0, snow \u{2603}, tail {}",
        "x".repeat(number % 50)
    );
    to_raw_value(&(number, text)).expect("invariant: a pair has a JSON form")
}

pub(super) fn entries(range: std::ops::Range<usize>) -> Vec<Entry> {
    range.map(entry).collect()
}

/// Entries as they can be compared.
pub(super) fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.get().to_owned()).collect()
}

/// The journal is exactly this.
pub(super) async fn journal_is(session: &Arc<dyn Session>, expected: &[Entry]) -> Tried {
    let found = done("reading the journal", session.journal().await)?;
    same("the journal", &texts(&found), &texts(expected))
}
