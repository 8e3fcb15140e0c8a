//! Cases about journal and documents of one holder.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::join_all;
use serde_json::value::to_raw_value;

use super::Subject;
use super::support::{Found, Tried, ask, done, entries, entry, holds, journal_is, same, take, take_over, texts};
use crate::store::{Document, Entry, Session, StoreError};

async fn document_is(session: &Arc<dyn Session>, document: Document, expected: Option<&[u8]>) -> Tried {
    let read = done("reading a document", session.read(document).await)?;
    same(document.name(), &read.as_deref(), &expected)
}

/// The same store after its holder has gone.
async fn reopened(subject: &dyn Subject, session: Arc<dyn Session>) -> Tried<Arc<dyn Session>> {
    done("a release", session.release().await)?;
    drop(session);
    subject.crash().await;
    take(&subject.open(), "again").await
}

pub(super) async fn a_document_is_replaced_as_a_whole(subject: &dyn Subject) -> Tried {
    let mut session = take(&subject.open(), "a").await?;
    let values: [&[u8]; 4] = [b"a longer first value", b"short", b"", b"\0\xff\n\"'\\ not text"];
    for value in values {
        done("a replacement", session.replace(Document::HEALING, value).await)?;
        document_is(&session, Document::HEALING, Some(value)).await?;
        document_is(&session, Document::STATE, None).await?;
        session = reopened(subject, session).await?;
        document_is(&session, Document::HEALING, Some(value)).await?;
    }
    done("a replacement", session.replace(Document::STATE, b"{}").await)?;
    document_is(&session, Document::HEALING, Some(values[3])).await?;
    document_is(&session, Document::STATE, Some(b"{}")).await
}

