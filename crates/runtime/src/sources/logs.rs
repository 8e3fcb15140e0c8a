//! Log lines as series: how often each shape of line comes, and whether a new shape came.
//!
//! The shapes are the engine's templates (Drain); here lines find their service, and what was seen before is told apart
//! from what is new.

use std::collections::BTreeMap;

use skyloom_analytics::detect::{LogConfig, TemplateId, Templates};
use skyloom_core::{ReplicaId, ServiceName, Timestamp};

use super::point::{Kind, Point};

/// Services whose lines are told apart.
const SERVICES_MAX: usize = 256;
/// Replicas whose last lines are remembered.
const REPLICAS_MAX: usize = 10_000;
/// Characters of a template that its series shows.
const SHOWN_CHARS_MAX: usize = 200;

/// What a batch of lines has shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LinesTaken {
    /// Lines that were not there the last time.
    pub fresh: usize,
    /// Shapes that never came before in this service.
    pub new_templates: Vec<String>,
}

/// Templates of every service.
///
/// ```
/// use skyloom_core::Timestamp;
/// use skyloom_runtime::sources::LogLines;
///
/// let mut logs = LogLines::default();
/// let web = "web/0".parse()?;
/// let lines = ["took 12 ms", "took 9 ms", "disk is full"].map(str::to_owned);
/// assert_eq!(logs.take(&web, &lines).new_templates, ["took <*> ms", "disk is full"]);
/// // The same tail again, with one more line.
/// let lines = ["took 9 ms", "disk is full", "took 7 ms"].map(str::to_owned);
/// assert_eq!(logs.take(&web, &lines).fresh, 1);
/// let counts: Vec<f64> = logs.points(Timestamp::EPOCH).iter().map(|point| point.value).collect();
/// assert_eq!(counts, [3.0, 1.0, 2.0]); // lines of either shape, and new shapes
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug, Default)]
pub struct LogLines {
    config: LogConfig,
    services: BTreeMap<ServiceName, Service>,
    tails: BTreeMap<ReplicaId, Vec<String>>,
}

#[derive(Debug)]
struct Service {
    templates: Templates,
    fresh_templates: u32,
}

impl LogLines {
    /// With other sizes of the templates of each service.
    #[must_use]
    pub fn new(config: LogConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Takes the last lines of a replica, oldest first; those that the last call had at its end are known. Services beyond
    /// 256 are passed over.
    pub fn take(&mut self, replica: &ReplicaId, lines: &[String]) -> LinesTaken {
        let known = self.tails.get(replica).map_or(0, |tail| overlap(tail, lines));
        let fresh = &lines[known..];
        if self.tails.len() < REPLICAS_MAX || self.tails.contains_key(replica) {
            self.tails.insert(replica.clone(), lines.to_vec());
        }
        let is_full = self.services.len() >= SERVICES_MAX && !self.services.contains_key(replica.service());
        if is_full {
            return LinesTaken::default();
        }
        let config = self.config;
        let service = self
            .services
            .entry(replica.service().clone())
            .or_insert_with(|| Service {
                templates: Templates::new(config),
                fresh_templates: 0,
            });
        let mut taken = LinesTaken {
            fresh: fresh.len(),
            new_templates: Vec::new(),
        };
        for line in fresh {
            let found = service.templates.push(line);
            if found.is_new {
                service.fresh_templates = service.fresh_templates.saturating_add(1);
                let text = found.template.and_then(|id| service.templates.show(id));
                taken.new_templates.extend(text);
            }
        }
        taken
    }

    /// Forgets the last lines of replicas that are not among these.
    pub fn keep_only(&mut self, is_known: impl Fn(&ReplicaId) -> bool) {
        self.tails.retain(|replica, _| is_known(replica));
    }

    /// Lines of each template since the last call, as `log_lines{service, template, id}`, and `log_new_templates{service}`.
    pub fn points(&mut self, at: Timestamp) -> Vec<Point> {
        let mut points = Vec::new();
        for (name, service) in &mut self.services {
            let name = name.as_str();
            for (id, count) in (0_u32..).zip(service.templates.take_counts()) {
                let text = service.templates.show(TemplateId(id)).unwrap_or_default();
                let text: String = text.chars().take(SHOWN_CHARS_MAX).collect();
                let labels = [("service", name), ("template", &text), ("id", &id.to_string())];
                #[expect(clippy::cast_precision_loss, reason = "lines between two calls are far below 2^53")]
                points.push(Point::new("log_lines", &labels, Kind::Gauge, at, count as f64));
            }
            let fresh = f64::from(std::mem::take(&mut service.fresh_templates));
            points.push(Point::new(
                "log_new_templates",
                &[("service", name)],
                Kind::Gauge,
                at,
                fresh,
            ));
        }
        points
    }
}

/// How many lines at the beginning of `now` are the end of `before`: as many as possible.
fn overlap(before: &[String], now: &[String]) -> usize {
    let longest = before.len().min(now.len());
    let is_end = |count: &usize| before[before.len() - count..] == now[..*count];
    (1..=longest).rev().find(is_end).unwrap_or(0)
}
