//! Names of tasks and data sets to positions.
//!
//! A sorted list whose entries hold the sixteen bytes after the beginning that all names share: most comparisons end there,
//! in the list itself, where those of a tree of strings each wait for memory. What names are allowed is `checks`'.

use super::compile::End;
use super::types::NodeId;

/// Names, sorted, with the position in the input of what has each.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// Bytes that all names begin with.
    shared: usize,
    sorted: Vec<(u128, &'a str, End)>,
}

impl<'a> Names<'a> {
    /// Sorts the names; where two are equal, one of them.
    pub(super) fn new(all: impl Iterator<Item = (&'a NodeId, End)>) -> Result<Self, &'a NodeId> {
        let all: Vec<(&NodeId, End)> = all.collect();
        let first = all.first().map_or("", |(id, _)| id.as_str());
        let common = |(id, _): &(&NodeId, End)| {
            let pairs = id.as_str().bytes().zip(first.bytes());
            pairs.take_while(|(a, b)| a == b).count()
        };
        let shared = all.iter().map(common).min().unwrap_or(0);
        let mut sorted: Vec<(u128, &str, End)> = all
            .iter()
            .map(|(id, end)| (key(id.as_str(), shared), id.as_str(), *end))
            .collect();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0].1 == pair[1].1) {
            Some(pair) => Err(all
                .iter()
                .find(|(id, _)| id.as_str() == pair[0].1)
                .map_or(all[0].0, |(id, _)| id)),
            None => Ok(Self { shared, sorted }),
        }
    }

    /// What has a name.
    pub(super) fn find(&self, id: &str) -> Option<End> {
        let wanted = (key(id, self.shared), id);
        let at = self
            .sorted
            .binary_search_by(|(key, name, _)| (*key, *name).cmp(&wanted))
            .ok()?;
        Some(self.sorted[at].2)
    }

    /// Positions of the tasks, by name.
    pub(super) fn tasks(&self) -> impl Iterator<Item = usize> {
        self.sorted.iter().filter_map(|(_, _, end)| match end {
            End::Task(task) => Some(*task),
            End::Data(_) => None,
        })
    }
}

/// Sixteen bytes from `start` on, as a number that sorts as they do; names that end before are filled up with zeros.
fn key(name: &str, start: usize) -> u128 {
    let rest = name.as_bytes().get(start..).unwrap_or_default();
    let mut bytes = [0; 16];
    let length = rest.len().min(16);
    bytes[..length].copy_from_slice(&rest[..length]);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_sorted_as_text_is() {
        let texts = [
            "stage-b",
            "stage-a",
            "stage-a\0",
            "stage-",
            "stage-a-very-long-name-1",
            "stage-a-very-long-name-0",
        ];
        let ids: Vec<NodeId> = texts.iter().map(|text| NodeId::from(*text)).collect();
        let names = Names::new(ids.iter().zip((0..).map(End::Task))).unwrap();
        let mut expected: Vec<usize> = (0..texts.len()).collect();
        expected.sort_by_key(|at| texts[*at]);
        assert_eq!(names.tasks().collect::<Vec<usize>>(), expected);
        for (at, text) in texts.iter().enumerate() {
            assert_eq!(names.find(text), Some(End::Task(at)));
        }
        for absent in [
            "",
            "stage",
            "stage-c",
            "stags-a",
            "stage-a-very-long-name-",
            "stage-a\0\0",
        ] {
            assert_eq!(names.find(absent), None, "{absent:?}");
        }
    }

    #[test]
    fn equal_names_are_told() {
        let ids: Vec<NodeId> = ["a", "b", "a"].map(NodeId::from).into();
        let ends = [End::Task(0), End::Task(1), End::Data(0)];
        assert_eq!(Names::new(ids.iter().zip(ends)).unwrap_err().as_str(), "a");
        assert_eq!(Names::new(std::iter::empty()).unwrap().find("a"), None);
    }
}