pub(super) async fn a_reader_sees_one_document_or_the_other(subject: &dyn Subject) -> Tried {
    const ROUNDS: usize = 20;
    let session = take(&subject.open(), "a").await?;
    let (one, other) = (vec![b'1'; 30_000], vec![b'2'; 20_000]);
    done("a replacement", session.replace(Document::STATE, &one).await)?;
    let writing = async {
        for round in 0..ROUNDS {
            let value = if round % 2 == 0 { &other } else { &one };
            done("a replacement", session.replace(Document::STATE, value).await)?;
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let reading = async {
        for _ in 0..ROUNDS {
            let read = done("reading", session.read(Document::STATE).await)?;
            let is_whole = read.as_ref().is_some_and(|read| *read == one || *read == other);
            holds("a document that was never written", is_whole)?;
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let (written, read) = futures::join!(writing, reading);
    written.and(read)
}

pub(super) async fn a_big_document_comes_back(subject: &dyn Subject) -> Tried {
    const BYTES: usize = 4 << 20;
    let session = take(&subject.open(), "a").await?;
    let big: Vec<u8> = (0..BYTES).map(|i| u8::try_from(i % 251).unwrap_or(0)).collect();
    done(
        "replacing a document of 4 MiB",
        session.replace(Document::STATE, &big).await,
    )?;
    let long = to_raw_value(&"y".repeat(1 << 20)).expect("invariant: text has a JSON form");
    done(
        "appending an entry of 1 MiB",
        session.append(&[entry(0), long.clone()]).await,
    )?;
    let session = reopened(subject, session).await?;
    let read = done("reading", session.read(Document::STATE).await)?;
    holds("a big document that has changed", read.as_ref() == Some(&big))?;
    journal_is(&session, &[entry(0), long]).await
}

pub(super) async fn entries_come_back_in_order(subject: &dyn Subject) -> Tried {
    let mut session = take(&subject.open(), "a").await?;
    let mut next = 0;
    for batch in [1, 0, 5, 1, 100, 2] {
        done("an append", session.append(&entries(next..next + batch)).await)?;
        next += batch;
        journal_is(&session, &entries(0..next)).await?;
        session = reopened(subject, session).await?;
        journal_is(&session, &entries(0..next)).await?;
    }
    Ok(())
}

/// The store after a crash straight behind the last write: a crash gives nothing back.
async fn crashed(subject: &dyn Subject, session: Arc<dyn Session>) -> Tried<Arc<dyn Session>> {
    drop(session);
    subject.crash().await;
    match subject.open().take(&ask("again")).await {
        Ok(session) => Ok(session),
        Err(StoreError::Held { .. }) => take_over(subject, "again").await,
        Err(error) => done("taking the lease after a crash", Err(error)),
    }
}

pub(super) async fn what_is_acknowledged_survives_a_crash(subject: &dyn Subject) -> Tried {
    let mut session = take(&subject.open(), "a").await?;
    done("an append", session.append(&entries(0..7)).await)?;
    session = crashed(subject, session).await?;
    journal_is(&session, &entries(0..7)).await?;
    done("an append", session.append(&entries(7..9)).await)?;
    done("a replacement", session.replace(Document::STATE, b"kept").await)?;
    session = crashed(subject, session).await?;
    document_is(&session, Document::STATE, Some(b"kept")).await?;
    journal_is(&session, &entries(0..9)).await?;
    done("a reset", session.reset().await)?;
    session = crashed(subject, session).await?;
    journal_is(&session, &[]).await?;
    document_is(&session, Document::STATE, Some(b"kept")).await
}

pub(super) async fn a_reset_empties_the_journal_for_good(subject: &dyn Subject) -> Tried {
    let mut session = take(&subject.open(), "a").await?;
    done("resetting an empty journal", session.reset().await)?;
    for round in 0..3 {
        done("an append", session.append(&entries(0..4 + round)).await)?;
        done("an append", session.append(&entries(0..1)).await)?;
        done("a reset", session.reset().await)?;
        journal_is(&session, &[]).await?;
        session = reopened(subject, session).await?;
        journal_is(&session, &[]).await?;
    }
    done("an append after a reset", session.append(&entries(5..6)).await)?;
    let session = reopened(subject, session).await?;
    journal_is(&session, &entries(5..6)).await
}

pub(super) async fn writes_and_renewals_beside_each_other_all_hold(subject: &dyn Subject) -> Tried {
    const BATCHES: usize = 8;
    let session = take(&subject.open(), "a").await?;
    let appends = (0..BATCHES).map(|batch| {
        let session = Arc::clone(&session);
        async move {
            done("an append", session.append(&entries(batch * 10..batch * 10 + 3)).await)?;
            done("a renewal", session.renew().await)?;
            done("a replacement", session.replace(Document::STATE, b"x").await)
        }
    });
    for written in join_all(appends).await {
        written?;
    }
    let found = texts(&done("reading the journal", session.journal().await)?);
    let mut batches: Vec<&[String]> = found.chunks(3).collect();
    batches.sort();
    let expected: Vec<Vec<String>> = (0..BATCHES).map(|b| texts(&entries(b * 10..b * 10 + 3))).collect();
    let mut expected: Vec<&[String]> = expected.iter().map(Vec::as_slice).collect();
    expected.sort();
    same("batches, each in one piece", &batches, &expected)
}

/// A future that is dropped after each number of polls: its write is there as a whole or not at all, and the session goes
/// on, at the latest after it has read its journal.
pub(super) async fn a_dropped_write_happens_as_a_whole_or_not(subject: &dyn Subject) -> Tried {
    const POLLS: usize = 4;
    let session = take(&subject.open(), "a").await?;
    let mut known: Vec<Entry> = Vec::new();
    for polls in 0..POLLS {
        let batch = entries(polls * 100..polls * 100 + 5);
        {
            let mut append = session.append(&batch);
            for _ in 0..polls {
                if (&mut append).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let one = entries(polls * 100 + 50..polls * 100 + 51);
        match session.append(&one).await {
            Ok(()) => {}
            Err(StoreError::Moved { .. }) => {
                done("reading the journal", session.journal().await)?;
                done("an append after that", session.append(&one).await)?;
            }
            Err(error) => return done("an append after a dropped one", Err(error)),
        }
        let found = done("reading the journal", session.journal().await)?;
        let with: Vec<Entry> = known.iter().chain(&batch).chain(&one).cloned().collect();
        let without: Vec<Entry> = known.iter().chain(&one).cloned().collect();
        let found_texts = texts(&found);
        if found_texts != texts(&with) && found_texts != texts(&without) {
            return Err(Found::Broken(format!(
                "after {polls} polls a part of a dropped batch is there"
            )));
        }
        known = found;
    }
    Ok(())
}
