//! What a service starts, and how its health is known.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::super::de::Spanned;
use super::super::error::{Fault, ManifestErrorKind, shortened};
use super::super::raw::{RawHealth, RawHttp, RawPort, RawRun, SecretTable};
use super::super::scalars::TextOr;
use super::super::text::Span;
use super::names::{Names, Once};
use super::values::{name, port_number, positive, some_time};
use crate::nearest::nearest;
use crate::{
    EnvValue, HealthCheck, HealthProbe, PortName, PortSpec, Protocol, RunSpec, SecretRef, TemplatePart, parse_template,
};

/// Between two probes: quick enough to heal within seconds, and nothing to a server.
const INTERVAL_USUAL: Duration = Duration::from_secs(1);
/// For an answer: as Kubernetes.
const TIMEOUT_USUAL: Duration = Duration::from_secs(1);
/// Good answers: as Kubernetes.
const HEALTHY_AFTER_USUAL: NonZeroU32 = NonZeroU32::MIN;
/// Bad answers: as Kubernetes, Docker.
const UNHEALTHY_AFTER_USUAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
/// From start to healthy: an image may have to be pulled first.
const START_WITHIN_USUAL: Duration = Duration::from_secs(60);

pub(super) fn run(raw: &Spanned<RawRun>, names: &Names) -> Result<RunSpec, Fault> {
    let RawRun {
        image,
        command,
        env,
        ports,
    } = &raw.value;
    if image.is_none() && command.is_none() {
        let expected = "at least one of `image`, `command`";
        return Err(Fault::at(raw.span, ManifestErrorKind::KeyChoice { expected }));
    }
    let image = image.as_ref().map(image_name).transpose()?;
    let mut values = BTreeMap::new();
    for (key, value) in env {
        if key.is_empty() || key.contains(['=', '\0']) {
            let expected = "the name of an environment variable: not empty, without `=` and NUL";
            return Err(Fault::bad_value(value.span, key, expected));
        }
        values.insert(key.clone(), env_value(value, names)?);
    }
    Ok(RunSpec {
        image,
        command: command.as_ref().map(program).transpose()?.unwrap_or_default(),
        env: values,
        ports: self::ports(ports)?,
    })
}

/// An image reference; which forms exist is the driver's question.
fn image_name(raw: &Spanned<String>) -> Result<String, Fault> {
    if raw.value.is_empty() || raw.value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Fault::bad_value(
            raw.span,
            &raw.value,
            "an image reference without spaces",
        ));
    }
    Ok(raw.value.clone())
}

/// A program and its arguments: no part may hold NUL, and the program is not empty.
fn program(raw: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, Fault> {
    if raw.value.first().is_none_or(|program| program.value.is_empty()) {
        let shown = if raw.value.is_empty() { "[]" } else { "[\"\"]" };
        return Err(Fault::bad_value(raw.span, shown, "a program and its arguments"));
    }
    raw.value
        .iter()
        .map(|part| without_nul(&part.value, part.span))
        .collect()
}

/// The operating system ends texts at NUL.
fn without_nul(text: &str, span: Span) -> Result<String, Fault> {
    if text.contains('\0') {
        return Err(Fault::bad_value(span, text.replace('\0', "\\0"), "text without NUL"));
    }
    Ok(text.to_owned())
}

fn env_value(raw: &Spanned<TextOr<SecretTable>>, names: &Names) -> Result<EnvValue, Fault> {
    let text = match &raw.value {
        TextOr::Table(SecretTable { secret }) => return secret_ref(secret).map(EnvValue::Secret),
        TextOr::Text(text) => text,
    };
    let parts = parse_template(text).map_err(|error| Fault::at(raw.span, ManifestErrorKind::Template(error)))?;
    for part in &parts {
        match part {
            TemplatePart::Text(_) => {}
            TemplatePart::Endpoints(service) => drop(names.service_named(service.as_str(), raw.span)?),
            TemplatePart::Data(data) => drop(names.data_named(data.as_str(), raw.span)?),
        }
    }
    without_nul(text, raw.span).map(EnvValue::Text)
}

/// `backend:name`, or `backend:name#version`.
fn secret_ref(raw: &Spanned<String>) -> Result<SecretRef, Fault> {
    let parts = raw
        .value
        .split_once(':')
        .map(|(backend, rest)| match rest.rsplit_once('#') {
            Some((name, version)) => (backend, name, Some(version)),
            None => (backend, rest, None),
        });
    let is_backend = |text: &str| {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        !text.is_empty() && text.bytes().all(ok)
    };
    match parts {
        Some((backend, name, version)) if is_backend(backend) && !name.is_empty() && version != Some("") => {
            Ok(SecretRef {
                backend: backend.to_owned(),
                name: without_nul(name, raw.span)?,
                version: version.map(str::to_owned),
            })
        }
        _ => Err(Fault::at(raw.span, ManifestErrorKind::BadSecret)),
    }
}

fn ports(raw: &[RawPort]) -> Result<Vec<PortSpec>, Fault> {
    let (mut names, mut numbers) = (Once::new("port"), Once::new("port number"));
    let mut all = Vec::with_capacity(raw.len());
    for port in raw {
        names.check(&port.name.value, port.name.span)?;
        let number = port.port.as_ref().map(port_number).transpose()?;
        if let (Some(number), Some(written)) = (number, &port.port) {
            let transport = match port.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            };
            numbers.check(&format!("{number}/{transport}"), written.span)?;
        }
        all.push(PortSpec {
            name: name(&port.name)?,
            protocol: port.protocol,
            port: number,
        });
    }
    Ok(all)
}

