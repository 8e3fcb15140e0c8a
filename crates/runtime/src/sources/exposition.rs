//! The text that exporters show: Prometheus' exposition format 0.0.4 and OpenMetrics 1.0.
//!
//! One pass over lines, no backtracking, no copy but of what is kept. As in Prometheus a page with a broken line is refused as
//! a whole: half a page would look like series that have ended. The crates that parse this bring regular expressions,
//! a grammar compiler or a calendar; the format is a screen of rules.

use std::collections::BTreeMap;

use skyloom_analytics::alert::{Labels, METRIC_NAME};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use super::point::{Kind, Point};

/// Samples of one page; Prometheus' own default has no limit, its documentation suggests some 10,000.
pub const PAGE_SAMPLES_MAX: usize = 50_000;

/// Why a page cannot be read; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExpositionError {
    /// A line has another form.
    #[error("read line {line} of a page of metrics: {what}")]
    Line {
        /// Which.
        line: usize,
        /// What was expected, for people.
        what: &'static str,
    },
    /// More than [`PAGE_SAMPLES_MAX`].
    #[error("read a page of more than `{PAGE_SAMPLES_MAX}` samples")]
    TooMany,
}

impl ExpositionError {
    /// Always [`Class::Invalid`]: the same page fails again.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// Reads a page. Values without a time of their own are of `now`.
///
/// Counters, and the buckets, counts and sums of histograms and summaries, come as [`Kind::Counter`]; all else as
/// [`Kind::Gauge`]. Without a `# TYPE` line a name that ends in `_total` or `_bucket` is taken for a counter.
///
/// # Errors
/// [`ExpositionError`] names the first line that has another form.
///
/// ```
/// use skyloom_core::Timestamp;
/// use skyloom_runtime::sources::{Kind, parse_exposition};
///
/// let page = "# TYPE served_total counter\nserved_total{code=\"200\"} 1027 1395066363000\nup 1\n";
/// let points = parse_exposition(page, Timestamp::EPOCH)?;
/// assert_eq!((points[0].kind, points[0].labels.get("code"), points[0].value), (Kind::Counter, "200", 1027.0));
/// assert_eq!(points[1].at, Timestamp::EPOCH);
/// # Ok::<(), skyloom_runtime::sources::ExpositionError>(())
/// ```
pub fn parse_exposition(page: &str, now: Timestamp) -> Result<Vec<Point>, ExpositionError> {
    let mut points = Vec::new();
    let mut types: BTreeMap<&str, Type> = BTreeMap::new();
    // OpenMetrics ends its page with this line, and counts time in seconds.
    let is_open_metrics = page.trim_end().ends_with("# EOF");
    for (i, text) in page.lines().enumerate() {
        let fail = |what| ExpositionError::Line { line: i + 1, what };
        let text = text.trim_matches([' ', '\t', '\r']);
        if let Some(comment) = text.strip_prefix('#') {
            let mut words = comment.split_ascii_whitespace();
            if words.next() == Some("TYPE") {
                let name = words.next().ok_or_else(|| fail("a type without a name"))?;
                types.insert(name, Type::of(words.next().unwrap_or_default()));
            }
        } else if !text.is_empty() {
            if points.len() == PAGE_SAMPLES_MAX {
                return Err(ExpositionError::TooMany);
            }
            let sample = sample(text).map_err(fail)?;
            let name = sample.labels.get(METRIC_NAME);
            points.push(Point {
                kind: kind(name, &types),
                at: time(sample.at, is_open_metrics).map_or(now, Timestamp::from_micros),
                labels: sample.labels,
                value: sample.value,
            });
        }
    }
    Ok(points)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Counter,
    Histogram,
    Summary,
    Other,
}

impl Type {
    fn of(word: &str) -> Self {
        match word {
            "counter" => Self::Counter,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            _ => Self::Other,
        }
    }
}

fn kind(name: &str, types: &BTreeMap<&str, Type>) -> Kind {
    if let Some(own) = types.get(name) {
        return if *own == Type::Counter {
            Kind::Counter
        } else {
            Kind::Gauge
        };
    }
    let of_family = |suffix: &str| name.strip_suffix(suffix).and_then(|family| types.get(family)).copied();
    let is_counter = match (of_family("_total"), of_family("_bucket")) {
        (Some(of_total), _) => of_total == Type::Counter,
        (_, Some(of_bucket)) => of_bucket == Type::Histogram,
        _ => match of_family("_count").or_else(|| of_family("_sum")) {
            Some(of_part) => matches!(of_part, Type::Histogram | Type::Summary),
            None => types.is_empty() && (name.ends_with("_total") || name.ends_with("_bucket")),
        },
    };
    if is_counter { Kind::Counter } else { Kind::Gauge }
}

/// Microseconds of a time as it stands on the page.
fn time(at: Option<f64>, in_seconds: bool) -> Option<i64> {
    let micros = at? * if in_seconds { 1e6 } else { 1e3 };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`as` saturates, and what is not finite is no time"
    )]
    micros.is_finite().then_some(micros as i64)
}

