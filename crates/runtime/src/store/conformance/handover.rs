//! Cases about what an earlier holder can still do, and what a later one finds.

use std::sync::Arc;

use super::Subject;
use super::support::{
    Found, Tried, ask, done, entries, fenced, journal_is, refused_as_held, same, take, take_over, texts,
};
use crate::store::{Document, Session, StoreError};

/// An earlier holder and a later one; the store has three entries and a document.
async fn handed_over(subject: &dyn Subject) -> Tried<(Arc<dyn Session>, Arc<dyn Session>)> {
    let stale = take(&subject.open(), "stale").await?;
    done("an append", stale.append(&entries(0..3)).await)?;
    done("a replacement", stale.replace(Document::STATE, b"first").await)?;
    let later = take_over(subject, "later").await?;
    Ok((stale, later))
}

async fn unchanged(session: &Arc<dyn Session>) -> Tried {
    journal_is(session, &entries(0..3)).await?;
    let state = done("reading", session.read(Document::STATE).await)?;
    same("the document", &state.as_deref(), &Some(&b"first"[..]))?;
    let healing = done("reading", session.read(Document::HEALING).await)?;
    same("another document", &healing, &None)
}

/// Nothing has changed for the later holder, which goes on, nor for whoever comes next.
async fn goes_on(subject: &dyn Subject, later: &Arc<dyn Session>) -> Tried {
    unchanged(later).await?;
    done("renewing", later.renew().await)?;
    done("appending", later.append(&entries(3..5)).await)?;
    done("replacing", later.replace(Document::STATE, b"second").await)?;
    done("a release", later.release().await)?;
    let next = take(&subject.open(), "next").await?;
    journal_is(&next, &entries(0..5)).await?;
    let state = done("reading", next.read(Document::STATE).await)?;
    same("the document", &state.as_deref(), &Some(&b"second"[..]))
}

pub(super) async fn a_stale_append_is_fenced_and_has_no_effect(subject: &dyn Subject) -> Tried {
    let (stale, later) = handed_over(subject).await?;
    fenced("a stale append", stale.append(&entries(10..12)).await)?;
    fenced("a second stale append", stale.append(&entries(10..12)).await)?;
    goes_on(subject, &later).await?;
    fenced(
        "a stale append beside the next holder",
        stale.append(&entries(10..12)).await,
    )
}

pub(super) async fn a_stale_replacement_is_fenced_and_has_no_effect(subject: &dyn Subject) -> Tried {
    let (stale, later) = handed_over(subject).await?;
    fenced("a stale replacement", stale.replace(Document::STATE, b"stale").await)?;
    fenced("a stale new document", stale.replace(Document::HEALING, b"stale").await)?;
    goes_on(subject, &later).await
}

pub(super) async fn a_stale_reset_is_fenced_and_has_no_effect(subject: &dyn Subject) -> Tried {
    let (stale, later) = handed_over(subject).await?;
    fenced("a stale reset", stale.reset().await)?;
    goes_on(subject, &later).await
}

pub(super) async fn a_stale_renewal_is_fenced(subject: &dyn Subject) -> Tried {
    let (stale, later) = handed_over(subject).await?;
    fenced("a stale renewal", stale.renew().await)?;
    fenced("an append after it", stale.append(&entries(10..12)).await)?;
    goes_on(subject, &later).await
}

pub(super) async fn a_stale_release_frees_nothing(subject: &dyn Subject) -> Tried {
    let (stale, later) = handed_over(subject).await?;
    // Whatever it says: it has nothing to give back.
    let _ = stale.release().await;
    refused_as_held(subject.open().take(&ask("third")).await)?;
    goes_on(subject, &later).await
}

/// An earlier holder that writes without a pause while a later one takes over: once the later one has read the journal,
/// nobody but itself changes it. Run again and again with the writer at another point of its work.
pub(super) async fn what_a_new_holder_has_read_stays(subject: &dyn Subject) -> Tried {
    const ROUNDS: usize = 6;
    for round in 0..ROUNDS {
        let stale = take(&subject.open(), "stale").await?;
        done("a reset", stale.reset().await)?;
        let store = subject.open();
        refused_as_held(store.take(&ask("later")).await)?;
        let writer = tokio::spawn(write_until_fenced(stale));
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        subject.lapse().await;
        let later = done("taking a lapsed lease", store.take(&ask("later")).await)?;
        let read = texts(&done("reading the journal", later.journal().await)?);
        let state = done("reading", later.read(Document::STATE).await)?;
        let written = writer
            .await
            .map_err(|error| Found::Broken(format!("the writer panicked: {error}")))??;
        let again = texts(&done("reading the journal again", later.journal().await)?);
        same("the journal, read again", &again, &read)?;
        let state_again = done("reading", later.read(Document::STATE).await)?;
        same("the document, read again", &state_again, &state)?;
        let acknowledged = texts(&entries(0..written));
        // One more may have been written without its writer being told.
        let is_prefix = read.starts_with(&acknowledged) && read.len() <= written + 1;
        super::support::holds("acknowledged entries that are not there, or others that are", is_prefix)?;
        done("a reset", later.reset().await)?;
        done("a release", later.release().await)?;
    }
    Ok(())
}

/// Writes entry after entry, and how many there are as a document; the number of entries that were acknowledged.
async fn write_until_fenced(session: Arc<dyn Session>) -> Tried<usize> {
    /// Enough for a handover in between; whether a stale writer is refused is another case.
    const ENTRIES_MAX: usize = 200;
    for number in 0..ENTRIES_MAX {
        match session.append(&entries(number..number + 1)).await {
            Ok(()) => {}
            Err(StoreError::Fenced { .. }) => return Ok(number),
            Err(error) => {
                return Err(Found::Broken(format!(
                    "the writer failed: {}",
                    crate::call::chain(&error)
                )));
            }
        }
        match session.replace(Document::STATE, number.to_string().as_bytes()).await {
            Ok(()) => {}
            Err(StoreError::Fenced { .. }) => return Ok(number + 1),
            Err(error) => {
                return Err(Found::Broken(format!(
                    "the writer failed: {}",
                    crate::call::chain(&error)
                )));
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(ENTRIES_MAX)
}

pub(super) async fn everything_acknowledged_is_handed_over(subject: &dyn Subject) -> Tried {
    let mut expected = 0;
    // Kept: a holder that is gone gives its lease back in some stores.
    let mut holders = Vec::new();
    for holder in 0..4 {
        let session = if holder == 0 {
            take(&subject.open(), "first").await?
        } else {
            take_over(subject, "next").await?
        };
        journal_is(&session, &entries(0..expected)).await?;
        for _ in 0..3 {
            done("an append", session.append(&entries(expected..expected + 2)).await)?;
            expected += 2;
        }
        journal_is(&session, &entries(0..expected)).await?;
        holders.push(session);
    }
    Ok(())
}
