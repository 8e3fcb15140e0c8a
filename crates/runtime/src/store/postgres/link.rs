//! The connection: made when it is needed, made anew when it was lost. Knows no statement.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use skyloom_core::Class;
use tokio::sync::Mutex;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Error, Socket};

use crate::store::StoreError;

type Connect = dyn Fn() -> BoxFuture<'static, Result<Client, Error>> + Send + Sync;

/// What a commit means, whatever the server's defaults are: durable, and conditions looked at again after a wait for a
/// lock. A statement that nobody waits for any more ends.
const SETTINGS: &str = "
SET synchronous_commit TO on;
SET default_transaction_isolation TO 'read committed';
SET statement_timeout TO '60s'";

/// One control plane's way to its database.
pub(super) struct Link {
    connect: Box<Connect>,
    client: Mutex<Option<Arc<Client>>>,
    place: PathBuf,
    name: String,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.place.display())
    }
}

impl Link {
    pub(super) fn new<T>(config: Config, tls: T, name: &str) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let place = PathBuf::from(shown(&config)).join(name);
        let connect = move || -> BoxFuture<'static, Result<Client, Error>> {
            let (config, tls) = (config.clone(), tls.clone());
            Box::pin(async move {
                let (client, connection) = config.connect(tls).await?;
                // Ends with the client, or with the connection.
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection to the database has ended");
                    }
                });
                client.batch_execute(SETTINGS).await?;
                Ok(client)
            })
        };
        Self {
            connect: Box::new(connect),
            client: Mutex::default(),
            place,
            name: name.to_owned(),
        }
    }

    pub(super) fn place(&self) -> PathBuf {
        self.place.clone()
    }

    pub(super) const fn name(&self) -> &String {
        &self.name
    }

    /// A connection that is not known to be lost.
    pub(super) async fn client(&self) -> Result<Arc<Client>, StoreError> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let made = (self.connect)()
            .await
            .map_err(|error| self.failed("connect to", error))?;
        let client = Arc::new(made);
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }

    pub(super) fn failed(&self, operation: &'static str, error: Error) -> StoreError {
        let class = match error.code() {
            Some(code) if *code == SqlState::DISK_FULL || *code == SqlState::TOO_MANY_CONNECTIONS => Class::Exhausted,
            Some(code)
                if *code == SqlState::INVALID_PASSWORD
                    || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
                    || *code == SqlState::INSUFFICIENT_PRIVILEGE =>
            {
                Class::Denied
            }
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => Class::NotFound,
            _ => Class::Transient,
        };
        StoreError::Unavailable {
            operation,
            place: self.place(),
            class,
            source: Box::new(error),
        }
    }

    /// The row is not of a form that is understood.
    pub(super) fn misread(&self, detail: String) -> StoreError {
        StoreError::Format {
            path: self.place(),
            detail,
        }
    }
}

/// Where the database is, without who asks and how.
fn shown(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config
        .get_ports()
        .first()
        .map_or(String::new(), |port| format!(":{port}"));
    format!("postgres://{host}{port}/{}", config.get_dbname().unwrap_or_default())
}