pub(super) fn health(raw: &Spanned<RawHealth>, run: &RunSpec) -> Result<HealthCheck, Fault> {
    let RawHealth { http, tcp, exec, .. } = &raw.value;
    let probe = match (http, tcp, exec) {
        (Some(http), None, None) => http_probe(http, run)?,
        (None, Some(tcp), None) => HealthProbe::Tcp {
            port: tcp_port(&tcp.port, run)?,
        },
        (None, None, Some(exec)) => HealthProbe::Exec {
            command: program(exec)?,
        },
        _ => {
            let expected = "exactly one of `http`, `tcp`, `exec`";
            return Err(Fault::at(raw.span, ManifestErrorKind::KeyChoice { expected }));
        }
    };
    let time = |given: &Option<_>, usual| given.as_ref().map_or(Ok(usual), some_time);
    let number = |given: &Option<_>, usual| given.as_ref().map_or(Ok(usual), positive);
    Ok(HealthCheck {
        probe,
        interval: time(&raw.value.interval, INTERVAL_USUAL)?,
        timeout: time(&raw.value.timeout, TIMEOUT_USUAL)?,
        healthy_after: number(&raw.value.healthy_after, HEALTHY_AFTER_USUAL)?,
        unhealthy_after: number(&raw.value.unhealthy_after, UNHEALTHY_AFTER_USUAL)?,
        start_within: time(&raw.value.start_within, START_WITHIN_USUAL)?,
    })
}

fn http_probe(raw: &RawHttp, run: &RunSpec) -> Result<HealthProbe, Fault> {
    let port = tcp_port(&raw.port, run)?;
    let path = match &raw.path {
        None => "/".to_owned(),
        Some(path) => {
            // It goes into a request line as it is.
            if !path.value.starts_with('/') || !path.value.bytes().all(|b| b.is_ascii_graphic()) {
                let expected = "a path beginning with `/`, of printable ASCII without spaces";
                return Err(Fault::bad_value(path.span, &path.value, expected));
            }
            path.value.clone()
        }
    };
    Ok(HealthProbe::Http { port, path })
}

/// A declared TCP port.
fn tcp_port(used: &Spanned<String>, run: &RunSpec) -> Result<PortName, Fault> {
    let port = run
        .ports
        .iter()
        .find(|port| port.name.as_str() == used.value)
        .ok_or_else(|| {
            let nearest = nearest(&used.value, run.ports.iter().map(|port| port.name.as_str())).map(str::to_owned);
            let name = shortened(&used.value);
            Fault::at(used.span, ManifestErrorKind::UnknownPort { name, nearest })
        })?;
    if port.protocol != Protocol::Tcp {
        return Err(Fault::bad_value(
            used.span,
            &used.value,
            "a port with the protocol `tcp`",
        ));
    }
    Ok(port.name.clone())
}
