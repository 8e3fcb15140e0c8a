//! Cases about bytes that somebody has changed: never a silent loss in the middle.

use super::support::{Found, Tried, done, entries, holds, take, texts};
use super::{Damage, Subject};
use crate::store::{Document, Entry, StoreError};

/// Twelve entries in three batches, given back, then damaged. What a new holder reads of them.
async fn damaged(subject: &dyn Subject, damage: Damage) -> Tried<Result<Vec<Entry>, StoreError>> {
    let session = take(&subject.open(), "a").await?;
    for batch in 0..3 {
        done("an append", session.append(&entries(batch * 4..batch * 4 + 4)).await)?;
    }
    done("a replacement", session.replace(Document::STATE, b"{}").await)?;
    done("a release", session.release().await)?;
    drop(session);
    if !subject.damage(damage).await {
        return Err(Found::Untried("nobody gets behind this store".to_owned()));
    }
    let opened = subject.open().take(&super::support::ask("b")).await;
    Ok(match opened {
        Ok(session) => session.journal().await,
        Err(error) => Err(error),
    })
}

fn is_about_bytes<T>(read: &Result<T, StoreError>) -> bool {
    matches!(read, Err(StoreError::Damaged { .. } | StoreError::Format { .. }))
}

pub(super) async fn a_torn_journal_gives_its_beginning_or_an_error(subject: &dyn Subject) -> Tried {
    let read = damaged(subject, Damage::Torn).await?;
    let is_beginning = read
        .as_ref()
        .is_ok_and(|read| texts(&entries(0..12)).starts_with(&texts(read)));
    holds(
        "a torn journal that is neither an error nor a beginning",
        is_beginning || is_about_bytes(&read),
    )
}

pub(super) async fn a_flipped_bit_is_seen(subject: &dyn Subject) -> Tried {
    let read = damaged(subject, Damage::Flipped).await?;
    holds("a flipped bit that nobody has seen", is_about_bytes(&read))
}

pub(super) async fn swapped_entries_are_seen(subject: &dyn Subject) -> Tried {
    let read = damaged(subject, Damage::Swapped).await?;
    holds("swapped entries that nobody has seen", is_about_bytes(&read))
}

pub(super) async fn a_missing_part_is_seen(subject: &dyn Subject) -> Tried {
    let read = damaged(subject, Damage::Removed).await?;
    holds("a missing part that nobody has seen", is_about_bytes(&read))
}

pub(super) async fn a_later_version_is_refused_and_left_alone(subject: &dyn Subject) -> Tried {
    let read = damaged(subject, Damage::Later).await?;
    holds(
        "a later version that was not refused",
        matches!(read, Err(StoreError::Version { .. })),
    )?;
    drop(read);
    // Nothing has made it an earlier one.
    let again = match subject.open().take(&super::support::ask("c")).await {
        Ok(session) => session.journal().await.map(drop),
        Err(error) => Err(error),
    };
    holds(
        "a later version that was changed",
        matches!(again, Err(StoreError::Version { .. })),
    )
}
