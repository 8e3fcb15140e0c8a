//! The first place where two JSON values part.

use serde_json::Value;

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 200;

/// Where two values part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// JSON pointer (RFC 6901).
    pub(super) path: String,
    pub(super) expected: String,
    pub(super) actual: String,
}

/// Depth first, fields by name; `None`: they are equal.
pub(super) fn first_difference(path: &str, expected: &Value, actual: &Value) -> Option<Difference> {
    match (expected, actual) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            names.into_iter().find_map(|name| {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                either(&path, a.get(name), b.get(name))
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            (0..a.len().max(b.len())).find_map(|index| either(&format!("{path}/{index}"), a.get(index), b.get(index)))
        }
        _ => either_text(path, Some(expected), Some(actual)),
    }
}

fn either(path: &str, expected: Option<&Value>, actual: Option<&Value>) -> Option<Difference> {
    match (expected, actual) {
        (Some(a), Some(b)) => first_difference(path, a, b),
        _ => either_text(path, expected, actual),
    }
}

fn either_text(path: &str, expected: Option<&Value>, actual: Option<&Value>) -> Option<Difference> {
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let cut = |text: String| text.chars().take(SHOWN_MAX).collect();
    // The text, not the value: it is bytes that must be equal.
    let (expected, actual) = (text(expected), text(actual));
    (expected != actual).then(|| Difference {
        path: path.to_owned(),
        expected: cut(expected),
        actual: cut(actual),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let a = json!({"a/b": [1, {"x": 1.5}], "c": null});
        assert_eq!(first_difference("", &a, &a), None);
        let b = json!({"a/b": [1, {"x": 2.5}], "c": 1});
        let found = first_difference("", &a, &b).unwrap();
        assert_eq!(
            (found.path.as_str(), found.expected.as_str(), found.actual.as_str()),
            ("/a~1b/1/x", "1.5", "2.5")
        );
        let longer = json!({"a/b": [1, {"x": 1.5}, 2], "c": null});
        let found = first_difference("/r", &a, &longer).unwrap();
        assert_eq!((found.path.as_str(), found.expected.as_str()), ("/r/a~1b/2", "nothing"));
    }
}
