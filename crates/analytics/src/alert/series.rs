//! All series by label, so that a rule finds its own without looking at the others.

use std::collections::BTreeMap;

use super::rule::SeriesId;
use super::{Labels, Matcher, matcher};

/// Series and an inverted index over their labels. Series are only added: one that stops has no value any more.
///
/// ```
/// use skyloom_analytics::alert::{Labels, SeriesIndex};
///
/// let mut index = SeriesIndex::default();
/// let web = Labels::from_iter([("__name__", "up"), ("job", "web")]);
/// let id = index.insert(web.clone());
/// assert_eq!(index.insert(web), id);
/// assert_eq!(index.len(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct SeriesIndex {
    labels: Vec<Labels>,
    ids: BTreeMap<Labels, SeriesId>,
    /// For each pair, its series in rising order.
    postings: BTreeMap<String, BTreeMap<String, Vec<SeriesId>>>,
}

impl SeriesIndex {
    /// The number of the series with these labels, which is added when it is new. 2^32 series are the most there can be;
    /// further ones share the last number.
    pub fn insert(&mut self, labels: Labels) -> SeriesId {
        if let Some(id) = self.ids.get(&labels) {
            return *id;
        }
        let id = SeriesId(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        for (name, value) in labels.iter() {
            let values = self.postings.entry(name.to_owned()).or_default();
            values.entry(value.to_owned()).or_default().push(id);
        }
        self.ids.insert(labels.clone(), id);
        self.labels.push(labels);
        id
    }

    /// The number of the series with these labels, if it is there.
    #[must_use]
    pub fn id(&self, labels: &Labels) -> Option<SeriesId> {
        self.ids.get(labels).copied()
    }

    /// The labels of the series that came as number `index`, from 0.
    #[must_use]
    pub fn labels_at(&self, index: usize) -> Option<&Labels> {
        self.labels.get(index)
    }

    /// Number of series.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The labels of a series of this index.
    #[must_use]
    pub fn labels(&self, id: SeriesId) -> Option<&Labels> {
        self.labels.get(id.index())
    }

    /// The series that match, from the number `from` on, in rising order: the shortest list of a pair that is asked for,
    /// then the other matchers one by one.
    pub(super) fn select(&self, matchers: &[Matcher], from: usize) -> Vec<SeriesId> {
        const NONE: &[SeriesId] = &[];
        let lists = matchers.iter().filter_map(Matcher::pair).map(|(name, value)| {
            let values = self.postings.get(name).and_then(|values| values.get(value));
            values.map_or(NONE, Vec::as_slice)
        });
        let is_meant = |id: &SeriesId| self.labels(*id).is_some_and(|labels| matcher::all(matchers, labels));
        match lists.min_by_key(|list| list.len()) {
            Some(list) => {
                let start = list.partition_point(|id| id.index() < from);
                list[start..].iter().copied().filter(is_meant).collect()
            }
            None => {
                let ids = (from..self.labels.len())
                    .filter_map(|i| u32::try_from(i).ok())
                    .map(SeriesId);
                ids.filter(is_meant).collect()
            }
        }
    }
}
