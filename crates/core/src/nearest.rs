//! The known name that an unknown one was probably meant to be: for "did you mean", never for a decision.

/// Names longer than this are not compared: the cost is the product of the lengths.
const NAME_LEN_COMPARED: usize = 128;

/// The candidate with the fewest edits to `name`, the first of equals; `None` when even the best differs in more than
/// a third of the longer one's characters (one edit is always forgiven).
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().take(NAME_LEN_COMPARED + 1).collect();
    if wanted.len() > NAME_LEN_COMPARED {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let known: Vec<char> = candidate.chars().collect();
        if known.len() > NAME_LEN_COMPARED {
            continue;
        }
        let distance = edits(&wanted, &known);
        let longest = wanted.len().max(known.len());
        let forgiven = (longest / 3).max(1);
        if distance <= forgiven && distance < longest && best.is_none_or(|(fewest, _)| distance < fewest) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *to && *from == b[j - 1] {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_strangers_are_not() {
        let known = ["replicas", "resources", "revenue", "run", "to"];
        let rows = [
            ("replica", Some("replicas")),
            ("repilcas", Some("replicas")),
            ("resource", Some("resources")),
            ("rum", Some("run")),
            ("colour", None),
            ("x", None),
            ("", None),
        ];
        for (name, expected) in rows {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest(&"a".repeat(1 << 20), known), None);
    }

    #[test]
    fn edits_count_swaps_once() {
        let count = |a: &str, b: &str| edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(
            [count("ab", "ba"), count("", "abc"), count("kitten", "sitting")],
            [1, 3, 3]
        );
    }
}
