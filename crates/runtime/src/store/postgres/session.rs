//! What the holder of a row does. Every statement has the condition that the row still is this session's.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_postgres::types::ToSql;

use super::link::Link;
use super::{Row, WHO};
use crate::store::log::{LogEnd, whole_log};
use crate::store::{Document, Entry, Session, StoreError};

const RENEW: &str = "
UPDATE skyloom_control SET expires_at = clock_timestamp() + ttl
WHERE name = $1 AND epoch = $2 AND holder IS NOT NULL RETURNING 1";

const RELEASE: &str = "
UPDATE skyloom_control SET holder = NULL WHERE name = $1 AND epoch = $2 AND holder IS NOT NULL RETURNING 1";

// The row is locked first; who waits for it looks at the condition again afterwards.
const REPLACE: &str = "
WITH held AS (
    SELECT 1 FROM skyloom_control WHERE name = $1 AND epoch = $2 AND holder IS NOT NULL FOR UPDATE)
INSERT INTO skyloom_document SELECT $1, $3, $4 FROM held
ON CONFLICT (name, document) DO UPDATE SET body = excluded.body RETURNING 1";

// Also under the condition that the journal ends where the caller left it: so a statement that arrives twice, or late
// and over another connection, does nothing the second time.
const APPEND: &str = "
WITH held AS (
    UPDATE skyloom_control SET journal_end = $4
    WHERE name = $1 AND epoch = $2 AND holder IS NOT NULL AND journal_end = $3 RETURNING 1)
INSERT INTO skyloom_journal SELECT $1, $5, $6 FROM held RETURNING 1";

const RESET: &str = "
WITH held AS (
    UPDATE skyloom_control SET journal_end = $4
    WHERE name = $1 AND epoch = $2 AND holder IS NOT NULL AND journal_end = $3 RETURNING 1),
gone AS (DELETE FROM skyloom_journal WHERE name = $1 AND EXISTS (SELECT 1 FROM held))
SELECT 1 FROM held";

const READ: &str = "SELECT body FROM skyloom_document WHERE name = $1 AND document = $2";

// One statement, so one moment.
const JOURNAL: &str = "
SELECT control.epoch, control.journal_end, journal.lines
FROM skyloom_control AS control LEFT JOIN skyloom_journal AS journal USING (name)
WHERE control.name = $1 ORDER BY journal.position";

/// Times that a statement is tried whose connection was lost.
const ATTEMPTS: u32 = 3;

/// A held row.
pub(super) struct PgSession {
    link: Arc<Link>,
    epoch: i64,
    ttl: Duration,
    /// Where the journal ends as the caller knows it. Locked by whoever changes the journal.
    known_end: Mutex<LogEnd>,
}

impl fmt::Debug for PgSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgSession({}, epoch {})", self.link.place().display(), self.epoch)
    }
}

/// What became of a statement.
enum Changed {
    Yes,
    /// Its condition does not hold: this is how it is.
    No(Box<Row>),
}

impl PgSession {
    pub(super) fn new(link: Arc<Link>, epoch: u64, ttl: Duration, end: LogEnd) -> Self {
        Self {
            link,
            // It was one when it was read.
            epoch: i64::try_from(epoch).unwrap_or(i64::MAX),
            ttl,
            known_end: Mutex::new(end),
        }
    }

    fn fenced(&self, by: Option<u64>) -> StoreError {
        StoreError::Fenced {
            place: self.link.place(),
            epoch: self.epoch(),
            by,
        }
    }

    /// Carries a statement out. Each of them does nothing more when it is carried out again, so one whose connection was
    /// lost is.
    async fn change(
        &self,
        operation: &'static str,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Changed, StoreError> {
        let mut attempt = 1;
        loop {
            let client = self.link.client().await?;
            match client.query_opt(statement, parameters).await {
                Ok(Some(_)) => return Ok(Changed::Yes),
                Ok(None) => break,
                Err(error) if client.is_closed() && attempt < ATTEMPTS => {
                    tracing::debug!(%error, "a statement without an answer is tried again");
                    attempt += 1;
                }
                Err(error) => return Err(self.link.failed(operation, error)),
            }
        }
        let client = self.link.client().await?;
        let row = client.query_opt(WHO, &[self.link.name()]).await;
        let Some(row) = row.map_err(|error| self.link.failed(operation, error))? else {
            return Err(self.fenced(None));
        };
        let row = Row::read(&self.link, &row)?;
        if row.epoch != self.epoch() || row.holder.is_none() {
            return Err(self.fenced(Some(row.epoch).filter(|epoch| *epoch != self.epoch())));
        }
        Ok(Changed::No(Box::new(row)))
    }

