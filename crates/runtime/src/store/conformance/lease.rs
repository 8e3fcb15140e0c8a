//! Cases about who holds the lease.

use futures::future::join_all;

use super::Subject;
use super::support::{
    Found, RACERS, TTL, Tried, ask, done, entries, fenced, holds, journal_is, refused_as_held, same, take, take_over,
};
use crate::store::{Document, StoreError};

pub(super) async fn a_fresh_store_is_empty_and_its_first_epoch_is_not_zero(subject: &dyn Subject) -> Tried {
    let session = take(&subject.open(), "a").await?;
    holds("an epoch of 0", session.epoch() > 0)?;
    journal_is(&session, &[]).await?;
    let read = done("reading a document", session.read(Document::STATE).await)?;
    same("a document that never was", &read, &None)
}

pub(super) async fn a_held_lease_is_refused_to_others(subject: &dyn Subject) -> Tried {
    let session = take(&subject.open(), "a").await?;
    let other = subject.open();
    for _ in 0..3 {
        refused_as_held(other.take(&ask("b")).await)?;
    }
    done(
        "appending beside a refused contender",
        session.append(&entries(0..1)).await,
    )?;
    done("renewing beside a refused contender", session.renew().await)
}

/// Everybody tries at the same time on a handle of its own; how many have won, and the losers' handles do not matter.
async fn race(subject: &dyn Subject, watched: bool) -> Tried {
    let stores: Vec<_> = (0..RACERS).map(|_| subject.open()).collect();
    if watched {
        for refused in join_all(stores.iter().map(|store| async { store.take(&ask("before")).await })).await {
            refused_as_held(refused)?;
        }
        subject.lapse().await;
    }
    let racing = stores
        .into_iter()
        .enumerate()
        .map(|(racer, store)| tokio::spawn(async move { store.take(&ask(&format!("racer {racer}"))).await }));
    let mut won = Vec::new();
    for ended in join_all(racing).await {
        match ended {
            Ok(Ok(session)) => won.push(session),
            Ok(Err(StoreError::Held { .. })) => {}
            Ok(Err(error)) => return Err(Found::Broken(format!("a racer failed: {}", crate::call::chain(&error)))),
            Err(error) => return Err(Found::Broken(format!("a racer panicked: {error}"))),
        }
    }
    same("winners", &won.len(), &1)?;
    done("the winner's append", won[0].append(&entries(0..3)).await)?;
    journal_is(&won[0], &entries(0..3)).await
}

pub(super) async fn of_many_that_race_one_wins(subject: &dyn Subject) -> Tried {
    race(subject, false).await
}

pub(super) async fn of_many_that_race_for_a_lapsed_lease_one_wins(subject: &dyn Subject) -> Tried {
    let _before = take(&subject.open(), "a").await?;
    race(subject, true).await
}

pub(super) async fn the_epoch_only_grows(subject: &dyn Subject) -> Tried {
    let mut last = 0;
    for round in 0..4 {
        let session = take(&subject.open(), "a").await?;
        holds("an epoch that does not grow after a release", session.epoch() > last)?;
        last = session.epoch();
        done("a write", session.append(&entries(0..1)).await)?;
        if round % 2 == 0 {
            let next = take_over(subject, "b").await?;
            holds("an epoch that does not grow after a lapse", next.epoch() > last)?;
            last = next.epoch();
            done("a reset", next.reset().await)?;
            done("a release", next.release().await)?;
        } else {
            done("a release", session.release().await)?;
        }
        drop(session);
        subject.crash().await;
    }
    Ok(())
}

pub(super) async fn a_released_lease_is_free_at_once_and_its_session_is_fenced(subject: &dyn Subject) -> Tried {
    let session = take(&subject.open(), "a").await?;
    done("an append", session.append(&entries(0..2)).await)?;
    done("a release", session.release().await)?;
    done("a second release", session.release().await)?;
    fenced("an append after the release", session.append(&entries(2..3)).await)?;
    fenced(
        "a replacement after the release",
        session.replace(Document::STATE, b"x").await,
    )?;
    fenced("a reset after the release", session.reset().await)?;
    fenced("a renewal after the release", session.renew().await)?;
    let next = take(&subject.open(), "b").await?;
    journal_is(&next, &entries(0..2)).await?;
    same(
        "the document",
        &done("reading", next.read(Document::STATE).await)?,
        &None,
    )
}

pub(super) async fn a_renewed_lease_lasts_and_one_not_renewed_does_not(subject: &dyn Subject) -> Tried {
    let session = take(&subject.open(), "a").await?;
    let other = subject.open();
    refused_as_held(other.take(&ask("b")).await)?;
    for _ in 0..4 {
        if !subject.pass(TTL * 6 / 10).await {
            return Err(Found::Untried("its leases do not end by time".to_owned()));
        }
        done("a renewal in time", session.renew().await)?;
        refused_as_held(other.take(&ask("b")).await)?;
    }
    subject.pass(TTL * 6 / 10).await;
    refused_as_held(other.take(&ask("b")).await)?;
    subject.pass(TTL * 6 / 10).await;
    let next = done("taking a lease that was not renewed", other.take(&ask("b")).await)?;
    holds("an epoch that does not grow", next.epoch() > session.epoch())
}

pub(super) async fn a_lapsed_lease_that_nobody_took_can_be_renewed(subject: &dyn Subject) -> Tried {
    let session = take(&subject.open(), "a").await?;
    if session.ttl().is_none() {
        return Err(Found::Untried("its leases do not end by time".to_owned()));
    }
    let other = subject.open();
    refused_as_held(other.take(&ask("b")).await)?;
    subject.lapse().await;
    done("renewing a lapsed lease", session.renew().await)?;
    refused_as_held(other.take(&ask("b")).await)?;
    done("appending under a renewed lease", session.append(&entries(0..1)).await)
}