struct Line {
    labels: Labels,
    value: f64,
    at: Option<f64>,
}

type Parsed<T> = Result<T, &'static str>;

/// `name{label="value",…} value [time] [# exemplar]`; the name may also stand quoted inside the braces.
fn sample(text: &str) -> Parsed<Line> {
    let end = text.find(['{', ' ', '\t']).ok_or("a name without a value")?;
    let (name, mut rest) = text.split_at(end);
    if !name.is_empty() && !is_name(name, ':') {
        return Err("a name of letters, digits, `_` and `:`");
    }
    let mut labels = Labels::default().with(METRIC_NAME, name);
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = pairs(inside, labels)?;
    }
    if labels.get(METRIC_NAME).is_empty() {
        return Err("a sample without a name");
    }
    let rest = rest.split(" # ").next().unwrap_or_default();
    let mut words = rest.split_ascii_whitespace();
    let value = number(words.next().ok_or("a name without a value")?)?;
    let at = words.next().map(number).transpose()?;
    match words.next() {
        None => Ok(Line { labels, value, at }),
        Some(_) => Err("nothing after value and time"),
    }
}

/// The pairs up to the closing brace, and what follows it.
fn pairs(mut rest: &str, mut labels: Labels) -> Parsed<(Labels, &str)> {
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = match rest.strip_prefix('"') {
            Some(inside) => quoted(inside)?,
            None => {
                let end = rest.find(['=', ',', '}']).ok_or("a closing brace")?;
                (rest[..end].trim_end().to_owned(), &rest[end..])
            }
        };
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix('=') {
            let value = after
                .trim_start()
                .strip_prefix('"')
                .ok_or("a label's value in quotes")?;
            let (value, after) = quoted(value)?;
            if name.is_empty() || name == METRIC_NAME {
                return Err("a label with a name of its own");
            }
            if !labels.get(&name).is_empty() {
                return Err("each label once");
            }
            labels = labels.with(name, value);
            rest = after.trim_start();
        } else if labels.get(METRIC_NAME).is_empty() && !name.is_empty() {
            labels = labels.with(METRIC_NAME, name);
        } else {
            return Err("`=` after a label's name");
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("`,` or `}` after a label"),
        }
    }
}

/// A text up to its closing quote, with `\\`, `\"` and `\n` undone, and what follows.
fn quoted(text: &str) -> Parsed<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &text[i + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, c @ ('\\' | '"'))) => out.push(c),
                Some((_, other)) => out.extend(['\\', other]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err("a closing quote")
}

fn is_name(text: &str, more: char) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == more;
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

/// A number as Go reads it: also `+Inf`, `-Inf`, `NaN`.
fn number(text: &str) -> Parsed<f64> {
    text.parse().map_err(|_| "a number")
}
