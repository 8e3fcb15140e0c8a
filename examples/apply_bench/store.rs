//! Where the bench keeps journal and state, by the reader's choice, and what that really is.

use clap::ValueEnum;
use serde::Serialize;
use skyloom::Skyloom;
use skyloom::runtime::ControlPlaneBuilder;

use super::Failure;
use super::database::OwnDatabase;

/// What the reader asks for.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StoreKind {
    /// A directory of this machine.
    Dir,
    /// An object store (feature `object-store`); without an address one in this process's memory.
    Object,
    /// PostgreSQL (feature `postgres`); without an address one of the bench's own, where it is installed.
    Postgres,
}

/// What it is.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(
    not(all(feature = "object-store", feature = "postgres")),
    expect(dead_code, reason = "a backend that was not built in is never chosen")
)]
pub(super) enum Backend {
    /// Files, synced.
    Dir,
    /// Objects in this process's memory: nothing is durable, and no network is between.
    Memory,
    /// An S3 server.
    S3,
    /// A database.
    Postgres,
}

/// A control plane, and on what it is.
pub(super) struct Chosen {
    pub(super) sky: Skyloom,
    pub(super) backend: Backend,
    /// Goes after the control plane.
    pub(super) database: Option<OwnDatabase>,
}

type Parts = (ControlPlaneBuilder, Backend, Option<OwnDatabase>);

/// Opens a control plane on the store. The errors complete “failed to …”.
pub(super) async fn open(builder: ControlPlaneBuilder, kind: StoreKind, url: Option<&str>) -> Result<Chosen, Failure> {
    let (builder, backend, database) = match kind {
        StoreKind::Dir => (builder, Backend::Dir, None),
        StoreKind::Object => object(builder, url)?,
        StoreKind::Postgres => postgres(builder, url)?,
    };
    let sky = builder.open().await?;
    Ok(Chosen { sky, backend, database })
}

#[cfg(feature = "object-store")]
fn object(builder: ControlPlaneBuilder, url: Option<&str>) -> Result<Parts, Failure> {
    use skyloom::runtime::store::object::ObjectControlStore;
    use skyloom::runtime::store::object::object_store::aws::AmazonS3Builder;
    use skyloom::runtime::store::object::object_store::memory::InMemory;

    let Some(url) = url else {
        let builder = builder.store(ObjectControlStore::new(InMemory::new(), "bench"));
        return Ok((builder, Backend::Memory, None));
    };
    let prefix = url
        .strip_prefix("s3://")
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, prefix)| prefix);
    let prefix = prefix.ok_or_else(|| format!("understand `{url}`: expected s3://BUCKET/PREFIX"))?;
    // Endpoint, region and keys as the usual variables have them: AWS_ENDPOINT, AWS_REGION, AWS_ACCESS_KEY_ID …
    let server = AmazonS3Builder::from_env().with_url(url).build();
    let server = server.map_err(|error| format!("understand `{url}`: {error}"))?;
    // A prefix of its own: a bench begins with nothing.
    let prefix = format!("{prefix}/bench-{}", std::process::id());
    Ok((
        builder.store(ObjectControlStore::new(server, &prefix)),
        Backend::S3,
        None,
    ))
}

#[cfg(not(feature = "object-store"))]
fn object(_builder: ControlPlaneBuilder, _url: Option<&str>) -> Result<Parts, Failure> {
    Err("use an object store: build with --features object-store".into())
}

#[cfg(feature = "postgres")]
fn postgres(builder: ControlPlaneBuilder, url: Option<&str>) -> Result<Parts, Failure> {
    use skyloom::runtime::store::postgres::PostgresStore;

    let url = url
        .map(str::to_owned)
        .or_else(|| std::env::var("SKYLOOM_TEST_POSTGRES").ok());
    let own = if url.is_none() {
        Some(OwnDatabase::start()?)
    } else {
        None
    };
    let url = url.or_else(|| own.as_ref().map(OwnDatabase::url)).unwrap_or_default();
    let store = PostgresStore::new(&url, &format!("bench-{}", std::process::id()))?;
    Ok((builder.store(store), Backend::Postgres, own))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_builder: ControlPlaneBuilder, _url: Option<&str>) -> Result<Parts, Failure> {
    Err("use a database: build with --features postgres".into())
}
