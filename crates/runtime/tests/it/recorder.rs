//! A recorder that keeps every value of the thread that it is installed on, and a subscriber that keeps every span.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Subscriber};

/// A series: its name and its labels.
pub(crate) type Series = (String, BTreeMap<String, String>);

/// What came in for a series: how often, and the sum; for a gauge the last value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) times: u32,
    pub(crate) value: f64,
}

/// Keeps values by series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    kept: Arc<Mutex<BTreeMap<Series, Kept>>>,
    pub(crate) described: Arc<Mutex<Vec<String>>>,
}

impl Book {
    /// All series so far.
    pub(crate) fn all(&self) -> BTreeMap<Series, Kept> {
        self.kept.lock().unwrap().clone()
    }

    /// The sum over all series of a name whose labels have these values.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Kept {
        let fits = |found: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(key, value)| found.get(*key).map(String::as_str) == Some(*value))
        };
        let all = self.all();
        let kept = all.iter().filter(|((found, labels), _)| found == name && fits(labels));
        kept.fold(Kept::default(), |sum, (_, kept)| Kept {
            times: sum.times + kept.times,
            value: sum.value + kept.value,
        })
    }

    fn page(&self, key: &Key) -> Arc<Page> {
        let labels = key.labels().map(|l| (l.key().to_owned(), l.value().to_owned()));
        Arc::new(Page {
            book: self.clone(),
            series: (key.name().to_owned(), labels.collect()),
        })
    }

    fn describe(&self, name: &KeyName) {
        self.described.lock().unwrap().push(name.as_str().to_owned());
    }
}

#[derive(Debug)]
struct Page {
    book: Book,
    series: Series,
}

impl Page {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut kept = self.book.kept.lock().unwrap();
        let kept = kept.entry(self.series.clone()).or_default();
        kept.times += 1;
        kept.value = change(kept.value);
    }
}

impl CounterFn for Page {
    #[expect(clippy::cast_precision_loss, reason = "counts of a test")]
    fn increment(&self, value: u64) {
        self.change(|sum| sum + value as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a test")]
    fn absolute(&self, value: u64) {
        self.change(|_| value as f64);
    }
}

impl GaugeFn for Page {
    fn increment(&self, value: f64) {
        self.change(|sum| sum + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|sum| sum - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Page {
    fn record(&self, value: f64) {
        self.change(|sum| sum + value);
    }
}

impl Recorder for Book {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.page(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.page(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.page(key))
    }
}

/// A span that was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<u64>,
    pub(crate) fields: BTreeMap<&'static str, String>,
    /// How many handles there are; none: it is closed.
    handles: u64,
    /// How many spans had been made when it was closed.
    pub(crate) closed_at: Option<usize>,
}

/// Keeps spans; the id of one is its position from 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spans {
    made: Arc<Mutex<Vec<Made>>>,
    /// Spans that this thread is in.
    entered: Arc<Mutex<Vec<u64>>>,
}

impl Spans {
    /// Keeps the spans of this thread while the answer lives.
    pub(crate) fn listen(&self) -> (DefaultGuard, Dispatch) {
        // With one subscriber alive, a thread without one that meets a span first would switch it off for all.
        let second = Dispatch::new(Self::default());
        (tracing::subscriber::set_default(self.clone()), second)
    }

    pub(crate) fn all(&self) -> Vec<Made> {
        self.made.lock().unwrap().clone()
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

fn position(id: &Id) -> usize {
    usize::try_from(id.into_u64()).unwrap() - 1
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("skyloom")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let current = self.entered.lock().unwrap().last().copied();
        let parent = attributes.parent().map(Id::into_u64).or(current);
        let mut made = self.made.lock().unwrap();
        made.push(Made {
            name: attributes.metadata().name(),
            parent,
            fields: fields.0,
            handles: 1,
            closed_at: None,
        });
        Id::from_u64(made.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        self.entered.lock().unwrap().push(id.into_u64());
    }

    fn exit(&self, id: &Id) {
        let left = self.entered.lock().unwrap().pop();
        assert_eq!(
            left,
            Some(id.into_u64()),
            "spans are left in the order in which they were entered"
        );
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.made.lock().unwrap()[position(id)].handles += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut made = self.made.lock().unwrap();
        let count = made.len();
        let span = &mut made[position(&id)];
        span.handles -= 1;
        if span.handles == 0 {
            span.closed_at = Some(count);
        }
        span.handles == 0
    }
}
