//! Asking a replica how it is: HTTP, TCP or a command. One question, one answer; how many answers make a state is
//! [`crate::health`]'s.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use skyloom_core::{HealthProbe, PortName};
use skyloom_provider::{Driver, Resource};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{Answer, ExchangeError, exchange};

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
    let request = Request::get(path).body(Full::default());
    let request = request.map_err(|error| error.to_string())?;
    match exchange(address, &address.to_string(), request, None).await {
        Ok(Answer { status, .. }) if (200..400).contains(&status) => Ok(()),
        Ok(Answer { status, .. }) => Err(format!("answered {status}")),
        Err(ExchangeError::Connect(error)) => Err(format!("connect to {address}: {error}")),
        Err(ExchangeError::Http(error)) => Err(error),
        Err(ExchangeError::TooLong) => Err("answered too much".to_owned()),
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
