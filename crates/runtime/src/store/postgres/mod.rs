//! State in PostgreSQL (feature `postgres`).
//!
//! One row per control plane has the lease and says where the journal ends. Every change is one statement, so one
//! transaction: it locks that row under the condition that the epoch is still ours, and does nothing where it is not.
//! Whether a lease lasts is the database's clock to say, the only one that all contenders share.
//!
//! No pool and no mapper: one connection is enough for one controller, and there are eight statements.

mod link;
mod session;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket};

use super::control_store::{Ask, ControlStore, Session};
use super::error::StoreError;
use super::log::LogEnd;
use link::Link;
use session::{PgSession, end_from, epoch_from};

/// Version of the tables' form.
const VERSION: i32 = 1;

/// Makes the tables. Two that do it at the same time would refuse each other without the lock.
const TABLES: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(7526466502);
CREATE TABLE IF NOT EXISTS skyloom_control (
    name text PRIMARY KEY, version integer NOT NULL, epoch bigint NOT NULL, stamp text NOT NULL, holder text,
    ttl interval NOT NULL, expires_at timestamptz NOT NULL, journal_end text NOT NULL);
CREATE TABLE IF NOT EXISTS skyloom_journal (
    name text NOT NULL, position bigint NOT NULL, lines bytea NOT NULL, PRIMARY KEY (name, position));
CREATE TABLE IF NOT EXISTS skyloom_document (
    name text NOT NULL, document text NOT NULL, body bytea NOT NULL, PRIMARY KEY (name, document));
COMMIT";

const TAKE: &str = "
INSERT INTO skyloom_control AS here
VALUES ($1, $2, 1, $3, $4, $5::bigint * interval '1 millisecond',
        clock_timestamp() + $5::bigint * interval '1 millisecond', $6)
ON CONFLICT (name) DO UPDATE
SET epoch = here.epoch + 1, stamp = excluded.stamp, holder = excluded.holder, ttl = excluded.ttl,
    expires_at = clock_timestamp() + excluded.ttl
WHERE here.version = excluded.version AND (here.holder IS NULL OR here.expires_at <= clock_timestamp())
RETURNING epoch, journal_end";

const WHO: &str = "
SELECT version, epoch, stamp, holder, journal_end,
       greatest(extract(epoch FROM expires_at - clock_timestamp()), 0)::float8
FROM skyloom_control WHERE name = $1";

/// State in a PostgreSQL database, in tables `skyloom_…` that are made where they are not there.
pub struct PostgresStore {
    link: Arc<Link>,
}

impl fmt::Debug for PostgresStore {
    /// Without the password, which the configuration has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({})", self.link.place().display())
    }
}

impl PostgresStore {
    /// The store of the control plane of this name, at an address as libpq understands it
    /// (`postgres://user:password@host:port/database`, or `host=… user=…`). Nothing is connected yet.
    ///
    /// Without TLS: for a server on this machine, or behind a tunnel.
    ///
    /// # Errors
    /// [`StoreError::Format`] when the address cannot be understood; it does not say what is in it.
    pub fn new(address: &str, name: &str) -> Result<Self, StoreError> {
        Ok(Self::with_tls(config(address)?, NoTls, name))
    }

    /// As [`PostgresStore::new`], for a configuration and a TLS connector of the caller's.
    pub fn with_tls<T>(config: Config, tls: T, name: &str) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let link = Arc::new(Link::new(config, tls, name));
        Self { link }
    }

    /// What is in the row of this control plane.
    async fn who(&self) -> Result<Option<Row>, StoreError> {
        let (link, operation) = (&self.link, "read the lease of");
        let client = link.client().await?;
        let row = client.query_opt(WHO, &[&link.name()]).await;
        row.map_err(|error| link.failed(operation, error))?
            .map(|row| Row::read(link, &row))
            .transpose()
    }
}

/// The row of a control plane.
pub(super) struct Row {
    pub(super) epoch: u64,
    pub(super) stamp: String,
    pub(super) holder: Option<String>,
    pub(super) end: LogEnd,
    pub(super) lapses_within: std::time::Duration,
}

impl Row {
    fn read(link: &Link, row: &tokio_postgres::Row) -> Result<Self, StoreError> {
        let operation = "read the lease of";
        let failed = |error| link.failed(operation, error);
        let version: i32 = row.try_get(0).map_err(failed)?;
        if version != VERSION {
            return Err(StoreError::Version {
                path: link.place(),
                found: version.unsigned_abs(),
                understood: VERSION.unsigned_abs(),
            });
        }
        let seconds: f64 = row.try_get(5).map_err(failed)?;
        Ok(Self {
            epoch: epoch_from(link, row.try_get(1).map_err(failed)?)?,
            stamp: row.try_get(2).map_err(failed)?,
            holder: row.try_get(3).map_err(failed)?,
            end: end_from(link, row.try_get(4).map_err(failed)?)?,
            lapses_within: std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        })
    }
}

#[async_trait]
impl ControlStore for PostgresStore {
    async fn take(&self, ask: &Ask) -> Result<Arc<dyn Session>, StoreError> {
        let link = &self.link;
        let stamp = stamp(link)?;
        let ttl_ms = i64::try_from(ask.ttl.as_millis()).unwrap_or(i64::MAX);
        let empty = session::end_text(LogEnd::EMPTY);
        let client = link.client().await?;
        client
            .batch_execute(TABLES)
            .await
            .map_err(|error| link.failed("make the tables of", error))?;
        let taken = client
            .query_opt(TAKE, &[&link.name(), &VERSION, &stamp, &ask.holder, &ttl_ms, &empty])
            .await;
        let (epoch, end) = match taken {
            Ok(Some(row)) => {
                let failed = |error| link.failed("take the lease of", error);
                let (epoch, end) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
                (epoch_from(link, epoch)?, end_from(link, end)?)
            }
            other => {
                // Refused, or done without an answer.
                let there = self.who().await?;
                match (there, other) {
                    (Some(there), _) if there.stamp == stamp => (there.epoch, there.end),
                    (Some(there), Ok(_)) => {
                        return Err(StoreError::Held {
                            path: link.place(),
                            holder: there.holder,
                            lapses_within: Some(there.lapses_within),
                        });
                    }
                    (None, Ok(_)) => return Err(StoreError::Moved { place: link.place() }),
                    (_, Err(error)) => return Err(link.failed("take the lease of", error)),
                }
            }
        };
        Ok(Arc::new(PgSession::new(Arc::clone(link), epoch, ask.ttl, end)))
    }
}

/// An address, understood.
fn config(address: &str) -> Result<Config, StoreError> {
    // Without the parser's words, which may quote a password.
    address.parse().map_err(|_| StoreError::Format {
        path: PathBuf::from("the address of the database"),
        detail: "it is not an address of PostgreSQL".to_owned(),
    })
}

/// What tells this session from all others.
fn stamp(link: &Link) -> Result<String, StoreError> {
    let mut bytes = [0; 8];
    let refused = |error| StoreError::io("draw random bytes for", &link.place())(std::io::Error::other(error));
    getrandom::fill(&mut bytes).map_err(refused)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_message() {
        let store = PostgresStore::new("postgres://me:hunter2@db.example:5433/shop", "shop").unwrap();
        let shown = format!("{store:?} {:?}", store.link);
        assert!(shown.contains("db.example:5433"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for bad in [
            "postgres://me:hunter2@db:port/shop",
            "password=hunter2 prot=1",
            "host='hunter2",
        ] {
            let error = PostgresStore::new(bad, "shop").unwrap_err();
            let shown = format!("{error:?} {}", crate::call::chain(&error));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
