//! Asking a replica how it is: HTTP, TCP or a command. One question, one answer; how many answers make a state is
//! [`crate::health`]'s.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use skyloom_core::{HealthProbe, PortName};
use skyloom_provider::{Driver, Resource};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a probe has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The answer is good.
    Good,
    /// The answer is bad or there is none; the text says what happened.
    Bad(String),
}

/// Asks once, waiting at most `limit`. Never fails: no answer is a bad answer.
pub async fn probe(driver: &dyn Driver, resource: &Resource, probe: &HealthProbe, limit: Duration) -> ProbeResult {
    let asked = async {
        match probe {
            HealthProbe::Http { port, path } => http_get(address(resource, port)?, path).await,
            HealthProbe::Tcp { port } => connect(address(resource, port)?).await.map(drop),
            HealthProbe::Exec { command } => exec(driver, resource, command, limit).await,
        }
    };
    match timeout(limit, asked).await {
        Ok(Ok(())) => ProbeResult::Good,
        Ok(Err(what)) => ProbeResult::Bad(what),
        Err(_) => ProbeResult::Bad(format!("no answer within {limit:?}")),
    }
}

fn address(resource: &Resource, port: &PortName) -> Result<SocketAddr, String> {
    resource
        .endpoints
        .get(port)
        .copied()
        .ok_or_else(|| format!("no address of port `{port}`"))
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address)
        .await
        .map_err(|error| format!("connect to {address}: {error}"))
}

async fn http_get(address: SocketAddr, path: &str) -> Result<(), String> {
    let stream = connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let request = Request::get(path)
        .header(hyper::header::HOST, address.to_string())
        .header(hyper::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    // The connection is driven beside the request and dropped with it, so that nothing outlives the probe. It may end in
    // the same moment as the answer arrives: the answer counts.
    let exchange = sender.send_request(request);
    tokio::pin!(exchange, connection);
    let answer = tokio::select! {
        answer = &mut exchange => answer,
        _ = &mut connection => exchange.await,
    };
    let status = answer.map_err(|error| error.to_string())?.status();
    if (200..400).contains(&status.as_u16()) {
        Ok(())
    } else {
        Err(format!("answered {status}"))
    }
}

async fn exec(driver: &dyn Driver, resource: &Resource, command: &[String], limit: Duration) -> Result<(), String> {
    let output = driver
        .exec(&resource.id, command, limit)
        .await
        .map_err(|error| error.to_string())?;
    if output.code == Some(0) {
        Ok(())
    } else {
        Err(format!("ended with {:?}", output.code))
    }
}
