//! A printer of manifests for tests: the way back, written apart from the reader. It prints JSON-like flow text, of
//! which both formats have a dialect, from the checked types.

use std::fmt::Write as _;

use skyloom_core::{
    Analysis, BackupSpec, CanaryStep, DataSpec, EnvValue, HealthCheck, HealthProbe, Limit, Link, Manifest, PortSpec,
    Residency, Rollout, RolloutStrategy, RunSpec, ServiceSpec, Share,
};

/// A value to print.
pub(crate) enum Doc {
    Bare(String),
    Text(String),
    List(Vec<Doc>),
    Table(Vec<(&'static str, Doc)>),
    Named(Vec<(String, Doc)>),
}

/// The manifest as TOML of inline tables.
pub(crate) fn toml(manifest: &Manifest) -> String {
    let Doc::Table(entries) = document(manifest) else {
        unreachable!("a document is a table")
    };
    entries.iter().fold(String::new(), |mut text, (key, value)| {
        writeln!(text, "{key} = {}", flow(value, " = ")).unwrap();
        text
    })
}

/// The manifest as YAML in flow style.
pub(crate) fn yaml(manifest: &Manifest) -> String {
    flow(&document(manifest), ": ")
}

fn flow(doc: &Doc, separator: &str) -> String {
    let entry = |key: &str, value: &Doc| format!("{}{separator}{}", quoted(key), flow(value, separator));
    match doc {
        Doc::Bare(text) => text.clone(),
        Doc::Text(text) => quoted(text),
        Doc::List(items) => format!(
            "[{}]",
            items.iter().map(|i| flow(i, separator)).collect::<Vec<_>>().join(", ")
        ),
        Doc::Table(entries) => {
            format!(
                "{{ {} }}",
                entries.iter().map(|(k, v)| entry(k, v)).collect::<Vec<_>>().join(", ")
            )
        }
        Doc::Named(entries) => {
            format!(
                "{{ {} }}",
                entries.iter().map(|(k, v)| entry(k, v)).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// Double quotes and `\uXXXX`, which mean the same in both formats.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_ascii_graphic() || c == ' ' => out.push(c),
            c => write!(out, "\\U{:08x}", u32::from(c)).unwrap(),
        }
    }
    out + "\""
}

fn text(value: impl ToString) -> Doc {
    Doc::Text(value.to_string())
}

fn bare(value: impl ToString) -> Doc {
    Doc::Bare(value.to_string())
}

fn list<T>(items: impl IntoIterator<Item = T>, print: impl Fn(T) -> Doc) -> Doc {
    Doc::List(items.into_iter().map(print).collect())
}

/// A word as serde writes it.
fn word(value: &impl serde::Serialize) -> Doc {
    Doc::Bare(serde_json::to_string(value).unwrap())
}

fn micros(micros: i64) -> Doc {
    bare(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
}

fn time(time: std::time::Duration) -> Doc {
    text(format!("{}ms", time.as_millis()))
}

fn document(manifest: &Manifest) -> Doc {
    let mut entries = vec![("version", bare(1)), ("name", text(&manifest.name))];
    if manifest.residency != Residency::default() {
        entries.push(("residency", residency(&manifest.residency)));
    }
    if let Some(budget) = manifest.budget {
        let amount = micros(budget.per_month.as_micros());
        entries.push(("budget", Doc::Table(vec![("usd_per_month", amount)])));
    }
    if let Some(revenue) = manifest.revenue {
        let amount = micros(revenue.per_hour.as_micros());
        entries.push(("revenue", Doc::Table(vec![("usd_per_hour", amount)])));
    }
    entries.push(("service", list(&manifest.services, service)));
    entries.push(("data", list(&manifest.data, data)));
    Doc::Table(entries)
}

fn residency(rule: &Residency) -> Doc {
    let lists = [("allow", &rule.allow), ("deny", &rule.deny)];
    let given = lists.into_iter().filter(|(_, codes)| !codes.is_empty());
    Doc::Table(given.map(|(key, codes)| (key, list(codes, text))).collect())
}

fn link(to: &Link) -> Doc {
    match to {
        Link::Internet => text("internet"),
        Link::Service(name) => text(format!("service.{name}")),
        Link::Data(name) => text(format!("data.{name}")),
    }
}

fn service(spec: &ServiceSpec) -> Doc {
    let r = &spec.resources;
    let resources = Doc::Table(vec![
        ("cpu", text(r.cpu)),
        ("memory", text(r.memory)),
        ("disk", bare(r.disk.as_bytes())),
        ("gpu", text(r.gpu)),
    ]);
    let dependencies = spec
        .depends_on
        .iter()
        .map(|d| (d.service.to_string(), word(&d.condition)));
    let mut entries = vec![
        ("name", text(&spec.name)),
        ("replicas", bare(spec.replicas)),
        ("resources", resources),
        ("purchase", word(&spec.purchase)),
        ("depends_on", Doc::Named(dependencies.collect())),
        ("data", list(&spec.data, text)),
        (
            "latency",
            list(&spec.latency, |l| {
                Doc::Table(vec![("to", link(&l.to)), ("max", time(l.max))])
            }),
        ),
        (
            "egress",
            list(&spec.egress, |e| {
                Doc::Table(vec![("to", link(&e.to)), ("per_month", text(e.per_month))])
            }),
        ),
        (
            "spread",
            list(&spec.spread, |s| {
                Doc::Table(vec![("over", word(&s.over)), ("max_skew", bare(s.max_skew))])
            }),
        ),
        (
            "affinity",
            list(&spec.affinity, |a| {
                Doc::Table(vec![("service", text(&a.service)), ("within", word(&a.within))])
            }),
        ),
        ("anti_affinity", list(&spec.anti_affinity, text)),
        (
            "labels",
            Doc::Named(spec.labels.iter().map(|(k, v)| (k.clone(), text(v))).collect()),
        ),
        (
            "tolerations",
            list(&spec.tolerations, |t| {
                let value = t.value.as_ref().map(|value| ("value", text(value)));
                Doc::Table(std::iter::once(("key", text(&t.key))).chain(value).collect())
            }),
        ),
        ("clouds", list(&spec.clouds, text)),
        ("regions", list(&spec.regions, text)),
        ("run", run(&spec.run)),
        ("stop", Doc::Table(vec![("grace", time(spec.stop.grace))])),
        ("rollout", rollout(&spec.rollout)),
        (
            "drift",
            Doc::Table(
                spec.drift
                    .iter()
                    .map(|(field, policy)| (field.name(), word(policy)))
                    .collect(),
            ),
        ),
    ];
    entries.extend(spec.residency.as_ref().map(|rule| ("residency", residency(rule))));
    let revenue = spec
        .revenue
        .map(|r| Doc::Table(vec![("usd_per_hour", micros(r.per_hour.as_micros()))]));
    entries.extend(revenue.map(|revenue| ("revenue", revenue)));
    entries.extend(spec.health.as_ref().map(|check| ("health", health(check))));
    Doc::Table(entries)
}

fn rollout(rollout: &Rollout) -> Doc {
    let step = |step: &CanaryStep| {
        let replicas = match step.replicas {
            Share::Count(count) => bare(count),
            Share::Percent(percent) => text(format!("{percent}%")),
        };
        Doc::Table(vec![("replicas", replicas), ("pause", time(step.pause))])
    };
    let mut entries = vec![
        ("strategy", word(&rollout.strategy)),
        ("max_unavailable", bare(rollout.max_unavailable)),
        ("max_surge", bare(rollout.max_surge)),
        ("steps", list(&rollout.steps, step)),
        ("analysis", list(&rollout.analysis, analysis)),
        ("ready_for", time(rollout.ready_for)),
    ];
    entries.extend(rollout.within.map(|within| ("within", time(within))));
    if rollout.strategy == RolloutStrategy::BlueGreen {
        entries.push(("keep", time(rollout.keep)));
    }
    Doc::Table(entries)
}

fn analysis(analysis: &Analysis) -> Doc {
    let limit = match analysis.limit {
        Limit::Below(most) => ("below", bare(most)),
        Limit::Above(least) => ("above", bare(least)),
    };
    Doc::Table(vec![
        ("metric", text(&analysis.metric)),
        limit,
        ("for", time(analysis.over)),
        ("interval", time(analysis.interval)),
        ("failures", bare(analysis.failures)),
    ])
}

fn run(run: &RunSpec) -> Doc {
    let mut entries = Vec::new();
    entries.extend(run.image.as_ref().map(|image| ("image", text(image))));
    if !run.command.is_empty() {
        entries.push(("command", list(&run.command, text)));
    }
    let env = run.env.iter().map(|(key, value)| {
        let value = match value {
            EnvValue::Text(value) => text(value),
            EnvValue::Secret(secret) => Doc::Table(vec![("secret", text(secret))]),
        };
        (key.clone(), value)
    });
    entries.push(("env", Doc::Named(env.collect())));
    entries.push(("ports", list(&run.ports, port)));
    Doc::Table(entries)
}

fn port(port: &PortSpec) -> Doc {
    let mut entries = vec![("name", text(&port.name)), ("protocol", word(&port.protocol))];
    entries.extend(port.port.map(|number| ("port", bare(number))));
    Doc::Table(entries)
}

fn health(check: &HealthCheck) -> Doc {
    let probe = match &check.probe {
        HealthProbe::Http { port, path } => ("http", Doc::Table(vec![("port", text(port)), ("path", text(path))])),
        HealthProbe::Tcp { port } => ("tcp", Doc::Table(vec![("port", text(port))])),
        HealthProbe::Exec { command } => ("exec", list(command, text)),
    };
    Doc::Table(vec![
        probe,
        ("interval", time(check.interval)),
        ("timeout", time(check.timeout)),
        ("healthy_after", bare(check.healthy_after)),
        ("unhealthy_after", bare(check.unhealthy_after)),
        ("start_within", time(check.start_within)),
    ])
}

fn data(spec: &DataSpec) -> Doc {
    let mut entries = vec![
        ("name", text(&spec.name)),
        ("class", word(&spec.class)),
        ("replicas", list(&spec.replicas, |replica| text(&replica.region))),
    ];
    if let Some(sync) = spec.sync {
        let lag = sync.lag_max.map(|lag| ("lag_max", time(lag)));
        let entry = std::iter::once(("mode", word(&sync.mode))).chain(lag);
        entries.push(("sync", Doc::Table(entry.collect())));
    }
    if let Some(BackupSpec { every, keep }) = spec.backup {
        entries.push(("backup", Doc::Table(vec![("every", time(every)), ("keep", time(keep))])));
    }
    Doc::Table(entries)
}
