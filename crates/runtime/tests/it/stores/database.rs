//! The suite over a real PostgreSQL, and what only a database can do wrong: connections that end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use skyloom_runtime::store::conformance::{Damage, Harness, Subject, run};
use skyloom_runtime::store::postgres::PostgresStore;
use skyloom_runtime::store::{Ask, ControlStore, Document, StoreError};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

use super::conforming::assert_conforms;

/// Where the server is; `None`, printed, where there is none.
fn address() -> Option<String> {
    let address = std::env::var("SKYLOOM_TEST_POSTGRES").ok();
    if address.is_none() {
        println!("skipped: SKYLOOM_TEST_POSTGRES names no server (host=127.0.0.1 port=… user=… dbname=…)");
    }
    address
}

async fn administrator(address: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

struct Database {
    address: String,
    fresh: AtomicU64,
}

struct Control {
    address: String,
    name: String,
}

impl Control {
    async fn execute(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) {
        let client = administrator(&self.address).await;
        let parameters: Vec<&(dyn ToSql + Sync)> = std::iter::once(&self.name as &(dyn ToSql + Sync))
            .chain(parameters.iter().copied())
            .collect();
        client.execute(statement, &parameters).await.unwrap();
    }

    async fn positions(&self) -> Vec<i64> {
        let client = administrator(&self.address).await;
        let statement = "SELECT position FROM skyloom_journal WHERE name = $1 ORDER BY position";
        let rows = client.query(statement, &[&self.name]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[async_trait]
impl Harness for Database {
    fn name(&self) -> String {
        "postgres".to_owned()
    }

    async fn fresh(&self) -> Box<dyn Subject> {
        let number = self.fresh.fetch_add(1, Ordering::SeqCst);
        Box::new(Control {
            address: self.address.clone(),
            name: format!("run-{}-{number}", std::process::id()),
        })
    }
}

#[async_trait]
impl Subject for Control {
    fn open(&self) -> Arc<dyn ControlStore> {
        Arc::new(PostgresStore::new(&self.address, &self.name).unwrap())
    }

    async fn lapse(&self) {
        let statement = "UPDATE skyloom_control SET expires_at = clock_timestamp() WHERE name = $1";
        self.execute(statement, &[]).await;
    }

    async fn pass(&self, time: Duration) -> bool {
        let statement = "UPDATE skyloom_control SET expires_at = expires_at - $2::float8 * interval '1 second' \
                         WHERE name = $1";
        self.execute(statement, &[&time.as_secs_f64()]).await;
        true
    }

    async fn damage(&self, damage: Damage) -> bool {
        if damage == Damage::Later {
            self.execute("UPDATE skyloom_control SET version = 2 WHERE name = $1", &[])
                .await;
            return true;
        }
        let places = self.positions().await;
        assert_eq!(places.len(), 3);
        let (middle, last) = (places[1], places[2]);
        let at = "WHERE name = $1 AND position = $2";
        match damage {
            Damage::Torn => {
                let cut = format!("UPDATE skyloom_journal SET lines = substr(lines, 1, length(lines) - 5) {at}");
                self.execute(&cut, &[&last]).await;
            }
            Damage::Flipped => {
                let flip =
                    format!("UPDATE skyloom_journal SET lines = set_byte(lines, 60, get_byte(lines, 60) # 1) {at}");
                self.execute(&flip, &[&middle]).await;
            }
            Damage::Swapped => {
                let swap = "UPDATE skyloom_journal AS one SET lines = other.lines FROM skyloom_journal AS other \
                            WHERE one.name = $1 AND other.name = $1 AND one.position IN ($2, $3) \
                            AND other.position IN ($2, $3) AND one.position <> other.position";
                self.execute(swap, &[&middle, &last]).await;
            }
            Damage::Removed => {
                self.execute(&format!("DELETE FROM skyloom_journal {at}"), &[&middle])
                    .await
            }
            _ => return false,
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_postgres_store_conforms() {
    let Some(address) = address() else { return };
    let fresh = AtomicU64::new(0);
    assert_conforms(&run(&Database { address, fresh }).await, 0);
}

#[tokio::test]
async fn a_connection_that_ends_is_made_anew_and_a_statement_is_not_done_twice() {
    let Some(address) = address() else { return };
    let name = format!("cut-{}", std::process::id());
    let store = PostgresStore::new(&address, &name).unwrap();
    let ask = Ask {
        holder: "a".to_owned(),
        ttl: Duration::from_secs(60),
    };
    let session = store.take(&ask).await.unwrap();
    let administrator = administrator(&address).await;
    for n in 0..5_u32 {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%skyloom_control%' \
                   AND query LIKE '%journal_end%' AND state = 'idle'";
        administrator.execute(cut, &[]).await.unwrap();
        session
            .append(&[serde_json::value::to_raw_value(&n).unwrap()])
            .await
            .unwrap();
        session
            .replace(Document::STATE, n.to_string().as_bytes())
            .await
            .unwrap();
    }
    let entries = session.journal().await.unwrap();
    assert_eq!(
        entries.iter().map(|entry| entry.get()).collect::<Vec<_>>(),
        ["0", "1", "2", "3", "4"]
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_typed_error_without_the_password() {
    let store = PostgresStore::new("postgres://me:hunter2@127.0.0.1:1/shop", "shop").unwrap();
    let ask = Ask {
        holder: "a".to_owned(),
        ttl: Duration::from_secs(60),
    };
    let error = store.take(&ask).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(!format!("{error:?} {error} {store:?}").contains("hunter2"));
}
