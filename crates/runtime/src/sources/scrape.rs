//! Prometheus exporters: a page is fetched, read and told apart from the one before.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skyloom_analytics::alert::Labels;
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use super::exposition::{ExpositionError, parse_exposition};
use super::gatherer::{Gatherer, Intake};
use super::point::{Kind, Point};
use crate::http::{Bounds, HttpError, HttpUrl, get};

/// What is asked for: the text formats.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=1";
/// A page of 50,000 samples with long labels.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// Prometheus' own default.
const WITHIN: Duration = Duration::from_secs(10);

/// Why a page could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScrapeError {
    /// There is no good answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The page is no text.
    #[error("read a page of metrics as UTF-8")]
    Text,
    /// The page has another form.
    #[error(transparent)]
    Page(#[from] ExpositionError),
}

impl ScrapeError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Http(error) => error.class(),
            Self::Text => Class::Invalid,
            Self::Page(error) => error.class(),
        }
    }
}

/// An exporter that is asked again and again.
///
/// Each series gets the labels `job` and `instance` (one that the page gives itself stays as `exported_job`), and
/// `up{job, instance}` says whether the last page was good. Series that are missing on a good page have ended; after a failure
/// all of them have.
#[derive(Debug)]
pub struct Scraper {
    url: HttpUrl,
    job: String,
    within: Duration,
    before: BTreeSet<Labels>,
}

impl Scraper {
    /// An exporter by its address, under the name of a job. A page may take ten seconds.
    #[must_use]
    pub fn new(job: impl Into<String>, url: HttpUrl) -> Self {
        Self {
            url,
            job: job.into(),
            within: WITHIN,
            before: BTreeSet::new(),
        }
    }

    /// The same with another time that a page may take.
    #[must_use]
    pub const fn with_within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Fetches a page and takes it into `gatherer`.
    ///
    /// Dropping the future leaves everything as it was.
    ///
    /// # Errors
    /// [`ScrapeError`]: no good answer in time, or a page that cannot be read. `up` is then 0 and the series have ended.
    pub async fn scrape(&mut self, gatherer: &Mutex<Gatherer>, now: Timestamp) -> Result<Intake, ScrapeError> {
        let fetched = self.fetch(now).await;
        let mut gatherer = gatherer.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut points, outcome) = match fetched {
            Ok(points) => (points, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        let seen: BTreeSet<Labels> = points.iter().map(|point| point.labels.clone()).collect();
        for gone in self.before.difference(&seen) {
            gatherer.end(gone);
        }
        self.before = seen;
        points.push(self.up(outcome.is_ok(), now));
        let intake = gatherer.take(points, now);
        outcome.map(|()| intake)
    }

    async fn fetch(&self, now: Timestamp) -> Result<Vec<Point>, ScrapeError> {
        let bounds = Bounds {
            within: self.within,
            answer_bytes_max: PAGE_BYTES_MAX,
        };
        let page = get(&self.url, ACCEPT, bounds).await?;
        let page = std::str::from_utf8(&page).map_err(|_| ScrapeError::Text)?;
        let mut points = parse_exposition(page, now)?;
        for point in &mut points {
            point.labels = self.own(std::mem::take(&mut point.labels));
        }
        Ok(points)
    }

    /// The labels of a page with those of the exporter.
    fn own(&self, labels: Labels) -> Labels {
        let instance = self.url.instance();
        let own = [("job", self.job.as_str()), ("instance", instance.as_str())];
        own.into_iter().fold(labels, |labels, (name, value)| {
            let exported = labels.get(name).to_owned();
            labels.with(format!("exported_{name}"), exported).with(name, value)
        })
    }

    fn up(&self, is_up: bool, now: Timestamp) -> Point {
        let instance = self.url.instance();
        let labels = [("job", self.job.as_str()), ("instance", instance.as_str())];
        Point::new("up", &labels, Kind::Gauge, now, if is_up { 1.0 } else { 0.0 })
    }
}