    /// As [`Self::change`], for a statement whose only condition is the lease.
    async fn change_as_holder(
        &self,
        operation: &'static str,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(), StoreError> {
        match self.change(operation, statement, parameters).await? {
            Changed::Yes => Ok(()),
            // Ours, though the statement has not found it so: it was given to us in between, which cannot be.
            Changed::No(_) => Err(StoreError::Moved {
                place: self.link.place(),
            }),
        }
    }
}

#[async_trait]
impl Session for PgSession {
    fn epoch(&self) -> u64 {
        self.epoch.unsigned_abs()
    }

    fn ttl(&self) -> Option<Duration> {
        Some(self.ttl)
    }

    fn place(&self) -> PathBuf {
        self.link.place()
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let parameters: &[&(dyn ToSql + Sync)] = &[self.link.name(), &self.epoch];
        self.change_as_holder("renew the lease of", RENEW, parameters).await
    }

    async fn release(&self) -> Result<(), StoreError> {
        let parameters: &[&(dyn ToSql + Sync)] = &[self.link.name(), &self.epoch];
        match self
            .change_as_holder("give back the lease of", RELEASE, parameters)
            .await
        {
            // Given back before.
            Err(StoreError::Fenced { by: None, .. }) => Ok(()),
            released => released,
        }
    }

    async fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        let failed = |error| self.link.failed("read", error);
        let client = self.link.client().await?;
        let row = client
            .query_opt(READ, &[self.link.name(), &document.name()])
            .await
            .map_err(failed)?;
        row.map(|row| row.try_get(0).map_err(failed)).transpose()
    }

    async fn replace(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        let parameters: &[&(dyn ToSql + Sync)] = &[self.link.name(), &self.epoch, &document.name(), &bytes];
        self.change_as_holder("replace a document of", REPLACE, parameters)
            .await
    }

    async fn journal(&self) -> Result<Vec<Entry>, StoreError> {
        let failed = |error| self.link.failed("read the journal of", error);
        let mut known_end = self.known_end.lock().await;
        let client = self.link.client().await?;
        let rows = client.query(JOURNAL, &[self.link.name()]).await.map_err(failed)?;
        let Some(first) = rows.first() else {
            return Err(self.fenced(None));
        };
        let epoch = epoch_from(&self.link, first.try_get(0).map_err(failed)?)?;
        if epoch != self.epoch() {
            return Err(self.fenced(Some(epoch)));
        }
        let end = end_from(&self.link, first.try_get(1).map_err(failed)?)?;
        let mut bytes = LogEnd::empty_log();
        for row in &rows {
            // None where there is no batch at all.
            let lines: Option<&[u8]> = row.try_get(2).map_err(failed)?;
            bytes.extend_from_slice(lines.unwrap_or_default());
        }
        let entries = whole_log(&bytes, end, &self.link.place().join("journal"))?;
        *known_end = end;
        Ok(entries)
    }

    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut known_end = self.known_end.lock().await;
        let (lines, end) = known_end.append(entries);
        let position = i64::try_from(known_end.len).unwrap_or(i64::MAX);
        let (before, after) = (end_text(*known_end), end_text(end));
        let parameters: &[&(dyn ToSql + Sync)] = &[self.link.name(), &self.epoch, &before, &after, &position, &lines];
        match self.change("append to", APPEND, parameters).await? {
            Changed::Yes => {}
            // It was done, and the answer was lost.
            Changed::No(row) if row.end == end => {}
            Changed::No(_) => {
                return Err(StoreError::Moved {
                    place: self.link.place(),
                });
            }
        }
        *known_end = end;
        Ok(())
    }

    async fn reset(&self) -> Result<(), StoreError> {
        let mut known_end = self.known_end.lock().await;
        let after = end_text(LogEnd::EMPTY);
        for _ in 0..ATTEMPTS {
            let before = end_text(*known_end);
            let parameters: &[&(dyn ToSql + Sync)] = &[self.link.name(), &self.epoch, &before, &after];
            match self.change("empty the journal of", RESET, parameters).await? {
                Changed::Yes => {
                    *known_end = LogEnd::EMPTY;
                    return Ok(());
                }
                // An earlier append of ours has come through, or this reset has: it is emptied from there.
                Changed::No(row) => *known_end = row.end,
            }
        }
        Err(StoreError::Moved {
            place: self.link.place(),
        })
    }
}

/// Where a journal ends, as it is kept.
pub(super) fn end_text(end: LogEnd) -> String {
    serde_json::to_string(&end).expect("invariant: two numbers have a JSON form")
}

pub(super) fn end_from(link: &Link, text: &str) -> Result<LogEnd, StoreError> {
    serde_json::from_str(text).map_err(|error| link.misread(format!("the journal's end cannot be read: {error}")))
}

pub(super) fn epoch_from(link: &Link, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| link.misread("its epoch is below zero".to_owned()))
}
